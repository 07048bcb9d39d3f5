import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tinydb import Query, TinyDB

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.rows import as_job, as_row
from drawcli.adapters.ledger.storage import FORMAT
from drawcli.core.jobs.job import Job, State
from drawcli.errors import DiskFull, LedgerError
from tests.adapters.ledger.samples import NOON, a_job, full_job

TIMES = int(os.environ.get("TORTURE", "1"))  # the long form: make torture

ADD_MANY = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job, State

path, first = Path(sys.argv[1]), int(sys.argv[2])
with FileLedger(path) as ledger:
    for number in range(first, first + 25):
        job = Job(id=f"{number:012x}-1", state=State.FOUND, since=datetime.now(UTC))
        assert ledger.add(job) == [job]
        print(number, flush=True)
"""


def python(code: str, *args: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


WRITTEN = ["found", "failed: later", "held: a: b", "released", "repaired", "warning: 2 x"]
STRANGE = ["", "failed: ", "held", "released: x", "noted: x", "reached: x"]


@pytest.mark.parametrize("what", WRITTEN + STRANGE)
def test_an_event_is_the_same_text_in_the_row_that_it_was_read_from(what: str) -> None:
    row = as_row(full_job())
    row["events"] = [[NOON.isoformat(), what]]

    assert as_row(as_job(row)) == row
    assert as_job(row).events[0].what == what


def test_the_example_job_sets_every_field() -> None:
    bare = Job(id="x-1", state=State.FOUND, since=NOON)
    full = full_job()

    same = [
        name
        for name in Job.__dataclass_fields__
        if name != "since" and getattr(full, name) == getattr(bare, name)
    ]
    assert same == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=["eio", "kill"]
)
def test_a_write_that_fails_leaves_the_old_ledger_and_a_ledger_that_works(
    path: Path,
    ledger: FileLedger,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    error: BaseException,
) -> None:
    ledger.add(a_job())
    whole = path.read_bytes()

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises((LedgerError, KeyboardInterrupt)) as caught:
            ledger.commit(a_job().to(State.MATCHED, at=NOON))
    assert not isinstance(caught.value, LedgerError) or caught.value.hint  # what to do

    assert path.read_bytes() == whole
    assert ledger.get("0123456789ab-1") == a_job()
    assert ledger.commit(a_job().to(State.MATCHED, at=NOON)).state is State.MATCHED


def test_a_full_disk_is_reported_as_such(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(DiskFull):
        ledger.add(a_job())


def test_the_ledger_is_for_its_owner_alone(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_acknowledged_change_survives_a_kill_and_the_lock_is_free(path: Path) -> None:
    victim = python(ADD_MANY, path, 0)
    assert victim.stdout is not None
    acknowledged = [int(victim.stdout.readline()) for _ in range(5)]
    os.kill(victim.pid, signal.SIGKILL)
    rest, _ = victim.communicate(timeout=60)
    acknowledged += [int(line) for line in rest.split()]

    begun = time.monotonic()
    with FileLedger(path) as ledger:
        ledger.add(a_job("ffffffffffff-1"))
        stored = {job.id for job in ledger.jobs()}

    assert time.monotonic() - begun < 50  # a lock is waited for 60 s
    assert {f"{number:012x}-1" for number in acknowledged} <= stored


@pytest.fixture
def locked(path: Path) -> Iterator[None]:
    """Let another process hold the lock of the ledger."""
    hold = (
        "import sys, time, filelock\n"
        "with filelock.FileLock(sys.argv[1]): print('held', flush=True); time.sleep(600)\n"
    )
    holder = python(hold, f"{path}.lock")
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    yield
    holder.kill()
    holder.communicate(timeout=60)


@pytest.mark.usefixtures("locked")
def test_a_lock_that_stays_held_is_reported(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.adapters.ledger.table._LOCK_SECONDS", 0.2)

    with pytest.raises(LedgerError, match="another process has locked"):
        ledger.add(a_job())


def test_reading_waits_for_no_lock(
    path: Path, ledger: FileLedger, request: pytest.FixtureRequest
) -> None:
    ledger.add(a_job())
    request.getfixturevalue("locked")

    begun = time.monotonic()
    with FileLedger(path) as another:
        assert another.jobs() == [a_job()]

    assert time.monotonic() - begun < 50  # a lock is waited for 60 s


def test_leftovers_of_dead_writers_are_removed_when_the_ledger_is_opened(path: Path) -> None:
    leftover = path.with_name(".ledger.json.999999.tmp")
    leftover.write_bytes(b"half")
    of_another = path.with_name(".vault.999999.tmp")
    of_another.write_bytes(b"half")

    with FileLedger(path):
        pass

    assert not leftover.exists()
    assert of_another.exists()


def test_the_file_opens_as_a_plain_tinydb(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job(), full_job())

    with TinyDB(path) as plain:
        assert plain.tables() == {"_ledger", "jobs"}
        (seal,) = plain.table("_ledger").all()
        assert (seal["format"], seal["generation"]) == (FORMAT, 1)
        (row,) = plain.table("jobs").search(Query().state == "uploaded")
        assert row["template"] == "Prostate_OAR"
        assert len(plain.table("jobs")) == 2


def test_the_generation_counts_the_writes(path: Path, ledger: FileLedger) -> None:
    generations = []
    job = a_job()
    ledger.add(job)
    for _ in range(3):
        job = ledger.commit(job)
        generations.append(json.loads(path.read_bytes())["_ledger"]["1"]["generation"])

    assert generations == [2, 3, 4]


@pytest.mark.sweep
def test_every_flipped_bit_and_changed_byte_is_reported_or_harmless(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job(template="A"))
        before = ledger.jobs()
    whole = path.read_bytes()
    assert len(whole) > 500
    named = 0

    for place in range(len(whole)):
        for mask in (0x01, 0x04, 0x20, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
            damaged = path.read_bytes()
            try:
                with FileLedger(path) as opened:
                    assert opened.jobs() == before
            except LedgerError:
                named += 1
            assert path.read_bytes() == damaged
    assert named > len(whole)


def test_a_truncated_ledger_is_reported(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job())
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(LedgerError, match="damaged"), FileLedger(path):
            pass


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"jobs": {}}',
        b'{"_ledger": {}}',
        b'{"_ledger": {"1": []}}',
        b'{"_ledger": {"1": {"format": "1"}}}',
        b'{"_ledger": {"1": {"format": 1, "sha256": null}}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"_default": {}}rest',
    ],
)
def test_a_file_that_is_not_a_ledger_is_reported_and_not_overwritten(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)

    with pytest.raises(LedgerError, match="damaged") as caught, FileLedger(path):
        pass
    unchecked = FileLedger(path)
    with pytest.raises(LedgerError, match="damaged"):
        unchecked.add(a_job())

    assert "restore" in caught.value.hint
    assert path.read_bytes() == content


def test_a_manual_change_is_reported(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job())
    path.write_bytes(path.read_bytes().replace(b'"posts":0', b'"posts":1'))

    with pytest.raises(LedgerError, match="digest does not match"):
        ledger.jobs()


def test_a_ledger_of_a_newer_drawcli_is_refused(path: Path, ledger: FileLedger) -> None:
    ledger.add(a_job())
    newer = path.read_bytes().replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1))
    path.write_bytes(newer)

    with pytest.raises(LedgerError, match="newer drawcli"):
        ledger.commit(a_job())

    assert path.read_bytes() == newer


@pytest.mark.parametrize("change", [{"state": "teleported"}, {"new_field": 1}])
def test_a_job_of_a_newer_drawcli_is_reported_and_not_dropped(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    from drawcli.adapters.ledger import jobs as module
    from drawcli.adapters.ledger.rows import as_row

    with monkeypatch.context() as newer, FileLedger(path) as ledger:
        newer.setattr(module, "as_row", lambda job: {**as_row(job), **change})
        ledger.add(a_job())

    for ask in (FileLedger.jobs, lambda ledger: ledger.get("0123456789ab-1")):
        said = r"newer drawcli.*job '0123456789ab-1'"
        with pytest.raises(LedgerError, match=said), FileLedger(path) as ledger:
            ask(ledger)


def by_hand(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the rows of a ledger, and seal it again: its digest has no key."""
    whole = json.loads(path.read_bytes())
    for number, row in whole["jobs"].items():
        instead = change(row)
        whole["jobs"][number] = row if instead is None else instead
    whole["_ledger"]["1"]["sha256"] = "0" * 64
    raw = json.dumps(whole).encode()
    path.write_bytes(raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode(), 1))


