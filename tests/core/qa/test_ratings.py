"""Ratings: which values are allowed, which rating counts, and the table of a site."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from drawcli.core.qa.ratings import (
    ALL_STRUCTURES,
    LONGEST_COMMENT,
    MEANINGS,
    ROW_COLUMNS,
    Edit,
    Rating,
    RatingSource,
    current_ratings,
    rating_rows,
)

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
RATING = Rating(
    series="0123456789ab",
    job="0123456789ab-1",
    at=AT,
    source=RatingSource.COMMAND,
    template="Pelvis",
    overall=8,
    minutes=12.5,
    structures={"Bladder": Edit.MINOR, "Rectum": Edit.NONE},
    comment="dome cut off",
    by="R. Example",
)


def test_a_rating_is_read_as_it_was_written() -> None:
    assert Rating.from_plain(RATING.as_plain() | {"new": 1}) == RATING


def test_a_rating_is_told_in_a_few_words() -> None:
    assert RATING.in_words == "8 of 10; 12.5 min of editing; 1 none, 1 minor"
    assert replace(RATING, overall=None, structures={}).in_words == "12.5 min of editing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"overall": 11},
        {"overall": -1},
        {"overall": 7.5},
        {"overall": True},
        {"overall": "8"},
        {"minutes": -1},
        {"minutes": nan},
        {"minutes": inf},
        {"minutes": 10**400},
        {"minutes": 1441},
        {"comment": "x" * (LONGEST_COMMENT + 1)},
        {"comment": "two\nlines"},
        {"comment": "\ud800"},
        {"comment": 5},
        {"by": "\x1b[2J"},
        {"structures": {"x" * 65: Edit.NONE}},
        {"at": AT.replace(tzinfo=None)},
    ],
)
def test_a_value_that_is_not_allowed_makes_no_rating(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"number|text|characters|time"):
        replace(RATING, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 5},
        {"at": "yesterday"},
        {"source": "rumour"},
        {"structures": {"Bladder": "odd"}},
        {"structures": ["Bladder"]},
        {"structures": {"Bladder": []}},
    ],
)
def test_a_line_that_is_no_rating_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Rating.from_plain(RATING.as_plain() | wrong)


def test_the_latest_rating_of_a_structure_set_counts() -> None:
    later = replace(RATING, at=AT + timedelta(days=1), overall=3)
    at_once = replace(later, overall=4)
    other = replace(RATING, job="ba9876543210-1", series="ba9876543210")
    former = replace(RATING, job=None, origin="aaaa")
    second = replace(former, origin="bbbb")

    # One imported later may be older: the time of the rating counts, not the order of the lines.
    assert current_ratings([later, at_once, RATING, other, former, second]) == {
        RATING.job: at_once,
        other.job: other,
        "aaaa": former,
        "bbbb": second,
    }


def test_an_export_has_no_comment_unless_asked_and_never_names_staff() -> None:
    assert {"comment", "by"} & RATING.as_export().keys() == set()
    whole = RATING.as_export(with_comment=True)
    assert whole["comment"] == "dome cut off"
    assert "Example" not in str(whole)


def test_the_table_counts_edits_by_template_and_structure() -> None:
    hard = replace(
        RATING,
        job="b-1",
        overall=3,
        minutes=30,
        structures={"Bladder": Edit.MAJOR, "Anal_Canal": Edit.MISSING},
    )
    bare = replace(RATING, job="c-1", overall=10, minutes=None, structures={})
    other = replace(RATING, job="d-1", template="Head", overall=None, structures={})

    head, whole, canal, bladder, rectum = rating_rows([RATING, hard, bare, other])

    assert (head.template, head.n, head.overall, head.share(Edit.NONE)) == ("Head", 1, None, None)
    assert whole.structure == ALL_STRUCTURES
    assert (whole.n, whole.minutes, whole.overall) == (3, 21.25, 8)
    assert whole.share(Edit.MAJOR) == 0.25
    assert (canal.structure, canal.n, canal.share(Edit.MISSING)) == ("Anal_Canal", 1, 1.0)
    assert (bladder.n, bladder.share(Edit.MINOR), bladder.share(Edit.NONE)) == (2, 0.5, 0.0)
    assert (bladder.minutes, bladder.overall) == (21.25, 5.5)
    assert rectum.as_plain() == {
        "template": "Pelvis",
        "structure": "Rectum",
        "n": 1,
        "none": 1,
        "minor": 0,
        "major": 0,
        "missing": 0,
        "minutes_median": 12.5,
        "overall_median": 8,
    }


def test_the_page_on_ratings_explains_every_column_and_edit() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "rate-contours.md"
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert listed[:4] == [(str(edit), meaning) for edit, meaning in MEANINGS.items()]
    assert [name for name, _ in listed[4:]] == list(ROW_COLUMNS)
