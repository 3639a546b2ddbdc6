"""Protects how numbers with error bounds are written: no digit that the bound does not leave."""

import math

import pytest

from ntk_sweep.digits import known, known_digits, ratio_bound, with_bound


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (0.00093124, 1.02e-5, "0.00093 ± 1e-05"),
        (0.00093124, 9.7e-6, "0.00093 ± 1e-05"),
        (3.6471234567, 2.6e-9, "3.647123457 ± 3e-09"),
        (3.6471234567, 2.6e-15, "3.647123457 ± 3e-15"),  # ten digits are enough
        (3.6471234567, 0.0, "3.647123457 ± 0"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, 1e-3, "0.500 ± 0.001"),  # known zeros are shown
        (12345.6, 3.0, "12346 ± 3"),
        (12345.6, 300.0, "1.23e+04 ± 3e+02"),
        (1.0e7, 2e7, "1e+07 ± 2e+07"),
        (-2.5, 0.1, "-2.5 ± 0.1"),
        (1e-300, 1e-310, "1e-300 ± 1e-310"),
        (0.0, 1e-5, "0 ± 1e-05"),
    ],
)
def test_digits_follow_the_bound(value, bound, text):
    assert with_bound(value, bound) == text


@pytest.mark.parametrize(("bound", "digits"), [(math.nan, 4), (0.0, 4), (math.inf, 1), (50.0, 1)])
def test_a_bound_that_says_nothing(bound, digits):
    assert known_digits(2.0, bound, most=4) == digits


def test_the_bound_of_a_ratio_holds_at_its_corners():
    a, da, b, db = 12.0, 0.5, 3.0, 0.1
    corners = [abs((a + i * da) / (b + j * db) - a / b) for i in (-1, 1) for j in (-1, 1)]
    assert ratio_bound(a, da, b, db) == pytest.approx(max(corners))
    assert known(a / b, ratio_bound(a, da, b, db), most=6) == "4.0"
