"""Records as rows, and in a few words."""

from dataclasses import replace

import pytest

from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.pair_rows import RECORD_COLUMNS, STRUCTURE_COLUMNS, export_rows, in_words
from drawcli.core.qa.records import PairRecord, PairStatus
from tests.core.qa.test_records import BLADDER, RECORD

MISSING = replace(RECORD, status=PairStatus.MISSING, structures=(), note="none was found yet")


def test_a_row_for_each_structure_has_the_record_before_it() -> None:
    record = replace(RECORD, passed_over=("older", "other-patient"), others=2)
    first, second = export_rows(record)

    assert tuple(first) == (*RECORD_COLUMNS, *STRUCTURE_COLUMNS)
    assert (first["job"], first["structure"], first["dice"]) == (RECORD.job, "Bladder", 0.93)
    assert (first["shift_left_mm"], first["shift_superior_mm"]) == (0.1, 3.0)
    assert (first["slices_added_below"], first["slices_added_above"]) == (1, 0)
    assert first["passed_over"] == "older other-patient"
    assert first["version"] == RECORD.version
    assert (second["structure"], second["outcome"]) == ("Rectum", "removed")


def test_a_record_without_structures_has_one_row_without_figures() -> None:
    (row,) = export_rows(MISSING)
    assert tuple(row) == (*RECORD_COLUMNS, *STRUCTURE_COLUMNS)
    assert (row["status"], row["structure"], row["dice"]) == ("missing", None, None)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (RECORD, "1 of 1 changed, 1 removed, least Dice 0.930 (Bladder)"),
        (
            replace(RECORD, structures=(replace(BLADDER, outcome=ContourOutcome.UNTOUCHED),)),
            "0 of 1 changed",
        ),
        (MISSING, "none was found yet"),
    ],
)
def test_a_record_in_a_few_words(record: PairRecord, words: str) -> None:
    assert in_words(record) == words
