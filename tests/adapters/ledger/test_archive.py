"""The archive of finished jobs, and copies of the ledger."""

import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.ledger import FileLedger, storage
from drawcli.adapters.ledger.jobs import COPIES
from drawcli.adapters.ledger.rows import as_row, number_of
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LedgerError

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=2)


def a_job(number: int, state: State = State.DONE, since: datetime = NOON) -> Job:
    digest = f"{number:016x}"
    return Job(id=f"{number:012x}-1", state=state, since=since, source_digest=digest)


def test_jobs_are_found_by_id_in_the_ledger_and_in_every_month(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11)]
    archived = [a_job(number, since=months[number % 3]) for number in range(9)]
    ledger.add(*archived)
    ledger.archive_finished(LATER)
    waiting = a_job(99, State.WAITING)
    ledger.add(waiting)
    read: list[str] = []
    jobs_of = ledger.archive._jobs_of

    def noted(month: str) -> dict[str, Job]:
        read.append(month)
        return jobs_of(month)

    monkeypatch.setattr(ledger.archive, "_jobs_of", noted)

    found = ledger.find([waiting.id, archived[7].id, archived[1].id, archived[3].id, "0" * 12])

    assert found == [archived[1], archived[3], archived[7], waiting]
    assert sorted(read) == ["2026-09", "2026-10"]


def test_a_reopened_job_is_in_the_ledger_and_is_archived_again(ledger: FileLedger) -> None:
    job = a_job(1, State.CANCELLED)
    ledger.add(job)
    ledger.archive_finished(LATER)

    open_again = ledger.commit(job.to(State.WAITING, at=LATER))

    assert ledger.jobs() == [open_again] == list(ledger.all_jobs())
    assert ledger.get(job.id) == open_again
    after = ledger.commit(open_again.to(State.CANCELLED, at=LATER + timedelta(days=30)))
    ledger.archive_finished(LATER + timedelta(days=60))
    assert list(ledger.all_jobs()) == [after]
    assert ledger.archive.of_series(job.series_key)[0].month == "2026-12"
    assert ledger.archive.differences() == []


@pytest.mark.parametrize("name", ["2026-11.json", "index"])
def test_damage_to_the_archive_is_reported_and_the_ledger_still_works(
    path: Path, ledger: FileLedger, name: str
) -> None:
    ledger.add(a_job(1), a_job(2, State.WAITING))
    ledger.archive_finished(LATER)
    file = path.parent / "archive" / name
    raw = bytearray(file.read_bytes())
    raw[-9] ^= 1
    file.write_bytes(raw)

    with FileLedger(path) as again:
        assert [job.id for job in again.jobs()] == [a_job(2).id]
        with pytest.raises(LedgerError, match="damaged"):
            list(again.all_jobs())


def test_a_lost_index_is_reported_as_damage_and_rebuilt(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(1), a_job(2))
    ledger.archive_finished(LATER)
    (path.parent / "archive" / "index").unlink()

    with pytest.raises(LedgerError, match="missing") as caught:
        ledger.get(a_job(1).id)
    assert "ledger repair" in caught.value.hint

    ledger.rebuild_archive_index()
    assert ledger.get(a_job(1).id) == a_job(1)
    assert ledger.archive.differences() == []


def test_the_index_keeps_the_latest_version_of_a_job_in_two_months(
    path: Path, ledger: FileLedger
) -> None:
    """A run was killed between the new month and the old one; the clock had been set back."""
    old, new = a_job(1), replace(a_job(1, since=NOON - timedelta(days=40)), revision=3)
    ledger.archive.store([old])
    january = path.parent / "archive" / "2026-11.json"
    kept = january.read_bytes()
    ledger.archive.store([new])
    january.write_bytes(kept)
    assert ledger.archive.differences() == [old.id]

    ledger.rebuild_archive_index()

    assert ledger.get(old.id) == new
    assert list(ledger.archive.jobs()) == [new]
    assert ledger.archive.differences() == []


def test_at_most_three_copies_are_kept(path: Path, ledger: FileLedger) -> None:
    kept = []
    for number in range(5):
        ledger.add(a_job(number))
        ledger.keep_copy()
        ledger.keep_copy()  # the same once more: no second copy
        kept.append(path.read_bytes())

    assert [copy.read_bytes() for copy in ledger.copies] == kept[: -COPIES - 1 : -1]


def test_a_copy_does_not_share_the_damage_of_the_ledger(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(1))
    ledger.keep_copy()
    with path.open("r+b") as stream:
        stream.write(b"garbage")

    ledger.restore(ledger.copies[0])

    assert ledger.jobs() == [a_job(1)]


def test_a_restored_ledger_continues_its_generation(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(1))
    ledger.keep_copy()
    for number in range(2, 6):
        ledger.add(a_job(number))
    before = json.loads(path.read_bytes())["_ledger"]["1"]["generation"]

    aside = ledger.restore(ledger.copies[0])

    assert json.loads(path.read_bytes())["_ledger"]["1"]["generation"] == before + 1
    assert ledger.jobs() == [a_job(1)]
    assert aside is not None
    assert aside.name == "ledger.json.before-restore"


