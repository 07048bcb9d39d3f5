"""Listing of one folder of the datastore: the names, sizes and times of its files.

Listing takes one stat per file and opens none. It is kept apart from what reads files, as further
processes import it.
"""

import errno
import os
from array import array
from bisect import bisect_left
from hashlib import blake2b
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.core.series.file_names import may_be_image
from drawcli.system.failures import raise_shortage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawcli.core.series.image_file import File

OUR_TEMPORARY: Final = ".drawcli-"
NO_SIZE: Final = -1  # of a file that cannot be read
UNLISTABLE: Final = frozenset({"unreadable-folder", "path-too-long"})  # may hide a series
_NO_STAMP: Final = (0, 0, 0, 0)
_BY_DESCRIPTOR: Final = os.scandir in os.supports_fd
_AS_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NONBLOCK", 0)
_ERRORS: Final = {
    errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied",
    errno.ENOENT: "vanished",
    errno.ELOOP: "link-loop",
    errno.ENAMETOOLONG: "path-too-long",
}

Stamp = tuple[int, int, int, int]  # device, inode, mtime and ctime of a folder, ns


class Folder(NamedTuple):
    """A folder that was visited."""

    path: str
    stamp: Stamp
    rows: list[tuple[str, int, int, int]] | None  # as File, by name; None if unknown
    odd: dict[str, str]  # file -> reason why it cannot be read
    has_folders: bool
    trouble: str = ""  # reason why the folder cannot be listed
    told: bytes = b""  # digest that another process has told

    @property
    def files(self) -> "Iterator[File]":
        """Yield its files, by name."""
        from drawcli.core.series.image_file import File

        return map(File._make, self.rows or ())

    @property
    def digest(self) -> bytes:
        """A digest of the listing, 16 bytes."""
        if self.told:
            return self.told
        digest = blake2b(digest_size=16)
        if self.rows:
            names, *numbers = zip(*self.rows, strict=True)
            digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
            for column in numbers:
                digest.update(_as_bytes(column))
        return digest.digest()


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a folder."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def list_folder(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
    """Return a folder with its files, and the paths of its subfolders; links are followed."""
    if not _BY_DESCRIPTOR:
        return _list(path, stamp, path)
    opened = os.open(path, _AS_FOLDER)  # files are looked up below it, not from "/" on
    try:
        return _list(path, stamp, opened)
    finally:
        os.close(opened)


def list_again(folder: Folder) -> Folder:
    """Return a folder with its files, or with the trouble of listing it."""
    try:
        return list_folder(folder.path, folder.stamp)[0]
    except OSError as err:
        return troubled(folder.path, err)


def troubled(path: str, err: OSError) -> Folder:
    """Return a folder that cannot be listed."""
    reason = reason_of(err)
    trouble = reason if reason in ("path-too-long", "link-loop") else "unreadable-folder"
    return left_out(path, trouble)


def left_out(path: str, trouble: str) -> Folder:
    """Return a folder that is not listed, with the reason."""
    return Folder(path, _NO_STAMP, None, {}, has_folders=False, trouble=trouble)


def reason_of(err: OSError) -> str:
    """Return the reason why a file could not be read; raise errors that are not about the file."""
    raise_shortage(err)
    return _ERRORS.get(err.errno or 0, "unreadable-file")


def _list(path: str, stamp: Stamp, opened: int | str) -> tuple[Folder, list[str]]:
    rows: list[tuple[str, int, int, int]] = []  # plain tuples: a large datastore has many
    odd: dict[str, str] = {}
    inside: list[str] = []
    with os.scandir(opened) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    at = entry.stat()
                    rows.append((entry.name, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
                elif entry.is_dir():
                    if not entry.name.startswith(OUR_TEMPORARY):  # objects that are being received
                        inside.append(os.path.join(path, entry.name))  # noqa: PTH118 - as a text
                else:
                    entry.stat()  # raises for a broken link; else a pipe, socket or device
                    odd[entry.name] = "special-file"
            except OSError as err:  # a link to itself, or into a folder without permission
                odd[entry.name] = _reason_of_link(entry.name, reason_of(err))
    rows.sort()
    _drop_ours(rows)
    if odd:
        rows += ((name, NO_SIZE, 0, len(reason)) for name, reason in odd.items())
        rows.sort()
    return Folder(path, stamp, rows, odd, has_folders=bool(inside)), inside


def _drop_ours(rows: list[tuple[str, int, int, int]]) -> None:
    """Remove our temporary files from sorted rows."""
    first = bisect_left(rows, (OUR_TEMPORARY,))
    ours = takewhile(lambda row: row[0].startswith(OUR_TEMPORARY), islice(rows, first, None))
    del rows[first : first + sum(1 for _ in ours)]


def _reason_of_link(name: str, why: str) -> str:
    """Return the reason of a broken link; "lost-link" if its name could be that of an image."""
    why = "broken-link" if why == "vanished" else why
    is_lost = why in ("broken-link", "link-loop") and may_be_image(name)
    return "lost-link" if is_lost else why


def _as_bytes(column: tuple[int, ...]) -> bytes:
    try:
        return array("q", column).tobytes()
    except OverflowError:  # a time centuries away
        return repr(column).encode("ascii")
