"""Turns what Hydra says of a wrong setting into one message with the valid choices."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ntk_sweep.errors import SweepError
from ntk_sweep.settings.validation import unknown_setting


@contextmanager
def plain_errors() -> Iterator[None]:
    """Prints a user's mistake as one message and exits with status 2.

    Other errors keep their traceback.
    ``HYDRA_FULL_ERROR=1`` makes Hydra pass errors on rather than print them; set by the user, it
    shows every traceback.
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
    except Exception as error:
        # Hydra answers a few malformed overrides (`data=3`) with bare ValueErrors of its own.
        if not _raised_by_hydra(error):
            raise
        sys.exit(_ended(f"error: {' '.join(sys.argv[1:])}: {error}"))
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def _ended(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def _raised_by_hydra(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith(
        ("hydra.", "omegaconf.")
    )


def explain(error: BaseException) -> str:
    """Hydra's message with its cause, and the known settings where one is unknown."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        lines += [line for line in str(cause).splitlines() if line.strip() and line not in lines]
        cause = cause.__cause__
    text = "\n".join(lines)
    unknown = re.search(r"Could not override '([^']+)'|Key '([^']+)' not in", text)
    if unknown:
        return unknown_setting(unknown.group(1) or unknown.group(2))
    if ambiguous := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{ambiguous.group(1)} holds several values: add -m to sweep over them"
    text = text.split("\nConfig search path:")[0]
    text = re.sub(r"^In '[^']+': Could not find '([^']+)/([^'/]+)'", r"\1=\2 is unknown", text)
    text = re.sub(r"^Error merging override (.*)\n", r"\1: ", text)
    text = re.sub(
        r"Value '(.*)' of type '\w+' could not be converted to Integer",
        r"'\1' is not an integer",
        text,
    )
    text = re.sub(
        r"Value '(.*)' of type '\w+' could not be converted to Float", r"'\1' is not a number", text
    )
    text = re.sub(r"Value '(.*)' is not a valid bool.*", r"'\1' is neither true nor false", text)
    text = re.sub(r"field '.*' is not Optional", "it must have a value", text)
    return re.sub(r"\n +(full_key|object_type|reference_type).*", "", text)