def test_a_damaged_copy_is_not_restored(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(1))
    ledger.keep_copy()
    before = path.read_bytes()
    (copy,) = ledger.copies
    copy.write_bytes(copy.read_bytes()[:-5])

    with pytest.raises(LedgerError, match="damaged"):
        ledger.restore(copy)

    assert path.read_bytes() == before


@pytest.mark.parametrize("left", ["copy", "archive"])
def test_a_missing_ledger_with_copies_is_an_error(path: Path, left: str) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job(1))
        if left == "copy":
            ledger.keep_copy()
        else:
            ledger.archive_finished(LATER)
    path.unlink()

    with pytest.raises(LedgerError, match="is missing") as caught, FileLedger(path):
        pass
    assert "ledger restore" in caught.value.hint


def test_an_older_format_is_converted_once_and_a_copy_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job(1))
    before, calls = path.read_bytes(), []

    def migrate(tables: storage.Tables) -> storage.Tables:
        calls.append(1)
        rows = {key: {**row, "template": "Pelvis"} for key, row in tables["jobs"].items()}
        return {**tables, "jobs": rows}

    monkeypatch.setattr(storage, "FORMAT", storage.FORMAT + 1)
    monkeypatch.setattr("drawcli.adapters.ledger.jobs.FORMAT", storage.FORMAT)
    monkeypatch.setitem(storage.MIGRATIONS, storage.FORMAT - 1, migrate)
    monkeypatch.setitem(storage._SEALED, storage.FORMAT, storage._SEALED[storage.FORMAT - 1])
    with FileLedger(path) as ledger:
        assert [job.template for job in ledger.jobs()] == ["Pelvis"]
    done = len(calls)
    with FileLedger(path) as ledger:
        assert [job.template for job in ledger.jobs()] == ["Pelvis"]

    assert len(calls) == done
    assert path.with_name(f"ledger.json.format{storage.FORMAT - 1}").read_bytes() == before


def test_a_ledger_of_the_first_format_is_converted(path: Path) -> None:
    """As version 0.1 wrote it: its digest was over sorted JSON without itself."""
    row = {**as_row(a_job(1, State.WAITING))}
    whole: dict[str, Any] = {"jobs": {str(number_of(row["id"])): row}}
    whole["_ledger"] = {"1": {"format": 1, "generation": 41}}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    whole["_ledger"]["1"]["sha256"] = hashlib.sha256(text).hexdigest()
    path.write_text(json.dumps(whole))

    with FileLedger(path) as ledger:
        assert ledger.jobs() == [a_job(1, State.WAITING)]
        assert ledger.generation == 42

    whole["jobs"][str(number_of(row["id"]))]["state"] = "done"
    path.write_text(json.dumps(whole))
    with pytest.raises(LedgerError, match="digest does not match"), FileLedger(path):
        pass


def test_a_change_costs_the_same_with_an_archive_of_any_size(path: Path) -> None:
    """Counted in bytes written: the size of the hot ledger, whatever was archived."""
    with FileLedger(path) as ledger:
        ledger.add(*(a_job(number, State.WAITING) for number in range(50)))
        small = path.stat().st_size
        ledger.add(*(a_job(number) for number in range(1000, 3000)))
        ledger.archive_finished(LATER)
        begun = time.process_time()
        for number in range(20):
            ledger.commit(ledger.get(a_job(number).id) or a_job(number))
        assert time.process_time() - begun < 60

        assert path.stat().st_size < 1.2 * small


def lined(path: Path, old: bytes, new: bytes) -> None:
    """Change the lines of an index, and seal it again: its digest has no key."""
    head, _, lines = path.read_bytes().partition(b"\n")
    words, _, _ = head.rpartition(b" ")
    changed = lines.replace(old, new)
    assert changed != lines
    digest = hashlib.sha256(changed).hexdigest().encode()
    path.write_bytes(words + b" " + digest + b"\n" + changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"2026-11", b"../../x"),
        (b"2026-11", b"2026-13"),
        (b"000000000001-00001", b"../../../../x-00001"[:18]),
        (b"done", b"gone"),
        (b" done", b"\ndone"),
    ],
)
def test_an_invalid_line_of_the_index_is_reported_and_creates_no_files(
    path: Path, ledger: FileLedger, old: bytes, new: bytes
) -> None:
    ledger.add(a_job(1), a_job(2))
    ledger.archive_finished(LATER)
    lined(path.parent / "archive" / "index", old, new)
    before = sorted(path.parent.parent.rglob("*"))

    with pytest.raises(LedgerError, match="archive/index") as caught:
        ledger.archive.store([a_job(1, since=LATER)])

    assert "ledger repair" in caught.value.hint
    assert sorted(path.parent.parent.rglob("*")) == before


def test_a_month_with_an_invalid_record_is_reported(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(1))
    ledger.archive_finished(LATER)
    month = path.parent / "archive" / "2026-11.json"
    row = {**as_row(a_job(1)), "id": "../../x-1"}
    storage.SealedStorage(month).write({storage.JOBS: {str(number_of(a_job(1).id)): row}})

    with pytest.raises(LedgerError, match=r"2026-11\.json cannot be used: record [0-9]+"):
        ledger.archive.check("2026-11")
