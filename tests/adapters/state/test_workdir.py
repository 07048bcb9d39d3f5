import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import AnotherRun, DiskFull, LedgerError

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
JOB = "0123456789ab-1"

HOLD_JOB = """
import sys, time
from pathlib import Path
from drawcli.adapters.state.workdir import WorkDir

with WorkDir(Path(sys.argv[1])).job_lock(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""
HOLD_RUN = """
import sys, time
from datetime import datetime, UTC
from pathlib import Path
from drawcli.adapters.state.workdir import WorkDir

with WorkDir(Path(sys.argv[1])).run_lock(datetime(2026, 11, 14, 11, tzinfo=UTC)):
    print("held", flush=True)
    time.sleep(600)
"""

Holder = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return WorkDir(tmp_path)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Start a process that takes a lock and keeps it until it is killed."""
    with ExitStack() as started:

        def start(code: str, *args: str) -> subprocess.Popen[bytes]:
            words = [sys.executable, "-c", code, str(tmp_path), *args]
            process = subprocess.Popen(words, stdout=subprocess.PIPE)
            started.callback(process.communicate)
            started.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            return process

        yield start


def killed(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)


def test_the_folder_of_a_job_is_for_its_owner_alone(work: WorkDir, tmp_path: Path) -> None:
    folder = work.folder(JOB)

    assert folder == tmp_path / "work" / JOB
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_what_is_written_for_a_job_is_read_again(work: WorkDir) -> None:
    work.write(JOB, "template.yml", b"name: A\n")
    work.write_json(JOB, "report.json", {"findings": ["ä"]})

    assert work.file(JOB, "template.yml").read_bytes() == b"name: A\n"
    assert work.read_json(JOB, "report.json") == {"findings": ["ä"]}
    assert stat.S_IMODE(work.file(JOB, "report.json").stat().st_mode) == 0o600


def test_a_record_that_is_missing_or_damaged_is_none(work: WorkDir) -> None:
    work.write(JOB, "report.json", b'{"half')

    assert work.read_json(JOB, "report.json") is None
    assert work.read_json(JOB, "explanation.json") is None
    assert work.read_json("ffffffffffff-1", "report.json") is None


def test_the_path_of_a_file_creates_no_folder(work: WorkDir, tmp_path: Path) -> None:
    work.file(JOB, "vault")

    assert not work.has_folder(JOB)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_job_removes_its_folder_only(work: WorkDir) -> None:
    work.write(JOB, "package.zip", b"zip")
    work.write("ffffffffffff-1", "package.zip", b"zip")

    work.remove(JOB)
    work.remove("never-there")

    assert not work.has_folder(JOB)
    assert work.has_folder("ffffffffffff-1")


@pytest.mark.parametrize(
    ("name", "known"),
    [("vault", False), ("explanation.json", True), ("template.yml", True), ("package.zip", True)],
)
def test_a_folder_with_more_than_a_vault_was_in_the_ledger(
    work: WorkDir, name: str, *, known: bool
) -> None:
    assert not work.has_jobs()

    work.write(JOB, name, b"x")

    assert work.has_jobs() is known


def test_a_job_is_worked_on_by_one_process(work: WorkDir, holder: Holder) -> None:
    other = holder(HOLD_JOB, JOB)

    with pytest.raises(Busy), work.job_lock(JOB):
        pass
    with work.job_lock("ffffffffffff-1"):
        pass
    killed(other)

    with work.job_lock(JOB):
        assert not work.has_folder(JOB)


def test_a_lock_is_released_after_its_block_even_on_errors(work: WorkDir) -> None:
    with pytest.raises(ZeroDivisionError), work.job_lock(JOB):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), work.run_lock(NOON):
        raise ZeroDivisionError

    with work.job_lock(JOB), work.run_lock(NOON):
        pass


def test_a_second_run_reports_the_first(work: WorkDir, holder: Holder) -> None:
    first = holder(HOLD_RUN)

    with pytest.raises(AnotherRun) as caught, work.run_lock(NOON):
        pass

    assert caught.value.exit_code == 11
    assert f"process {first.pid} on " in str(caught.value)
    assert "since 2026-11-14T11:00:00+00:00" in str(caught.value)


def test_a_killed_run_leaves_the_lock_free_and_its_record_is_ignored(
    work: WorkDir, holder: Holder, tmp_path: Path
) -> None:
    killed(holder(HOLD_RUN))
    assert (tmp_path / "run.json").exists()

    with work.run_lock(NOON):
        pass

    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"3", b'{"pid": 1}', b"\xff"])
def test_a_damaged_record_of_the_other_run_is_ignored(
    work: WorkDir, holder: Holder, tmp_path: Path, record: bytes
) -> None:
    holder(HOLD_RUN)
    (tmp_path / "run.json").write_bytes(record)

    with pytest.raises(AnotherRun, match=r"^another run is at work$"), work.run_lock(NOON):
        pass


def test_leftovers_are_removed_but_not_from_a_job_that_is_worked_on(
    work: WorkDir, holder: Holder, tmp_path: Path
) -> None:
    busy = "ffffffffffff-1"
    for job_id in (JOB, busy):
        work.write(job_id, "package.zip", b"whole")
        work.file(job_id, ".candidate.zip.4711.tmp").write_bytes(b"half")
    (tmp_path / ".run.json.4711.tmp").write_bytes(b"half")
    (tmp_path / ".ledger.json.4711.tmp").write_bytes(b"being written by another process")
    holder(HOLD_JOB, busy)

    work.remove_leftovers()

    assert sorted(path.name for path in work.folder(JOB).iterdir()) == ["package.zip"]
    assert work.file(busy, ".candidate.zip.4711.tmp").exists()
    assert not (tmp_path / ".run.json.4711.tmp").exists()
    assert (tmp_path / ".ledger.json.4711.tmp").exists()


def test_removing_leftovers_of_a_site_without_jobs_does_nothing(work: WorkDir) -> None:
    work.remove_leftovers()

    assert not work.state_dir.joinpath("work").exists()


def test_a_package_that_would_fill_the_disk_is_not_begun(
    work: WorkDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 500 << 20
    usage = type(shutil.disk_usage(work.state_dir))(1 << 40, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    work.check_space(free - (64 << 20))
    with pytest.raises(DiskFull, match="500 MiB free; the next package may need 500 MiB") as caught:
        work.check_space(free - (64 << 20) + 1)

    assert caught.value.exit_code == 12


@pytest.mark.parametrize(
    "job_id", ["../x-1", "/x-1", "", ".", "..", "a/b", "x\x00", "x\n", "a\ud800"]
)
def test_no_folder_or_lock_is_created_for_an_invalid_id(
    work: WorkDir, tmp_path: Path, job_id: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LedgerError, match="whose id is a path"):
        work.folder(job_id)
    with pytest.raises(LedgerError, match="whose id is a path"), work.job_lock(job_id):
        pass
    with pytest.raises(LedgerError, match="whose id is a path"):
        work.remove(job_id)

    assert [one for one in sorted(tmp_path.rglob("*")) if one.name != "work"] == before
