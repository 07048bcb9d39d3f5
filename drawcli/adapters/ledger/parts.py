"""The rows of the ledger: in one file, or in many small ones when there are many open jobs.

state_dir/ledger.json       all rows; or, when there were more than `MANY`, none, and a mark
          ledger/ab.json    then the rows of the series whose key begins with "ab"

A change writes one file, so its cost does not grow with the number of open jobs. Each file is one
of TinyDB with a digest. `ledger.json` alone decides which of the two holds; it is replaced last.
All writers hold the one lock of the ledger.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from drawcli.adapters.ledger.rows import number_of
from drawcli.adapters.ledger.storage import JOBS, SealedStorage, Tables, sealed
from drawcli.system.files import make_private
from drawcli.system.platforms import fsync_folder

if TYPE_CHECKING:
    from filelock import FileLock

MANY: Final = 500  # rows in one file; far fewer are put together again
_FOLDER: Final = "ledger"
_DIGITS: Final = 2  # of the series key, which name a part
_TRIES: Final = 20

Rows = Mapping[Any, Mapping[str, Any]]
T = TypeVar("T")


class Parts:
    """The files with the rows of a ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.with_name(_FOLDER)
        self._main = SealedStorage(path)
        self._parts: dict[str, SealedStorage] = {}

    @cached_property
    def _lock(self) -> "FileLock":
        from drawcli.adapters.ledger.table import lock_of

        return lock_of(self._path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the ledger; LedgerError if another process does not release it."""
        from drawcli.adapters.ledger.table import held

        with held(self._lock):
            yield

    def read(self) -> Rows | None:
        """Return all rows by number; None if there is no ledger.

        Raises
        ------
        LedgerError
            If a file is damaged, or was written by a newer drawcli.
        """
        return self._settled(self._read)

    def near(self, job_id: str) -> Rows:
        """Return the rows of one file: all of the series of a job, and some others."""

        def read() -> Rows:
            tables = self._main.read() or {}
            return _rows(self._part(job_id).read() if self._main.is_split else tables)

        return self._settled(read)

    def whole(self) -> bytes | None:
        """Return a file with all rows, as a copy; None if there is no ledger."""
        rows = self._read()
        if rows is None or not self._main.is_split:
            return None if rows is None else self._path.read_bytes()
        return sealed({JOBS: dict(rows)}, self.generation)

    @property
    def format(self) -> int:
        """The format of the file that was read last."""
        return self._main.format

    @property
    def generation(self) -> int:
        """Number of writes; never decreases."""
        total = sum(part.generation for part in self._existing()) if self._read() else 0
        return self._main.generation + total

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes with each write."""
        found: list[int] = []
        for path in (self._path, *self._files()):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found += (status.st_ino, status.st_mtime_ns, status.st_size)
        return tuple(found) or (0, 0, 0)

    def put(self, rows: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Store rows by the id of their job, or remove those that are None.

        One write for each file that has some of them; the caller holds the lock.
        """
        self._main.read()
        if not self._main.is_split:
            if self._put(self._main, rows) > MANY:
                self._split()
            return
        make_private(self._folder)
        by_part: dict[str, dict[str, Mapping[str, Any] | None]] = defaultdict(dict)
        for job_id, row in rows.items():
            by_part[job_id[:_DIGITS]][job_id] = row
        for some in by_part.values():
            self._put(self._part(next(iter(some))), some)

    def _put(self, storage: SealedStorage, rows: Mapping[str, Mapping[str, Any] | None]) -> int:
        """Store or remove rows in one file; return how many it has then."""
        from drawcli.adapters.ledger.table import LedgerTable

        size = 0

        def change(table: dict[int, Mapping[str, Any]]) -> None:
            nonlocal size
            for job_id, row in rows.items():
                if row is None:
                    table.pop(number_of(job_id), None)
                else:
                    table[number_of(job_id)] = row
            size = len(table)

        LedgerTable(storage).change(change)
        return size

    def replace(self, rows: Rows, generation: int = 0) -> None:
        """Replace all rows; the caller holds the lock."""
        self._main.generation = max(self._main.generation, generation)
        self._main.write({JOBS: {str(number): row for number, row in rows.items()}})
        self._drop_folder()
        if len(rows) > MANY:
            self._split()

    def join(self) -> None:
        """Put the rows into one file again if they are few; the caller holds the lock."""
        rows = self._read()
        if self._main.is_split and rows is not None and len(rows) < MANY // 2:
            self.replace(rows, self.generation)

    def set_aside(self, suffix: str) -> None:
        """Rename the folder of the parts, if there is one; the caller holds the lock."""
        if self._folder.exists():
            aside = self._folder.with_name(f"{_FOLDER}{suffix}")
            shutil.rmtree(aside, ignore_errors=True)
            self._folder.rename(aside)
            self._parts.clear()

    def leftovers(self) -> list[Path]:
        """Return temporary files, of running or dead processes, and parts that no longer count."""
        found = [*self._path.parent.glob(f".{self._path.name}.*.tmp")]
        if self._folder.is_dir():
            self._main.read()
            found += self._folder.glob("*" if not self._main.is_split else ".*.tmp")
        return found

    def _split(self) -> None:
        """Move the rows into many files; the caller holds the lock."""
        rows = _rows(self._main.read())
        self._drop_folder()
        make_private(self._folder)
        by_part: dict[str, Tables] = defaultdict(lambda: {JOBS: {}})
        for number, row in rows.items():
            by_part[row["id"][:_DIGITS]][JOBS][number] = row
        for name, tables in by_part.items():
            self._part(name).write(tables)
        self._main.write({JOBS: {}}, is_split=True)

    def _drop_folder(self) -> None:
        """Remove the parts, which no longer count."""
        self._parts.clear()
        if self._folder.exists():
            shutil.rmtree(self._folder)
            fsync_folder(self._path.parent)

    def _read(self) -> Rows | None:
        tables = self._main.read()
        if tables is None or not self._main.is_split:
            return None if tables is None else _rows(tables)
        rows: dict[Any, Mapping[str, Any]] = {}
        for part in self._existing():
            rows |= _rows(part.read())
        return rows

    def _settled(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, again if the rows were split or put together meanwhile."""
        for _ in range(_TRIES):
            found = read()
            before = (self._main.is_split, self._main.generation)
            self._main.read()
            if not (before[0] or self._main.is_split):
                return found  # one file was read as a whole
            if before == (self._main.is_split, self._main.generation):
                return found
        return read()

    def _files(self) -> list[Path]:
        with suppress(FileNotFoundError):  # another process has just put the rows together
            return sorted(self._folder.glob("??.json"))
        return []

    def _existing(self) -> Iterator[SealedStorage]:
        for path in self._files():
            yield self._part(path.stem)

    def _part(self, job_id: str) -> SealedStorage:
        name = job_id[:_DIGITS]
        if name not in self._parts:
            self._parts[name] = SealedStorage(self._folder / f"{name}.json")
        return self._parts[name]


def _rows(tables: Tables | None) -> Rows:
    return (tables or {}).get(JOBS, {})
