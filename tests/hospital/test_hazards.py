"""The hazard log: products that are right, controls that lower them, tests that exist."""

import re
from pathlib import Path

import pytest

from tests.test_security import functions_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hospital" / "hazards.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of hazards."""
    lines = [line for line in text.splitlines() if re.match(r"\| H\d", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ROWS = rows(PAGE.partition("## Tests that")[0])
TESTS = rows(PAGE.partition("## Tests that")[2])
DEMANDED = (
    "misidentification",
    "wrong structures",
    "wrong geometry",
    "shift",
    "wrong series",
    "silent loss",
    "late delivery",
    "leak",
    "automation bias",
    "model",
    "wrong template",
    "partial series",
    "wrong patient delivered",
    "time zone",
    "unauthorised",
)


def figures(cell: str) -> tuple[int, int, int, int]:
    """Return O, S, D and RPN."""
    found = re.fullmatch(r"(\d+) · (\d+) · (\d+) = (\d+)", cell)
    assert found, cell
    occurrence, severity, detection, product = map(int, found.groups())
    return occurrence, severity, detection, product


def test_each_hazard_has_a_number_and_all_cells() -> None:
    assert [row[0] for row in ROWS] == [f"H{number}" for number in range(1, len(ROWS) + 1)]
    assert [row[0] for row in TESTS] == [row[0] for row in ROWS]
    assert all(len(row) == 6 and all(row) for row in ROWS)
    assert f"{len(ROWS)} failure modes" in (ROOT / "docs/hospital/index.md").read_text("utf-8")


@pytest.mark.parametrize("words", DEMANDED)
def test_no_hazard_is_forgotten(words: str) -> None:
    assert any(words in row[1] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_the_products_are_right_and_the_controls_lower_them(row: list[str]) -> None:
    before, after = figures(row[4]), figures(row[5])

    for occurrence, severity, detection, product in (before, after):
        assert {occurrence, severity, detection} <= set(range(1, 11))
        assert product == occurrence * severity * detection
    assert after[1] == before[1], "a control that finds a fault does not make it less severe"
    assert after[0] <= before[0]
    assert after[2] <= before[2]
    assert after[3] < before[3]


@pytest.mark.parametrize("row", TESTS, ids=lambda row: str(row[0]))
def test_each_hazard_is_tried_by_tests_that_exist(row: list[str]) -> None:
    named = re.findall(r"`(.+?)::(.+?)`", row[1])

    assert named
    for file, test in named:
        assert test in functions_of(ROOT / "tests" / file), f"{file}::{test}"


def test_what_remains_are_the_largest_products_in_their_order() -> None:
    largest = sorted(ROWS, key=lambda row: -figures(row[5])[3])[:5]
    told = re.findall(r"\*\*(H\d+)\*\*", PAGE.partition("## What remains")[2])

    assert told == [row[0] for row in largest]
