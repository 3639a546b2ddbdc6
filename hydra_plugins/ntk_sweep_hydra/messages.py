"""Turns what Hydra says of a wrong setting into one message with the valid choices."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ntk_sweep.config import SweepConfig
from ntk_sweep.errors import SweepError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Prints a user's mistake as one message and exits with status 2; other errors keep their traceback.

    ``HYDRA_FULL_ERROR=1`` makes Hydra pass errors on rather than print them; set by the user, it shows every traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except SweepError as error:
        sys.exit(_ended(f"error: {error}"))
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(_ended(f"error: {explain(error)}"))
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def _ended(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def explain(error: BaseException) -> str:
    """Hydra's message with its cause, and the known settings where one is unknown."""
    lines = []
    cause: BaseException | None = error
    while cause is not None:
        lines += [line for line in str(cause).splitlines() if line.strip() and line not in lines]
        cause = cause.__cause__
    text = "\n".join(lines)
    unknown = re.search(r"Could not override '([^']+)'|Key '([^']+)' not in", text)
    if unknown:
        name = unknown.group(1) or unknown.group(2)
        known = list(setting_names(SweepConfig))
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        text = f"unknown setting '{name}'.{hint}\nThe settings are: {', '.join(known)}"
    return text


def setting_names(schema: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings of a dataclass."""
    for item in fields(schema):
        nested = item.default_factory if isinstance(item.default_factory, type) else None
        if nested and is_dataclass(nested):
            yield from setting_names(nested, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name
