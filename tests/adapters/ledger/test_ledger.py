import contextlib
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
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from tinydb import Query, TinyDB

from drawcli.adapters.ledger import Ledger
from drawcli.adapters.ledger.rows import as_job, as_row
from drawcli.adapters.ledger.storage import FORMAT
from drawcli.core.jobs.job import FINISHED, Event, EventKind, Job, State
from drawcli.errors import DiskFull, LedgerError
from drawcli.system.files import write_durably

TIMES = int(os.environ.get("TORTURE", "1"))  # the long form: make torture
NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)

# What another process does with the same ledger: it counts the posts of one job up, one by one.
COUNT_UP = """
import sys
from dataclasses import replace
from pathlib import Path
from drawcli.adapters.ledger import Ledger
from drawcli.errors import LedgerError

path, job_id, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Ledger(path) as ledger:
    while times:
        job = ledger.get(job_id)
        try:
            ledger.commit(replace(job, posts=job.posts + 1))
            times -= 1
        except LedgerError as err:
            assert "at the same time" in str(err), err
"""
ADD_MANY = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from drawcli.adapters.ledger import Ledger
from drawcli.core.jobs.job import Job, State

path, first = Path(sys.argv[1]), int(sys.argv[2])
with Ledger(path) as ledger:
    for number in range(first, first + 25):
        job = Job(id=f"{number:012x}-1", state=State.FOUND, since=datetime.now(UTC))
        assert ledger.add(job) == [job]
        print(number, flush=True)
