"""Where systems differ, with the system pretended: the part that no test machine of ours is."""

import errno
import os
import sys
import time
from pathlib import Path, PureWindowsPath

import pytest

from drawcli.system import platforms
from drawcli.system.platforms import (
    fsync_folder,
    is_alive,
    is_readable_by_others,
    is_too_long,
    is_within,
    is_writable_by_others,
    portable_name,
    replace_path,
    system,
    with_parents,
)

RESERVED = ["CON", "con", "Aux", "NUL", "com1", "LPT9", "CON.dcm", "nul.tar.gz"]


def failing(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this is Windows, and that os.kill ends what it is asked about."""
    monkeypatch.setattr(platforms, "system", lambda: "windows")
    monkeypatch.setattr(os, "kill", failing(AssertionError("would end the process")))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_systems_are_told_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for name in ("win32", "darwin", "linux", "freebsd14"):
        monkeypatch.setattr(sys, "platform", name)
        told.append(system())

    assert told == ["windows", "macos", "other", "other"]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o620, 0o601])
def test_any_right_of_others_counts(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"")
    path.chmod(mode)

    assert is_readable_by_others(path)


@pytest.mark.parametrize(("mode", "may"), [(0o602, True), (0o646, True), (0o664, False)])
def test_only_the_right_of_everybody_to_write_is_told(
    tmp_path: Path, mode: int, *, may: bool
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"")
    path.chmod(mode)

    assert is_writable_by_others(path) is may


@pytest.mark.usefixtures("windows")
def test_windows_has_no_modes_and_no_durable_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(b"")
    (tmp_path / "key").chmod(0o666)
    monkeypatch.setattr(os, "fsync", failing(PermissionError()))

    fsync_folder(tmp_path)

    assert not is_readable_by_others(tmp_path / "key")
    assert not is_writable_by_others(tmp_path / "key")


@pytest.mark.usefixtures("windows")
def test_windows_is_not_asked_for_a_process_by_a_signal() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(0)


@pytest.mark.skipif(sys.platform == "win32", reason="asks by a signal")
def test_a_process_is_there_or_not() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(2**22 + 1)  # beyond the largest number there can be
    assert not is_alive(0)


class Held:
    """A file that a virus scanner has open: replacing it is refused so many times."""

    def __init__(self, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = times
        self._replace = Path.replace
        held = self

        def replace(path: Path, target: Path) -> Path:
            if held.left:
                held.left -= 1
                raise PermissionError(errno.EACCES, "is used by another process")
            return held._replace(path, target)

        monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("times", [0, 1, 5])
def test_windows_waits_for_who_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    Held(times, monkeypatch)

    replace_path(tmp_path / "new", tmp_path / "old")

    assert (tmp_path / "old").read_text() == "new"


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_told_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_text("new")
    Held(1000, monkeypatch)

    with pytest.raises(PermissionError):
        replace_path(tmp_path / "new", tmp_path / "old")


def test_elsewhere_a_refusal_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_text("new")
    held = Held(1000, monkeypatch)

    with pytest.raises(PermissionError):
        replace_path(tmp_path / "new", tmp_path / "old")

    assert held.left == 999


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_windows_keeps_for_itself_is_changed(name: str) -> None:
    changed = portable_name(name)

    assert changed != name
    assert portable_name(changed) == changed


@pytest.mark.parametrize("name", ["CONSTANTIN", "12345", "lpt", "com10", "aux_", "RS.con.dcm"])
def test_any_other_name_stays(name: str) -> None:
    assert portable_name(name) == name


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(errno.EINVAL, "borne"), (errno.ENOTSUP, "borne"), (errno.EIO, "told")],
)
def test_a_share_that_cannot_make_folders_durable_is_borne_a_broken_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, outcome: str
) -> None:
    monkeypatch.setattr(os, "fsync", failing(OSError(number, "no")))

    try:
        fsync_folder(tmp_path)
        seen = "borne"
    except OSError:
        seen = "told"

    assert seen == outcome


def test_a_folder_that_may_be_written_but_not_listed_is_borne(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def closed_to_us(path: object, _flags: int) -> int:
        opened.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", closed_to_us)
    fsync_folder(tmp_path)

    assert opened == [tmp_path]


class OnWindows(PureWindowsPath):
    """A path of Windows of which the system says nothing: its share is away."""

    def resolve(self) -> "OnWindows":
        return self

    def stat(self) -> os.stat_result:
        raise FileNotFoundError(errno.ENOENT, "The network path was not found")


@pytest.mark.parametrize(
    ("path", "folder", "within"),
    [
        (r"\\srv\dicom\ward\state", r"\\srv\dicom", True),
        (r"\\SRV\DICOM\Ward", r"\\srv\dicom\ward", True),
        (r"\\srv\dicom", r"\\srv\dicom\\", True),
        (r"\\srv\dicom2\ward", r"\\srv\dicom", False),
        (r"\\other\dicom\ward", r"\\srv\dicom", False),
        (r"D:\DICOM\x", r"d:\dicom", True),
        (r"D:\dicom", r"\\srv\dicom", False),
    ],
)
def test_a_share_is_the_same_however_it_is_written(path: str, folder: str, *, within: bool) -> None:
    assert is_within(OnWindows(path), OnWindows(folder)) is within  # type: ignore[arg-type] # a stand-in


@pytest.fixture
def caseless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder in which the system takes STORE for store."""
    real = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if path.is_relative_to(tmp_path):
            path = tmp_path / str(path.relative_to(tmp_path)).lower()
        return real(path, **how)

    (tmp_path / "store" / "ward").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    monkeypatch.setattr(Path, "stat", stat)
    return tmp_path


def test_a_folder_is_the_same_where_names_do_not_distinguish_case(caseless: Path) -> None:
    store = caseless / "store"

    assert is_within(caseless / "STORE" / "Ward" / "new", store)
    assert is_within(caseless / "Store", store)
    assert not is_within(caseless / "Beside" / "store", store)
    assert not is_within(caseless, store)


@pytest.mark.parametrize(
    ("sep", "folder", "path", "within"),
    [
        ("\\", "\\\\srv\\dicom\\", "\\\\srv\\dicom\\ward", True),  # the root of a share
        ("\\", "\\\\srv\\dicom\\ward", "\\\\srv\\dicom\\ward\\1", True),
        ("\\", "\\\\srv\\dicom\\ward", "\\\\srv\\dicom\\ward2\\1", False),
        ("/", "/", "/dicom", True),
        ("/", "/dicom", "/dicom2/1", False),
    ],
)
def test_the_folders_above_a_path_are_those_it_lies_in(
    monkeypatch: pytest.MonkeyPatch, sep: str, folder: str, path: str, *, within: bool
) -> None:
    monkeypatch.setattr(os, "sep", sep)

    assert (folder in with_parents(path)) is within


def test_a_path_that_is_too_long_is_told_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone, refused = OSError(errno.ENOENT, "no"), OSError(errno.ENAMETOOLONG, "no")
    long, short = Path("x" * 260), Path("x" * 259)

    assert is_too_long(short, refused)
    assert not is_too_long(long, gone)
    monkeypatch.setattr(platforms, "system", lambda: "windows")
    assert is_too_long(long, gone)
    assert not is_too_long(short, gone)
    assert not is_too_long(long, OSError(errno.EACCES, "no"))
