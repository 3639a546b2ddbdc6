"""The executors by name: one entry each, from which Hydra's launchers are made."""

from __future__ import annotations

from pkgutil import resolve_name

from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.protocol import Executor

EXECUTORS = {
    "serial": "ntk_sweep.executors.serial:SerialExecutor",
    "ray": "ntk_sweep.executors.ray:RayExecutor",
}
"""What ``hydra/launcher=`` takes → the class, as "module:Class", imported when a sweep uses it."""


def load_executor(name: str) -> type[Executor]:
    """The executor class of this name.

    Raises:
        ConfigError: There is none.
    """
    if name not in EXECUTORS:
        raise ConfigError(
            f"the executor {name} is unknown: choose one of "
            f"{', '.join(f'hydra/launcher={known}' for known in EXECUTORS)}"
        )
    return resolve_name(EXECUTORS[name])
