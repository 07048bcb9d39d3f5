"""The gate on a series of many slices, most of which it compares with those before.

Faults are planted in a late slice, and change no length unless stated.
"""

import hashlib
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
import pytest
from isal import igzip_lib
from pydicom.uid import RLELossless

from drawcli.adapters.gate import findings, sources
from drawcli.adapters.gate.sources import SourceReader
from drawcli.core.gate.slices import PackageForm
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct
from tests.adapters.packages import as_dataset, contents, packaged, repacked

SLICES = 24
LATE = 15  # by then, the elements that differ are known
Members = dict[str, bytes]
Plant = Callable[[Members, str], Members]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Members]:
    """Write a series; return its files, and the members of its package."""
    folder = tmp_path_factory.mktemp("long")
    files = write_planning_ct(folder / "source", PEOPLE[0], slices=SLICES, size=16, seed=1)
    return files, contents(packaged(files, folder / "package.zip"))


def value_of(raw: bytes, keyword: str) -> tuple[int, int]:
    """Return the offsets of a value in a slice."""
    held: Any = as_dataset(raw).get_item(keyword)
    return held.value_tell, held.value_tell + held.length


def spliced(keyword: str, text: Callable[[str], str]) -> Plant:
    """Return what replaces a value of a VR with a length of two bytes."""

    def plant(slices: Members, name: str) -> Members:
        raw = slices[name]
        start, end = value_of(raw, keyword)
        new = text(raw[start:end].decode("ascii").rstrip(" \0")).encode("ascii")
        coded = new + b" " * (len(new) % 2)
        size = struct.pack("<H", len(coded))
        return slices | {name: raw[: start - 2] + size + coded + raw[end:]}

    return plant


def one_pixel(slices: Members, name: str) -> Members:
    raw = bytearray(slices[name])
    raw[-100] ^= 1
    return slices | {name: bytes(raw)}


def pixels_of_another(slices: Members, name: str) -> Members:
    other = slices[[*slices][LATE + 1]]
    return slices | {name: slices[name][:-512] + other[-512:]}


def behind_the_pixels(slices: Members, name: str) -> Members:
    return slices | {name: slices[name] + b"Kulkarnee!"}


def in_the_preamble(slices: Members, name: str) -> Members:
    return slices | {name: b"Kulkarnee".ljust(128, b"\0") + slices[name][128:]}


def another_name(slices: Members, name: str) -> Members:
    return {("2.25.5.dcm" if one == name else one): raw for one, raw in slices.items()}


def another_uid_in_the_file_meta(slices: Members, name: str) -> Members:
    raw = slices[name]
    uid = name.removesuffix(".dcm").encode()
    at = raw.index(uid)
    changed = uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2")
    return slices | {name: raw[:at] + changed + raw[at + len(uid) :]}


def twice(slices: Members, name: str) -> Members:
    other = [*slices][LATE + 1]
    uid = other.removesuffix(".dcm").encode()
    raw = slices[name].replace(name.removesuffix(".dcm").encode(), uid)
    return {one: raw if one == other else content for one, content in slices.items()}


def missing(slices: Members, name: str) -> Members:
    return {one: raw for one, raw in slices.items() if one != name}


