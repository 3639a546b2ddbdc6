"""A Ray in this process: tasks run when they are asked for, nodes are what a test says."""

import contextlib
import signal
import sys
from types import SimpleNamespace

import pytest
from ray import exceptions

from ntk_sweep.executors.ray import RayExecutor


class Reference:
    """The result of a task, or an object that was put."""

    def __init__(self, get):
        self.get = get


class FakeRay:
    """As much of the module `ray` as `RayExecutor` uses.

    Attributes:
        arguments: Those of `init`.
        machines: What `nodes` returns.
        cancelled: References.
        fails: What `init` raises.
        outcome: What every task returns or raises, instead of running.
    """

    exceptions = exceptions
    job_config = SimpleNamespace(JobConfig=lambda **given: given)

    def __init__(self, machines=({"CPU": 2.0},), fails=None, outcome=None):
        self.machines = [
            {"Alive": True, "NodeID": str(i), "NodeManagerAddress": f"10.0.0.{i}", "Resources": own}
            for i, own in enumerate(machines)
        ]
        self.fails, self.outcome = fails, outcome
        self.arguments, self.cancelled, self.resources, self.started = None, [], [], False
        self._private = SimpleNamespace(
            worker=SimpleNamespace(print_to_stdstream=print),
            utils=SimpleNamespace(set_sigterm_handler=signal.signal),
        )

    def init(self, **arguments):
        self.arguments, self.started = arguments, True
        if self.fails:
            raise self.fails

    def is_initialized(self):
        return self.started

    def shutdown(self):
        self.started = False

    def nodes(self):
        return self.machines

    def cluster_resources(self):
        return self.machines[0]["Resources"]

    def put(self, value):
        return Reference(lambda: value)

    def remote(self, **resources):
        self.resources.append(resources)
        return lambda function: SimpleNamespace(remote=lambda *given: self._task(function, given))

    def _task(self, function, given):
        def get():
            values = [value.get() if isinstance(value, Reference) else value for value in given]
            try:
                return function(*values)
            except Exception as error:  # noqa: BLE001 - as Ray does
                name = function.__name__
                raise exceptions.RayTaskError(
                    name, "\x1b[31m", error
                ).as_instanceof_cause() from None

        return Reference(get)

    def wait(self, references, num_returns, timeout):
        return references[:num_returns], references[num_returns:]

    def get(self, reference):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return reference.get() if self.outcome is None else self.outcome

    def cancel(self, reference, force=False):
        self.cancelled.append(reference)


@contextlib.contextmanager
def as_ray(fake):
    """Has `import ray` find the fake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", fake)
        yield fake


def executor_on(fake, compute):
    """A `RayExecutor` that takes the fake for Ray."""
    with as_ray(fake):
        return RayExecutor(compute)
