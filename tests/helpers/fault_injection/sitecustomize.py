"""Put on PYTHONPATH by tests: makes chosen points misbehave in whichever process computes them.

``NTK_SWEEP_FAULTS`` is a JSON object from width to what happens there: "die" (SIGKILL), "raise",
"memory" (more than the process may have), "all memory" (until somebody ends the process), "hang"
(two minutes in which no signal interrupts), a path to wait for, or seconds to sleep.
``NTK_SWEEP_HIDDEN`` names folders, as PATH does, in which it may open no file.
"""

import dataclasses
import importlib.abc
import importlib.machinery
import json
import os
import resource
import signal
import sys
import time

FAULTS = json.loads(os.environ.get("NTK_SWEEP_FAULTS", "{}"))

PLAIN = []
"""The reference that the registry held before."""


HIDDEN = [
    folder + os.sep for folder in os.environ.get("NTK_SWEEP_HIDDEN", "").split(os.pathsep) if folder
]


def _need_too_much():
    """Asks for twice the memory that the process is then allowed to have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, limits[1]))
    try:
        bytearray(2**28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _need_all():
    """Takes memory until the system or Ray ends the process, or gives up at four gigabytes, which
    is more than tests leave it."""
    taken = []
    for _ in range(64):
        taken.append(b"\1" * 2**26)
        time.sleep(0.02)
    raise RuntimeError("nobody ended this process")


def _hang():
    """Waits like a call into a library, which no signal interrupts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(120)


def _wait_for(path):
    """Waits until somebody makes the file, for two minutes at most."""
    for _ in range(12_000):
        if os.path.exists(path):
            return
        time.sleep(0.01)
    raise RuntimeError(f"nobody made {path}")


def _refuse_hidden(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(tuple(HIDDEN)):
        raise FileNotFoundError(f"{arguments[0]} is hidden from this process")


def compute_with_fault(work):
    """Stands in the registry for what computes the task `spectrum`."""
    from ntk_sweep.settings.tasks import resolve

    fault = FAULTS.get(str(work.point.architecture.width))
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "raise":
        raise RuntimeError("this point was made to fail")
    elif fault == "memory":
        _need_too_much()
    elif fault == "all memory":
        _need_all()
    elif fault == "hang":
        _hang()
    elif isinstance(fault, str):
        _wait_for(fault)
    elif fault:
        time.sleep(fault)
    return resolve(PLAIN[0])(work)


class _Patcher(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "ntk_sweep.settings.tasks":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            entry = module.TASKS["spectrum"]
            PLAIN.append(entry.compute)
            module.TASKS["spectrum"] = dataclasses.replace(
                entry, compute="sitecustomize:compute_with_fault"
            )

        spec.loader.exec_module = exec_module
        return spec


if FAULTS:
    sys.meta_path.insert(0, _Patcher())
if HIDDEN:
    sys.addaudithook(_refuse_hidden)
