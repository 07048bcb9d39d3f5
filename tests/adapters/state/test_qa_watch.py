"""The list of watched jobs, and the lock of a scan."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.adapters.state.qa_watch import WatchedJob, read_watch, scan_lock, write_watch
from drawcli.errors import AnotherRun

JOBS = {
    "0123456789ab-1": WatchedJob(series="0a", frame="0b", stamp="c", sets=("0d",)),
    "0123456789ab-2": WatchedJob(series="0a", waits_since=datetime(2026, 11, 14, tzinfo=UTC)),
}


def test_the_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_watch(tmp_path, JOBS)
    assert read_watch(tmp_path) == JOBS
    assert (tmp_path / "qa" / "watch.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"series": "0a"}}', "nul"])
def test_a_damaged_list_is_none(tmp_path: Path, text: str) -> None:
    write_watch(tmp_path, JOBS)
    (tmp_path / "qa" / "watch.json").write_text(text)
    assert read_watch(tmp_path) is None


def test_two_scans_exclude_each_other(tmp_path: Path) -> None:
    with scan_lock(tmp_path), pytest.raises(AnotherRun), scan_lock(tmp_path):
        pass
    with scan_lock(tmp_path):
        pass


def test_a_time_to_come_is_the_present() -> None:
    now = datetime(2026, 11, 15, tzinfo=UTC)
    waiting = JOBS["0123456789ab-2"]

    assert waiting.known_at(now) == waiting
    assert replace(waiting, waits_since=now + timedelta(days=9999)).known_at(now).waits_since == now
