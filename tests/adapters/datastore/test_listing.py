"""The listing of one folder: sorted by name, with our own files left out."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drawcli.adapters.datastore import listing
from drawcli.adapters.datastore.listing import NO_SIZE, Folder, list_folder, stamp_of


def listed(folder: Path) -> tuple[Folder, list[str]]:
    return list_folder(str(folder), stamp_of(folder.stat()))


def test_what_we_are_writing_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    for name in (".drawcli", ".drawcli-a", ".drawcli-b", ".drawcliz", "a", "+"):
        (tmp_path / name).touch()
    (tmp_path / ".drawcli-c").mkdir()
    (tmp_path / "b").mkdir()

    folder, inside = listed(tmp_path)

    assert [file.name for file in folder.files] == ["+", ".drawcli", ".drawcliz", "a"]
    assert inside == [str(tmp_path / "b")]


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_what_is_no_file_has_its_place_among_the_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    (tmp_path / "b").symlink_to("nowhere")
    (tmp_path / "c").touch()

    folder, _ = listed(tmp_path)

    assert [(file.name, file.size) for file in folder.files] == [("a", 4), ("b", NO_SIZE), ("c", 0)]
    assert folder.odd == {"b": "broken-link"}


def test_a_listing_is_the_same_where_folders_have_no_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    (tmp_path / "a").write_bytes(b"1234")
    (tmp_path / "b" / "c").mkdir(parents=True)
    found = listed(tmp_path)

    monkeypatch.setattr(listing, "_BY_DESCRIPTOR", False)

    assert listed(tmp_path) == found
    assert found[1] == [str(tmp_path / "b")]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at open files")
def test_no_folder_stays_open(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for _ in range(3):
        listed(tmp_path)
        with pytest.raises(NotADirectoryError):
            list_folder(str(tmp_path / "file"), (0, 0, 0, 0))

    assert [path for path in opened() if path.startswith(str(tmp_path))] == []


def opened() -> Iterator[str]:
    """Yield the paths of open files; threads that other tests have left may close some."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            yield str(descriptor.readlink())
