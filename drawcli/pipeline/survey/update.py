"""Update the scan index from the folders: new, removed and changed files."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.ahead import ListedAhead
from drawcli.adapters.datastore.listing import UNLISTABLE, Folder, Stamp, list_again
from drawcli.adapters.datastore.patterns import Globs
from drawcli.adapters.datastore.processes import most_processes
from drawcli.adapters.datastore.walk import check_folder, walk_folders
from drawcli.adapters.scan_index import FileEntry, FileRow, FolderRow, ScanIndex
from drawcli.core.series.image_file import NOT_GIVEN, UNREAD, File
from drawcli.errors import OutOfReach
from drawcli.pipeline.survey.batches import Batch, Close, Item, Unlisted
from drawcli.pipeline.survey.readers import Results, read_chunks
from drawcli.system.platforms import with_parents

SETTLE_NS: Final = 60 * 10**9  # a file that could not be read is read again after this time
HOUR_NS: Final = 3600 * 10**9
EXCLUDED: Final = "excluded"
PAYS: Final = 50_000  # images; for more, further processes list folders
_CHUNK: Final = 200  # files per read and commit
_LAST_FULL: Final = "last-full-walk"


@dataclass(frozen=True, kw_only=True)
class WalkOptions:
    """How the datastore is walked."""

    globs: Globs = field(default_factory=Globs)
    full_walk_ns: float = 0  # between two walks that list every folder
    calm_ns: float = HOUR_NS  # a folder unchanged for this long is not listed each time
    workers: int = 0
    answer_seconds: float = inf  # timeout for a folder of the datastore


class Update:
    """One walk through the datastore.

    Parameters
    ----------
    index
        The scan index; updated by `run`.
    options
        How the datastore is walked.
    now_ns
        The clock, ns.
    tell
        Called with the number of files read so far.
    heard
        Called whenever the datastore answers.
    """

    def __init__(
        self,
        index: ScanIndex,
        options: WalkOptions,
        now_ns: Callable[[], int],
        tell: Callable[[int], None],
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self.index = index
        self.passed_over: Counter[str] = Counter()  # folders that could not be listed, by reason
        self.unlistable: set[int] = set()  # series with files in such folders
        self.unlisted: dict[str, Unlisted] = {}  # folders whose listing failed, with their series
        self.lost: list[OutOfReach] = []  # errors of whole datastore folders
        self._options = options
        self._now = now_ns
        self._tell = tell
        self._heard = heard
        self._visited: set[int] = set()
        self._unsettled: set[int] = set()  # folders with files to be read again
        self._troubled: list[str] = []
        self._read = 0
        self._began = now_ns()
        self._full = True
        self._root = ""
        self._ahead: ListedAhead | None = None

    def run(self, roots: Iterable[Path]) -> None:
        """Walk the folders, read new files, and drop removed ones from the index.

        A missing or silent folder keeps its entries and is recorded in `lost`.
        """
        self._full = self._is_full()
        if self._full:
            self.index.begin()
            self.index.retry(NOT_GIVEN)
            self.index.commit()
        with self._helped() as self._ahead, closing(self._batches(roots)) as batches:
            for batch, results in read_chunks(batches, self._options.workers):
                self._store(batch, results)
        self.index.begin()
        self._forget()
        if self._full and not self.lost:
            self.index.set_fact(_LAST_FULL, str(self._began))
        self.index.commit()

    def _is_full(self) -> bool:
        """Return whether every folder is listed this time, even if it looks unchanged."""
        last = int(self.index.fact(_LAST_FULL) or -1)
        return last < 0 or not last <= self._began < last + self._options.full_walk_ns

    def _helped(self) -> AbstractContextManager[ListedAhead | None]:
        """Start the processes that list folders, if there are many files to list."""
        further = most_processes(self._options.workers) - 1
        if self._full and further > 0 and self.index.images() >= PAYS:
            return ListedAhead(further)
        return nullcontext()

    def _batches(self, roots: Iterable[Path]) -> Generator[Batch, None, None]:
        """Yield the files to be read, in batches."""
        batch = Batch()
        for part in self._work(roots):
            if isinstance(part, Close):
                batch.closes.append(part)
            else:
                batch.items.append(part)
            if len(batch.items) >= _CHUNK or len(batch.closes) >= _CHUNK:
                yield batch
                batch = Batch()
        yield batch

    def _work(self, roots: Iterable[Path]) -> Iterator[Item | Close]:
        for root in roots:
            try:
                yield from self._of_root(root)
            except OutOfReach as err:  # the other folders are still scanned
                self.lost.append(err)
                self._troubled.append(str(root))
                self.passed_over[err.code] += 1

    def _of_root(self, root: Path) -> Iterator[Item | Close]:
        check_folder(root, self._options.answer_seconds)
        self._root = str(root)
        for folder in walk_folders(root, self._is_known, self._enters, self._ahead):
            self._heard()
            if folder.trouble:
                self._note_trouble(folder)
            elif folder.rows is not None or folder.told:
                yield from self._of_folder(folder)

    def _note_trouble(self, folder: Folder) -> None:
        self._troubled.append(folder.path)
        self.passed_over[folder.trouble] += 1
        if folder.trouble in UNLISTABLE:
            self.unlisted[folder.path] = Unlisted(folder.trouble, set())

    def _enters(self, path: str) -> bool:
        return not self._options.globs or self._options.globs.enters(self._within(path))

    def _within(self, path: str) -> str:
        """Return a path relative to the datastore folder, with "/"."""
        return path[len(self._root) :].replace(os.sep, "/").strip("/")

    def _is_known(self, path: str, stamp: Stamp) -> bool:
        """Return whether a folder need not be listed because no file was added or removed."""
        if self._full:
            return False
        row = self.index.folder(path)
        if row is None or row.digest is None or row.stamp != _as_text(stamp):
            return False
        calm = self._began - row.calm >= self._options.calm_ns
        if not calm or self.index.has_waiting_series(row.id):
            return False
        self._visited.add(row.id)
        return True

    def _of_folder(self, folder: Folder) -> Iterator[Item | Close]:
        """Yield the files of a folder to be read: none if its listing is known."""
        row = self.index.folder(folder.path)
        if folder.path == self._root:
            self._check_mounted(folder, known=row is not None)
        if row is not None and row.digest == folder.digest:
            self._visited.add(row.id)
            self._note_stamp(row.id, row.stamp, folder)
            return
        if folder.rows is None:
            folder = list_again(folder)
        if folder.trouble:
            self._note_trouble(folder)
        else:
            yield from self._of_changed(folder, row)

    def _of_changed(self, folder: Folder, row: FolderRow | None) -> Iterator[Item | Close]:
        """Yield the new and changed files of a folder; drop removed files from the index."""
        self.index.begin()
        number = self.index.add_folder(folder.path) if row is None else row.id
        self.index.set_folder(number, None, "", 0)  # unknown until all its files are read
        self._visited.add(number)
        known = self.index.files(number) if row is not None else {}
        unread = any(was.reason in UNREAD for was in known.values())
        for file in folder.files:
            was = known.pop(self.index.name_key(file.name), None)
            item = self._item(number, folder, file, was)
            if item is not None:
                yield item
        if known:
            self.index.drop(number, known, self._now())
        if unread:
            self.index.touch(number)
        yield Close(number, folder.digest, _as_text(folder.stamp) if not folder.has_folders else "")

    def _item(self, number: int, folder: Folder, file: File, was: FileRow | None) -> Item | None:
        """Return the file as an item to be read, or None if it is known."""
        path = os.path.join(folder.path, file.name)  # noqa: PTH118 - one call per file
        odd = folder.odd.get(file.name, "")
        if self._options.globs and not self._options.globs.takes(self._within(path)):
            odd = EXCLUDED
        same = was is not None and (was.size, was.mtime_ns, was.ctime_ns) == file[1:]
        as_before = was is not None and (was.reason == EXCLUDED) == (odd == EXCLUDED)
        if was is not None and same and was.final and as_before:
            return None
        since = was.since if was is not None and same else 0
        return Item(number, path, file, since, None if was is None else was.series, odd)

    def _note_stamp(self, number: int, stamp: str, folder: Folder) -> None:
        """Record since when a folder without subfolders is unchanged."""
        now = "" if folder.has_folders else _as_text(folder.stamp)
        if now != stamp:
            self.index.begin()
            self.index.set_folder(number, folder.digest, now, self._began)

    def _check_mounted(self, folder: Folder, *, known: bool) -> None:
        """Raise OutOfReach if a folder is empty and its datastore was on another disk."""
        device, fact = str(folder.stamp[0]), f"device {self.index.name_key(folder.path).hex()}"
        was = self.index.fact(fact)
        if known and was not in ("", device) and not folder.rows and not folder.has_folders:
            raise OutOfReach(
                f"the datastore {folder.path} is empty, and on another disk than before",
                code="datastore-not-mounted",
                hint="Mount it, or correct 'datastore' in drawcli.yaml.",
            )
        if was != device:
            self.index.begin()
            self.index.set_fact(fact, device)

    def _store(self, batch: Batch, results: Results) -> None:
        """Store and commit what was read."""
        now, read = self._now(), iter(results)
        self.index.begin()
        for number, items in groupby(batch.items, key=lambda item: item.folder):
            entries, were, unread = [], set(), False
            for item in items:
                found = item.odd or next(read)
                since = item.since or now
                final = found not in UNREAD or now - since >= SETTLE_NS
                unread = unread or found in UNREAD
                entries.append(FileEntry(*item.file, since, final, found))
                if item.was is not None:
                    were.add(item.was)
                if not final:
                    self._unsettled.add(number)
            self.index.put(number, entries, were, now)
            if unread:
                self.index.touch(number)
        for number, digest, stamp in batch.closes:
            known = None if number in self._unsettled else digest
            self.index.set_folder(number, known, stamp, self._began)
        self.index.commit()
        self._read += len(results)
        self._heard()
        self._tell(self._read)

    def _forget(self) -> None:
        """Drop removed folders from the index; unlistable folders keep their entries."""
        troubled = set(self._troubled)
        for number, path in self.index.folders_except(self._visited).items():
            above = [one for one in with_parents(path) if one in troubled]
            series = self.index.series_in(number) if above else set()
            self.unlistable |= series
            for one in above:
                if one in self.unlisted:
                    self.unlisted[one].series.update(series)
            if not above:
                self.index.drop_folder(number, self._now())


def _as_text(stamp: Stamp) -> str:
    return " ".join(map(str, stamp))
