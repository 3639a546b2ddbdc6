"""Turns what Hydra says of a wrong setting into one message with the valid choices."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from ntk_sweep import exit_status
from ntk_sweep.cli.typed import corrected, free_texts, one_text
from ntk_sweep.errors import PointFailed, SweepError
from ntk_sweep.settings.validation import setting_fields, unknown_setting


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
    except PointFailed:  # which is printed already
        sys.exit(exit_status.FAILED)
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
    return exit_status.MISTAKE


def _raised_by_hydra(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith(
        ("hydra.", "omegaconf.")
    )


def explain(error: BaseException) -> str:
    """Hydra's message with its cause, and the known settings where one is unknown."""
    if isinstance(error, OverrideParseException):
        return _unread(error)
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        lines += [line for line in str(cause).splitlines() if line.strip() and line not in lines]
        cause = cause.__cause__
    text = "\n".join(lines)
    return _sign_or_name(text) or _several(text) or _wrong_value(text)


def _unread(error: OverrideParseException) -> str:
    """The message for an override that Hydra's grammar has no room for."""
    override = error.override
    name, equals, _ = override.partition("=")
    if error.__cause__:  # of a function such as `range`
        return f"{override} cannot be read: {str(error.__cause__).strip()}"
    if not equals and re.fullmatch(r"[\w./-]+", name):
        return f"{name} has no value: {name}=…"
    said = str(error.message)
    caret = re.search(r"^(Lexer.*)\n( *)\^", said, re.MULTILINE)
    found = re.search(r"(?:mismatched|extraneous) input '(.+?)' expecting", said)
    seen = caret[1][len(caret[2])] if caret else found[1] if found else "<EOF>"
    where = "it ends too early" if seen == "<EOF>" else f"'{seen}' is unexpected"
    return f"{override} cannot be read: {where}; {one_text(override)}"


def _sign_or_name(text: str) -> str | None:
    """The message for a key that is unknown, or needs a ``+``, or has one too many."""
    if wanted := re.search(r"To append to your (?:default list|config) use \+(\S+?)=.*", text):
        name, is_group = wanted[1], "No match in the defaults list" in text
        if is_group and name in setting_fields():
            return (
                f"{name} is a setting, but the folder of --config-dir holds a folder of that name, "
                "which Hydra takes for a group: give your experiments a folder of their own"
            )
        if is_group or name.startswith("hydra."):
            override = next((word for word in sys.argv if word.startswith(f"{name}=")), f"{name}=…")
            line = corrected(override, f"+{override}")
            return f"{name} needs a +, since the settings hold none yet:\n  {line}"
        if "/" in name or "@" in name:
            return f"unknown group '{name}'. `ntk-sweep run --help` lists the groups"
    extra = re.search(
        r"Multiple values for ([^.\s]+)\.|^(\S+) appears more than|remove \+ prefix: '(.*)'",
        text,
        re.MULTILINE,
    )
    if extra:
        for word in sys.argv[1:]:
            if word.partition("=")[0] == f"+{extra[extra.lastindex or 1].partition('=')[0]}":
                return f"{word} has a + too many:\n  {corrected(word, word[1:])}"
    unknown = re.search(r"Could not override '([^']+)'|Key '([^']+)' not in", text)
    return unknown_setting(unknown[1] or unknown[2]) if unknown else None


def _several(text: str) -> str | None:
    """The message for several values without a sweep."""
    sweep = re.search(r"Sweep parameters '(.*)' requires", text)
    ambiguous = re.search(r"Ambiguous value for argument '(.*)'\n", text)
    found = sweep or ambiguous
    if not found:
        return None
    override = found[1]
    name, _, values = override.partition("=")
    field = setting_fields().get(name.lstrip("+"))
    hint = f"; {one_text(override)}" if name.lstrip("+") in free_texts() else ""
    if field and str(field.type).startswith("list") and "[" not in values:
        line = corrected(override, f"{name}=[{values}]")
        return f"{override} holds several values: a list stands in brackets:\n  {line}"
    return f"{override} holds several values: add -m to sweep over them{hint}"


def _wrong_value(text: str) -> str:
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
    text = re.sub(
        r"^(\S+?)=(.*): Invalid value assigned: \w+ is not a ListConfig.*",
        r"\1=\2: a list stands in brackets, such as '\1=[0,1]'",
        text,
    )
    text = re.sub(r"Value '(.*)' is not a valid bool.*", r"'\1' is neither true nor false", text)
    text = re.sub(r"field '.*' is not Optional", "it must have a value", text)
    return re.sub(r"\n +(full_key|object_type|reference_type).*", "", text)