PLANTED: dict[str, tuple[Plant, str]] = {
    "one pixel": (one_pixel, "pixels in (7FE0,0010)"),
    "pixels of another slice": (pixels_of_another, "pixels in (7FE0,0010)"),
    "another position": (
        spliced("ImagePositionPatient", lambda old: re.sub(r"\d", "7", old)),
        "pixels in (7FE0,0010)",
    ),
    "bytes behind the pixels": (behind_the_pixels, "behind-pixels in (7FE0,0010)"),
    "a name in the preamble": (in_the_preamble, "preamble in preamble"),
    "another name of the member": (another_name, "member-name in zip"),
    "another UID in the file meta": (
        another_uid_in_the_file_meta,
        "file-meta in file meta/MediaStorageSOPInstanceUID",
    ),
    "a slice twice": (twice, "pixels in (7FE0,0010)"),
    "a slice missing": (missing, "pixels in (7FE0,0010)"),
    "a foreign UID": (
        spliced("SOPInstanceUID", lambda _: "1.2.276.0.7230010.3.1.4.8"),
        "marker in SOPInstanceUID",
    ),
    "a number of the patient": (
        spliced("SliceLocation", lambda _: PEOPLE[0].birth_date),
        "personal in SliceLocation",
    ),
    "a name": (
        spliced("ManufacturerModelName", lambda _: PEOPLE[0].name.split("^")[0]),
        "personal in ManufacturerModelName",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_fault_planted_in_a_late_slice_is_found(
    series: tuple[list[Path], Members], tmp_path: Path, what: str
) -> None:
    files, slices = series
    plant, wanted = PLANTED[what]

    package = repacked(plant(slices, [*slices][LATE]), tmp_path / "planted.zip")

    found = findings(package, map(str, files))
    assert wanted in {f"{one.check} in {one.where}" for one in found}


def test_versions_that_differ_from_slice_to_slice_are_checked(
    series: tuple[list[Path], Members], tmp_path: Path
) -> None:
    """What may differ is known after two slices; the third one must not say anything."""
    files, slices = series
    changed = dict(slices)
    for number, name in enumerate(one for one in slices if one.endswith(".dcm")):
        raw = slices[name]
        at = raw.index(b"DRAWCLI_")
        end = at + struct.unpack("<H", raw[at - 2 : at])[0]
        text = b"KULKARNE" if number == LATE else b"DRAWCLI_%d" % (number % 10)
        changed[name] = raw[:at] + text.ljust(end - at) + raw[end:]

    found = findings(repacked(changed, tmp_path / "planted.zip"), map(str, files))

    assert [(one.check, one.where) for one in found] == [
        ("marker", "file meta/ImplementationVersionName")
    ]


def test_each_member_is_inflated_once_and_pydicom_reads_few(
    series: tuple[list[Path], Members], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts are the same on every machine; `bench/deidentify.py` measures the time."""
    files, slices = series
    package = repacked(slices, tmp_path / "package.zip")
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    for place, name, what in (
        (igzip_lib, "IgzipDecompressor", "inflated"),
        (pydicom, "dcmread", "read by pydicom"),
        (hashlib, "sha256", "hashed"),
        (sources, "opened", "opened"),
    ):
        monkeypatch.setattr(place, name, counted(what, getattr(place, name)))

    found = findings(package, map(str, files))

    assert found == []
    assert (
        counts["inflated"] == len(slices) + 1
    )  # the first one is read for the form of the package
    assert counts["opened"] == 2 * SLICES  # header, pixels
    assert counts["read by pydicom"] < SLICES
    assert counts["hashed"] == 0


def test_few_sources_are_in_memory_if_each_is_read_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressed ones are; the thread that reads ahead hands each over at once."""
    paths = write_planning_ct(tmp_path, PEOPLE[0], slices=12, size=16, seed=1)
    for path in paths:
        image = pydicom.dcmread(path)
        image.compress(RLELossless, generate_instance_uid=False)
        image.save_as(path)
    opened = list[str]()
    real = sources.opened

    def counted(path: str) -> BinaryIO:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(sources, "opened", counted)
    with closing(SourceReader(PackageForm()).read_all(map(str, paths))) as learned:
        next(learned)
        assert len(opened) <= 3

        assert len(list(learned)) == len(paths) - 1
    assert opened == [str(path) for path in paths]


@pytest.mark.parametrize("more", [b"\0", b"Kulkarnee"])
def test_bytes_behind_deflated_data_are_found(
    series: tuple[list[Path], Members], tmp_path: Path, more: bytes
) -> None:
    """They are inside the member by the directory of the zip; unzip tools do not read them."""
    files, slices = series
    package = repacked(slices, tmp_path / "package.zip")
    with zipfile.ZipFile(package) as archive:
        last = archive.infolist()[-1]
        start = archive.start_dir
    raw = package.read_bytes()
    behind = last.header_offset + 30 + len(last.filename) + last.compress_size
    sizes, entry = raw[behind : behind + 16], raw[start:]
    size = struct.pack("<I", last.compress_size + len(more))
    new_sizes = sizes[:8] + size + sizes[12:]
    at = entry.rindex(b"PK\1\2")
    entry = entry[: at + 20] + size + entry[at + 24 :]
    end = entry.rindex(b"PK\5\6")
    entry = entry[: end + 16] + struct.pack("<I", start + len(more)) + entry[end + 20 :]
    package.write_bytes(raw[:behind] + more + new_sizes + entry)
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None

    found = findings(package, map(str, files))

    assert [(one.check, one.where) for one in found] == [("unreadable", "zip")]
