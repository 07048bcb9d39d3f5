"""What was pulled, and what is to be: `state_dir/pull/series.sqlite`.

A series is recorded with its expected instances before the first of them is asked for, so every
pulled file belongs to a record. It holds keyed hashes and counts: no UID, no name, no date of an
examination. Each change is a transaction that survives a power cut. Without the file nothing is
known of earlier pulls; the ledger still knows what was sent.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from secrets import randbits
from typing import Final, NamedTuple, cast

from drawcli.errors import ConfigError, DiskFull, DrawcliError, OutOfReach
from drawcli.system.files import make_private

FOLDER: Final = "pull"
FILE_NAME: Final = "series.sqlite"
_FORMAT: Final = 1
_KEPT_SECONDS: Final = 400 * 86_400.0  # after the archive last named a series
_WAIT_SECONDS: Final = 30.0
_IDENTITY_BITS: Final = 31
_OF_THE_DISK: Final = {  # errors that are no damage of the file
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_IOERR: "input/output error",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_PERM: "not permitted",
    sqlite3.SQLITE_READONLY: "it is read-only",
}
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
  key TEXT PRIMARY KEY, source TEXT, total INTEGER, others INTEGER, whole INTEGER, asked REAL,
  tries INTEGER, due REAL, code TEXT, text TEXT, changed INTEGER);
CREATE TABLE IF NOT EXISTS instance (key TEXT, digest TEXT, PRIMARY KEY (key, digest))
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS series_changed ON series (changed);
"""
_COLUMNS: Final = "key, source, total, others, whole, asked, tries, due, code, text, changed"


class PullRecord(NamedTuple):
    """A series that is or was pulled."""

    key: str  # keyed hash of its Series Instance UID, as in the ledger
    source: str  # address of the archive
    total: int  # expected instances
    others: int = 0  # instances of SOP classes that are not received
    whole: bool = False  # all expected instances have been stored, and the archive has no more
    asked: float = 0.0  # when the archive was last asked for its instances, s since 1970
    tries: int = 0  # failures in a row
    due: float = 0.0  # it is not tried before, s since 1970
    code: str = ""  # of the last failure, or ""
    text: str = ""  # without patient data
    changed: int = 0  # number of the last change of any record


class PullRecords:
    """The records of a site."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @property
    def identity(self) -> str:
        """A random number of the file: one that is made again has another."""
        return str(self._database.execute("PRAGMA application_id").fetchone()[0])

    def get(self, key: str) -> PullRecord | None:
        """Return the record of a series."""
        query = f"SELECT {_COLUMNS} FROM series WHERE key = ?"  # noqa: S608 - column names
        row = self._database.execute(query, (key,)).fetchone()
        return None if row is None else _record(row)

    def expected(self, key: str) -> frozenset[str]:
        """Return the digests of the expected instances of a series."""
        query = "SELECT digest FROM instance WHERE key = ?"
        return frozenset(row[0] for row in self._database.execute(query, (key,)))

    def put(self, record: PullRecord, expected: Collection[str] | None = None) -> PullRecord:
        """Store a record, and its expected instances unless they are None; durable on return."""
        with self._transaction():
            last = self._database.execute("SELECT MAX(changed) FROM series").fetchone()[0] or 0
            stored = record._replace(changed=last + 1)
            marks = ", ".join("?" * len(stored))
            self._database.execute(
                f"INSERT OR REPLACE INTO series ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 - marks
                stored,
            )
            if expected is not None:
                self._database.execute("DELETE FROM instance WHERE key = ?", (record.key,))
                rows = ((record.key, digest) for digest in expected)
                self._database.executemany("INSERT INTO instance VALUES (?, ?)", rows)
        return stored

    def touch(self, key: str, now: float) -> None:
        """Record when the archive was last asked; the series is not judged again."""
        self._database.execute("UPDATE series SET asked = ? WHERE key = ?", (now, key))

    def changed_since(self, number: int) -> tuple[list[str], int]:
        """Return the series that were changed after a change, and the number of the last one.

        All, if there is no such change.
        """
        last = self._database.execute("SELECT MAX(changed) FROM series").fetchone()[0] or 0
        after = number if number <= last else 0
        rows = self._database.execute("SELECT key FROM series WHERE changed > ?", (after,))
        return [row[0] for row in rows], last

    def remove_old(self, now: float) -> None:
        """Remove records of series that no archive has named for more than a year."""
        before = now - _KEPT_SECONDS
        with self._transaction():
            old = "SELECT key FROM series WHERE asked < ?"
            self._database.execute(f"DELETE FROM instance WHERE key IN ({old})", (before,))  # noqa: S608 - constant
            self._database.execute("DELETE FROM series WHERE asked < ?", (before,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # a full disk has ended it
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


@contextmanager
def open_records(state_dir: Path, *, throwaway: bool = False) -> Iterator[PullRecords]:
    """Open the records of a site; with `throwaway` a copy in memory, for a dry run.

    Raises
    ------
    ConfigError
        If the file is damaged or of a later version of drawcli.
    DiskFull, OutOfReach
        If the disk is full, or does not read or write.
    """
    path = state_dir / FOLDER / FILE_NAME
    if not throwaway:
        make_private(path.parent)
    try:
        with ExitStack() as open_:
            database = None
            if path.exists() or not throwaway:
                database = open_.enter_context(closing(_connected(path)))
            if throwaway:
                copy = open_.enter_context(closing(sqlite3.connect("", isolation_level=None)))
                copy.executescript(_SCHEMA)
                if database is not None:
                    database.backup(copy)
                database = copy
            yield PullRecords(cast("sqlite3.Connection", database))
    except sqlite3.DatabaseError as err:
        raise _failure(err, path) from None


@contextmanager
def read_records(state_dir: Path) -> Iterator[PullRecords | None]:
    """Open the records of a site if there are any."""
    if not (state_dir / FOLDER / FILE_NAME).exists():
        yield None
        return
    with open_records(state_dir) as records:
        yield records


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode; what it commits survives a power cut."""
    with ExitStack() as open_:
        database = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_SECONDS)
        open_.callback(database.close)
        with suppress(OSError):
            path.chmod(0o600)
        _prepare(database, path)
        open_.pop_all()
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _FORMAT:
        raise _unusable(path, f"is of a later version of drawcli (format {version})")
    if version < _FORMAT:
        marks = f"PRAGMA application_id = {randbits(_IDENTITY_BITS)};"
        marks += f"PRAGMA user_version = {_FORMAT};"
        database.executescript(f"BEGIN;{_SCHEMA}{marks}COMMIT;")


def _failure(err: sqlite3.DatabaseError, path: Path) -> DrawcliError:
    """Return the error for a file that is damaged, or for a disk that is at fault."""
    code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"{path}: the disk is full", hint="Free some space; the next run goes on.")
    if code in _OF_THE_DISK:
        return OutOfReach(
            f"{path}: cannot be read or written now ({_OF_THE_DISK[code]})",
            hint="Check the disk of state_dir and the rights on this file; the next run goes on.",
        )
    return _unusable(path, f"cannot be used ({type(err).__name__})")


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path}: {why}",
        code="pull-records",
        hint="Move the file away: series that the ledger knows are not pulled again, others are.",
    )


def _record(row: tuple[object, ...]) -> PullRecord:
    record = PullRecord._make(row)
    return record._replace(whole=bool(record.whole))
