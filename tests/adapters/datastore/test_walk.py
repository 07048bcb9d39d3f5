import errno
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore import walk as module
from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.adapters.datastore.walk import read_datastore
from drawcli.core.dicom import streaming
from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.streaming import FIRST_READ
from drawcli.core.series.image_file import File
from drawcli.errors import OutOfReach
from tests.conftest import HEAD_NECK, PELVIS
from tests.core.real_data import REAL, needs_real, unpacked
from tests.phantoms.planning import write_planning_ct


def found(store: Path) -> tuple[set[str], dict[str, int]]:
    """Return the paths of the slices that a walk finds, and what it passes over."""
    walk = read_datastore([store])
    return {one.path for one in walk.slices}, dict(walk.passed_over)


def state_of(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Return inode, times, mode and size of everything in a folder."""
    return {
        path: (at.st_ino, at.st_mtime_ns, at.st_ctime_ns, at.st_mode, at.st_size)
        for path in folder.rglob("*")
        for at in [path.lstat()]
    }


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def test_a_walk_finds_every_slice_in_any_folder_under_any_name(
    store: Path, slices: list[Path]
) -> None:
    names = ["no ending", "with blank & $(x) `y` 'z' \"q\".dcm", "é ü.DCM", "-rf", ".hidden"]
    placed = {os.fspath(path) for path in slices}
    for depth, name in enumerate(names, 1):
        folder = store.joinpath("deeper", *map(str, range(depth)))
        folder.mkdir(parents=True)
        (folder / name).write_bytes(slices[0].read_bytes())
        placed.add(os.fspath(folder / name))

    assert found(store) == (placed, {})


def test_a_name_that_is_not_utf_8_is_found_and_can_be_opened(
    store: Path, slices: list[Path]
) -> None:
    raw = os.fsencode(store) + b"/\xffname\xe9.dcm"
    try:
        Path(os.fsdecode(raw)).write_bytes(slices[0].read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 only")

    (path,) = {path for path in found(store)[0] if "name" in Path(path).name}

    assert os.fsencode(path) == raw
    stream, header = open_slice(path)
    stream.close()
    assert header.text(0x00100020) == PELVIS.patient_id


def test_a_slice_has_the_values_of_the_file(slices: list[Path], store: Path) -> None:
    (one, *_) = sorted(read_datastore([store]).slices, key=lambda one: one.path)
    said = dcmread(slices[0])
    on_disk = slices[0].stat()

    assert (one.path, one.size, one.mtime_ns) == (
        str(slices[0]),
        on_disk.st_size,
        on_disk.st_mtime_ns,
    )
    assert one.sop_uid == said.SOPInstanceUID
    assert one.series_uid == said.SeriesInstanceUID
    assert one.study_uid == said.StudyInstanceUID
    assert one.patient_id == said.PatientID
    assert one.modality == "CT"
    assert one.shape == (said.Rows, said.Columns)
    assert one.position == tuple(map(float, said.ImagePositionPatient))
    assert one.pixels_missing == 0


def test_slices_of_one_series_are_grouped_from_all_folders(store: Path, slices: list[Path]) -> None:
    (store / "b").mkdir()
    slices[0].rename(store / "b" / "moved.dcm")
    write_planning_ct(store / "other", HEAD_NECK, slices=2, size=16, seed=1)

    series = read_datastore([store]).by_series()

    assert sorted(map(len, series.values())) == [2, 3]
    assert len(series[str(dcmread(slices[1]).SeriesInstanceUID)]) == 3


def test_several_datastores_are_walked(tmp_path: Path, slices: list[Path], store: Path) -> None:
    write_planning_ct(tmp_path / "second", HEAD_NECK, slices=2, size=16, seed=1)

    walk = read_datastore([store, tmp_path / "second"])

    assert len(walk.slices) == len(slices) + 2


@pytest.mark.parametrize("missing", ["no folder", "a file", "a dead link"])
def test_a_missing_datastore_is_an_error(store: Path, missing: str) -> None:
    path = store / "share"
    if missing == "a file":
        path.touch()
    elif missing == "a dead link":
        path.symlink_to(store / "nowhere")

    with pytest.raises(OutOfReach, match="does not exist") as caught:
        read_datastore([store, path])

    assert caught.value.exit_code == 7


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_datastore_that_cannot_be_listed_is_out_of_reach(
    store: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_path: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(OutOfReach, match=os.strerror(number)):
        read_datastore([store])


def test_a_folder_in_it_that_cannot_be_listed_is_counted_and_the_rest_is_read(
    store: Path, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "closed").mkdir()
    opened = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)

    assert found(store) == ({str(path) for path in slices}, {"unreadable-folder": 1})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_counted(store: Path, slices: list[Path]) -> None:
    slices[0].chmod(0)
    (store / "closed").mkdir(mode=0)

    paths, passed_over = found(store)

    assert len(paths) == len(slices) - 1
    assert passed_over == {"permission-denied": 1, "unreadable-folder": 1}


def test_circular_links_end_and_nothing_is_read_twice(store: Path, slices: list[Path]) -> None:
    (store / "up").symlink_to(store)
    (store / "pelvis" / "round").symlink_to(store / "pelvis")
    (store / "again").symlink_to(store / "pelvis")
    (store / "itself").symlink_to(store / "itself")
    (store / "dead").symlink_to(store / "nowhere")

    paths, passed_over = found(store)

    assert {os.path.realpath(path) for path in paths} == {str(path) for path in slices}
    assert len(paths) == len(slices)
    assert passed_over == {"link-loop": 1, "broken-link": 1}


def test_a_link_to_all_of_the_disk_is_not_followed(store: Path, slices: list[Path]) -> None:
    (store / "root").symlink_to("/")
    (store / "pelvis" / "above").symlink_to(store.parent.parent)

    paths, passed_over = found(store)

    assert paths == {str(path) for path in slices}
    assert passed_over == {"link-above": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="has no /proc")
def test_a_link_into_the_kernel_is_not_followed(store: Path, slices: list[Path]) -> None:
    (store / "proc").symlink_to("/proc")
    (store / "deep").symlink_to("/proc/self/task")
    (store / "sys").symlink_to("/sys")

    paths, passed_over = found(store)

    assert paths == {str(path) for path in slices}
    assert passed_over == {"system-folder": 3}


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/zero and /proc")
def test_links_to_devices_are_not_followed(store: Path, slices: list[Path]) -> None:
    odd = store / "odd"
    odd.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    place = Path(tempfile.mkdtemp()) / "s"  # a socket has a short path
    listener.bind(str(place))
    os.mkfifo(odd / "pipe")
    for name, target in {
        "zero.dcm": Path("/dev/zero"),
        "terminal.dcm": Path("/dev/tty"),
        "socket.dcm": place,
        "pipe.dcm": odd / "pipe",
        "root": Path("/"),
        "self": Path("/proc/self/fd"),
        "sys": Path("/sys/kernel"),
        "here": Path(),
        "above": Path(".."),
    }.items():
        (odd / name).symlink_to(target)
    (odd / "a").symlink_to(odd / "b")
    (odd / "b").symlink_to(odd / "a")
    (odd / "0001.dcm").symlink_to(odd / "0001.dcm")

    paths, passed_over = found(store)

    listener.close()
    shutil.rmtree(place.parent)
    assert paths == {str(path) for path in slices}
    special = {"special-file": 5, "system-folder": 2, "link-above": 1}
    assert passed_over == special | {"link-loop": 2, "lost-link": 1}


def test_pipes_and_sockets_are_not_waited_for(store: Path, slices: list[Path]) -> None:
    os.mkfifo(store / "pipe.dcm")

    assert found(store) == ({str(path) for path in slices}, {"special-file": 1})


def test_files_that_are_not_complete_images_are_counted_by_reason(
    store: Path, slices: list[Path]
) -> None:
    whole = slices[0].read_bytes()
    (store / "empty.dcm").touch()
    (store / "text.dcm").write_text("this is no image, whatever its name says\n" * 20)
    (store / "page.dcm").write_text("<html><body>502 Bad Gateway</body></html>")
    (store / "preamble.dcm").write_bytes(whole[:132])
    (store / "header.dcm").write_bytes(whole[:700])
    (store / "size-first.dcm").write_bytes(bytes(len(whole)))

    paths, passed_over = found(store)

    assert paths == {str(path) for path in slices}
    assert passed_over == {"empty-file": 1, "not-dicom": 2, "truncated-header": 2, "blank-file": 1}


def test_a_file_without_preamble_is_an_image(store: Path, slices: list[Path]) -> None:
    changed(slices[0], lambda raw: raw[132:])

    assert found(store) == ({str(path) for path in slices}, {})


def test_a_file_that_ends_in_its_pixels_is_truncated(store: Path, slices: list[Path]) -> None:
    changed(slices[0], lambda raw: raw[:-100])

    short = {one.path: one.pixels_missing for one in read_datastore([store]).slices}

    assert short == {str(path): 100 if path == slices[0] else 0 for path in slices}


def test_an_rtstruct_that_is_being_delivered_is_ignored(store: Path, slices: list[Path]) -> None:
    (store / ".drawcli-0123456789ab-1.part").write_bytes(slices[0].read_bytes())

    assert found(store)[0] == {str(path) for path in slices}


def test_a_file_that_vanishes_while_it_is_read_is_counted(
    store: Path, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = module.read_file

    def vanishing(path: str, listed: File) -> Slice | str:
        if path == str(slices[1]):
            slices[1].unlink()
        return read(path, listed)

    monkeypatch.setattr(module, "read_file", vanishing)

    assert found(store) == (
        {str(slices[0]), str(slices[2])},
        {"vanished": 1},
    )


def test_a_header_larger_than_the_first_read_is_read_to_its_end(
    store: Path, slices: list[Path]
) -> None:
    for size in (FIRST_READ - 2000, FIRST_READ, 5 * FIRST_READ, 40 * FIRST_READ):
        large = dcmread(slices[0])
        large.add_new(0x00091001, "OB", bytes(size))
        large.save_as(slices[0])

        (one,) = (o for o in read_datastore([store]).slices if o.path == str(slices[0]))

        assert one.pixels_missing == 0
        assert one.shape == (16, 16)


def test_an_endless_header_is_refused(
    store: Path, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LARGEST_HEADER", 4 * FIRST_READ)
    endless = dcmread(slices[0])
    endless.add_new(0x00091001, "OB", bytes(100 * FIRST_READ))
    endless.save_as(slices[0])

    assert found(store)[1] == {"truncated-header": 1}


def test_nothing_in_the_datastore_is_written_or_moved(store: Path, slices: list[Path]) -> None:
    (store / "empty").touch()
    for path in store.rglob("*"):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o555)
    before = state_of(store)

    read_datastore([store])
    stream, header = open_slice(str(slices[0]))
    with closing(stream):
        pixel_end(stream, header)
    shared_elements(map(str, slices))

    assert state_of(store) == before
    assert len(before) == len(slices) + 2


def test_no_system_call_that_writes_touches_the_datastore(
    store: Path, slices: list[Path], tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from drawcli.adapters.datastore.walk import read_datastore\n"
        "assert len(read_datastore([Path(sys.argv[1])]).slices) == 3\n"
    )
    traced = "openat,open,creat,rename,renameat2,unlink,unlinkat,mkdir,link,symlink,chmod,utimensat"
    log = tmp_path / "calls"
    words: list[object] = [
        "strace",
        "-f",
        "-o",
        log,
        "-e",
        f"trace={traced}",
        sys.executable,
        "-c",
        code,
    ]
    try:
        done = subprocess.run([*map(str, words), str(store)], check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no strace")
    if done.returncode and b"ptrace" in done.stderr:
        pytest.skip("processes cannot be traced here")
    calls = [line for line in log.read_text().splitlines() if str(store) in line]
    calls = [line for line in calls if "execve" not in line]

    assert done.returncode == 0, done.stderr
    assert len([line for line in calls if ".dcm" in line]) == len(slices)
    assert all("O_RDONLY" in line for line in calls)


@pytest.mark.sweep
def test_bytes_changed_at_random_never_break_the_walk(store: Path, slices: list[Path]) -> None:
    dice = random.Random(11)  # noqa: S311 - the same every time
    whole = slices[0].read_bytes()
    header = len(whole) - 2 * 16 * 16
    for number in range(600):
        spoilt = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 5))):
            spoilt[dice.randrange(128, header)] = dice.randrange(256)
        if number % 4 == 0:
            del spoilt[dice.randrange(132, len(spoilt)) :]
        (store / f"{number}.dcm").write_bytes(spoilt)

    walk = read_datastore([store])

    assert len(walk.slices) + walk.passed_over.total() == 600 + len(slices)
    assert walk.passed_over.total() > 20


@needs_real
def test_real_files_are_each_a_slice_or_counted() -> None:
    walk = read_datastore([REAL / "odd", REAL / "derived", REAL / "phi"])

    files = [
        path
        for folder in ("odd", "derived", "phi")
        for path in (REAL / folder).rglob("*")
        if path.is_file()
    ]
    assert len(walk.slices) + walk.passed_over.total() == len(files)
    reasons = {"empty-file", "not-dicom", "truncated-header", "no-sop-class"}
    assert set(walk.passed_over) == reasons
    assert len(walk.slices) > 200


@needs_real
def test_real_series_of_several_megabytes_are_read(tmp_path: Path) -> None:
    files = unpacked("rt/mr_t2_mim_sts001_raw.tar.xz", tmp_path)

    series = read_datastore([tmp_path]).by_series()

    assert max(map(len, series.values())) == 40
    assert sum(map(len, series.values())) == len(files)
