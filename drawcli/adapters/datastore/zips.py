"""Untrusted zip files: checked before anything is unpacked.

Names in the zip are never used for files. A zip with links, with names that lead out of a folder,
or with an excessive compression ratio is refused as a whole.
"""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Final, Self

from drawcli.errors import SeriesRefused
from drawcli.system.files import CHUNK, PRIVATE

_BEGINS: Final = (b"PK\x03\x04", b"PK\x05\x06")  # with a member, or empty
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000  # encryption, strong encryption, encrypted names
_PACKINGS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_END: Final = b"PK\x05\x06"
_END_LENGTH: Final = 22  # bytes
_LONGEST_END: Final = _END_LENGTH + 0xFFFF  # with the longest comment
_FAR_END: Final = b"PK\x06\x06"
_FAR_ENDS: Final = 56 + 20  # bytes of the ZIP64 record and its locator, before the other record
# Errors of zipfile on damaged bytes; for an offset before the beginning OSError (EINVAL).
_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    *(NotImplementedError, UnicodeError, OverflowError),
)
_UNSAFE: Final = "zip-unsafe"
_DAMAGED: Final = "zip-damaged"
_BY_HAND: Final = "Unpack it with a tool you trust, and pass the folder to drawcli."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits of a zip."""

    most_bytes: float  # of all members, unpacked
    most_members: int = 100_000
    most_directory: int = 32 << 20  # bytes of the list of members
    most_ratio: int = 100  # of unpacked to packed size; CT slices have about 4 ...
    calm_bytes: int = 64 << 20  # ... a few blank slices far more, so it is checked above this size


class Zip:
    """A checked zip; its members have generated paths."""

    def __init__(self, archive: zipfile.ZipFile, place: Path) -> None:
        self._archive = archive
        folders: dict[PurePosixPath, int] = {}
        self.members: dict[str, zipfile.ZipInfo] = {}
        for number, info in enumerate(_files_of(archive), start=1):
            folder = folders.setdefault(PurePosixPath(info.filename).parent, len(folders) + 1)
            self.members[str(place / f"{folder}" / f"{number:06d}.dcm")] = info

    @classmethod
    @contextmanager
    def opened(cls, path: Path, bounds: Bounds) -> Iterator[Self]:
        """Open a zip and check the list of its members.

        Raises
        ------
        SeriesRefused
            If it is damaged, unsafe, or too large.
        OSError
            If it cannot be read.
        """
        with path.open("rb") as stream:
            _check_directory(stream, bounds)
            with _refusing_damage():
                archive = zipfile.ZipFile(stream)
            with archive:
                _check_members(archive.infolist(), path.stat().st_size, bounds)
                yield cls(archive, path)

    @contextmanager
    def reading(self, member: str) -> Iterator[IO[bytes]]:
        """Open a member; raise SeriesRefused if it is damaged."""
        with _refusing_damage(), self._archive.open(self.members[member]) as stream:
            yield stream

    def unpack(self, member: str, target: Path) -> None:
        """Write a member to a new file, durably; raise SeriesRefused if it is damaged."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with (
            open(descriptor, "wb") as to,  # noqa: PTH123 - the mode is set at creation
            self.reading(member) as stream,
        ):
            while part := stream.read(CHUNK):
                to.write(part)
            if to.tell() != self.members[member].file_size:
                raise _damaged()
            to.flush()
            os.fsync(descriptor)


def is_zip(path: Path) -> bool:
    """Return whether a file begins like a zip; raise OSError if it cannot be read."""
    with path.open("rb") as stream:
        return stream.read(len(_BEGINS[0])) in _BEGINS


@contextmanager
def _refusing_damage() -> Iterator[None]:
    """Raise SeriesRefused for each error that damaged bytes cause in zipfile."""
    try:
        yield
    except _DAMAGE:
        raise _damaged() from None
    except OSError as err:
        if err.errno != EINVAL:
            raise
        raise _damaged() from None


def _files_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [info for info in archive.infolist() if not info.is_dir()]


def _check_directory(stream: IO[bytes], bounds: Bounds) -> None:
    """Check the size of the list of members, which zipfile reads into memory."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - _LONGEST_END - _FAR_ENDS, 0))
    length = _length_of_directory(stream.read())
    stream.seek(0)
    if not 0 <= length <= size:
        raise _damaged()
    if length > bounds.most_directory:
        raise _too_large("its list of members is too long")


def _length_of_directory(tail: bytes) -> int:
    """Return the size of the list of members in bytes, from the end records; -1 if there is none.

    APPNOTE.TXT 4.3.16 (end of central directory) and 4.3.14 (the ZIP64 record, which precedes its
    locator and the former), searched as zipfile does.
    """
    bare = tail[-_END_LENGTH:]
    at = len(tail) - _END_LENGTH if bare[:4] == _END and bare[-2:] == b"\0\0" else tail.rfind(_END)
    if at < 0:
        return -1
    if at >= _FAR_ENDS and tail.startswith(_FAR_END, at - _FAR_ENDS):
        return int.from_bytes(tail[at - _FAR_ENDS :][40:48], "little")
    return int.from_bytes(tail[at + 12 : at + 16], "little")


def _check_members(members: list[zipfile.ZipInfo], packed: int, bounds: Bounds) -> None:
    """Check the members of a zip against the limits."""
    if len(members) > bounds.most_members:
        raise _too_large(f"more than {bounds.most_members} members")
    for info in members:
        _check_member(info)
    total = sum(info.file_size for info in members)
    if total > bounds.most_bytes:
        raise _too_large("unpacked it is larger than scan.max_series_gib")
    if total > bounds.calm_bytes and total > bounds.most_ratio * packed:
        raise _too_large(f"unpacked it is more than {bounds.most_ratio} times as large as packed")


def _check_member(info: zipfile.ZipInfo) -> None:
    if not info.orig_filename:
        raise _damaged()
    if info.flag_bits & _ENCRYPTED:
        raise _unsafe("a member is encrypted")
    if info.compress_type not in _PACKINGS:
        raise _unsafe("a member has a compression that drawcli does not support")
    if _leads_out(info.orig_filename):
        raise _unsafe("the name of a member leads out of the target folder")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe("a member is a link or a device")


def _leads_out(name: str) -> bool:
    r"""Return whether a name is absolute, has "..", or is invalid, on any operating system.

    >>> [_leads_out(name) for name in ("CT/1.dcm", "../1.dcm", "/etc/1", "C:1.dcm", r"a\..\b")]
    [False, True, True, True, True]
    """
    windows = PureWindowsPath(name)
    return "\0" in name or ".." in windows.parts or bool(windows.drive or windows.root)


def _unsafe(what: str) -> SeriesRefused:
    return SeriesRefused(f"the zip is not unpacked: {what}", code=_UNSAFE, hint=_BY_HAND)


def _too_large(what: str) -> SeriesRefused:
    return SeriesRefused(f"the zip is not unpacked: {what}", code="zip-too-large", hint=_BY_HAND)


def _damaged() -> SeriesRefused:
    hint = "Copy it again, or unpack it with another tool and pass the folder to drawcli."
    return SeriesRefused("the zip is damaged", code=_DAMAGED, hint=hint)
