"""Texts as they are given to a setting on the command line."""

from __future__ import annotations

import re

PLAIN = re.compile(
    r"(?!(?:null|true|false|nan|inf)$)[a-z_./](?:[\w./:@% -]*[\w./:@%-])?", re.ASCII | re.I
)
"""Texts that Hydra reads as they are."""


def override(name: str, text: str) -> str:
    """What gives a setting this very text, in quotes for Hydra where it needs them.

    It still needs quotes for the shell (`shlex.join`).
    """
    if PLAIN.fullmatch(text):
        return f"{name}={text}"
    # OmegaConf would take ${ for an interpolation.
    escaped = re.sub(r"(\\*)\$\{", lambda found: rf"{found[1] * 2}\${{", text)
    return f"{name}={in_quotes(escaped)}"


def in_quotes(text: str) -> str:
    """A text in quotes for Hydra; interpolations in it stay what they are."""
    # Analysis loads no Hydra unless it shows such a text.
    from hydra.core.override_parser.types import Quote, QuotedString

    quote = Quote.single if '"' in text else Quote.double
    return QuotedString(text, quote).with_quotes()
