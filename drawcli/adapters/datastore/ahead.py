"""Folders that further processes list ahead of a walk, beginning at its end.

Only stamp, digest and subfolders of a listing come back: they tell that nothing has changed. The
walk never waits for one: a folder that is not listed yet, or that a process cannot list, or that
has changed since, it lists itself. So a process that dies or hangs costs time and nothing else.

A place is a path with NUL as separator: so folders sort in the order in which a walk visits them.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from stat import S_ISDIR
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from drawcli.adapters.datastore.listing import Folder, Stamp, list_folder, stamp_of
from drawcli.adapters.datastore.processes import end_workers, start_workers

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_AT_ONCE: Final = 64  # folders in a request, at most
_KEPT: Final = 100_000  # listings that the walk has not come to, at most: some 50 MB
_PAUSE: Final = 0.002  # s between two looks for answers


class FolderListing(NamedTuple):
    """What is kept of the listing of a folder."""

    stamp: Stamp
    digest: bytes
    inside: list[str]  # paths of its subfolders


def list_folders(paths: Iterable[str]) -> list[FolderListing | None]:
    """Return the listing of each folder; None for a link, and where there is none."""
    return [_listing(path) for path in paths]


def _listing(path: str) -> FolderListing | None:
    with suppress(OSError):  # the walk meets it, too, and tells
        at = os.lstat(path)
        if S_ISDIR(at.st_mode):
            folder, inside = list_folder(path, stamp_of(at))
            return FolderListing(folder.stamp, folder.digest, inside)
    return None


class ListedAhead:
    """The listings that other processes have made.

    Parameters
    ----------
    count
        The number of processes to start; fewer, or none, if the system gives no more.
    """

    def __init__(self, count: int) -> None:
        self._workers = start_workers(list_folders, count)
        self._asked: dict[Connection, list[str]] = {}  # places, by the process that lists them
        self._idle = [worker.pipe for worker in self._workers]
        self._look_at = 0.0
        self.begin(lambda _path: True, lambda _stamp: "")

    def __enter__(self) -> Self:
        """Do nothing: the processes are already started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        end_workers(self._workers)

    def begin(self, enter: Callable[[str], bool], barred: Callable[[Stamp], str]) -> None:
        """Begin a walk; `enter` and `barred` tell which folders it leaves out."""
        self._enter, self._barred = enter, barred
        self._waiting: list[str] = []  # places that nobody has listed, in the order of the walk
        self._listed: dict[str, FolderListing] = {}
        self._here = ""
        self._asked = {pipe: [] for pipe in self._asked}  # their answers are of another walk

    def take(self, path: str, stamp: Stamp) -> tuple[Folder, list[str]] | None:
        """Return a folder, without files, and its subfolders, if it is listed and unchanged.

        The walk goes on at this folder: all before are done.
        """
        self._here = _place(path)
        del self._waiting[: bisect_right(self._waiting, self._here)]
        if monotonic() >= self._look_at:
            self._look()
            self._look_at = monotonic() + _PAUSE
        found = self._listed.pop(self._here, None)
        if found is None or found.stamp != stamp:
            return None
        folder = Folder(path, stamp, None, {}, has_folders=bool(found.inside), told=found.digest)
        return folder, found.inside

    def expect(self, inside: Iterable[str]) -> None:
        """Note the subfolders of a folder, to which the walk will come."""
        places = sorted(_place(path) for path in inside if self._enter(path))
        if places:
            at = bisect_right(self._waiting, places[0])
            self._waiting[at:at] = places

    def _look(self) -> None:
        """Take answers, and give each idle process the last folders that wait."""
        from multiprocessing.connection import wait

        for pipe in wait([*self._asked], 0) if self._asked else ():
            self._receive(pipe)  # type: ignore[arg-type] # it is one of them
        while self._idle and len(self._waiting) > 1 and len(self._listed) < _KEPT:
            share = len(self._waiting) // (2 * len(self._workers))
            asked = self._waiting[-min(max(share, 1), _AT_ONCE) :]
            del self._waiting[-len(asked) :]
            pipe = self._idle.pop()
            with suppress(OSError):
                pipe.send([_path(place) for place in asked])
                self._asked[pipe] = asked

    def _receive(self, pipe: "Connection") -> None:
        asked = self._asked.pop(pipe)
        try:
            answer: list[FolderListing | None] = pipe.recv()
        except (EOFError, OSError):  # it has died
            return
        self._idle.append(pipe)
        for place, listing in zip(asked, answer, strict=False):
            is_new = place > self._here and place not in self._listed
            if listing is not None and is_new and not self._barred(listing.stamp):
                self._listed[place] = listing
                self.expect(listing.inside)


def _place(path: str) -> str:
    return path.replace(os.sep, "\0")


def _path(place: str) -> str:
    return place.replace("\0", os.sep)
