"""Keys of a query: what is asked, and what matches, by PS3.4 C.2.2.2."""

from datetime import date

import pytest

from drawcli.core.pull.keys import SERIES, STUDY, QueryKey, check_key, parse_days

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("today", "20260301"),
        ("-1d", "20260228-"),
        ("-0d", "20260301-"),
        ("-3d..", "20260226-"),
        ("-3d..-1d", "20260226-20260228"),
        ("..-1d", "-20260228"),
        ("-1d..-1d", "20260228"),
        ("20260131", "20260131"),
        ("2026-01-31", "20260131"),
        ("20260101-20260131", "20260101-20260131"),
        ("20260101-", "20260101-"),
        ("2026-01-01..today", "20260101-20260301"),
    ],
)
def test_days_are_asked_as_a_range(text: str, asked: str) -> None:
    assert parse_days(text, TODAY).in_query() == asked


@pytest.mark.parametrize(
    "text",
    ["", "..", "-", "yesterday", "-1", "1d", "20260231", "2026-1-1", "-1d..-3d", "-99999d", "٣"],
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be days"):
        parse_days(text, TODAY)


@pytest.mark.parametrize(
    ("keyword", "values", "found", "matches"),
    [
        ("Modality", ["CT"], ["CT "], True),
        ("Modality", ["CT"], ["MR"], False),
        ("Modality", ["CT", "MR"], ["MR"], True),
        ("ModalitiesInStudy", ["CT"], ["RTSTRUCT", "CT"], True),
        ("SeriesDescription", ["*plan*"], ["RT PLANNING ct"], True),
        ("SeriesDescription", ["plan*"], ["RT plan"], False),
        ("SeriesDescription", ["CT?"], ["CT1"], True),
        ("SeriesDescription", ["CT?"], ["CT12"], False),
        ("SeriesDescription", ["a.c"], ["abc"], False),
        ("StationName", ["CTSIM"], [], False),
        ("StationName", ["CTSIM"], [""], False),
        ("StudyDate", ["-1d"], ["20260228"], True),
        ("StudyDate", ["-1d"], ["2026.03.01"], True),
        ("StudyDate", ["-1d"], ["20260227"], False),
        ("StudyDate", ["-1d"], ["soon"], False),
        ("PatientName", ["MUSTER^MARIA"], ["Muster^Maria^^"], True),
        ("SeriesDescription", ["*" * 30 + "x"], ["y" * 200], False),
        ("SeriesDescription", ["*"], ["y" * 10_000], False),
    ],
)
def test_an_answer_is_matched_again(
    keyword: str,
    values: list[str],
    found: list[str],
    matches: bool,  # noqa: FBT001 - a table
) -> None:
    assert QueryKey(keyword, tuple(values)).matches(found, TODAY) is matches


def test_many_wildcards_cost_no_time() -> None:
    key = QueryKey("SeriesDescription", ("*a" * 30 + "b",))

    assert not key.matches(["a" * 64], TODAY)


def test_a_single_value_is_asked_and_several_are_not() -> None:
    assert QueryKey("Modality", ("CT",)).in_query(TODAY) == "CT"
    assert QueryKey("Modality", ("CT", "MR")).in_query(TODAY) == ""
    assert QueryKey("StudyDate", ("-1d",)).in_query(TODAY) == "20260228-"


def test_a_key_has_its_level() -> None:
    assert QueryKey("StudyDate", ("today",)).level == STUDY
    assert QueryKey("Modality", ("CT",)).level == SERIES


@pytest.mark.parametrize(
    ("keyword", "values", "why"),
    [
        ("Modality", [], "a value"),
        ("Modality", [""], "1 to 64"),
        ("SeriesDescription", ["x" * 65], "1 to 64"),
        ("Modality", ["CT\\MR"], "backslash"),
        ("SeriesDescription", ["a\0b"], "control"),
        ("SeriesDescription", ["*"], "matches everything"),
        ("SeriesInstanceUID", ["1.2.*"], "no wildcards"),
        ("StudyDate", ["*"], "should be days"),
    ],
)
def test_a_key_that_cannot_be_asked_is_refused(keyword: str, values: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_key(keyword, values)
