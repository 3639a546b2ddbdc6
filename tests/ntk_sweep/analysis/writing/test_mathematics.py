"""Protects mathematics in plain text, as HTML and as LaTeX."""

from __future__ import annotations

import pytest

from ntk_sweep.analysis.writing.mathematics import NO_BREAK, html_text, latex_text
from tests.helpers.written_mathematics import WRITTEN


@pytest.mark.parametrize("text", WRITTEN)
def test_mathematics_in_plain_text(text):
    assert (html_text(text).replace(NO_BREAK, " "), latex_text(text)) == WRITTEN[text]


def test_lines_end_outside_of_products_and_intervals():
    shown = html_text("ReLU 800 × 3, seed 0: 0.2 [0.1, 3e-5]")
    assert shown.replace(NO_BREAK, "~") == "ReLU 800~×~3, seed 0: 0.2 [0.1,~3~×~10<sup>−5</sup>]"
