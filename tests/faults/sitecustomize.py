"""Put on PYTHONPATH by tests: makes chosen points misbehave in whichever process computes them.

``NTK_SWEEP_FAULTS`` is a JSON object from width to what happens there: "die" (SIGKILL), "raise", or seconds to sleep.
"""

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time

FAULTS = json.loads(os.environ.get("NTK_SWEEP_FAULTS", "{}"))


class _Patcher(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "ntk_sweep.tasks":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            plain = module._TASKS["spectrum"]

            def faulty(point, dataset, device):
                fault = FAULTS.get(str(point.width))
                if fault == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                elif fault == "raise":
                    raise RuntimeError("this point was made to fail")
                elif fault:
                    time.sleep(fault)
                return plain(point, dataset, device)

            module._TASKS["spectrum"] = faulty

        spec.loader.exec_module = exec_module
        return spec


if FAULTS:
    sys.meta_path.insert(0, _Patcher())
