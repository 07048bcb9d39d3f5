"""How far a step is: told to watchers, and to other processes by a file that never stops a run."""

import json
import os
import threading
from pathlib import Path

import pytest

from drawcli.adapters.state import progress_file as module
from drawcli.adapters.state.progress import Progress, ProgressState
from drawcli.adapters.state.progress_file import FILE_NAME, ProgressFile
from tests.waiting import PATIENCE


class Listener:
    """Records the progress that it receives."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.shares: list[float | None] = []

    def update(self, state: ProgressState) -> None:
        self.heard.append(str(state))
        self.shares.append(state.share)

    def finish(self) -> None:
        self.heard.append("ended")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the shortest interval between two writes."""
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", 0.0)


def test_a_step_reports_its_jobs_and_the_counts_within_them(listener: Listener) -> None:
    progress = Progress(listener)

    with progress.step("deidentify"):
        progress.expect(2)
        with progress.job("0123456789ab-1"):
            files = list(progress.count_items(["a", "b"], "files packed"))

    assert files == ["a", "b"]
    assert listener.heard == [
        "deidentify",
        "deidentify: job 1 of 2",
        "deidentify: job 1 of 2",
        "deidentify: job 1 of 2, 0 of 2 files packed",
        "deidentify: job 1 of 2, 1 of 2 files packed",
        "deidentify: job 1 of 2, 2 of 2 files packed",
        "deidentify: job 2 of 2",
        "ended",
    ]
    assert listener.shares == [None, 0.0, 0.0, 0.0, 0.25, 0.5, 0.5]


def test_uploads_at_the_same_time_add_up(listener: Listener) -> None:
    progress = Progress(listener)

    with progress.step("upload"):
        first, second = progress.meter("bytes sent"), progress.meter("bytes sent")
        first(1_000_000, 4_000_000)
        second(500_000, 6_000_000)
        first(4_000_000, 4_000_000)
        second(600_000, 6_000_000)

    assert listener.heard[1:-1] == [
        "upload: 1.0 of 4.0 MB sent",
        "upload: 1.5 of 10.0 MB sent",
        "upload: 4.5 of 10.0 MB sent",
        "upload: 0.6 of 6.0 MB sent",
    ]


def test_many_threads_lose_no_job(listener: Listener) -> None:
    progress = Progress(listener)

    def work(number: int) -> None:
        for turn in range(50):
            with progress.job(f"{number:012x}-{turn}"):
                progress.meter("bytes sent")(turn, None)

    with progress.step("upload"):
        progress.expect(200)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert listener.shares[-1] == 1.0


def test_progress_after_the_end_of_a_step_is_ignored(listener: Listener) -> None:
    progress = Progress(listener)
    with progress.step("upload"):
        late = progress.meter("bytes sent")

    late(5, 10)

    assert listener.heard == ["upload", "ended"]


def test_a_step_that_fails_ends(listener: Listener) -> None:
    with pytest.raises(OSError, match="broken"), Progress(listener).step("scan"):
        raise OSError("broken")

    assert listener.heard == ["scan", "ended"]


@pytest.mark.usefixtures("at_once")
def test_another_process_reads_the_progress(tmp_path: Path) -> None:
    progress = Progress(ProgressFile.of(tmp_path))

    with progress.step("deidentify"):
        progress.expect(3)
        read = ProgressFile.of(tmp_path).read()
        left = sorted(path.name for path in tmp_path.iterdir())

    assert read is not None
    assert (str(read), read.pid) == ("deidentify: job 1 of 3", os.getpid())
    assert left == [FILE_NAME]
    assert ProgressFile.of(tmp_path).read() is None


def test_a_step_of_less_than_a_second_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", PATIENCE)  # instead of the second
    progress = Progress(ProgressFile.of(tmp_path))

    with progress.step("match"):
        progress.expect(3)
        there = list(tmp_path.iterdir())

    assert there == []


@pytest.mark.usefixtures("at_once")
def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "gone"
    progress = Progress(ProgressFile.of(nowhere))

    with progress.step("scan"), progress.part("files read") as part:
        part.advance()

    assert not nowhere.exists()


@pytest.mark.parametrize("text", ["", "[]", "7", '{"step": ', '{"done": 1}', '{"other": 1}'])
def test_a_damaged_progress_file_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    assert ProgressFile.of(tmp_path).read() is None


def test_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"step": "scan", "mood": "good"}))

    assert ProgressFile.of(tmp_path).read() == ProgressState(step="scan")
