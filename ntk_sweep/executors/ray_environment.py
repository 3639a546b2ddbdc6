"""What Ray reads from the environment: of the user's variables a private Ray sees none.

Nearly two hundred variables that begin with ``RAY_`` change what Ray does: where it listens, which
cores and files it takes, what runs in its workers. They are meant for the user's own clusters.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens."""

OURS = {
    # No usage statistics, and no report that they are off either.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": NOWHERE,
    # Ray decides on CUDA_VISIBLE_DEVICES of workers without a GPU.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # SIGTERM is for the driver; Ray's handler, written in C++, would abort it.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    # Below `uv run`, workers would be started by it too, with a copy of the checkout.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""For every Ray, where the user has not set it."""

MODE = "RAY_AUTH_MODE"

PRIVATE = {
    # Without it the servers of a private Ray listen to the network, on every system but those that
    # the variable is named after.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    MODE: "token",
}
"""For a private Ray, besides a random token."""

KEPT = {"RAY_memory_usage_threshold", "RAY_memory_monitor_refresh_ms"}
"""The user's that a private Ray sees: how full the memory may get before Ray ends a worker."""


@contextmanager
def ray_environment(private: bool) -> Iterator[None]:
    """What Ray shall see until the end, whether it is imported already or not.

    A private Ray gets a token of its own. A cluster that is joined gets the user's: that of
    ``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH`` or ``~/.ray/auth_token``.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    if private:
        # The token stands in the environment, not where Ray itself would keep it: in the user's
        # home, where each cluster that she starts later would find it and ask for it.
        kept = {name: value for name, value in before.items() if name in KEPT}
        _replace(OURS | PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} | kept)
    else:
        # A cluster that asks for no token takes one all the same.
        token = {MODE: "token"} if _has_token() else {}
        _replace(OURS | token | before)
    _read_again()
    try:
        yield
    finally:
        # Not yet all of the user's: Ray aborts where it cannot read one of them.
        _replace({name: value for name, value in before.items() if name == MODE})
        _read_again()
        _replace(before)


def _replace(variables: dict[str, str]) -> None:
    """Has these be all the variables of Ray."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]
    os.environ.update(variables)


def _read_again() -> None:
    """Has Ray forget the token and the settings of C++ that it read when it was imported."""
    raylet: Any = getattr(sys.modules.get("ray"), "_raylet", None)
    if hasattr(raylet, "AuthenticationTokenLoader"):  # from Ray 2.52 on
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _has_token() -> bool:
    files = [os.environ.get("RAY_AUTH_TOKEN_PATH", ""), os.path.expanduser("~/.ray/auth_token")]
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or any(Path(file).is_file() for file in files)
