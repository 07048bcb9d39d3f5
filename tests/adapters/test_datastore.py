import errno
import io
import os
import random
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from drawcli.adapters import datastore as module
from drawcli.adapters.datastore import (
    FIRST_READ,
    closed,
    open_slice,
    pixel_end,
    read_datastore,
    shared_elements,
)
from drawcli.errors import OutOfReach, SeriesRefused, SourceUnsettled
from drawcli.sandbox.phantom import write_planning_ct
from tests.conftest import HEAD_NECK, PELVIS
from tests.core.files import as_bytes, ct_slice
from tests.core.real_data import REAL, needs_real, unpacked

BITS_STORED = b"\x28\x00\x01\x01US\x02\x00"
SERIES_NUMBER = b"\x20\x00\x11\x00IS\x02\x00"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def slices(store: Path) -> list[Path]:
    """Put a planning CT of three small slices into the datastore."""
    return write_planning_ct(store / "pelvis", PELVIS, slices=3, size=16, seed=1)


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


def test_a_walk_finds_every_slice_wherever_it_lies_and_however_it_is_called(
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


def test_a_name_that_is_no_utf_8_is_found_and_can_be_opened(
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


def test_a_slice_carries_what_the_file_says(slices: list[Path], store: Path) -> None:
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


def test_slices_of_one_series_come_together_from_all_folders(
    store: Path, slices: list[Path]
) -> None:
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
def test_a_datastore_that_is_not_there_is_no_empty_one(store: Path, missing: str) -> None:
    path = store / "share"
    if missing == "a file":
        path.touch()
    elif missing == "a dead link":
        path.symlink_to(store / "nowhere")

    with pytest.raises(OutOfReach, match="is not there") as caught:
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
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert found(store) == ({str(path) for path in slices}, {"unreadable-folder": 1})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_is_closed_to_us_is_counted(store: Path, slices: list[Path]) -> None:
    slices[0].chmod(0)
    (store / "closed").mkdir(mode=0)

    paths, passed_over = found(store)

    assert len(paths) == len(slices) - 1
    assert passed_over == {"unreadable-file": 1, "unreadable-folder": 1}


def test_links_in_circles_end_and_nothing_is_read_twice(store: Path, slices: list[Path]) -> None:
    (store / "up").symlink_to(store)
    (store / "pelvis" / "round").symlink_to(store / "pelvis")
    (store / "again").symlink_to(store / "pelvis")
    (store / "itself").symlink_to(store / "itself")
    (store / "dead").symlink_to(store / "nowhere")

    paths, passed_over = found(store)

    assert {os.path.realpath(path) for path in paths} == {str(path) for path in slices}
    assert len(paths) == len(slices)
    assert passed_over == {"unreadable-file": 1}


def test_pipes_and_sockets_are_not_waited_for(store: Path, slices: list[Path]) -> None:
    os.mkfifo(store / "pipe.dcm")

    assert found(store) == ({str(path) for path in slices}, {})


def test_files_that_are_no_whole_images_are_counted_by_kind(
    store: Path, slices: list[Path]
) -> None:
    whole = slices[0].read_bytes()
    (store / "empty.dcm").touch()
    (store / "text.dcm").write_text("this is no image, whatever its name says\n" * 20)
    (store / "page.dcm").write_text("<html><body>502 Bad Gateway</body></html>")
    (store / "preamble.dcm").write_bytes(whole[:132])
    (store / "header.dcm").write_bytes(whole[:700])

    paths, passed_over = found(store)

    assert paths == {str(path) for path in slices}
    assert passed_over == {"not-dicom": 3, "truncated-header": 2}


def test_a_file_without_preamble_is_an_image_all_the_same(store: Path, slices: list[Path]) -> None:
    changed(slices[0], lambda raw: raw[132:])

    assert found(store) == ({str(path) for path in slices}, {})


def test_a_file_that_ends_in_its_pixels_is_seen_to_be_short(
    store: Path, slices: list[Path]
) -> None:
    changed(slices[0], lambda raw: raw[:-100])

    short = {one.path: one.pixels_missing for one in read_datastore([store]).slices}

    assert short == {str(path): 100 if path == slices[0] else 0 for path in slices}


def test_an_rtstruct_that_is_being_delivered_is_left_alone(store: Path, slices: list[Path]) -> None:
    (store / ".drawcli-0123456789ab-1.part").write_bytes(slices[0].read_bytes())

    assert found(store)[0] == {str(path) for path in slices}


def test_a_file_that_vanishes_while_it_is_read_is_counted(
    store: Path, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_one = module._read_one

    def vanishing(entry: os.DirEntry[str], walk: module.Walk) -> None:
        if entry.path == str(slices[1]):
            slices[1].unlink()
        read_one(entry, walk)

    monkeypatch.setattr(module, "_read_one", vanishing)

    assert found(store) == (
        {str(slices[0]), str(slices[2])},
        {"unreadable-file": 1},
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


def test_a_header_that_never_ends_is_given_up(
    store: Path, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_HEADER", 4 * FIRST_READ)
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
    with closed(stream):
        pixel_end(stream, header)
    shared_elements(map(str, slices))

    assert state_of(store) == before
    assert len(before) == len(slices) + 2


def test_no_system_call_that_writes_touches_the_datastore(
    store: Path, slices: list[Path], tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from drawcli.adapters.datastore import read_datastore\n"
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
    assert {"not-dicom", "truncated-header", "unreadable-dicom"} == set(walk.passed_over)
    assert len(walk.slices) > 200


def test_an_opened_slice_has_its_header_and_its_pixels(slices: list[Path]) -> None:
    stream, header = open_slice(str(slices[0]))

    with closed(stream):
        end = pixel_end(stream, header)
        assert header.pixels is not None
        stream.seek(header.pixels.value)
        pixels = stream.read(end - header.pixels.value)

    assert pixels == dcmread(slices[0]).PixelData
    assert stream.closed


def test_a_slice_that_is_gone_is_waited_for_and_not_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnsettled, match="No such file") as caught:
        open_slice(str(tmp_path / "Kulkarnee_Ashok.dcm"))

    assert "Kulkarnee" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _raw: b"", "no DICOM file"),
        (lambda raw: raw[:600], "the file ends inside its header"),
        (lambda _raw: b"<html>" * 100, "no DICOM file"),
    ],
)
def test_a_slice_that_has_changed_is_refused_and_not_named(
    slices: list[Path], change: Callable[[bytes], bytes], told: str
) -> None:
    changed(slices[0], change)

    with pytest.raises(SeriesRefused, match=told) as caught:
        open_slice(str(slices[0]))

    assert slices[0].name not in str(caught.value)
    assert "KULKARNEE" not in str(caught.value)


def test_a_disk_that_breaks_while_a_header_is_read_is_tried_again(
    slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    opened = Broken()
    monkeypatch.setattr(Path, "open", lambda *_: opened)

    with pytest.raises(SourceUnsettled, match="cannot be read: Input/output error"):
        open_slice(str(slices[0]))

    assert opened.closed


def test_a_slice_without_pixels_is_refused(slices: list[Path]) -> None:
    empty = dcmread(slices[0])
    del empty.PixelData
    empty.save_as(slices[0])
    stream, header = open_slice(str(slices[0]))

    with closed(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "no-pixels"


def test_pixels_that_end_too_early_are_refused(slices: list[Path]) -> None:
    changed(slices[0], lambda raw: raw[:-1])
    stream, header = open_slice(str(slices[0]))

    with closed(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "truncated"


def test_what_follows_the_pixels_is_not_theirs(slices: list[Path]) -> None:
    whole = slices[0].stat().st_size
    changed(slices[0], lambda raw: raw + b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0abcd")
    stream, header = open_slice(str(slices[0]))

    with closed(stream):
        assert pixel_end(stream, header) == whole


def fragmented(path: Path, fragments: list[bytes]) -> None:
    """Write encapsulated pixels into a slice, with pydicom alone."""
    one = dcmread(path)
    one.file_meta.TransferSyntaxUID = RLELossless
    one.PixelData = encapsulate(fragments)
    one["PixelData"].VR = "OB"
    one["PixelData"].is_undefined_length = True
    one.save_as(path)


def test_encapsulated_pixels_end_behind_their_delimiter(slices: list[Path]) -> None:
    fragmented(slices[0], [b"\1" * 70_000, b"\2" * 10, b"\3\3"])
    size = slices[0].stat().st_size
    changed(slices[0], lambda raw: raw + b"behind")
    stream, header = open_slice(str(slices[0]))

    with closed(stream):
        assert pixel_end(stream, header) == size


@pytest.mark.parametrize("cut", [1, 8, 12, 2000])
def test_encapsulated_pixels_that_end_too_early_are_refused(slices: list[Path], cut: int) -> None:
    fragmented(slices[0], [b"\1" * 1000, b"\2" * 1000])
    changed(slices[0], lambda raw: raw[:-cut])
    stream, header = open_slice(str(slices[0]))

    with closed(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "truncated"


def test_encapsulated_pixels_with_something_else_than_fragments_are_refused(
    slices: list[Path],
) -> None:
    fragmented(slices[0], [b"\1" * 1000])
    changed(slices[0], lambda raw: raw[:-8] + b"\x10\0\x10\0\4\0\0\0abcd" + raw[-8:])
    stream, header = open_slice(str(slices[0]))

    with closed(stream), pytest.raises(SeriesRefused, match=r"\(0010,0010\) where a fragment"):
        pixel_end(stream, header)


@needs_real
def test_real_rle_pixels_end_where_pydicom_says() -> None:
    seen = 0
    for path in sorted((REAL / "odd/dicom2nifti/generic/compressed_rle").rglob("*")):
        if not path.is_file():
            continue
        stream, header = open_slice(str(path))
        with closed(stream):
            end = pixel_end(stream, header)
        assert header.pixels is not None
        raw = path.read_bytes()
        assert raw[end - 8 : end] == b"\xfe\xff\xdd\xe0\0\0\0\0"
        assert raw[header.pixels.value : end - 8] == dcmread(path).PixelData
        seen += 1

    assert seen == 4


def test_what_all_slices_say_is_text_by_keyword(slices: list[Path]) -> None:
    shared = shared_elements(map(str, slices))

    assert shared["Modality"] == ("CT",)
    assert shared["ImageType"] == tuple(dcmread(slices[0]).ImageType)
    assert shared["ProtocolName"] == (PELVIS.protocol,)
    assert shared["PatientName"] == (PELVIS.name,)
    assert shared["Rows"] == ("16",)
    assert "InstanceNumber" not in shared
    assert "ImagePositionPatient" not in shared
    assert "PixelData" not in shared
    assert "InstanceNumber" in shared.mixed
    purpose = "PurposeOfReferenceCodeSequence"
    one = shared[f"ContributingEquipmentSequence.0.{purpose}.0.CodeMeaning"]
    assert shared[f"ContributingEquipmentSequence.*.{purpose}.*.CodeMeaning"][:1] == one


def test_an_element_that_one_slice_lacks_is_not_shared(slices: list[Path]) -> None:
    last = dcmread(slices[-1])
    del last.ProtocolName
    last.BodyPartExamined = "HEAD"
    last.save_as(slices[-1])

    shared = shared_elements(map(str, slices))

    assert "ProtocolName" not in shared
    assert "BodyPartExamined" not in shared
    assert shared.mixed["ProtocolName"] == [(PELVIS.protocol,)] * (len(slices) - 1) + [()]
    assert shared.mixed["BodyPartExamined"][-1] == ("HEAD",)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Lindqvíst^Åsa"),
        ("ISO_IR 192", "Kulkarnee^Ashok=कुलकर्णी^अशोक"),
        ("ISO_IR 144", "Иванов^Дмитрий"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_are_decoded_with_the_character_set_of_the_file(
    store: Path, charset: str | list[str], name: str
) -> None:
    one = ct_slice(SpecificCharacterSet=charset, PatientName=name, StudyDescription="plain")
    (store / "one.dcm").write_bytes(as_bytes(one))

    shared = shared_elements([str(store / "one.dcm")])

    assert shared["PatientName"] == (name,)
    assert shared["StudyDescription"] == ("plain",)


def test_a_value_that_its_own_vr_forbids_takes_part_in_no_rule_and_warns_nobody(
    slices: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in slices:
        raw = path.read_bytes()
        assert (raw.count(BITS_STORED), raw.count(SERIES_NUMBER)) == (1, 1)
        at = raw.index(SERIES_NUMBER) + len(SERIES_NUMBER)
        raw = raw[:at] + b"xy" + raw[at + 2 :]
        path.write_bytes(raw.replace(BITS_STORED, BITS_STORED[:6] + b"\x03\x00?"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = shared_elements(map(str, slices))

    assert "BitsStored" not in shared
    assert shared["SeriesNumber"] == ("xy",)
    assert shared["Modality"] == ("CT",)
    assert capsys.readouterr().err == ""


def test_a_series_of_one_file_is_shared_with_itself(slices: list[Path]) -> None:
    assert shared_elements([str(slices[0])])["InstanceNumber"] == ("1",)


def test_a_slice_that_is_gone_before_it_is_matched_is_waited_for(slices: list[Path]) -> None:
    slices[-1].unlink()

    with pytest.raises(SourceUnsettled) as caught:
        shared_elements(map(str, slices))

    assert "KULKARNEE" not in str(caught.value)


@needs_real
def test_real_series_of_several_megabytes_are_read(tmp_path: Path) -> None:
    files = unpacked("rt/mr_t2_mim_sts001_raw.tar.xz", tmp_path)

    series = read_datastore([tmp_path]).by_series()

    assert max(map(len, series.values())) == 40
    assert sum(map(len, series.values())) == len(files)
