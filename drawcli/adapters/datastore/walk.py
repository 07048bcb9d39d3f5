"""The folders of the datastore: listed, and the header of each file read. Never changed.

A folder is listed with one stat per file, no file is opened for that. What is no image is told by a
named reason, and none of them stops the walk.
"""

import errno
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Thread
from typing import Final, NamedTuple

from drawcli.core.dicom.instance import Slice
from drawcli.core.series.file_names import may_be_image
from drawcli.core.series.image_file import UNREAD, File, read_stream
from drawcli.errors import SILENT, OutOfReach
from drawcli.system.platforms import pseudo_devices

OUR_TEMPORARY: Final = ".drawcli-"
NO_SIZE: Final = -1  # of what is no file that could be read
# Why a folder may hold a series that nobody sees.
UNLISTABLE: Final = frozenset({"unreadable-folder", "path-too-long"})
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
    rows: list[tuple[str, int, int, int]] | None  # as File, by name; None where it was skipped
    odd: dict[str, str]  # file -> why it cannot be read
    has_folders: bool
    trouble: str = ""  # why the folder cannot be listed

    @property
    def files(self) -> Iterator[File]:
        """Yield its files, by name."""
        return map(File._make, self.rows or ())

    @property
    def digest(self) -> bytes:
        """What the listing is like: 16 bytes that change when anything in it does."""
        made = blake2b(digest_size=16)
        if self.rows:
            names, *numbers = zip(*self.rows, strict=True)
            made.update("\0".join(names).encode("utf-8", "surrogateescape"))
            for column in numbers:
                made.update(_as_bytes(column))
        return made.digest()


@dataclass(slots=True)
class Walk:
    """What a walk over folders found: the images, and what else by kind of file."""

    slices: list[Slice] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # reason -> files
    unread: Counter[str] = field(default_factory=Counter)  # folder -> files that may be slices

    def by_series(self) -> dict[str, list[Slice]]:
        """Return the slices of each series, by SeriesInstanceUID, from all folders."""
        series: dict[str, list[Slice]] = {}
        for one in self.slices:
            series.setdefault(one.series_uid, []).append(one)
        return series

    def add(self, other: "Walk") -> None:
        """Take in what another walk found."""
        self.slices += other.slices
        self.passed_over += other.passed_over
        self.unread += other.unread

    def take(self, folder: str, found: Slice | str) -> None:
        """Count what was found of one file."""
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
        Where one of the folders is not there: a share that is not mounted is no empty datastore.
    """
    found = Walk()
    for folder in folders:
        check_there(folder)
        for here in walked(folder):
            if here.trouble:
                found.passed_over[here.trouble] += 1
            for file in here.files:
                path = os.path.join(here.path, file.name)  # noqa: PTH118 - one call per file
                found.take(here.path, here.odd.get(file.name) or read_file(path, file))
    return found


def read_images(paths: Iterable[Path]) -> Walk:
    """Read the header of each of some files."""
    found = Walk()
    for path in paths:
        try:
            at = path.stat()
        except OSError as err:
            found.take(str(path.parent), reason_of(err))
            continue
        file = File(path.name, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
        found.take(str(path.parent), read_file(str(path), file))
    return found


def check_there(folder: Path, patience_seconds: float | None = None) -> None:
    """Raise OutOfReach where a folder of the datastore cannot be listed, or does not answer.

    A share that hangs blocks whoever asks it, and cannot be asked to stop: so another thread asks,
    and is left alone where it gets no answer in time.
    """
    trouble: list[OSError] = []
    asking = Thread(target=_ask, args=(folder, trouble), daemon=True)
    asking.start()
    asking.join(patience_seconds)
    if asking.is_alive():
        raise OutOfReach(
            f"the datastore {folder} does not answer",
            code=SILENT,
            hint="Look at the file server and at the mount; scan.answer_seconds is the patience.",
        )
    for err in trouble:
        missing = isinstance(err, FileNotFoundError | NotADirectoryError)
        what = "is not there" if missing else f"cannot be read: {err.strerror}"
        raise OutOfReach(
            f"the datastore {folder} {what}",
            code="datastore-missing",
            hint="Mount it, or mend 'datastore' in drawcli.yaml.",
        )


def is_silent(folder: Path, patience_seconds: float) -> bool:
    """Tell whether a folder's file server gives no answer in time; that it is not there is one."""
    try:
        check_there(folder, patience_seconds)
    except OutOfReach as err:
        return err.code == SILENT
    return False


def _ask(folder: Path, trouble: list[OSError]) -> None:
    try:
        os.scandir(folder).close()
    except OSError as err:
        trouble.append(err)


def walked(
    root: Path,
    skip: Callable[[str, Stamp], bool] = lambda _path, _stamp: False,
    enter: Callable[[str], bool] = lambda _path: True,
) -> Iterator[Folder]:
    """Yield every folder below one, itself first; each once, however it is linked.

    A link that leads to a folder above, and so to all of a disk, or into a pseudo file system of
    the kernel is not followed.

    Parameters
    ----------
    root
        Where to begin.
    skip
        Tells of a folder without folders in it whether its listing is known already: then it is
        yielded without files.
    enter
        Tells whether a folder is looked into at all.
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
            folder, inside = _listed(here, stamp)
        except OSError as err:
            yield Folder(here, (0, 0, 0, 0), None, {}, has_folders=False, trouble=_trouble(err))
            continue
        waiting += sorted(filter(enter, inside), reverse=True)
        yield folder


def _above(root: Path) -> set[tuple[int, int]]:
    """Return the device and inode of every folder that a folder lies in."""
    found = set()
    for folder in root.resolve().parents:
        with suppress(OSError):
            at = folder.stat()
            found.add((at.st_dev, at.st_ino))
    return found


def read_file(path: str, listed: File) -> Slice | str:
    """Read the header of one file: a slice, or the reason why it is none."""
    if not listed.size:
        return "empty-file" if may_be_image(listed.name) else "marker-file"
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - one call per file
            return read_stream(stream, path, listed)
    except OSError as err:
        return reason_of(err)


def reason_of(err: OSError) -> str:
    """Return the named reason why a file could not be read."""
    return _ERRORS.get(err.errno or 0, "unreadable-file")


def _reason_of_link(name: str, why: str) -> str:
    """Return why a link leads nowhere; one that is named like an image may be one."""
    why = "broken-link" if why == "vanished" else why
    lost = why in ("broken-link", "link-loop") and may_be_image(name)
    return "lost-link" if lost else why


def _listed(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
    """Return a folder with its files, and the paths of the folders in it; links are followed."""
    rows: list[tuple[str, int, int, int]] = []  # plain tuples: a large store has many
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
                    inside.append(entry.path)
                else:
                    entry.stat()  # a link to nowhere raises; all else is a pipe, socket or device
                    odd[entry.name] = "special-file"
            except OSError as err:  # a link to itself, or into a folder that is closed to us
                odd[entry.name] = _reason_of_link(entry.name, reason_of(err))
    rows += ((name, NO_SIZE, 0, len(reason)) for name, reason in odd.items())
    rows.sort()
    return Folder(path, stamp, rows, odd, has_folders=bool(inside)), inside


def _as_bytes(column: tuple[int, ...]) -> bytes:
    try:
        return array("q", column).tobytes()
    except OverflowError:  # a time some centuries away
        return repr(column).encode("ascii")


def _trouble(err: OSError) -> str:
    reason = reason_of(err)
    return reason if reason in ("path-too-long", "link-loop") else "unreadable-folder"
