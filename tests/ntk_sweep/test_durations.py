"""Protects how durations are written."""

import pytest

from ntk_sweep.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00 min"),
        (185, "3:05 min"),
        (3599.4, "59:59 min"),
        (3600, "1:00 h"),
        (7620, "2:07 h"),
        (90000, "25:00 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
