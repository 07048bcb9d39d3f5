"""A walk over the folders of the datastore, and reading the header of each file.

A file that is no image gets a named reason; none stops the walk.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.datastore.listing import (
    Folder,
    Stamp,
    left_out,
    list_folder,
    reason_of,
    stamp_of,
    troubled,
)
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.file_names import may_be_image
from drawcli.core.series.image_file import UNREAD, File, read_stream
from drawcli.errors import SILENT, OutOfReach
from drawcli.system.failures import raise_shortage
from drawcli.system.platforms import pseudo_devices
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    from drawcli.adapters.datastore.ahead import ListedAhead


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
    ahead: "ListedAhead | None" = None,
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
    ahead
        Listings by other processes; these folders are yielded without files, but with a digest.
    """
    waiting, entered = [str(root)], set[tuple[int, int]]()
    barred = _barred(root)
    if ahead is not None:
        ahead.begin(enter, barred)
    while waiting:
        here = waiting.pop()
        try:
            stamp = stamp_of(os.stat(here))  # noqa: PTH116 - one call per folder of a large store
            if stamp[:2] in entered:
                continue
            entered.add(stamp[:2])
            if trouble := barred(stamp):
                yield left_out(here, trouble)
                continue
            if skip(here, stamp):
                yield Folder(here, stamp, None, {}, has_folders=False)
                continue
            folder, inside = _listed(here, stamp, ahead)
        except OSError as err:
            yield troubled(here, err)
            continue
        waiting += sorted(filter(enter, inside), reverse=True)
        yield folder


def _listed(path: str, stamp: Stamp, ahead: "ListedAhead | None") -> tuple[Folder, list[str]]:
    if ahead is None:
        return list_folder(path, stamp)
    found = ahead.take(path, stamp)
    if found is None:
        found = list_folder(path, stamp)
        ahead.expect(found[1])
    return found


def _barred(root: Path) -> Callable[[Stamp], str]:
    """Return a function that tells why a folder below a root is not listed; "" if it is."""
    above, pseudo = _above(root), pseudo_devices()

    def why(stamp: Stamp) -> str:
        if stamp[0] in pseudo:
            return "system-folder"
        return "link-above" if stamp[:2] in above else ""

    return why


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
