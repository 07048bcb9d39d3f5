"""The tables of the scan index, and what is asked of them."""

import json
import os
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from drawcli.adapters.scan_index.keys import Keys
from drawcli.adapters.scan_index.rows import FileEntry, FileRow, FolderRow, SeriesRow, UnreadRow
from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.instance_json import unpack_slice
from drawcli.core.series.verdict import Readiness, Verdict

_KNOWN_FACTS: Final = 4096  # shared facts whose row is remembered
_HIGHEST: Final = (1 << 63) - 1  # of a number in the database
_BOUND: Final = struct.Struct("<qqq")


class ScanIndex:
    """An open index.

    Parameters
    ----------
    database
        A connection in autocommit mode, with the tables in it.
    keys
        What hashes and seals.
    made_anew
        Why there was no index that could be used; "" where there was one.
    """

    def __init__(self, database: sqlite3.Connection, keys: Keys, made_anew: str = "") -> None:
        self._database = database
        self._keys = keys
        self._facts: dict[str, int] = {}
        self.made_anew = made_anew
        self.changed = 0  # files that came, went or changed since it was opened

    def begin(self) -> None:
        """Begin to write; nothing of it is there before `commit`."""
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make what was written survive the end of this process."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def fact(self, key: str) -> str:
        """Return a fact about the index itself, or ""."""
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def set_fact(self, key: str, value: str) -> None:
        """Write down a fact about the index itself."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # Folders and their files

    def folder(self, path: str) -> FolderRow | None:
        """Return what is known of a folder."""
        row = self._database.execute(
            "SELECT id, digest, stamp, calm FROM folder WHERE key = ?", (self._keys.path(path),)
        ).fetchone()
        return None if row is None else FolderRow(*row)

    def add_folder(self, path: str) -> int:
        """Make a row for a folder; return its number."""
        key = self._keys.path(path)
        sealed = self._keys.seal(os.fsencode(path), key)
        made = self._database.execute(
            "INSERT INTO folder (key, sealed, stamp, calm) VALUES (?, ?, '', 0)", (key, sealed)
        )
        return int(made.lastrowid or 0)

    def set_folder(self, folder: int, digest: bytes | None, stamp: str, calm: int) -> None:
        """Write down how a folder was seen."""
        self._database.execute(
            "UPDATE folder SET digest = ?, stamp = ?, calm = ? WHERE id = ?",
            (digest, stamp, calm, folder),
        )

    def forget_listings(self) -> None:
        """Look at every file of every folder again, without reading what is unchanged."""
        self._database.execute("UPDATE folder SET digest = NULL")

    def retry(self, reasons: Iterable[str]) -> None:
        """Read files again that the system did not give us."""
        wanted = [(one,) for one in reasons]
        self._database.executemany(
            "UPDATE folder SET digest = NULL "
            "WHERE id IN (SELECT folder FROM file WHERE reason = ?)",
            wanted,
        )
        self._database.executemany("UPDATE file SET final = 0 WHERE reason = ?", wanted)

    def is_waited_for(self, folder: int) -> bool:
        """Tell whether a folder holds a file of a series that is not whole yet."""
        return bool(
            self._database.execute(
                "SELECT 1 FROM file JOIN series ON series.id = file.series WHERE folder = ? AND "
                "readiness = 'waiting' LIMIT 1",
                (folder,),
            ).fetchone()
        )

    def files(self, folder: int) -> dict[bytes, FileRow]:
        """Return the files of a folder by the hashes of their names."""
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
        """Store files of a folder; the series they are of, and were of, are judged anew."""
        touched = set(was)
        rows: list[tuple[Any, ...]] = []
        for one in entries:
            name = self.name_key(one.name)
            size, mtime, ctime = one.size, _within(one.mtime_ns), _within(one.ctime_ns)
            row = (folder, name, size, mtime, ctime, one.since, one.final)
            if isinstance(one.found, str):
                rows.append((*row, one.found, None, None, None))
                continue
            series = self._series_id(one.found.series_uid, now)
            touched.add(series)
            own = json.dumps([one.name, one.found.own]).encode("ascii")
            sealed = self._keys.seal(own, name + _BOUND.pack(folder, size, mtime))
            rows.append((*row, None, series, self._facts_id(one.found.shared), sealed))
        self._database.executemany(
            f"INSERT OR REPLACE INTO file VALUES ({','.join('?' * 11)})",  # noqa: S608 - no value in it
            rows,
        )
        self.changed += len(rows)
        self._unsettle(touched, now)

    def drop(self, folder: int, gone: dict[bytes, FileRow], now: int) -> None:
        """Forget files that are not there any more."""
        self._database.executemany(
            "DELETE FROM file WHERE folder = ? AND name = ?", ((folder, name) for name in gone)
        )
        self.changed += len(gone)
        self._unsettle({row.series for row in gone.values() if row.series is not None}, now)

    def drop_folder(self, folder: int, now: int) -> None:
        """Forget a folder that is not there any more, and its files."""
        self.drop(folder, self.files(folder), now)
        self._database.execute("DELETE FROM folder WHERE id = ?", (folder,))

    def folders_but(self, seen: set[int]) -> dict[int, str]:
        """Return the paths of all folders but some."""
        others = [row[0] for row in self._database.execute("SELECT id FROM folder")]
        return {one: self.folder_path(one) for one in others if one not in seen}

    def folder_path(self, folder: int) -> str:
        """Return the path of a folder."""
        words = "SELECT sealed, key FROM folder WHERE id = ?"
        return os.fsdecode(self._keys.open(*self._database.execute(words, (folder,)).fetchone()))

    def folders_with(self, reasons: Iterable[str]) -> list[int]:
        """Return the folders with a file that could not be read for one of some reasons."""
        rows = (
            self._database.execute(
                "SELECT DISTINCT folder FROM file INDEXED BY file_reason WHERE reason = ?", (one,)
            )
            for one in reasons
        )
        return sorted({row[0] for found in rows for row in found})

    def unread_in(self, folder: int, reasons: Iterable[str]) -> list[UnreadRow]:
        """Return the files of a folder that could not be read for one of some reasons."""
        words = "SELECT name, size, since, reason FROM file WHERE folder = ? AND reason NOT NULL"
        wanted, rows = set(reasons), self._database.execute(words, (folder,))
        return [one for one in map(UnreadRow._make, rows) if one.reason in wanted]

    def keys_of(self, series: Iterable[int]) -> frozenset[str]:
        """Return the keys of some series, of those that were judged."""
        words = "SELECT key FROM series WHERE id = ? AND key NOT NULL"
        rows = (self._database.execute(words, (one,)).fetchone() for one in series)
        return frozenset(row[0] for row in rows if row)

    def passed_over(self) -> Counter[str]:
        """Return how many files are no images, by reason."""
        rows = self._database.execute(
            "SELECT reason, COUNT(*) FROM file WHERE reason IS NOT NULL GROUP BY reason"
        )
        return Counter(dict(rows.fetchall()))

    # Series

    def touch(self, folder: int) -> None:
        """Judge the series of a folder anew: something beside their files has changed."""
        self._database.execute(
            "UPDATE series SET stale = 1 WHERE id IN (SELECT series FROM file WHERE folder = ?)",
            (folder,),
        )

    def judge_all(self) -> None:
        """Judge every series anew."""
        self._database.execute("UPDATE series SET stale = 1")

    def stale(self) -> list[int]:
        """Return the series that are to be judged."""
        return [row[0] for row in self._database.execute("SELECT id FROM series WHERE stale = 1")]

    def slices(self, series: int) -> list[Slice]:
        """Return what is known of each file of a series."""
        rows = self._database.execute(
            "SELECT file.folder, name, size, mtime, file.sealed, facts.key, facts.sealed, "
            "folder.key, folder.sealed FROM file JOIN facts ON facts.id = file.facts "
            "JOIN folder ON folder.id = file.folder WHERE series = ?",
            (series,),
        )
        opened: dict[bytes, bytes] = {}
        return [self._slice(row, opened) for row in rows.fetchall()]

    def unread_beside(self, series: int, reasons: Iterable[str], patience: float) -> int:
        """Count the files in the folders of a series that may be of it and could not be read.

        What lay there unchanged for `patience` when the series came is not of it.
        """
        wanted = list(reasons)
        marks = ",".join("?" * len(wanted))
        words = (
            f"SELECT COUNT(*) FROM file INDEXED BY file_reason WHERE reason IN ({marks}) "  # noqa: S608 - marks only
            "AND since >= (SELECT first FROM series WHERE id = ?) - ? "
            "AND folder IN (SELECT DISTINCT folder FROM file WHERE series = ?)"
        )
        row = self._database.execute(words, (*wanted, series, int(patience), series)).fetchone()
        return int(row[0])

    def series_in(self, folder: int) -> set[int]:
        """Return the series that have files in a folder."""
        rows = self._database.execute(
            "SELECT DISTINCT series FROM file WHERE folder = ? AND series IS NOT NULL", (folder,)
        )
        return {row[0] for row in rows}

    def set_series(self, series: int, row: SeriesRow) -> None:
        """Write down how a series was judged."""
        verdict = row.verdict
        self._database.execute(
            "UPDATE series SET stale = ?, key = ?, key_id = ?, digest = ?, stamp = ?, modality = ?,"
            " count = ?, newest = ?, readiness = ?, code = ?, text = ?, wishes = ? WHERE id = ?",
            (
                *(row.stale, row.key, row.key_id, row.digest, row.stamp, row.modality, row.files),
                *(_within(row.newest), str(verdict.readiness), verdict.code, verdict.text),
                *(row.wishes, series),
            ),
        )

    def mend_times(self, now: int) -> None:
        """Mend times that lie in the future: our clock was put back."""
        self._database.execute(
            "UPDATE series SET since = MIN(since, ?1), first = MIN(first, ?1) WHERE since > ?1",
            (now,),
        )

    def drop_series(self, series: int) -> None:
        """Forget a series that has no file any more."""
        self._database.execute("DELETE FROM series WHERE id = ?", (series,))

    def series(self) -> Iterator[SeriesRow]:
        """Yield every series as it was judged."""
        rows = self._database.execute(
            "SELECT id, first, since, stale, key, key_id, digest, stamp, modality, count, newest, "
            "readiness, code, text, wishes FROM series WHERE readiness IS NOT NULL ORDER BY id"
        )
        for row in rows.fetchall():
            *facts, readiness, code, text, wishes = row
            yield SeriesRow._make((*facts, Verdict(Readiness(readiness), code, text), wishes))

    def tidy(self) -> None:
        """Forget shared facts that no file has any more."""
        self._database.execute(
            "DELETE FROM facts WHERE id NOT IN (SELECT facts FROM file WHERE facts IS NOT NULL)"
        )
        self._facts.clear()

    def _slice(self, row: Any, opened: dict[bytes, bytes]) -> Slice:
        folder, name, size, mtime, sealed, facts_key, facts, folder_key, path = row
        for key, what in ((facts_key, facts), (folder_key, path)):
            if key not in opened:
                opened[key] = self._keys.open(what, key)
        bound = name + _BOUND.pack(folder, size, mtime)
        own_name, own = json.loads(self._keys.open(sealed, bound))
        place = os.path.join(os.fsdecode(opened[folder_key]), own_name)  # noqa: PTH118 - as scandir does
        shared = opened[facts_key].decode("ascii")
        return unpack_slice(shared, own, path=place, size=size, mtime_ns=mtime)

    def _series_id(self, uid: str, now: int) -> int:
        key = self._keys.text(uid)
        row = self._database.execute("SELECT id FROM series WHERE uid = ?", (key,)).fetchone()
        if row is not None:
            return int(row[0])
        made = self._database.execute(
            "INSERT INTO series (uid, first, since, stale) VALUES (?, ?, ?, 1)", (key, now, now)
        )
        return int(made.lastrowid or 0)

    def _unsettle(self, series: Iterable[int], now: int) -> None:
        self._database.executemany(
            "UPDATE series SET since = ?, stale = 1 WHERE id = ?", ((now, one) for one in series)
        )

    def _facts_id(self, shared: str) -> int:
        known = self._facts.get(shared)
        if known is None:
            plain = shared.encode("ascii")
            key = self._keys.text(shared)
            row = self._database.execute("SELECT id FROM facts WHERE key = ?", (key,)).fetchone()
            if row is None:
                sealed = self._keys.seal(plain, key)
                words = "INSERT INTO facts (key, sealed) VALUES (?, ?)"
                known = int(self._database.execute(words, (key, sealed)).lastrowid or 0)
            else:
                known = int(row[0])
            if len(self._facts) >= _KNOWN_FACTS:
                self._facts.clear()
            self._facts[shared] = known
        return known


def _within(number: int) -> int:
    """Return a time as the database can hold it."""
    return max(-_HIGHEST, min(number, _HIGHEST))