PATHS = ["../../x-1", "/x-1", "", ".", "..", "0123456789ab-1/../../x", "con", "nul-1"]
NO_IDS = [*PATHS, "0123456789ab-1\n", "0123456789ab-0", "0123456789ab-65536", "0123456789AB-1"]
NO_IDS += ["0123456789ab-1\x00", "a" * 100_000, "\ud800", "0123456789ab-1\n0123456789ab-2"]
BY_FIELD: dict[str, tuple[object, ...]] = {
    "id": (*NO_IDS, None, 5, []),
    "state": ("Found", "", None, 7, []),
    "since": ("soon", "", None, 5, "2026-11-14T12:00:00", "0001-01-01T00:00Z"),
    "due_at": (5, "never", "2026-11-14T12:00:00"),
    "uploaded_at": (True, "x", ["2026-11-14T12:00:00Z"]),
    "events": (5, None, [5], [[]], [["soon", "found"]], [[NOON.isoformat(), 5]]),
    "slices": (-1, 1 << 60, True, "x", 1.5),
    "posts": (-1, 1 << 60, True, "x", None),
    "attempts": (-1, 1.5),
    "revision": (-1, True, "x"),
    "priority": (1 << 60, True),
    "source_digest": ("d" * 17, "d d", "ä"),
    **dict.fromkeys(("zip_bytes", "unanswered", "attested"), (-1, 1 << 60)),
    **dict.fromkeys(("held", "one_off"), ("x", 1, None)),
    **dict.fromkeys(("template", "rule", "reason", "hint", "task_id", "zip_sha256"), (5, [])),
}
FAULTY = [{name: one} for name, values in BY_FIELD.items() for one in values]
FAULTY += [{"events": [[NOON.isoformat(), "found", "", *more]]} for more in ((5,), ("a", "b"))]


