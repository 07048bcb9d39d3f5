"""A second place for a small file: private, ours, and never a way to somebody else's file."""

import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from drawcli.system import spare_file


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    made = [tmp_path / "memory", tmp_path / "temporary"]
    for one in made:
        one.mkdir()
    monkeypatch.setattr(spare_file, "_MEMORY", made[0])
    monkeypatch.setattr(tempfile, "tempdir", str(made[1]))
    return made


def test_what_is_put_is_read_until_it_is_dropped(tmp_path: Path) -> None:
    path, other = tmp_path / "alarms.json", tmp_path / "b" / "alarms.json"

    assert spare_file.put(path, b"told")
    assert (spare_file.read(path), spare_file.read(other)) == (b"told", None)
    spare_file.drop(path)
    assert spare_file.read(path) is None


def test_where_there_is_no_folder_in_memory_that_for_temporary_files_is_taken(
    tmp_path: Path, folders: list[Path]
) -> None:
    folders[0].rmdir()
    assert spare_file.put(tmp_path / "alarms.json", b"told")

    (kept,) = folders[1].iterdir()
    assert spare_file.read(tmp_path / "alarms.json") == b"told"
    folders[1].rename(tmp_path / "gone")
    assert kept.name
    assert not spare_file.put(tmp_path / "alarms.json", b"told")


@pytest.mark.skipif(sys.platform == "win32", reason="has neither modes nor owners")
def test_it_is_private_and_follows_nobody(tmp_path: Path, folders: list[Path]) -> None:
    path, victim = tmp_path / "alarms.json", tmp_path / "victim"
    spare_file.put(path, b"told")
    (kept,) = folders[0].iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "alarms" not in kept.name
    victim.write_bytes(b"of somebody else")
    kept.unlink()
    kept.symlink_to(victim)

    assert spare_file.read(path) is None
    assert spare_file.put(path, b"told")

    assert (victim.read_bytes(), kept.read_bytes()) == (b"of somebody else", b"told")


@pytest.mark.skipif(sys.platform == "win32", reason="has neither modes nor owners")
def test_a_file_of_another_user_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare_file.put(tmp_path / "alarms.json", b"told")
    us = os.getuid()

    monkeypatch.setattr(os, "getuid", lambda: us + 1)

    assert spare_file.read(tmp_path / "alarms.json") is None
