"""Queries of the scan index."""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from drawcli.adapters.scan_index.keys import Keys
from drawcli.adapters.scan_index.rows import FileEntry, FileRow, FolderRow, UnreadRow
from drawcli.adapters.scan_index.series_table import BOUND, SeriesTable, limit_time
from drawcli.core.dicom.instance_json import Packed

_KNOWN_FACTS: Final = 4096  # shared facts whose row id is cached


class ScanIndex(SeriesTable):
    """An open index.

    Parameters
    ----------
    database
        A connection in autocommit mode, with the tables in it.
    keys
        Hashes and encrypts.
    rebuilt
        Why the index was rebuilt; "" if it was not.
    """

    def __init__(self, database: sqlite3.Connection, keys: Keys, rebuilt: str = "") -> None:
        super().__init__(database, keys)
        self.rebuilt = rebuilt
        self.changed = 0  # files added, changed or removed since it was opened

    def begin(self) -> None:
        """Begin a transaction."""
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the transaction; it survives the end of this process."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def fact(self, key: str) -> str:
        """Return a fact about the index itself, or ""."""
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def set_fact(self, key: str, value: str) -> None:
        """Set a fact about the index itself."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def folder(self, path: str) -> FolderRow | None:
        """Return the row of a folder; None if it is new."""
        row = self._database.execute(
            "SELECT id, digest, stamp, calm FROM folder WHERE key = ?", (self._keys.path(path),)
        ).fetchone()
        return None if row is None else FolderRow(*row)

    def add_folder(self, path: str) -> int:
        """Insert a folder; return its id."""
        key = self._keys.path(path)
        sealed = self._keys.seal(os.fsencode(path), key)
        inserted = self._database.execute(
            "INSERT INTO folder (key, sealed, stamp, calm) VALUES (?, ?, '', 0)", (key, sealed)
        )
        return int(inserted.lastrowid or 0)

    def set_folder(self, folder: int, digest: bytes | None, stamp: str, calm: int) -> None:
        """Update a folder."""
        self._database.execute(
            "UPDATE folder SET digest = ?, stamp = ?, calm = ? WHERE id = ?",
            (digest, stamp, calm, folder),
        )

    def forget_listings(self) -> None:
        """Let the next scan compare every file of every folder; unchanged files are not read."""
        self._database.execute("UPDATE folder SET digest = NULL")

    def retry(self, reasons: Iterable[str]) -> None:
        """Let the next scan read files again that could not be read for these reasons."""
        rows = [(reason,) for reason in reasons]
        self._database.executemany(
            "UPDATE folder SET digest = NULL "
            "WHERE id IN (SELECT folder FROM file WHERE reason = ?)",
            rows,
        )
        self._database.executemany("UPDATE file SET final = 0 WHERE reason = ?", rows)

    def has_waiting_series(self, folder: int) -> bool:
        """Return whether a folder has a file of a series that is still incomplete."""
        return bool(
            self._database.execute(
                "SELECT 1 FROM file JOIN series ON series.id = file.series WHERE folder = ? AND "
                "readiness = 'waiting' LIMIT 1",
                (folder,),
            ).fetchone()
        )

    def files(self, folder: int) -> dict[bytes, FileRow]:
        """Return the files of a folder by the keyed hashes of their names."""
        rows = self._database.execute(
            "SELECT name, size, mtime, ctime, since, final, reason, series FROM file "
            "WHERE folder = ?",
            (folder,),
        )
        return {row[0]: FileRow(*row[1:]) for row in rows}

    def name_key(self, name: str) -> bytes:
        """Return the keyed hash of a file name."""
        return self._keys.name(name)

    def put(self, folder: int, entries: Iterable[FileEntry], was: Iterable[int], now: int) -> None:
        """Store files of a folder; mark their present and former series (`was`) as stale."""
        touched = set(was)
        rows: list[tuple[Any, ...]] = []
        named: list[tuple[int, bytes, str]] = []
        for entry in entries:
            name = self.name_key(entry.name)
            named += ((folder, name, uid) for uid in _references(entry.found))
            size, mtime = entry.size, limit_time(entry.mtime_ns)
            row = (folder, name, size, mtime, limit_time(entry.ctime_ns), entry.since, entry.final)
            if isinstance(entry.found, str):
                rows.append((*row, entry.found, None, None, None))
                continue
            series = self._series_id(entry.found.series_uid, now)
            touched.add(series)
            own = json.dumps([entry.name, entry.found.own]).encode("ascii")
            sealed = self._keys.seal(own, name + BOUND.pack(folder, size, mtime))
            rows.append((*row, None, series, self._facts_id(entry.found.shared), sealed))
        self._database.executemany(
            f"INSERT OR REPLACE INTO file VALUES ({','.join('?' * 11)})",  # noqa: S608 - no value in it
            rows,
        )
        self._set_references([row[:2] for row in rows], named)
        self.changed += len(rows)
        self._mark_changed(touched, now)

    def drop(self, folder: int, gone: dict[bytes, FileRow], now: int) -> None:
        """Delete files that no longer exist."""
        for table in ("file", "reference"):
            self._database.executemany(
                f"DELETE FROM {table} WHERE folder = ? AND name = ?",  # noqa: S608 - no value in it
                ((folder, name) for name in gone),
            )
        self.changed += len(gone)
        self._mark_changed({row.series for row in gone.values() if row.series is not None}, now)

    def drop_folder(self, folder: int, now: int) -> None:
        """Delete a folder that no longer exists, and its files."""
        self.drop(folder, self.files(folder), now)
        self._database.execute("DELETE FROM folder WHERE id = ?", (folder,))

    def folders_except(self, seen: set[int]) -> dict[int, str]:
        """Return the paths of all folders that are not in `seen`, by id."""
        ids = [row[0] for row in self._database.execute("SELECT id FROM folder")]
        return {folder: self.folder_path(folder) for folder in ids if folder not in seen}

    def folder_path(self, folder: int) -> str:
        """Return the path of a folder."""
        query = "SELECT sealed, key FROM folder WHERE id = ?"
        return os.fsdecode(self._keys.open(*self._database.execute(query, (folder,)).fetchone()))

    def folders_with_reasons(self, reasons: Iterable[str]) -> list[int]:
        """Return the folders with a file that could not be read for one of these reasons."""
        query = "SELECT DISTINCT folder FROM file INDEXED BY file_reason WHERE reason = ?"
        results = (self._database.execute(query, (reason,)) for reason in reasons)
        return sorted({row[0] for rows in results for row in rows})

    def unread_in(self, folder: int, reasons: Iterable[str]) -> list[UnreadRow]:
        """Return the files of a folder that could not be read for one of these reasons."""
        query = "SELECT name, size, since, reason FROM file WHERE folder = ? AND reason NOT NULL"
        wanted, rows = set(reasons), self._database.execute(query, (folder,))
        return [row for row in map(UnreadRow._make, rows) if row.reason in wanted]

    def series_keys(self, series: Iterable[int]) -> frozenset[str]:
        """Return the keys of series that have a verdict."""
        query = "SELECT key FROM series WHERE id = ? AND key NOT NULL"
        rows = (self._database.execute(query, (number,)).fetchone() for number in series)
        return frozenset(row[0] for row in rows if row)

    def passed_over(self) -> Counter[str]:
        """Return the number of files that are no images, by reason."""
        rows = self._database.execute(
            "SELECT reason, COUNT(*) FROM file WHERE reason IS NOT NULL GROUP BY reason"
        )
        return Counter(dict(rows.fetchall()))

    def _set_references(
        self, files: Iterable[tuple[Any, ...]], named: Iterable[tuple[int, bytes, str]]
    ) -> None:
        """Store the UIDs that the RT objects among some files name."""
        delete = "DELETE FROM reference WHERE folder = ? AND name = ?"
        self._database.executemany(delete, files)
        rows = ((folder, name, self._keys.text(uid)) for folder, name, uid in named)
        self._database.executemany("INSERT INTO reference VALUES (?, ?, ?)", rows)

    def _series_id(self, uid: str, now: int) -> int:
        key = self._keys.text(uid)
        row = self._database.execute("SELECT id FROM series WHERE uid = ?", (key,)).fetchone()
        if row is not None:
            return int(row[0])
        inserted = self._database.execute(
            "INSERT INTO series (uid, first, since, stale) VALUES (?, ?, ?, 1)", (key, now, now)
        )
        return int(inserted.lastrowid or 0)

    def _mark_changed(self, series: Iterable[int], now: int) -> None:
        query = "UPDATE series SET since = ?, stale = 1 WHERE id = ?"
        self._database.executemany(query, ((now, number) for number in series))

    def _facts_id(self, shared: str) -> int:
        facts_id = self._facts.get(shared)
        if facts_id is None:
            key = self._keys.text(shared)
            row = self._database.execute("SELECT id FROM facts WHERE key = ?", (key,)).fetchone()
            if row is None:
                sealed = self._keys.seal(shared.encode("ascii"), key)
                query = "INSERT INTO facts (key, sealed) VALUES (?, ?)"
                facts_id = int(self._database.execute(query, (key, sealed)).lastrowid or 0)
            else:
                facts_id = int(row[0])
            if len(self._facts) >= _KNOWN_FACTS:
                self._facts.clear()
            self._facts[shared] = facts_id
        return facts_id


def _references(found: Packed | str) -> tuple[str, ...]:
    """Return the UIDs that a file names as an RT object."""
    return () if isinstance(found, str) else found.references
