import os
import sys
from pathlib import Path

import pytest

from drawcli.sandbox.whole_files import prepare, write_json, write_whole


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    prepare(tmp_path / "deep" / "sandbox")

    text = (tmp_path / "deep" / "sandbox" / "README.txt").read_text(encoding="utf-8")
    assert "not for clinical use" in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_secret_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write_json(tmp_path / "token.json", {"a": "ü"}, mode=0o600)

    assert (tmp_path / "token.json").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