@pytest.mark.parametrize("change", FAULTY, ids=lambda change: ascii(change)[:40])
def test_an_invalid_record_is_reported_by_number_and_nothing_is_lost(
    path: Path, change: dict[str, object]
) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job("0123456789ab-1"), a_job("0123456789ab-2"))
        ledger.keep_copy()
    good = path.read_bytes()
    by_hand(path, lambda row: row.update(change) if row["id"] == "0123456789ab-2" else None)
    before = path.read_bytes()

    number = 0x0123456789AB << 16 | 2
    with pytest.raises(LedgerError, match=f"record {number}") as caught, FileLedger(path) as ledger:
        ledger.jobs()
    with pytest.raises(LedgerError), FileLedger(path) as ledger:
        ledger.restore(path)

    assert "ledger restore" in caught.value.hint or "Install that version" in caught.value.hint
    assert (path.read_bytes(), FileLedger(path).copies[0].read_bytes()) == (before, good)
    assert {one.name.partition(".lock")[0] for one in path.parent.iterdir()} == {
        "ledger.json",
        "ledger.json.bak1",
    }


@pytest.mark.parametrize("row", [5, None, [], "x", {}])
def test_a_record_that_is_not_an_object_is_refused(path: Path, row: object) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job())
    by_hand(path, lambda _row: row if row is not None else {"id": None})

    with pytest.raises(LedgerError, match="record "), FileLedger(path):
        pass


def test_a_record_in_the_place_of_another_job_is_refused(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job("0123456789ab-1"), a_job("0123456789ab-2"))
    by_hand(path, lambda row: row.update(id="0123456789ab-2"))

    with FileLedger(path) as ledger, pytest.raises(LedgerError, match="or that of another job"):
        ledger.jobs()


@pytest.mark.parametrize("tables", [{"jobs": 5}, {"jobs": []}, {"jobs": None}, {"more": 5}])
def test_a_ledger_with_invalid_tables_is_reported(path: Path, tables: dict[str, object]) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job())
    whole = json.loads(path.read_bytes()) | tables
    whole["_ledger"]["1"]["sha256"] = "0" * 64
    raw = json.dumps(whole).encode()
    path.write_bytes(raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode(), 1))

    with pytest.raises(LedgerError, match="damaged"), FileLedger(path):
        pass


def test_a_copy_with_an_invalid_record_is_not_restored(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job())
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    by_hand(copy, lambda row: row.update(events=[["soon", "found"]]))
    before = path.read_bytes()

    with FileLedger(path) as ledger, pytest.raises(LedgerError, match=r"copy\.json cannot be used"):
        ledger.restore(copy)

    assert path.read_bytes() == before


def let_reading_fail(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", fail)


def test_a_ledger_without_permission_is_not_reported_as_damaged(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add(a_job())
    let_reading_fail(errno.EACCES, monkeypatch)

    with pytest.raises(LedgerError, match="cannot be read: Permission denied"):
        ledger.jobs()


def test_a_ledger_that_cannot_be_opened_for_now_is_not_reported_as_unreadable(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a command that lists faults would blame the ledger, and use a copy instead."""
    ledger.add(a_job())
    let_reading_fail(errno.EMFILE, monkeypatch)

    with pytest.raises(OSError, match="Too many open files"):
        ledger.jobs()


def test_jobs_that_cannot_be_archived_stay_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileLedger(tmp_path / "ledger.json") as ledger:
        ledger.add(a_job(state=State.DONE))

        def fail(_jobs: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(ledger.archive, "store", fail)
        with pytest.raises(OSError, match="No space"):
            ledger.archive_finished(NOON + timedelta(days=2))

    with FileLedger(tmp_path / "ledger.json") as after:
        assert [job.id for job in after.jobs()] == [a_job().id]


@pytest.mark.parametrize(
    "change", [*({"id": one} for one in NO_IDS if "65536" not in one), {"state": "gone"}]
)
def test_an_invalid_id_is_refused_when_the_ledger_is_opened(
    path: Path, change: dict[str, str]
) -> None:
    with FileLedger(path) as ledger:
        ledger.add(a_job())
    by_hand(path, lambda row: row.update(change))

    with pytest.raises(LedgerError, match="record "), FileLedger(path):
        pytest.fail("the ledger was opened")
