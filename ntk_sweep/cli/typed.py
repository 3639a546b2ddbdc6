"""Settings as they are typed: texts that Hydra would not read as such, and corrected lines."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from ntk_sweep.errors import ConfigError
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
    return [_as_typed(override) for override in overrides]


def quoted(name: str, text: str) -> str:
    """The override that gives a setting this very text."""
    return f"{name}={_in_quotes(_without_interpolation(text))}"


def corrected(override: str, *better: str) -> str:
    """The command line that was typed, with an override replaced, for a POSIX shell.

    An override that was not typed, but stands in a file, is shown alone.
    """
    words = sys.argv[1:]
    if override not in words:
        return shlex.join(better)
    place = words.index(override)
    return shlex.join(["ntk-sweep", "run", *words[:place], *better, *words[place + 1 :]])


def one_text(override: str) -> str:
    """The hint how to type an override whose value is one text as it stands."""
    name, _, text = override.partition("=")
    return "as one text it needs quotes, for Hydra and for the shell:\n  " + corrected(
        override, quoted(name, text)
    )


def _as_typed(override: str) -> str:
    name, _, text = override.partition("=")
    if name.lstrip("+") not in free_texts() or _is_read(override):
        return override
    # Where Hydra does not read it, a comma, a backslash or a quote at its beginning may be meant
    # for Hydra, or belong to the text.
    if re.search(r"[,\\]|\$\{", _INTERPOLATION.sub("", text)) or text[:1] in ("'", '"'):
        several = ""
        if "," in text and not re.search(r"""^[\[{]|[\\'"]|\$\{""", text):
            parts = f"{name}={','.join(_in_quotes(part.strip()) for part in text.split(','))}"
            words = [] if {"-m", "--multirun"} & set(sys.argv) else ["-m"]
            several = f"\nas several values:\n  {corrected(override, *words, parts)}"
        raise ConfigError(f"{override} cannot be read; {one_text(override)}{several}")
    return f"{name}={_in_quotes(text)}"


def _is_read(override: str) -> bool:
    """Whether Hydra reads a text, or something that only it can be meant for."""
    try:
        read = OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return read.is_sweep_override() or read.value() is None or isinstance(read.value(), str)


def _in_quotes(text: str) -> str:
    quote = Quote.single if '"' in text else Quote.double
    return QuotedString(text, quote).with_quotes()


def _without_interpolation(text: str) -> str:
    """`text` with every ``${`` escaped, and the backslashes before it, for OmegaConf."""
    return re.sub(r"(\\*)\$\{", lambda found: rf"{found[1] * 2}\${{", text)