"""


def a_job(job_id: str = "0123456789ab-1", state: State = State.FOUND, **facts: object) -> Job:
    return Job(id=job_id, state=state, since=NOON, **facts)  # type: ignore[arg-type] # any fact


def full_job() -> Job:
    """Return a job with something in every field."""
    return Job(
        id="0123456789ab-2",
        state=State.UPLOADED,
        since=NOON,
        modality="CT",
        slices=120,
        source_digest="d" * 16,
        source_stamp="a" * 16,
        aside="1 localizer",
        pet_counts=True,
        let_pass="a b crooked",
        late_digest="b" * 16,
        follows="b" * 16,
        one_off=True,
        of_folder=True,
        key_id="01234567",
        template="Prostate_OAR",
        rule="pelvis",
        priority=-3,
        rules_digest="e" * 64,
        rules_commit="abc+",
        zip_sha256="f" * 64,
        zip_bytes=31_000_000,
        posts=2,
        unanswered=1,
        attested=3,
        task_id="task-1",
        replaced=("task-0",),
        uploaded_at=NOON - timedelta(minutes=1, microseconds=1),
        received_sha256="0" * 64,
        delivered_sha256="1" * 64,
        attempts=3,
        due_at=NOON + timedelta(hours=1),
        held=True,
        reason_code="later",
        reason="a sentence with ä and 漢",
        hint="do this",
        events=(
            Event(NOON, EventKind.REACHED, "found"),
            Event(NOON, EventKind.FAILED, "later", "no answer"),
            Event(NOON, EventKind.HELD, "gate"),
            Event(NOON, EventKind.RELEASED, ""),
            Event(NOON, EventKind.NOTED, "failed: "),
        ),
        revision=7,
    )


def python(code: str, *args: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_job_is_read_as_it_was_written(path: Path, ledger: Ledger) -> None:
    job = full_job()
    ledger.add(job)

    with Ledger(path) as another:
        assert another.get(job.id) == job


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


def test_a_missing_job_is_none(ledger: Ledger) -> None:
    ledger.add(a_job())

    for other in ("0123456789ab-2", "0123456789AB-1", "0123456789ab-01", "ab-1", "", "-", "x-y"):
        assert ledger.get(other) is None


def test_a_job_is_added_once(ledger: Ledger) -> None:
    first, second = a_job(), a_job("0123456789ab-2")
    ledger.add(first)

    assert ledger.add(replace(first, template="other"), second) == [second]
    assert ledger.jobs() == [first, second]


def test_jobs_are_sorted_by_the_time_of_their_state(ledger: Ledger) -> None:
    late = replace(a_job("00000000000a-1"), since=NOON + timedelta(seconds=1))
    b, c = a_job("00000000000b-1"), a_job("00000000000c-1", State.MATCHED)
    ledger.add(late, c, b)

    assert ledger.jobs() == [b, c, late]
    assert ledger.jobs([State.FOUND]) == [b, late]
    assert ledger.jobs([]) == []


def test_the_jobs_of_a_series_are_sorted_by_number(ledger: Ledger) -> None:
    jobs = [a_job(f"0123456789ab-{number}") for number in (2, 10, 1)]
    ledger.add(*jobs, a_job("ffffffffffff-1"))

    numbers = [job.number for job in ledger.of_series("0123456789ab")]

    assert numbers == [1, 2, 10]


def test_a_commit_counts_the_revision_and_is_seen_by_another_handle(
    path: Path, ledger: Ledger
) -> None:
    ledger.add(a_job())
    with Ledger(path) as another:
        assert another.get("0123456789ab-1") == a_job()

        after = ledger.commit(a_job().to(State.MATCHED, at=NOON, template="A"))

        assert after.revision == 1
        assert another.get(after.id) == after


def test_a_job_that_another_process_has_changed_is_not_overwritten(
    path: Path, ledger: Ledger
) -> None:
    mine = a_job()
    ledger.add(mine)
    with Ledger(path) as another:
        theirs = another.commit(replace(mine, template="theirs"))

    with pytest.raises(LedgerError, match="at the same time"):
        ledger.commit(replace(mine, template="mine"))

    assert ledger.get(mine.id) == theirs


def test_a_missing_job_cannot_be_committed(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        ledger.commit(a_job())
    assert ledger.jobs() == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=["eio", "kill"]
)
def test_a_write_that_fails_leaves_the_old_ledger_and_a_ledger_that_works(
    path: Path,
    ledger: Ledger,
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
        with pytest.raises((LedgerError, KeyboardInterrupt)):
            ledger.commit(a_job().to(State.MATCHED, at=NOON))

    assert path.read_bytes() == whole
    assert ledger.get("0123456789ab-1") == a_job()
    assert ledger.commit(a_job().to(State.MATCHED, at=NOON)).state is State.MATCHED


def test_a_full_disk_is_reported_as_such(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(DiskFull):
        ledger.add(a_job())


def test_the_ledger_is_for_its_owner_alone(path: Path, ledger: Ledger) -> None:
    ledger.add(a_job())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_that_write_at_once_lose_nothing(path: Path, ledger: Ledger) -> None:
    ledger.add(a_job())
    counting = [python(COUNT_UP, path, "0123456789ab-1", 100) for _ in range(2)]

    ended = [process.communicate(timeout=120) for process in counting]

    assert [process.returncode for process in counting] == [0, 0], ended
    job = ledger.get("0123456789ab-1")
    assert job is not None
    assert (job.posts, job.revision) == (200, 200)


def test_three_processes_that_add_at_once_lose_nothing(path: Path, ledger: Ledger) -> None:
    adding = [python(ADD_MANY, path, 1000 * number) for number in range(3)]

    ended = [process.communicate(timeout=120) for process in adding]

    assert [process.returncode for process in adding] == [0, 0, 0], ended
    wanted = {f"{1000 * n + i:012x}-1" for n in range(3) for i in range(25)}
    assert {job.id for job in ledger.jobs()} == wanted


def test_an_acknowledged_change_survives_a_kill_and_the_lock_is_free(path: Path) -> None:
    victim = python(ADD_MANY, path, 0)
    assert victim.stdout is not None
    acknowledged = [int(victim.stdout.readline()) for _ in range(5)]
    os.kill(victim.pid, signal.SIGKILL)
    rest, _ = victim.communicate(timeout=60)
    acknowledged += [int(line) for line in rest.split()]

    begun = time.monotonic()
    with Ledger(path) as ledger:
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
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.adapters.ledger.table._LOCK_SECONDS", 0.2)

    with pytest.raises(LedgerError, match="another process has locked"):
        ledger.add(a_job())


def test_reading_waits_for_no_lock(
    path: Path, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    ledger.add(a_job())
    request.getfixturevalue("locked")

    begun = time.monotonic()
    with Ledger(path) as another:
        assert another.jobs() == [a_job()]

    assert time.monotonic() - begun < 50  # a lock is waited for 60 s


def test_leftovers_of_dead_writers_are_removed_when_the_ledger_is_opened(path: Path) -> None:
    leftover = path.with_name(".ledger.json.999999.tmp")
    leftover.write_bytes(b"half")
    of_another = path.with_name(".vault.999999.tmp")
    of_another.write_bytes(b"half")

    with Ledger(path):
        pass

    assert not leftover.exists()
    assert of_another.exists()


def test_the_file_opens_as_a_plain_tinydb(path: Path, ledger: Ledger) -> None:
    ledger.add(a_job(), full_job())

    with TinyDB(path) as plain:
        assert plain.tables() == {"_ledger", "jobs"}
        (seal,) = plain.table("_ledger").all()
        assert (seal["format"], seal["generation"]) == (FORMAT, 1)
        (row,) = plain.table("jobs").search(Query().state == "uploaded")
        assert row["template"] == "Prostate_OAR"
        assert len(plain.table("jobs")) == 2


def test_the_generation_counts_the_writes(path: Path, ledger: Ledger) -> None:
    generations = []
    job = a_job()
    ledger.add(job)
    for _ in range(3):
        job = ledger.commit(job)
        generations.append(json.loads(path.read_bytes())["_ledger"]["1"]["generation"])

    assert generations == [2, 3, 4]


@pytest.mark.sweep
def test_every_flipped_bit_and_changed_byte_is_reported_or_harmless(path: Path) -> None:
    with Ledger(path) as ledger:
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
                with Ledger(path) as opened:
                    assert opened.jobs() == before
            except LedgerError:
                named += 1
            assert path.read_bytes() == damaged
    assert named > len(whole)


def test_a_truncated_ledger_is_reported(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job())
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(LedgerError, match="damaged"), Ledger(path):
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

    with pytest.raises(LedgerError, match="damaged") as caught, Ledger(path):
        pass
    unchecked = Ledger(path)
    with pytest.raises(LedgerError, match="damaged"):
        unchecked.add(a_job())

    assert "restore" in caught.value.hint
    assert path.read_bytes() == content


def test_a_manual_change_is_reported(path: Path, ledger: Ledger) -> None:
    ledger.add(a_job())
    path.write_bytes(path.read_bytes().replace(b'"posts":0', b'"posts":1'))

    with pytest.raises(LedgerError, match="digest does not match"):
        ledger.jobs()


def test_a_ledger_of_a_newer_drawcli_is_refused(path: Path, ledger: Ledger) -> None:
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

    with monkeypatch.context() as newer, Ledger(path) as ledger:
        newer.setattr(module, "as_row", lambda job: {**as_row(job), **change})
        ledger.add(a_job())

    for ask in (Ledger.jobs, lambda ledger: ledger.get("0123456789ab-1")):
        said = r"newer drawcli.*job '0123456789ab-1'"
        with pytest.raises(LedgerError, match=said), Ledger(path) as ledger:
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
    with Ledger(path) as ledger:
        ledger.add(a_job("0123456789ab-1"), a_job("0123456789ab-2"))
        ledger.keep_copy()
    good = path.read_bytes()
    by_hand(path, lambda row: row.update(change) if row["id"] == "0123456789ab-2" else None)
    before = path.read_bytes()

    number = 0x0123456789AB << 16 | 2
    with pytest.raises(LedgerError, match=f"record {number}") as caught, Ledger(path) as ledger:
        ledger.jobs()
    with pytest.raises(LedgerError), Ledger(path) as ledger:
        ledger.restore(path)

    assert "ledger restore" in caught.value.hint or "Install that version" in caught.value.hint
    assert (path.read_bytes(), Ledger(path).copies[0].read_bytes()) == (before, good)
    assert {one.name.partition(".lock")[0] for one in path.parent.iterdir()} == {
        "ledger.json",
        "ledger.json.bak1",
    }


@pytest.mark.parametrize("row", [5, None, [], "x", {}])
def test_a_record_that_is_not_an_object_is_refused(path: Path, row: object) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job())
    by_hand(path, lambda _row: row if row is not None else {"id": None})

    with pytest.raises(LedgerError, match="record "), Ledger(path):
        pass


def test_a_record_in_the_place_of_another_job_is_refused(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job("0123456789ab-1"), a_job("0123456789ab-2"))
    by_hand(path, lambda row: row.update(id="0123456789ab-2"))

    with Ledger(path) as ledger, pytest.raises(LedgerError, match="or that of another job"):
        ledger.jobs()


@pytest.mark.parametrize("tables", [{"jobs": 5}, {"jobs": []}, {"jobs": None}, {"more": 5}])
def test_a_ledger_with_invalid_tables_is_reported(path: Path, tables: dict[str, object]) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job())
    whole = json.loads(path.read_bytes()) | tables
    whole["_ledger"]["1"]["sha256"] = "0" * 64
    raw = json.dumps(whole).encode()
    path.write_bytes(raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode(), 1))

    with pytest.raises(LedgerError, match="damaged"), Ledger(path):
        pass


def test_a_copy_with_an_invalid_record_is_not_restored(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job())
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    by_hand(copy, lambda row: row.update(events=[["soon", "found"]]))
    before = path.read_bytes()

    with Ledger(path) as ledger, pytest.raises(LedgerError, match=r"copy\.json cannot be used"):
        ledger.restore(copy)

    assert path.read_bytes() == before


def test_a_lone_surrogate_in_a_record_damages_nothing(path: Path) -> None:
    strange = a_job(reason="of a path \udcfc", reason_code="later", rule="\ud800")
    with Ledger(path) as ledger:
        ledger.add(strange, a_job("0123456789ab-2"))

    with Ledger(path) as ledger:
        assert ledger.get(strange.id) == strange
        ledger.commit(replace(strange, posts=1))
        assert [job.posts for job in ledger.jobs()] == [1, 0]


def test_a_ledger_without_permission_is_not_reported_as_damaged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add(a_job())

    def refuse(_path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.raises(LedgerError, match="cannot be read: Permission denied"):
        ledger.jobs()


class Killed(BaseException):
    """Stands for a process that is gone."""


class LedgerAgainstDict(RuleBasedStateMachine):
    """Whatever is done to a ledger by two handles, it holds what a plain dict would hold."""

    ids = Bundle("ids")
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / f"{time.monotonic_ns()}" / "ledger.json"
        self.path.parent.mkdir()
        self.handles = [Ledger(self.path), Ledger(self.path)]
        self.model: dict[str, Job] = {}

    @rule(
        target=ids,
        series=st.integers(0, 2**48 - 1),
        number=st.integers(1, 9),
        handle=st.integers(0, 1),
        state=st.sampled_from(State),
    )
    def add(self, series: int, number: int, handle: int, state: State) -> str:
        job = a_job(f"{series:012x}-{number}", state)

        added = self.handles[handle].add(job)

        assert added == ([] if job.id in self.model else [job])
        self.model.setdefault(job.id, job)
        return job.id

    @rule(job_id=ids, handle=st.integers(0, 1), posts=st.integers(0, 99), reason=st.text())
    def commit(self, job_id: str, handle: int, posts: int, reason: str) -> None:
        job = replace(self.model[job_id], posts=posts, reason=reason)

        after = self.handles[handle].commit(job)

        assert after == replace(job, revision=job.revision + 1)
        self.model[job_id] = after

    @rule(job_id=ids, handle=st.integers(0, 1), behind=st.integers(1, 3))
    def commit_something_stale(self, job_id: str, handle: int, behind: int) -> None:
        stale = replace(self.model[job_id], revision=self.model[job_id].revision - behind)

        with pytest.raises(LedgerError):
            self.handles[handle].commit(stale)

    @rule(handle=st.integers(0, 1))
    def open_again(self, handle: int) -> None:
        self.handles[handle].__exit__()
        self.handles[handle] = Ledger(self.path).__enter__()

    @rule(target=ids, handle=st.integers(0, 1), count=st.integers(0, 3))
    def add_some_at_once(self, handle: int, count: int) -> object:
        jobs = [a_job(f"{len(self.model) + n:012x}-10") for n in range(count)]
        wanted = [job for job in jobs if job.id not in self.model]

        assert self.handles[handle].add(*jobs) == wanted
        self.model |= {job.id: job for job in wanted}
        return multiple(*(job.id for job in jobs))

    @rule(handle=st.integers(0, 1), days=st.integers(0, 60))
    def archive(self, handle: int, days: int) -> None:
        self.handles[handle].archive_finished(NOON + timedelta(days=days))

    @rule(handle=st.integers(0, 1), days=st.integers(2, 60), writes=st.integers(0, 4))
    def die_while_archiving(self, handle: int, days: int, writes: int) -> None:
        """Nothing is written from some moment on; another process goes on."""
        left = iter(range(writes))

        def write(path: Path, data: bytes, **_: object) -> None:
            if next(left, None) is None:
                raise Killed
            write_durably(path, data)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr("drawcli.adapters.ledger.archive.write_durably", write)
            patch.setattr("drawcli.adapters.ledger.storage.write_durably", write)
            self.handles[handle].archive_finished(NOON + timedelta(days=days))
        self.open_again(handle)

    @rule(job_id=ids, handle=st.integers(0, 1), days=st.integers(0, 60))
    def finish_or_take_up_again(self, job_id: str, handle: int, days: int) -> None:
        """A job changes its state on another day, perhaps in another month."""
        job = self.model[job_id]
        state = State.WAITING if job.state is State.CANCELLED else State.CANCELLED
        after = replace(job, state=state, since=NOON + timedelta(days=days))

        self.model[job_id] = self.handles[handle].commit(after)

    @rule(handle=st.integers(0, 1))
    def keep_a_copy(self, handle: int) -> None:
        ledger = self.handles[handle]
        ledger.keep_copy()

        if self.path.exists():
            assert ledger.copies[0].read_bytes() == self.path.read_bytes()

    @invariant()
    def both_handles_hold_what_the_dict_holds(self) -> None:
        for handle in self.handles:
            every = list(handle.all_jobs())
            assert {job.id: job for job in every} == self.model
            assert len(every) == len(self.model)
        for job_id, job in self.model.items():
            assert self.handles[0].get(job_id) == job
            assert job in self.handles[1].of_series(job.series_key)
        open_jobs = {job.id for job in self.model.values() if job.state not in FINISHED}
        assert open_jobs <= {job.id for job in self.handles[0].jobs()}

    def teardown(self) -> None:
        for handle in self.handles:
            handle.__exit__()


@pytest.mark.sweep
def test_any_sequence_of_changes_gives_the_same_as_a_dict(
    tmp_path: Path,
) -> None:
    LedgerAgainstDict.folder = tmp_path
    LedgerAgainstDict.TestCase.settings = settings(
        max_examples=40 * TIMES, stateful_step_count=20, deadline=None
    )

    LedgerAgainstDict.TestCase("runTest").runTest()


def test_jobs_that_cannot_be_archived_stay_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(tmp_path / "ledger.json") as ledger:
        ledger.add(a_job(state=State.DONE))

        def fail(_jobs: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(ledger.archive, "store", fail)
        with pytest.raises(OSError, match="No space"):
            ledger.archive_finished(NOON + timedelta(days=2))

    with Ledger(tmp_path / "ledger.json") as after:
        assert [job.id for job in after.jobs()] == [a_job().id]


@pytest.mark.parametrize(
    "change", [*({"id": one} for one in NO_IDS if "65536" not in one), {"state": "gone"}]
)
def test_an_invalid_id_is_refused_when_the_ledger_is_opened(
    path: Path, change: dict[str, str]
) -> None:
    with Ledger(path) as ledger:
        ledger.add(a_job())
    by_hand(path, lambda row: row.update(change))

    with pytest.raises(LedgerError, match="record "), Ledger(path):
        pytest.fail("the ledger was opened")
