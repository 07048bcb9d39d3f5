"""The file of records: the last of a job counts, a torn line is skipped."""

from dataclasses import replace
from pathlib import Path

import pytest

from drawcli.adapters.state.qa_records import QaRatings, QaRecords
from drawcli.core.qa.records import PairStatus
from tests.core.qa.test_ratings import RATING
from tests.core.qa.test_records import RECORD
from tests.operations.qa.cases import job, record


def test_the_last_record_of_a_job_counts(tmp_path: Path) -> None:
    records = QaRecords(tmp_path)
    other = replace(RECORD, job="ba9876543210-1")
    records.add([replace(RECORD, status=PairStatus.MISSING), other])
    records.add([RECORD])

    assert records.by_job() == {RECORD.job: RECORD, other.job: other}


def test_a_site_without_records_has_none(tmp_path: Path) -> None:
    assert QaRecords(tmp_path).by_job() == {}


def test_a_torn_line_loses_only_itself(tmp_path: Path) -> None:
    records = QaRecords(tmp_path)
    records.add([RECORD])
    path = tmp_path / "qa" / "pairs.jsonl"
    with path.open("ab") as stream:
        stream.write(b'\n{"job": "half')
    records.add([replace(RECORD, job="ba9876543210-1")])

    assert list(records.by_job()) == [RECORD.job, "ba9876543210-1"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_line_that_cannot_be_parsed_loses_only_itself(tmp_path: Path) -> None:
    records = QaRecords(tmp_path)
    records.add([RECORD])
    with records.path.open("ab") as stream:
        stream.write(b"\n" + b"[" * 100_000)
    records.add([replace(RECORD, job="ba9876543210-1")])

    assert list(records.by_job()) == [RECORD.job, "ba9876543210-1"]


def test_ratings_are_found_by_job_and_other_lines_are_skipped(tmp_path: Path) -> None:
    ratings = QaRatings(tmp_path)
    other = replace(RATING, job="ba9876543210-1", comment=f"like {RATING.job}")
    ratings.add([RATING, other])
    path = tmp_path / "qa" / "ratings.jsonl"
    with path.open("ab") as stream:
        stream.write(b'\n{"job": "0123456789ab-1"}\n[]\n{"job": "0123456789ab-1", "ov')
    again = replace(RATING, overall=9)
    ratings.add([again])

    assert list(ratings.every()) == [RATING, other, again]
    assert ratings.of_job(str(RATING.job)) == [RATING, again]
    assert path.stat().st_mode & 0o077 == 0


def test_records_of_some_jobs_are_found_without_parsing_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = QaRecords(tmp_path)
    other = replace(RECORD, job="ba9876543210-1", status=PairStatus.MISSING)
    records.add([RECORD, other, replace(other, note="again")])
    with (tmp_path / "qa" / "pairs.jsonl").open("ab") as stream:
        stream.write(b'\n{"job": "ba9876543210-1", "torn')

    assert list(records.of_jobs({RECORD.job})) == [RECORD]
    assert [one.note for one in records.of_jobs({other.job})] == ["", "again"]
    monkeypatch.setattr(
        "drawcli.adapters.state.qa_records.json.loads", lambda _line: pytest.fail("parsed")
    )
    assert list(records.of_jobs(set())) == []
    monkeypatch.undo()
    assert records.jobs_in({PairStatus.MISSING}) == {other.job}


def test_the_records_of_a_template_are_read_apart(tmp_path: Path) -> None:
    book = QaRecords(tmp_path)
    names = ("Breast", "Breast_L", 'Bre"ast')
    book.add(record(number, template=name) for number, name in enumerate((*names, *names)))
    book.add([record(0, template="Breast", note="later")])

    found = {name: book.of_template(name) for name in names}

    assert {name: list(records) for name, records in found.items()} == {
        "Breast": [job(0), job(3)],
        "Breast_L": [job(1), job(4)],
        'Bre"ast': [job(2), job(5)],
    }
    assert found["Breast"][job(0)].note == "later"
