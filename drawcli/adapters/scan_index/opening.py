"""Opening the scan index: by one process at a time; it is rebuilt if it cannot be used."""

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from drawcli import __version__
from drawcli.adapters.scan_index.index import ScanIndex
from drawcli.adapters.scan_index.keys import Damaged, Keys
from drawcli.errors import AnotherRun
from drawcli.system.files import PRIVATE
from drawcli.system.platforms import has_file_size_limit

FILE_NAME: Final = "scan-index.sqlite"
_FORMAT: Final = f"6 {__version__} {sys.version_info.major}.{sys.version_info.minor}"
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
_LOCK_SECONDS: Final = 60
_CACHE_KIB: Final = 32 << 10
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE folder (
  id INTEGER PRIMARY KEY, key BLOB UNIQUE, sealed BLOB, digest BLOB, stamp TEXT, calm INTEGER);
CREATE TABLE file (
  folder INTEGER, name BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, since INTEGER,
  final INTEGER, reason TEXT, series INTEGER, facts INTEGER, sealed BLOB,
  PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX file_series ON file (series) WHERE series IS NOT NULL;
CREATE INDEX file_reason ON file (reason) WHERE reason IS NOT NULL;
CREATE TABLE reference (folder INTEGER, name BLOB, uid BLOB);
CREATE INDEX reference_file ON reference (folder, name);
CREATE INDEX reference_uid ON reference (uid);
CREATE TABLE facts (id INTEGER PRIMARY KEY, key BLOB UNIQUE, sealed BLOB);
CREATE TABLE series (
  id INTEGER PRIMARY KEY, uid BLOB UNIQUE, first INTEGER, since INTEGER, stale INTEGER,
  key TEXT, key_id TEXT, digest TEXT, stamp TEXT, modality TEXT, count INTEGER, newest INTEGER,
  readiness TEXT, code TEXT, text TEXT, wishes INTEGER);
CREATE INDEX series_stale ON series (stale) WHERE stale = 1;
"""


class IndexBroken(Exception):
    """The index was damaged and has been removed; begin again."""


@contextmanager
def open_index(
    state_dir: Path, key: bytes, key_id: str, *, throwaway: bool = False
) -> Iterator[ScanIndex]:
    """Open the index of a site; rebuild it if it cannot be used.

    Parameters
    ----------
    state_dir
        Its folder.
    key
        32 bytes, used for the index only.
    key_id
        Id of the site key: an index of another key cannot be used.
    throwaway
        Whether to use a copy in memory, for a dry run.

    Raises
    ------
    AnotherRun
        If another process keeps it locked.
    IndexBroken
        If it turns out to be damaged.
    """
    path, mark = state_dir / FILE_NAME, f"{_FORMAT} {key_id}"
    if throwaway and not path.exists():
        with closing(_connect("")) as database:
            _create_tables(database, mark)
            yield ScanIndex(database, Keys(key))
        return
    lock = FileLock(f"{path}.lock", mode=PRIVATE, timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise AnotherRun(
            f"another process has been reading the datastore for more than {_LOCK_SECONDS} s",
            hint="'drawcli unlock' shows which. Wait for it; if it hangs, end it.",
        ) from None
    try:
        database, rebuilt = _open_or_rebuild(path, mark)
        with closing(database):
            used = _copy(database) if throwaway else database
            yield ScanIndex(used, Keys(key), rebuilt)
    except Damaged:
        remove_index(state_dir)
        raise IndexBroken from None
    except sqlite3.DatabaseError as err:
        if _is_broken(err):
            remove_index(state_dir)
            raise IndexBroken from None
        raise _as_disk_error(err, path) from None
    finally:
        lock.release()


def remove_index(state_dir: Path) -> None:
    """Remove the index."""
    for ending in _BESIDE:
        (state_dir / f"{FILE_NAME}{ending}").unlink(missing_ok=True)


def _open_or_rebuild(path: Path, mark: str) -> tuple[sqlite3.Connection, str]:
    """Return the index and the reason if an existing one was rebuilt, else ""."""
    why = ""
    if path.exists():
        database = None
        try:
            database = _connect(str(path))
            if _mark_of(database) == mark:
                return database, ""
            why = "it is of another version or site key"
        except sqlite3.DatabaseError as err:
            if not _is_broken(err):
                raise
            why = "it is damaged"
        if database is not None:
            database.close()
        remove_index(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    database = _connect(str(path))
    _create_tables(database, mark)
    return database, why


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, isolation_level=None)
    for pragma in (
        "locking_mode = EXCLUSIVE",  # one process at a time: no shared memory is needed
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"cache_size = -{_CACHE_KIB}",
        "temp_store = MEMORY",
    ):
        database.execute(f"PRAGMA {pragma}")
    return database


def _mark_of(database: sqlite3.Connection) -> str:
    try:
        row = database.execute("SELECT value FROM meta WHERE key = 'mark'").fetchone()
    except sqlite3.OperationalError:  # killed before the tables were created
        return ""
    return "" if row is None else str(row[0])


def _create_tables(database: sqlite3.Connection, mark: str) -> None:
    """Create all tables or none."""
    database.executescript(f"BEGIN;{_TABLES}COMMIT;")
    database.execute("INSERT INTO meta VALUES ('mark', ?)", (mark,))


def _copy(database: sqlite3.Connection) -> sqlite3.Connection:
    copy = _connect("")
    database.backup(copy)
    return copy


def _is_broken(err: sqlite3.DatabaseError) -> bool:
    return getattr(err, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _as_disk_error(err: sqlite3.DatabaseError, path: Path) -> OSError:
    code = getattr(err, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN:
        os.close(os.open(path, os.O_RDWR))  # raises the error that SQLite does not report
    number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
    if code == sqlite3.SQLITE_IOERR and has_file_size_limit():
        number = errno.EFBIG  # SQLite does not report it either
    return OSError(number, os.strerror(number), str(path))
