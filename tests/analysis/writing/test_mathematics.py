"""Protects mathematics in plain text, as HTML and as LaTeX."""

from __future__ import annotations

import pytest

from analysis.writing.mathematics import NO_BREAK, html_text, latex_text

WRITTEN = {
    "λ_max and Θ_ij, Θ̄, Θ_0": (
        "λ<sub>max</sub> and Θ<sub>ij</sub>, Θ̄, Θ<sub>0</sub>",
        r"$\lambda_{\max}$ and $\Theta_{ij}$, $\bar{\Theta}$, $\Theta_{0}$",
    ),
    "3.9e-10 or 1e+20": (
        "3.9 × 10<sup>−10</sup> or 10<sup>20</sup>",
        r"$3.9 \times 10^{-10}$ or $10^{20}$",
    ),
    "-0.5 [-0.7, +0.1], y - x": ("−0.5 [−0.7, +0.1], y − x", "$-$0.5 [$-$0.7, +0.1], y $-$ x"),
    "(1 - η)^k": ("(1 − η)<sup>k</sup>", r"(1 $-$ $\eta$)$^{k}$"),
    "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act": (
        "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act",
    )
    * 2,
    "50 % of _a_ & {b}": ("50 % of _a_ &amp; {b}", r"50 \% of \_a\_ \& \{b\}"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_mathematics_in_plain_text(text):
    assert (html_text(text).replace(NO_BREAK, " "), latex_text(text)) == WRITTEN[text]


def test_lines_end_outside_of_products_and_intervals():
    shown = html_text("ReLU 800 × 3, seed 0: 0.2 [0.1, 3e-5]")
    assert shown.replace(NO_BREAK, "~") == "ReLU 800~×~3, seed 0: 0.2 [0.1,~3~×~10<sup>−5</sup>]"
