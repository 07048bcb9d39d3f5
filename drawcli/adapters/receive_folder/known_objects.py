"""Which series folder holds an object, by its SOP Instance UID: an index beside the folders.

The folders are the truth: an entry counts only if its file exists, and the index is made again from
them if it is missing, damaged or of another folder. It holds digests only.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from os import scandir
from pathlib import Path
from threading import Lock
from typing import Final

from drawcli.core.dicom_service.identifiers import uid_text
from drawcli.system.files import make_private

_log = logging.getLogger(__name__)
ENDING: Final = ".dcm"
FILE_NAME: Final = "known.sqlite"
_SERIES_BYTES, _OBJECT_BYTES = 8, 16
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (folder TEXT);
CREATE TABLE IF NOT EXISTS object (sop BLOB PRIMARY KEY, series BLOB) WITHOUT ROWID;
"""


class KnownObjects:
    """The index of a receive folder; any thread may use it."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._series = {_series_key(name): name for name in _series_in(folder)}
        make_private(path.parent)
        self._database = self._opened(path)

    def series_of(self, sop_instance: str) -> str | None:
        """Return the series folder in which an object was stored last; None if it is unknown."""
        query = "SELECT series FROM object WHERE sop = ?"
        with self._lock, self._damage_logged():
            row = self._database.execute(query, (_object_key(sop_instance),)).fetchone()
            return None if row is None else self._series.get(row[0])
        return None

    def add(self, sop_instance: str, series: str) -> None:
        """Note where an object is about to be stored."""
        key = _series_key(series)
        with self._lock:
            self._series[key] = series
        with self._lock, self._damage_logged():
            row = (_object_key(sop_instance), key)
            self._database.execute("INSERT OR REPLACE INTO object VALUES (?, ?)", row)

    def close(self) -> None:
        """Close the index."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _damage_logged(self) -> Iterator[None]:
        """Log an error of the index: objects are stored without it."""
        try:
            yield
        except sqlite3.Error as err:
            _log.warning("receive=index outcome=%s", type(err).__name__)

    def _opened(self, path: Path) -> sqlite3.Connection:
        """Return the index, made again if it cannot be used."""
        with suppress(sqlite3.Error):
            database = _connected(path)
            row = database.execute("SELECT folder FROM meta").fetchone()
            if row == (str(self._folder),):
                return database
            database.close()
        for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            name.unlink(missing_ok=True)
        database = _connected(path)
        database.execute("BEGIN")
        database.executemany("INSERT OR REPLACE INTO object VALUES (?, ?)", self._listed())
        database.execute("INSERT INTO meta VALUES (?)", (str(self._folder),))
        database.execute("COMMIT")
        return database

    def _listed(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of all objects in the folders."""
        for key, name in self._series.items():
            with suppress(OSError), scandir(self._folder / name) as entries:
                for entry in entries:
                    uid = entry.name.removesuffix(ENDING)
                    if uid_text(uid.encode("ascii", "replace")) == uid:
                        yield _object_key(uid), key


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode; what it writes survives the end of this process."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    path.chmod(0o600)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    return database


def _series_in(folder: Path) -> list[str]:
    with scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return [name for name in names if uid_text(name.encode("ascii", "replace")) == name]


def _series_key(name: str) -> bytes:
    return blake2b(name.encode("ascii"), digest_size=_SERIES_BYTES).digest()


def _object_key(sop_instance: str) -> bytes:
    return blake2b(sop_instance.encode("ascii"), digest_size=_OBJECT_BYTES).digest()
