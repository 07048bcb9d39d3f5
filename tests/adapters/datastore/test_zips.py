"""A zip from outside is looked through before anything of it is written, and trusted in nothing."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from drawcli.adapters.datastore.zips import Bounds, Zip, is_zip
from drawcli.errors import SeriesRefused

USUAL = Bounds(most_bytes=1 << 30)
IMAGE = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "case.zip"


def written(path: Path, *members: str | zipfile.ZipInfo, data: bytes = IMAGE) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, data)
    return path


def of_kind(kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("CT/1.dcm")
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    return info


def refused(path: Path, bounds: Bounds = USUAL) -> str:
    with pytest.raises(SeriesRefused) as caught, Zip.opened(path, bounds):
        pass
    assert caught.value.hint
    return caught.value.code


def in_directory(path: Path, offset: int, value: bytes) -> Path:
    """Overwrite a field of the first entry in the list of members."""
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02") + offset
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    return path


def test_members_have_generated_paths(path: Path) -> None:
    written(path, "MUELLER/CT 1/a.dcm", "MUELLER/CT 1/b.dcm", "MUELLER/notes.txt", "empty/")

    with Zip.opened(path, USUAL) as opened:
        inside = [Path(member).relative_to(path).as_posix() for member in opened.members]

    assert inside == ["1/000001.dcm", "1/000002.dcm", "2/000003.dcm"]


def test_a_member_is_unpacked_whole_and_for_its_owner_alone(path: Path, tmp_path: Path) -> None:
    written(path, "CT/1.dcm")
    target = tmp_path / "000001.dcm"

    with Zip.opened(path, USUAL) as opened:
        opened.unpack(next(iter(opened.members)), target)

    assert target.read_bytes() == IMAGE
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    [
        "../1.dcm",
        "CT/../../1.dcm",
        "/etc/1.dcm",
        "..\\1.dcm",
        "C:\\1.dcm",
        "C:1.dcm",
        "\\\\a\\b\\1",
    ],
)
def test_a_name_that_leads_out_refuses_the_zip(path: Path, name: str) -> None:
    assert refused(written(path, "CT/1.dcm", name)) == "zip-unsafe"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR])
def test_a_link_or_device_refuses_the_zip(path: Path, kind: int) -> None:
    assert refused(written(path, of_kind(kind), data=b"/etc/passwd")) == "zip-unsafe"


def test_a_plain_file_of_unix_is_accepted(path: Path) -> None:
    with Zip.opened(written(path, of_kind(stat.S_IFREG)), USUAL) as opened:
        assert len(opened.members) == 1


@pytest.mark.parametrize("flags", [b"\x01\x00", b"\x41\x00", b"\x00\x20"])
def test_an_encrypted_member_refuses_the_zip(path: Path, flags: bytes) -> None:
    assert refused(in_directory(written(path, "CT/1.dcm"), 8, flags)) == "zip-unsafe"


@pytest.mark.parametrize("method", [9, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_an_unsupported_compression_refuses_the_zip(path: Path, method: int) -> None:
    in_directory(written(path, "CT/1.dcm"), 10, struct.pack("<H", method))

    assert refused(path) == "zip-unsafe"


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(most_bytes=2 * len(IMAGE)),
        Bounds(most_bytes=1 << 30, most_members=2),
        Bounds(most_bytes=1 << 30, most_directory=150),
        Bounds(most_bytes=1 << 30, calm_bytes=1, most_ratio=2),
    ],
    ids=["bytes", "members", "directory", "ratio"],
)
def test_a_zip_beyond_a_limit_is_refused(path: Path, bounds: Bounds) -> None:
    written(path, *(f"CT/{number}.dcm" for number in range(3)))

    with Zip.opened(path, USUAL) as opened:
        assert len(opened.members) == 3
    assert refused(path, bounds) == "zip-too-large"


def test_members_that_share_their_bytes_count_each(path: Path) -> None:
    written(path, "CT/1.dcm", data=bytes(1 << 20))
    raw = path.read_bytes()
    at, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entry, many = raw[at:end], 200
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, many, many, len(entry) * many, at, 0)
    path.write_bytes(raw[:at] + entry * many + tail)

    assert refused(path) == "zip-too-large"


def test_the_list_of_a_zip64_is_measured_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(zipfile, "ZIP64_LIMIT", 1)  # all that is larger is told the new way only
        written(path, *(f"CT/{number}.dcm" for number in range(3)))
    raw = bytearray(path.read_bytes())
    assert b"PK\x06\x06" in raw
    at = raw.index(b"PK\x05\x06") + 12
    raw[at : at + 4] = b"\xff" * 4
    path.write_bytes(raw)

    with Zip.opened(path, USUAL) as opened:
        assert len(opened.members) == 3
    assert refused(path, Bounds(most_bytes=1 << 30, most_directory=150)) == "zip-too-large"


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:4] + bytes(len(raw) - 4),
        lambda raw: raw[:-1],
        lambda raw: raw[:-10] + b"\xff" * 4 + raw[-6:],
        lambda _raw: b"PK\x03\x04",
        lambda _raw: b"",
    ],
)
def test_a_damaged_zip_is_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    written(path, "CT/1.dcm")
    path.write_bytes(damage(path.read_bytes()))

    assert refused(path) == "zip-damaged"


@pytest.mark.parametrize(
    ("offset", "value"),
    [(16, b"\0\0\0\0"), (24, struct.pack("<I", 100)), (24, struct.pack("<I", 1 << 20)), (46, b"X")],
    ids=["checksum", "says less", "says more", "another name"],
)
def test_a_member_that_differs_from_the_list_is_refused(
    path: Path, tmp_path: Path, offset: int, value: bytes
) -> None:
    in_directory(written(path, "CT/1.dcm"), offset, value)

    with (
        Zip.opened(path, USUAL) as opened,
        pytest.raises(SeriesRefused) as caught,
    ):
        opened.unpack(next(iter(opened.members)), tmp_path / "out")

    assert caught.value.code == "zip-damaged"
    out = tmp_path / "out"
    assert not out.exists() or out.stat().st_size <= len(IMAGE)


def test_a_zip_is_recognised_by_its_first_bytes(path: Path, tmp_path: Path) -> None:
    (tmp_path / "image.dcm").write_bytes(bytes(128) + b"DICM" + path.name.encode())
    (tmp_path / "none.zip").write_bytes(b"PK")

    assert is_zip(written(path))
    assert is_zip(written(path, "CT/1.dcm"))
    assert not is_zip(tmp_path / "image.dcm")
    assert not is_zip(tmp_path / "none.zip")
