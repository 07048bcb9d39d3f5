"""The rows of a large ledger in many files: the same ledger, at the cost of a small one."""

import contextlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from drawcli.adapters.ledger import FileLedger, parts
from drawcli.adapters.ledger.storage import FORMAT, SealedStorage
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LedgerError
from drawcli.system.files import write_durably
from tests.adapters.ledger.samples import NOON, a_job
from tests.adapters.ledger.test_ledger_model import TIMES, FileAgainstDict, Killed

FEW = 4  # rows in one file, here


def jobs_of(count: int, first: int = 0) -> list[Job]:
    """Return jobs of series whose keys are spread as keyed hashes are."""
    return [a_job(f"{n * 7_919_000_001 % 2**48:012x}-1") for n in range(first, first + count)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MANY", FEW)


def files(path: Path) -> set[str]:
    return {part.name for part in (path.parent / "ledger").glob("*.json")}


@pytest.mark.usefixtures("few")
def test_a_ledger_with_many_jobs_is_split_and_put_together_again(path: Path) -> None:
    jobs = jobs_of(20)
    with FileLedger(path) as ledger, FileLedger(path) as another:
        ledger.add(*jobs[:FEW])
        one_file = files(path)
        ledger.add(*jobs[FEW:])
        split = files(path)
        found = {job.id for job in another.jobs()}
        done = [another.commit(replace(job, state=State.DONE)) for job in jobs[1:]]
        ledger.archive_finished(NOON + timedelta(days=3))

        assert one_file == set()
        assert split == {f"{job.id[:2]}.json" for job in jobs}
        assert found == {job.id for job in jobs}
        assert files(path) == set()
        assert [job.id for job in ledger.jobs()] == [jobs[0].id] == [j.id for j in another.jobs()]
        assert {job.id for job in another.archive.jobs()} == {job.id for job in done}


@pytest.mark.usefixtures("few")
def test_jobs_of_a_series_are_found_in_their_part(path: Path) -> None:
    jobs = jobs_of(12)
    with FileLedger(path) as ledger:
        ledger.add(*jobs)
        again = a_job(f"{jobs[5].series_key}-2")
        ledger.add(again)

        assert ledger.of_series(jobs[5].series_key) == [jobs[5], again]
        assert ledger.get(again.id) == again
        assert ledger.get("ffffffffffff-1") is None
        assert ledger.find([jobs[3].id, again.id]) == sorted([jobs[3], again], key=lambda j: j.id)


@pytest.mark.usefixtures("few")
def test_each_change_of_a_part_changes_stamp_and_generation(path: Path) -> None:
    with FileLedger(path) as ledger, FileLedger(path) as watching:
        ledger.add(*jobs_of(12))
        stamps, generations = [watching.stamp], [watching.generation]
        for job in ledger.jobs():
            ledger.commit(job)
            stamps.append(watching.stamp)
            generations.append(watching.generation)

    assert len(set(stamps)) == len(stamps)
    assert generations == sorted(set(generations))


@pytest.mark.usefixtures("few")
def test_an_earlier_release_refuses_a_split_ledger(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(*jobs_of(12))

    assert json.loads(path.read_bytes())["_ledger"]["1"]["format"] > FORMAT


@pytest.mark.usefixtures("few")
def test_a_damaged_part_is_reported_and_the_newest_copy_restored(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(*jobs_of(12))
        ledger.keep_copy()
        before = ledger.generation
    part = min((path.parent / "ledger").glob("*.json"))
    part.write_bytes(part.read_bytes().replace(b'"found"', b'"fouND"'))

    with pytest.raises(LedgerError, match=part.name), FileLedger(path):
        pass
    FileLedger(path).restore(FileLedger(path).copies[0])
    with FileLedger(path) as ledger:
        assert {job.id for job in ledger.jobs()} == {job.id for job in jobs_of(12)}
        assert ledger.generation >= before
    assert (path.parent / "ledger.before-restore" / part.name).exists()


@pytest.mark.usefixtures("few")
def test_a_copy_is_one_file_with_all_rows_and_is_not_repeated(path: Path) -> None:
    with FileLedger(path) as ledger:
        ledger.add(*jobs_of(12))
        ledger.keep_copy()
        ledger.keep_copy()

        (copy,) = ledger.copies
        tables = SealedStorage(copy).read()
        assert tables is not None
        assert len(tables["jobs"]) == 12


@pytest.mark.usefixtures("few")
def test_parts_that_do_not_count_are_removed(path: Path) -> None:
    stale = path.parent / "ledger" / "ab.json"
    with FileLedger(path) as ledger:
        ledger.add(*jobs_of(2))
    stale.parent.mkdir()
    SealedStorage(stale).write({"jobs": {"1": {"id": "ab0000000000-1", "state": "found"}}})
    with FileLedger(path) as ledger:
        assert len(ledger.jobs()) == 2
    assert not stale.exists()


@pytest.mark.parametrize("move", ["split", "join"])
@pytest.mark.usefixtures("few")
def test_a_death_at_each_write_of_a_change_of_layout_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, move: str
) -> None:
    jobs = jobs_of(FEW + 2)
    for writes in range(40):
        folder = path.parent / f"{move}{writes}"
        folder.mkdir()
        with FileLedger(folder / "ledger.json") as ledger:
            ledger.add(*jobs[: FEW if move == "split" else FEW + 2])
            if move == "join":
                for job in jobs[1:]:
                    ledger.commit(replace(job, state=State.DONE))
        left = iter(range(writes))
        with monkeypatch.context() as patch:
            patch.setattr("drawcli.adapters.ledger.storage.write_durably", dying(left))
            patch.setattr("drawcli.adapters.ledger.archive.write_durably", dying(left))
            try:
                if move == "split":
                    ledger.add(*jobs[FEW:])
                else:
                    ledger.archive_finished(NOON + timedelta(days=3))
                ended = True
            except Killed:
                ended = False
        with FileLedger(folder / "ledger.json") as again:
            there = {job.id for job in again.all_jobs()}
            wanted = {job.id for job in jobs}
            assert there <= wanted
            assert there >= ({job.id for job in jobs[:FEW]} if move == "split" else wanted)
            again.add(*jobs)
            assert {job.id for job in again.all_jobs()} == wanted
        if ended:
            assert writes > 2
            return
    pytest.fail("it never ended")


def dying(left: Iterator[int]) -> Callable[..., None]:
    def write(path: Path, data: bytes, **_: object) -> None:
        if next(left, None) is None:
            raise Killed
        write_durably(path, data)

    return write


WRITER = """
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from drawcli.adapters.ledger import FileLedger, parts
from drawcli.core.jobs.job import State
from tests.adapters.ledger.test_parts import NOON, jobs_of

parts.MANY = 4
with FileLedger(Path(sys.argv[1])) as ledger:
    for turn in range(int(sys.argv[2])):
        some = jobs_of(6, first=100 + 10 * turn)
        ledger.add(*some)
        for job in some:
            ledger.commit(replace(job, state=State.CANCELLED))
        ledger.archive_finished(NOON + timedelta(days=3))
"""


@pytest.mark.usefixtures("few")
def test_a_reader_during_a_change_of_the_layout_sees_every_job(path: Path) -> None:
    kept = jobs_of(1)
    with FileLedger(path) as ledger:
        ledger.add(*kept)
        command = [sys.executable, "-c", WRITER, str(path), "6"]
        with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as writer:
            looks = 0
            while writer.poll() is None:
                assert kept[0].id in {job.id for job in ledger.jobs()}
                assert ledger.get(kept[0].id) is not None
                assert len(ledger.of_series(kept[0].series_key)) == 1
                looks += 1

    assert writer.returncode == 0
    assert looks > 10


def test_a_change_writes_as_little_with_ten_thousand_jobs_as_with_two_hundred(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def counting(to: Path, data: bytes, **_: object) -> None:
        written.append(len(data))
        write_durably(to, data)

    monkeypatch.setattr("drawcli.adapters.ledger.storage.write_durably", counting)
    sizes = {}
    for count in (200, 10_000):
        folder = path.parent / str(count)
        folder.mkdir()
        with FileLedger(folder / "ledger.json") as ledger:
            ledger.add(*jobs_of(count))
            written.clear()
            ledger.commit(jobs_of(1)[0])
            sizes[count] = sum(written)

    assert sizes[10_000] < sizes[200]


class PartsAgainstDict(FileAgainstDict):
    """The same, with a ledger that is split and joined again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(parts, "MANY", FEW)

    def teardown(self) -> None:
        super().teardown()
        self.patch.undo()

    @rule(handle=st.integers(0, 1))
    def keep_a_copy(self, handle: int) -> None:
        ledger = self.handles[handle]
        assert isinstance(ledger, FileLedger)
        ledger.keep_copy()

        if self.path.exists():
            tables = SealedStorage(ledger.copies[0]).read()
            assert tables is not None
            assert {row["id"] for row in tables["jobs"].values()} == {
                job.id for job in ledger.jobs()
            }

    @rule(handle=st.integers(0, 1), writes=st.integers(0, 6), count=st.integers(1, 6))
    def die_while_adding(self, handle: int, writes: int, count: int) -> None:
        """Each new job is there or not, and the others stay."""
        jobs = [a_job(f"{(len(self.model) + n) * 7919:012x}-11") for n in range(count)]
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            write = dying(iter(range(writes)))
            patch.setattr("drawcli.adapters.ledger.storage.write_durably", write)
            self.handles[handle].add(*jobs)
        self.open_again(handle)
        for job in jobs:
            if job.id not in self.model and self.handles[handle].get(job.id) is not None:
                self.model[job.id] = job


@pytest.mark.sweep
def test_any_sequence_of_changes_gives_the_same_as_a_dict(tmp_path: Path) -> None:
    PartsAgainstDict.folder = tmp_path
    PartsAgainstDict.TestCase.settings = settings(
        max_examples=40 * TIMES, stateful_step_count=20, deadline=None
    )

    PartsAgainstDict.TestCase("runTest").runTest()


@pytest.mark.usefixtures("few")
def test_a_backup_has_the_parts(path: Path) -> None:
    from drawcli.operations.ledger_copies import back_up

    with FileLedger(path) as ledger:
        ledger.add(*jobs_of(12))

    class Settings:
        state_dir = path.parent

    class Ctx:
        settings = Settings
        ledger = FileLedger(path)

    back_up(Ctx, path.parent / "backup.zip")  # type: ignore[arg-type] # it needs no more
    with zipfile.ZipFile(path.parent / "backup.zip") as whole:
        assert {f"ledger/{name}" for name in files(path)} < set(whole.namelist())


@pytest.mark.usefixtures("few")
def test_rows_that_are_put_together_between_two_reads_are_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(6)
    with FileLedger(path) as ledger, FileLedger(path) as other:
        ledger.add(*(replace(job, state=State.DONE) for job in jobs[1:]), jobs[0])
        assert len(ledger.jobs()) == 6
        real = parts.Parts._files

        def join_first(one: parts.Parts) -> list[Path]:
            monkeypatch.setattr(parts.Parts, "_files", real)
            other.archive_finished(NOON + timedelta(days=3))
            return real(one)

        monkeypatch.setattr(parts.Parts, "_files", join_first)
        assert [job.id for job in ledger.jobs()] == [jobs[0].id]


@pytest.mark.usefixtures("few")
def test_a_folder_that_is_removed_while_it_is_listed_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(6)
    with FileLedger(path) as ledger, FileLedger(path) as other:
        ledger.add(*(replace(job, state=State.DONE) for job in jobs[1:]), jobs[0])
        assert len(ledger.jobs()) == 6
        real = Path.glob

        def join_first(folder: Path, _pattern: str) -> Iterator[Path]:
            monkeypatch.setattr(Path, "glob", real)
            other.archive_finished(NOON + timedelta(days=3))
            assert not folder.exists()
            raise FileNotFoundError(folder)

        monkeypatch.setattr(Path, "glob", join_first)
        assert [job.id for job in ledger.jobs()] == [jobs[0].id]
