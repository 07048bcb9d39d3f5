"""Listing of the folders of the datastore, and reading the header of each file.

Listing takes one stat per file and opens none. A file that is no image gets a named reason; none
stops the walk.
"""

import errno
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.core.dicom.instance import Slice
from drawcli.core.series.file_names import may_be_image
from drawcli.core.series.image_file import UNREAD, File, read_stream
from drawcli.errors import SILENT, OutOfReach
from drawcli.system.failures import raise_shortage
from drawcli.system.platforms import pseudo_devices
from drawcli.system.threads import call_with_timeout

OUR_TEMPORARY: Final = ".drawcli-"
NO_SIZE: Final = -1  # of a file that cannot be read
UNLISTABLE: Final = frozenset({"unreadable-folder", "path-too-long"})  # may hide a series
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
    rows: list[tuple[str, int, int, int]] | None  # as File, by name; None if skipped
    odd: dict[str, str]  # file -> reason why it cannot be read
    has_folders: bool
    trouble: str = ""  # reason why the folder cannot be listed

    @property
    def files(self) -> Iterator[File]:
        """Yield its files, by name."""
        return map(File._make, self.rows or ())

    @property
    def digest(self) -> bytes:
        """A digest of the listing, 16 bytes."""
        digest = blake2b(digest_size=16)
        if self.rows:
            names, *numbers = zip(*self.rows, strict=True)
            digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
            for column in numbers:
                digest.update(_as_bytes(column))
        return digest.digest()


@dataclass(slots=True)
class Walk:
    """The result of a walk over folders: images, and counts of other files."""

    slices: list[Slice] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # reason -> files
    unread: Counter[str] = field(default_factory=Counter)  # folder -> files that may be slices

    def by_series(self) -> dict[str, list[Slice]]:
        """Return the slices of each series, by SeriesInstanceUID, from all folders."""
        series: dict[str, list[Slice]] = {}
        for slice_ in self.slices:
            series.setdefault(slice_.series_uid, []).append(slice_)
        return series

    def add(self, other: "Walk") -> None:
        """Add the result of another walk."""
        self.slices += other.slices
        self.passed_over += other.passed_over
        self.unread += other.unread

    def take(self, folder: str, found: Slice | str) -> None:
        """Add the result for one file: a slice or a reason."""
        if isinstance(found, Slice):
            self.slices.append(found)
            return
        self.passed_over[found] += 1
        if found in UNREAD:
            self.unread[folder] += 1


def read_datastore(folders: Iterable[Path]) -> Walk:
    """Read the header of every file below some folders.

    Raises
    ------
    OutOfReach
        If a folder does not exist, as when a share is not mounted.
    """
    walk = Walk()
    for root in folders:
        check_folder(root)
        for folder in walk_folders(root):
            if folder.trouble:
                walk.passed_over[folder.trouble] += 1
            for file in folder.files:
                path = os.path.join(folder.path, file.name)  # noqa: PTH118 - one call per file
                walk.take(folder.path, folder.odd.get(file.name) or read_file(path, file))
    return walk


