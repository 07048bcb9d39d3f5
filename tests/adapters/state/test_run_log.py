from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.adapters.state import run_log
from drawcli.adapters.state.run_log import Run, RunLog, new_run_id

BEGAN = datetime(2026, 3, 29, 0, 50, tzinfo=UTC)
RUN = Run(
    id="a1b2c3d4",
    began=BEGAN,
    ended=BEGAN + timedelta(seconds=7),
    exit_code=0,
    server="answered",
    counts={"upload": {"uploaded": 2}},
)


def at(minutes: int, **facts: object) -> Run:
    began = BEGAN + timedelta(minutes=minutes)
    return RUN._replace(id=new_run_id(), began=began, ended=began, **facts)  # type: ignore[arg-type]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    RunLog(tmp_path).add(RUN)

    assert RunLog(tmp_path).last() == RUN


def test_a_missing_run_log_is_empty(tmp_path: Path) -> None:
    book = RunLog(tmp_path)

    assert (book.last(), book.last_success()) == (None, None)


def test_the_last_success_is_the_newest_complete_run(tmp_path: Path) -> None:
    book = RunLog(tmp_path)
    held, lost = at(10, exit_code=6), at(20, exit_code=7, server="out-of-reach")
    idle = at(30, exit_code=3, server="")
    for run in (RUN, held, lost, idle):
        book.add(run)

    assert book.last() == idle
    assert book.last_success() == held


def test_a_torn_line_loses_that_run_only(tmp_path: Path) -> None:
    book = RunLog(tmp_path)
    for run in (RUN, at(10)):
        book.add(run)
    path = tmp_path / run_log.FILE_NAME
    path.write_bytes(path.read_bytes()[:-20])
    newest = at(20)

    book.add(newest)

    assert list(book.newest_first()) == [newest, RUN]


@pytest.mark.parametrize("line", ["[]", "{}", "7", '{"began": 1}', '{"began": "x"}'])
def test_an_invalid_line_is_skipped(tmp_path: Path, line: str) -> None:
    book = RunLog(tmp_path)
    book.add(RUN)
    with (tmp_path / run_log.FILE_NAME).open("a") as stream:
        stream.write(f"\n{line}")

    assert book.last() == RUN


def test_the_run_log_is_limited_in_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "_LARGEST", 4_000)
    book = RunLog(tmp_path)
    made = [at(n) for n in range(60)]

    for run in made:
        book.add(run)

    kept = list(book.newest_first())
    assert kept == made[::-1][: len(kept)]
    assert 5 < len(kept) < 40
    assert (tmp_path / run_log.FILE_NAME).stat().st_size <= 4_400


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    RunLog(tmp_path).add(RUN)

    assert (tmp_path / run_log.FILE_NAME).stat().st_mode & 0o777 == 0o600
