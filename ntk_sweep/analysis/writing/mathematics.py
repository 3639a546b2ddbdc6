"""Plain text with mathematics in it, as HTML and as LaTeX.

Such as λ_min, Θ_ij, 3.9e-10, -0.5, (1 - η)^k.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_INDEXED = r"([λΘσ])_(min|max|[ij]{2}|[a-z]|[0-9]+)"

_POWER_OF_TEN = r"(?<![\w.])(\d+(?:\.\d+)?)e([+-])0*(\d+)(?!\w)"
"""A number as programs print it; the digits of a commit have no sign behind an e."""

_EXPONENT = r"\^(\w)"

_MINUS = r"(?<![\w.])-(?=\d)|(?<= )-(?= )"
"""A sign, not the hyphen of relu-800x3, 2024-07-01 or --act."""

_MATHEMATICS = re.compile(
    f"(?P<indexed>{_INDEXED})|(?P<ten>{_POWER_OF_TEN})|(?P<power>{_EXPONENT})|(?P<minus>{_MINUS})"
)

MINUS = "\N{MINUS SIGN}"

NO_BREAK = "\N{NO-BREAK SPACE}"

_TOGETHER = re.compile(r"(?<=\d) (?=×)|(?<=×) (?=\d)|(?<=\d,) (?=[^\[\]]*\])")
"""Spaces within 800 × 3, 3 × 10⁵ and [0.1, 0.2], where no line should end."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "|": r"$|$",
    "½": r"$\frac{1}{2}$",
    "η": r"$\eta$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "×": r"$\times$",
    "…": r"\dots{}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    MINUS: "$-$",
    "λ": r"$\lambda$",
    "Θ̄": r"$\bar{\Theta}$",
    "Θ": r"$\Theta$",
    "ȳ": r"$\bar{y}$",
    "‖": r"$\|$",
    "√": r"$\surd$",
    "Σ": r"$\Sigma$",
    "ᵀ": r"$^{\mathsf{T}}$",
    "χ": r"$\chi$",
    "Δ": r"$\Delta$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "·": r"$\cdot$",
}

_BELOW, _ABOVE = "₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"

_LATEX_LETTERS = {"λ": r"\lambda", "Θ": r"\Theta", "σ": r"\sigma"}

# Longest first, so that Θ̄ is one symbol and not Θ and a bar.
_LATEX_SYMBOLS = re.compile(
    "|".join(
        [
            *(re.escape(key) for key in sorted(_LATEX, key=len, reverse=True)),
            f"(?P<below>[{_BELOW}]+)",
            f"(?P<above>[{_ABOVE}]+)",
        ]
    )
)


def html_text(text: str) -> Markup:
    """Text in HTML: escaped, with indices, exponents and signs set as such."""

    def one(match: re.Match[str]) -> str:
        letter, index, digits, sign, exponent, power = match.group(2, 3, 5, 6, 7, 9)
        if match["indexed"]:
            return f"{letter}<sub>{index}</sub>"
        if match["ten"]:
            return (
                "" if digits == "1" else f"{digits} × "
            ) + f"10<sup>{MINUS if sign == '-' else ''}{exponent}</sup>"
        return f"<sup>{power}</sup>" if match["power"] else MINUS

    return Markup(_TOGETHER.sub(NO_BREAK, _MATHEMATICS.sub(one, str(escape(text)))))


def latex_text(text: str) -> str:
    """Text in LaTeX, with nothing but ASCII in it as far as the symbols are known."""

    def one(match: re.Match[str]) -> str:
        letter, index, digits, sign, exponent, power = match.group(2, 3, 5, 6, 7, 9)
        if match["indexed"]:
            shown = rf"\{index}" if index in ("min", "max") else index
            return rf"${_LATEX_LETTERS[letter]}_{{{shown}}}$"
        if match["ten"]:
            factor = "" if digits == "1" else rf"{digits} \times "
            return f"${factor}10^{{{sign if sign == '-' else ''}{exponent}}}$"
        return f"$^{{{power}}}$" if match["power"] else "$-$"

    parts, place = [], 0
    for match in _MATHEMATICS.finditer(text):
        parts += [_plain_latex(text[place : match.start()]), one(match)]
        place = match.end()
    return "".join([*parts, _plain_latex(text[place:])])


def _plain_latex(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match["below"]:
            return f"$_{{{''.join(str(_BELOW.index(digit)) for digit in match[0])}}}$"
        if match["above"]:
            return f"$^{{{''.join('0123456789-'[_ABOVE.index(sign)] for sign in match[0])}}}$"
        return _LATEX[match[0]]

    return _LATEX_SYMBOLS.sub(one, text)
