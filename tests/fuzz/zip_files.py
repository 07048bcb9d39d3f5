"""Zips: those of one-off cases, and the package that the privacy gate searches before an upload."""

import io
import zipfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

from pydicom import Dataset, dcmread

from drawcli.adapters.datastore.zips import Bounds, Zip
from drawcli.adapters.gate import findings, members
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.errors import SeriesRefused
from tests.core.files import ROOT, as_bytes, ct_slice
from tests.fuzz.image_files import elements_of, scratch, with_elements
from tests.fuzz.in_line import InLine
from tests.fuzz.targets import READ, UNITS, Units, target

BOUNDS: Final = Bounds(
    most_bytes=100_000, most_members=12, most_directory=2_000, most_ratio=20, calm_bytes=20_000
)
LONGEST: Final = 1 << 20  # bytes of a member that a mutation unpacks
# Values of the slices that no package may hold, in any case and in any part of it.
PERSONAL: Final = (b"muster", b"maria", b"0815", b"4711", b"hausarzt", b"19640229", ROOT.encode())
NEW: Final = b"member:"


@cache
def folder() -> Path:
    """Return a folder for the zip of each input."""
    return scratch()


@cache
def slices() -> dict[str, bytes]:
    """Return two slices with identifiers, as files by path; their pixels differ."""
    made = {}
    for number in (1, 2):
        path = folder() / f"{number}.dcm"
        one = ct_slice(
            SOPInstanceUID=f"{ROOT}.1.{number}",
            InstanceNumber=str(number),
            ImagePositionPatient=["-250", "-250", str(3 * number)],
            PixelData=bytes([number] * 8),
        )
        made[str(path)] = as_bytes(one)
        path.write_bytes(made[str(path)])
    return made


def members_of(data: bytes) -> list[bytes]:
    """Return the members of a zip: of each its name, then its elements, or all bytes."""
    found = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                with archive.open(info) as stream:
                    content = stream.read(LONGEST)
                found += [NEW + info.filename.encode("utf-8", "replace"), *elements_of(content)]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return [data]
    except (OSError, EOFError, ValueError, OverflowError):
        return [data]
    return found


def zipped(messages: list[bytes]) -> bytes:
    """Return a zip of these members, with the right lengths and checksums."""
    members: list[tuple[str, list[bytes]]] = []
    for one in messages:
        if one.startswith(NEW):
            members.append((one.removeprefix(NEW).decode("utf-8", "replace"), []))
        elif members:
            members[-1][1].append(one)
    if not members:
        return b"".join(messages)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, parts in members:
            info = zipfile.ZipInfo(name[:300] or "x")
            info.compress_type = zipfile.ZIP_DEFLATED
            with suppress(ValueError):  # the name cannot be written
                archive.writestr(info, with_elements(parts))
    return out.getvalue()


UNITS["one_off_zip"] = UNITS["package_gate"] = Units(members_of, zipped)


@target
def one_off_zip(data: bytes) -> None:
    """A zip from outside: within its limits, under generated names, complete."""
    path = folder() / "case.zip"
    path.write_bytes(data)
    try:
        with Zip.opened(path, BOUNDS) as opened:
            members = opened.members
            assert len(members) <= BOUNDS.most_members
            total = sum(info.file_size for info in members.values())
            assert total <= BOUNDS.most_bytes
            assert total <= max(BOUNDS.calm_bytes, BOUNDS.most_ratio * len(data))
            for number, (member, info) in enumerate(members.items()):
                parts = Path(member).relative_to(path).parts
                assert len(parts) == 2
                assert parts[0].isdigit()
                assert parts[1] == f"{number + 1:06d}.dcm"
                check_member(opened, member, info)
            READ["one_off_zip"] += 1
    except SeriesRefused as err:
        check_error(err)


def check_error(err: SeriesRefused) -> None:
    """An error has a code of zips, and quotes no name of a member."""
    assert err.code.startswith("zip-")
    assert "Muster" not in f"{err} {err.hint}"


def check_member(opened: Zip, member: str, info: zipfile.ZipInfo) -> None:
    """Unpack a member; it has the size and the checksum that the zip states."""
    out = folder() / "unpacked"
    out.unlink(missing_ok=True)
    with suppress(SeriesRefused):
        opened.unpack(member, out)
        content = out.read_bytes()
        assert len(content) == info.file_size
        assert zlib.crc32(content) == info.CRC


@target
def package_gate(data: bytes) -> None:
    """A package that passes the gate holds the pixels of the series, and no identifier."""
    path = folder() / "package.zip"
    path.write_bytes(data)
    sources = slices()
    with patch.object(members, "ThreadPoolExecutor", InLine):
        found = findings(path, sources)
    for leak in found:
        assert not any(
            word in f"{leak.check} {leak.where}".casefold().encode() for word in PERSONAL
        )
    if found:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
    whole = [data, *contents.values(), *(name.encode() for name in contents)]
    for part in whole:
        folded = part.lower()
        assert not any(word in folded for word in PERSONAL)
    images = [read(raw) for name, raw in contents.items() if name != "template.yml"]
    assert "template.yml" in contents
    assert sorted(one.PixelData for one in images) == [bytes([n] * 8) for n in (1, 2)]
    for one in images:
        assert one.PatientID.startswith("DEID-")
        assert not any(element.tag.is_private for element in one.iterall())
    READ["package_gate"] += 1


def read(raw: bytes) -> Dataset:
    """Return a member as pydicom reads it."""
    try:
        return dcmread(io.BytesIO(raw))
    except pydicom_errors() as err:
        raise AssertionError("a member that passed cannot be read") from err
