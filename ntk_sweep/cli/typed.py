"""Settings as they are typed: texts that Hydra would not read as such, and corrected lines."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.overrides import in_quotes, override
from ntk_sweep.settings.validation import check_of, setting_fields

_INTERPOLATION = re.compile(r"\$\{[^${}]*\}")


def free_texts() -> list[str]:
    """The settings that hold any text: folders, files, URIs and addresses."""
    return [
        name
        for name, item in setting_fields().items()
        if item.type in ("str", "str | None") and not check_of(item) and name != "task.name"
    ]


def as_typed(overrides: Sequence[str]) -> list[str]:
    """Overrides as Hydra reads them, where free texts keep characters that it has no room for.

    ``results=~/a#b`` and ``results=R/x=1`` are such. What Hydra reads itself stays as it is:
    texts in quotes, interpolations, several values, null.

    Raises:
        ConfigError: A text has several readings; the message says how each is typed.
    """
    return [_as_typed(typed) for typed in overrides]


def corrected(typed: str, *better: str) -> str:
    """The command line that was typed, with an override replaced, for a POSIX shell.

    An override that was not typed, but stands in a file, is shown alone.
    """
    words = sys.argv[1:]
    if typed not in words:
        return shlex.join(better)
    place = words.index(typed)
    return shlex.join(["ntk-sweep", "run", *words[:place], *better, *words[place + 1 :]])


def one_text(typed: str) -> str:
    """The hint how to type an override whose value is one text as it stands."""
    name, _, text = typed.partition("=")
    return "as one text it needs quotes, for Hydra and for the shell:\n  " + corrected(
        typed, override(name, text)
    )


def _as_typed(typed: str) -> str:
    name, _, text = typed.partition("=")
    if name.lstrip("+") not in free_texts() or _is_read(typed):
        return typed
    # Where Hydra does not read it, a comma, a backslash or a quote at its beginning may be meant
    # for Hydra, or belong to the text.
    if re.search(r"[,\\]|\$\{", _INTERPOLATION.sub("", text)) or text[:1] in ("'", '"'):
        several = ""
        if "," in text and not re.search(r"""^[\[{]|[\\'"]|\$\{""", text):
            parts = f"{name}={','.join(in_quotes(part.strip()) for part in text.split(','))}"
            words = [] if {"-m", "--multirun"} & set(sys.argv) else ["-m"]
            several = f"\nas several values:\n  {corrected(typed, *words, parts)}"
        raise ConfigError(f"{typed} cannot be read; {one_text(typed)}{several}")
    return f"{name}={in_quotes(text)}"


def _is_read(typed: str) -> bool:
    """Whether Hydra reads a text, or something that only it can be meant for."""
    try:
        read = OverridesParser.create().parse_override(typed)
    except HydraException:
        return False
    return read.is_sweep_override() or read.value() is None or isinstance(read.value(), str)