def read_images(paths: Iterable[Path]) -> Walk:
    """Read the headers of files."""
    walk = Walk()
    for path in paths:
        try:
            status = path.stat()
        except OSError as err:
            walk.take(str(path.parent), reason_of(err))
            continue
        file = File(path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        walk.take(str(path.parent), read_file(str(path), file))
    return walk


def check_folder(folder: Path, limit_seconds: float = inf) -> None:
    """Raise OutOfReach if a folder of the datastore cannot be listed, or not in time.

    A call to a hanging share cannot be interrupted, so a thread makes it, and is abandoned if it
    takes too long.
    """
    try:
        call_with_timeout(lambda: _list(folder), limit_seconds)
    except TimeoutError:
        raise OutOfReach(
            f"the datastore {folder} does not answer",
            code=SILENT,
            hint="Check the file server and the mount; the limit is scan.answer_seconds.",
        ) from None
    except OSError as err:
        raise_shortage(err)
        is_missing = isinstance(err, FileNotFoundError | NotADirectoryError)
        text = "does not exist" if is_missing else f"cannot be read: {err.strerror}"
        raise OutOfReach(
            f"the datastore {folder} {text}",
            code="datastore-missing",
            hint="Mount it, or correct 'datastore' in drawcli.yaml.",
        ) from None


def is_silent(folder: Path, limit_seconds: float) -> bool:
    """Return whether a folder's file server does not answer in time."""
    try:
        check_folder(folder, limit_seconds)
    except OutOfReach as err:
        return err.code == SILENT
    return False


def _list(folder: Path) -> None:
    os.scandir(folder).close()


def walk_folders(
    root: Path,
    skip: Callable[[str, Stamp], bool] = lambda _path, _stamp: False,
    enter: Callable[[str], bool] = lambda _path: True,
) -> Iterator[Folder]:
    """Yield a folder and all folders below it, each once even if it is linked.

    Links to a folder above the root, and into pseudo file systems of the kernel, are not followed.

    Parameters
    ----------
    root
        The first folder.
    skip
        Whether the listing of a folder without subfolders is known; it is yielded without files.
    enter
        Whether a folder is listed at all.
    """
    waiting, entered = [str(root)], set[tuple[int, int]]()
    above, pseudo = _above(root), pseudo_devices()
    while waiting:
        here = waiting.pop()
        try:
            at = os.stat(here)  # noqa: PTH116 - one call per folder of a large store
            if (at.st_dev, at.st_ino) in entered:
                continue
            entered.add((at.st_dev, at.st_ino))
            if (at.st_dev, at.st_ino) in above or at.st_dev in pseudo:
                trouble = "system-folder" if at.st_dev in pseudo else "link-above"
                yield Folder(here, (0, 0, 0, 0), None, {}, has_folders=False, trouble=trouble)
                continue
            stamp = (at.st_dev, at.st_ino, at.st_mtime_ns, at.st_ctime_ns)
            if skip(here, stamp):
                yield Folder(here, stamp, None, {}, has_folders=False)
                continue
            folder, inside = _list_folder(here, stamp)
        except OSError as err:
            yield Folder(here, (0, 0, 0, 0), None, {}, has_folders=False, trouble=_trouble(err))
            continue
        waiting += sorted(filter(enter, inside), reverse=True)
        yield folder


def _above(root: Path) -> set[tuple[int, int]]:
    """Return device and inode of each parent of a folder."""
    parents = set()
    for folder in root.resolve().parents:
        with suppress(OSError):
            status = folder.stat()
            parents.add((status.st_dev, status.st_ino))
    return parents


def read_file(path: str, listed: File) -> Slice | str:
    """Read the header of a file; return a slice, or the reason why it is not one."""
    if not listed.size:
        return "empty-file" if may_be_image(listed.name) else "marker-file"
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - one call per file
            return read_stream(stream, path, listed)
    except OSError as err:
        return reason_of(err)


def reason_of(err: OSError) -> str:
    """Return the reason why a file could not be read; raise errors that are not about the file."""
    raise_shortage(err)
    return _ERRORS.get(err.errno or 0, "unreadable-file")


def _reason_of_link(name: str, why: str) -> str:
    """Return the reason of a broken link; "lost-link" if its name could be that of an image."""
    why = "broken-link" if why == "vanished" else why
    is_lost = why in ("broken-link", "link-loop") and may_be_image(name)
    return "lost-link" if is_lost else why


def _list_folder(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
    """Return a folder with its files, and the paths of its subfolders; links are followed."""
    rows: list[tuple[str, int, int, int]] = []  # plain tuples: a large datastore has many
    odd: dict[str, str] = {}
    inside: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    at, name = entry.stat(), entry.name
                    if not name.startswith(OUR_TEMPORARY):
                        rows.append((name, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
                elif entry.is_dir():
                    if not entry.name.startswith(OUR_TEMPORARY):  # objects that are being received
                        inside.append(entry.path)
                else:
                    entry.stat()  # raises for a broken link; else a pipe, socket or device
                    odd[entry.name] = "special-file"
            except OSError as err:  # a link to itself, or into a folder without permission
                odd[entry.name] = _reason_of_link(entry.name, reason_of(err))
    rows += ((name, NO_SIZE, 0, len(reason)) for name, reason in odd.items())
    rows.sort()
    return Folder(path, stamp, rows, odd, has_folders=bool(inside)), inside


def _as_bytes(column: tuple[int, ...]) -> bytes:
    try:
        return array("q", column).tobytes()
    except OverflowError:  # a time centuries away
        return repr(column).encode("ascii")


def _trouble(err: OSError) -> str:
    reason = reason_of(err)
    return reason if reason in ("path-too-long", "link-loop") else "unreadable-folder"
