"""Every operator on every kind of value: what fits, what does not, and what can never be meant."""

import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.rules.operators import (
    OPERATORS,
    PRESENCE,
    ValueKind,
    canonical_path,
    checker_of,
    kind_of,
)
from drawcli.core.rules.synonyms import suggest_operator

TODAY = date(2026, 11, 24)
# keyword, operator, wanted, value in the header, outcome; None: no value of its kind
TABLE: list[tuple[str, str, Any, str, bool | None]] = [
    ("SliceThickness", "equals", 3, "3.000", True),
    ("SliceThickness", "equals", "3.0", "3", True),
    ("SliceThickness", "equals", 3, "3.5", False),
    ("SliceThickness", "equals", 3, "thick", None),
    ("SliceThickness", "not_equals", 3, "3.5", True),
    ("SliceThickness", "in", [1, 2.5], "2.50", True),
    ("SliceThickness", "not_in", [1, 2.5], "2.50", False),
    ("SliceThickness", "at_least", 2.5, "2.5", True),
    ("SliceThickness", "at_most", 2.5, "2.6", False),
    ("SliceThickness", "above", 2.5, "2.5", False),
    ("SliceThickness", "below", 3, "2.99", True),
    ("SliceThickness", "between", [1, 3], "3", True),
    ("SliceThickness", "between", [1, 3], "3.01", False),
    ("KVP", "above", 100, "1.2E+02", True),
    ("Rows", "equals", 512, "512", True),
    ("SeriesNumber", "below", 100, " 7 ", True),
    ("StudyDate", "equals", "2026-03-14", "20260314", True),
    ("StudyDate", "equals", "20260314", "2026.03.14", True),
    ("StudyDate", "before", "2026-03-14", "20260313", True),
    ("StudyDate", "before", "2026-03-14", "20260314", False),
    ("StudyDate", "after", "-30d", "20261101", True),
    ("StudyDate", "after", "-30d", "20261001", False),
    ("StudyDate", "between", ["2026-01-01", "2026-12-31"], "20260314", True),
    ("StudyDate", "at_least", "2026-03-14", "20260314", True),
    ("StudyDate", "after", "2020-01-01", "soon", None),
    ("AcquisitionDateTime", "after", "2026-03-01", "20260314083000.5+0530", True),
    ("StudyTime", "before", "12:00", "083000.5", True),
    ("StudyTime", "after", "0830", "083000.5", True),
    ("StudyTime", "between", ["08:00", "09:00"], "0830", True),
    ("StudyTime", "after", "12:00", "noon", None),
    ("PatientAge", "at_least", "018Y", "064Y", True),
    ("PatientAge", "below", 18, "011M", True),
    ("PatientAge", "equals", "014D", "002W", True),
    ("PatientAge", "above", 18, "64", None),
    ("PatientName", "equals", "muster^maria", "Muster^Maria^^^", True),
    ("PatientName", "equals", "Muster Maria", "Muster^Maria", True),
    (
        "PatientName",
        "equals",
        "\u5c71\u7530^\u592a\u90ce",
        "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce",
        True,
    ),
    ("PatientName", "equals", "Muster", "Muster^Maria", False),
    ("PatientName", "contains", "phantom", "QA^PHANTOM", True),
    ("ProtocolName", "equals", "pelvis", "PELVIS", True),
    ("ProtocolName", "not_equals", "pelvis", "PELVIS", False),
    ("ProtocolName", "in", ["Pelvis", "Abdomen"], "abdomen", True),
    ("ProtocolName", "contains", "strasse", "Stra\u00dfe 7", True),
    ("ProtocolName", "starts_with", "RT", "rt pelvis", True),
    ("ProtocolName", "starts_with", "pelvis", "rt pelvis", False),
    ("ProtocolName", "ends_with", "vis", "RT Pelvis", True),
    ("ProtocolName", "matches", "^rt.*(pelvis|prostate)$", "RT 2.5mm Prostate", True),
    ("ProtocolName", "matches", "[0-9]{3}", "RT 25", False),
    ("Modality", "equals", "CT", "ct", True),
    ("SOPClassUID", "equals", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2", True),
    ("StudyTime", "after", "08:30:15", "083020", True),
    ("StudyTime", "after", "08:30:15", "083010", False),
    ("StudyTime", "before", "08:30:15", "083010.5", True),
    ("StudyTime", "between", ["08:29:50", "08:30:10"], "083000", True),
    ("oblique", "equals", True, "true", True),
    ("slices", "at_least", 40, "39", False),
    ("(0029,ACME,10)", "equals", "3.0", "3", True),
]


@pytest.mark.parametrize(("keyword", "operator", "wanted", "value", "outcome"), TABLE)
def test_values_are_compared_as_what_they_are(
    keyword: str, operator: str, wanted: Any, value: str, *, outcome: bool | None
) -> None:
    assert checker_of(operator, wanted, kind_of(keyword))(value, TODAY) is outcome


def test_every_operator_is_in_the_table() -> None:
    tested = {operator for _, operator, *_ in TABLE}

    assert tested == set(OPERATORS) - PRESENCE, "add rows to TABLE for the operators that differ"


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_operator_is_reported_as_a_mistake(operator: str) -> None:
    advice = suggest_operator(operator, "Modality")

    assert "not:" not in advice, f"remove '{operator}' from _NEGATED in core/rules/synonyms.py"
    assert advice == f"; write '{operator}'"


@pytest.mark.parametrize(
    ("keyword", "operator", "wanted", "value"),
    [
        ("ProtocolName", "equals", "RT Pelvis", "RT pelvis"),
        ("ProtocolName", "matches", "P", "p"),
        ("PatientName", "equals", "QA^Phantom", "QA^PHANTOM"),
        ("PatientName", "in", ["QA^Phantom"], "qa^phantom=x"),
        ("PatientName", "contains", "Phantom", "QA^PHANTOM"),
    ],
)
def test_case_counts_where_the_author_says_so(
    keyword: str, operator: str, wanted: str, value: str
) -> None:
    assert checker_of(operator, wanted, kind_of(keyword))(value, TODAY) is True
    assert checker_of(operator, wanted, kind_of(keyword), case=True)(value, TODAY) is False


@pytest.mark.parametrize(
    ("keyword", "operator", "wanted", "why"),
    [
        ("SliceThickness", "equals", "thin", "holds a number; 'thin' is none"),
        ("SliceThickness", "contains", "3", "'contains' is for texts"),
        ("SliceThickness", "between", [1], "two values: from and to"),
        ("SliceThickness", "before", 3, "use below and above"),
        ("SliceThickness", "equals", "inf", "is none"),
        ("StudyDate", "equals", "14.3.26", "holds a date"),
        ("StudyDate", "equals", "2026-02-30", "holds a date"),
        ("StudyTime", "after", "25:00", "holds a time"),
        ("PatientAge", "above", "old", "holds an age"),
        ("Modality", "above", "CT", "which has no order"),
        ("PatientName", "at_least", "A", "which has no order"),
        ("Modality", "equals", True, "a text or a number"),
        ("Modality", "equals", " ", "an empty text"),
        ("oblique", "equals", "yes", "true or false"),
        ("ProtocolName", "matches", "(pelvis", "a pattern that cannot be read: missing )"),
        ("ProtocolName", "matches", "a" * 2000, "more than 1000 characters"),
        ("ProtocolName", "contains", True, "is compared with a text"),
    ],
)
def test_what_can_never_be_is_a_mistake(keyword: str, operator: str, wanted: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as told:
        checker_of(operator, wanted, kind_of(keyword))
    assert why in str(told.value)


def test_no_pattern_runs_away() -> None:
    """This one takes a backtracking engine longer than the universe."""
    check = checker_of("matches", "^(a+)+$", ValueKind.TEXT)
    begun = time.process_time()

    assert check("a" * 5000 + "b", TODAY) is False
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Modality", "Modality"),
        ("(0008,0060)", "Modality"),
        ("(0018,9999)", "(0018,9999)"),
        ("(0029,Siemens CSA Header,1A)", "(0029,SIEMENS CSA HEADER,1a)"),
        ("RequestAttributesSequence.0.RequestedProcedureDescription",) * 2,
        ("RequestAttributesSequence.*.(0032,1060)", None),
        ("slices", "slices"),
        ("Modalty", None),
        ("Modality.0.Manufacturer", None),
        ("RequestAttributesSequence.first.StudyDate", None),
        ("RequestAttributesSequence.0", None),
        ("RequestAttributeSequence.0.StudyDate", None),  # misspelt
        ("RequestAttributesSequence.0.ReferencedStudySequnce.*.StudyDate", None),
        (".0.StudyDate", None),
        ("", None),
        (".", None),
    ],
)
def test_a_path_is_known_or_not(path: str, found: str | None) -> None:
    if path.endswith("(0032,1060)"):
        found = "RequestAttributesSequence.*.RequestedProcedureDescription"
    assert canonical_path(path) == found


@pytest.mark.sweep
@given(st.text(max_size=30), st.sampled_from(sorted(set(OPERATORS) - PRESENCE)))
def test_no_text_of_a_file_and_no_value_of_a_header_gives_a_traceback(
    text: str, operator: str
) -> None:
    for kind in ValueKind:
        wanted: Any = [text, text] if operator == "between" else text
        try:
            check = checker_of(operator, wanted, kind)
        except ValueError:
            continue
        assert check(text, TODAY) in (True, False, None)
        assert check("3", TODAY) in (True, False, None)
