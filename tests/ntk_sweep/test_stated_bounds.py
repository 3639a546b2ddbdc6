"""Protects every term of the error bounds: a bound may cover all cases and have lost one.

Bounds are functions of sizes, not of roundings, so that they hardly differ between machines. Where
a change is meant, `python -m tests.helpers.stated_bounds` writes the file anew.
"""

import json

import pytest

from tests.helpers.stated_bounds import FILE, stated_bounds

STATED = json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def found():
    return stated_bounds()


def test_the_cases_are_those_of_the_file(found):
    assert {name: set(of) for name, of in found.items()} == {
        name: set(of) for name, of in STATED.items()
    }


@pytest.mark.parametrize("case", STATED)
def test_bounds_are_what_they_were(found, case):
    assert found[case] == pytest.approx(STATED[case], rel=1e-4, abs=0)
