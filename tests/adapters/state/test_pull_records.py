"""The records of pulled series when their disk or their file is at fault."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drawcli.adapters.state import pull_records
from drawcli.adapters.state.pull_records import PullRecord, open_records
from drawcli.errors import ConfigError, DiskFull, OutOfReach

ONE = PullRecord("key", "PACS@host:104", 2)
MANY = [f"{number:064}" for number in range(10_000)]


def test_a_full_disk_is_no_damage_and_loses_no_record(tmp_path: Path) -> None:
    with open_records(tmp_path) as records:
        records.put(ONE, ["first", "second"])

    def fill() -> None:
        with open_records(tmp_path) as records:
            records._database.execute("PRAGMA max_page_count = 1")  # never less than there are
            records.put(ONE._replace(total=len(MANY)), MANY)

    with pytest.raises(DiskFull, match="the disk is full"):
        fill()

    with open_records(tmp_path) as records:
        assert records.expected("key") == {"first", "second"}


def test_a_file_that_another_process_holds_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_records, "_WAIT_SECONDS", 0.05)
    with open_records(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "pull" / "series.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(OutOfReach, match="another process holds it"),
            open_records(tmp_path) as records,
        ):
            records.put(ONE)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with open_records(tmp_path):
        pass
    (tmp_path / "pull" / "series.sqlite").write_bytes(b"no database" * 1000)

    with pytest.raises(ConfigError, match="cannot be used") as err, open_records(tmp_path):
        pass

    assert "Move the file away" in (err.value.hint or "")
