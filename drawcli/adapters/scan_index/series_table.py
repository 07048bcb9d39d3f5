"""The series of the scan index."""

import json
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from drawcli.adapters.scan_index.keys import Keys
from drawcli.adapters.scan_index.rows import NamingFile, SeriesRow
from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.instance_json import unpack_slice, unpack_study_date
from drawcli.core.series.verdict import Readiness, Verdict

_HIGHEST: Final = (1 << 63) - 1  # of a number in the database
BOUND: Final = struct.Struct("<qqq")


class SeriesTable:
    """The series of an open index, with their files and verdicts."""

    def __init__(self, database: sqlite3.Connection, keys: Keys) -> None:
        self._database = database
        self._keys = keys
        self._facts: dict[str, int] = {}

    def touch(self, folder: int) -> None:
        """Mark the series of a folder as stale: another file in it has changed."""
        self._database.execute(
            "UPDATE series SET stale = 1 WHERE id IN (SELECT series FROM file WHERE folder = ?)",
            (folder,),
        )

    def mark_all_stale(self) -> None:
        """Mark every series as stale."""
        self._database.execute("UPDATE series SET stale = 1")

    def mark_stale(self, keys: Iterable[str]) -> None:
        """Mark series as stale, by their keys of the ledger."""
        rows = [(key,) for key in keys]
        self._database.executemany("UPDATE series SET stale = 1 WHERE key = ?", rows)

    def stale(self) -> list[int]:
        """Return the series that need a new verdict."""
        return [row[0] for row in self._database.execute("SELECT id FROM series WHERE stale = 1")]

    def slices(self, series: int) -> list[Slice]:
        """Return the slices of a series."""
        rows = self._database.execute(
            "SELECT file.folder, name, size, mtime, file.sealed, facts.key, facts.sealed, "
            "folder.key, folder.sealed FROM file JOIN facts ON facts.id = file.facts "
            "JOIN folder ON folder.id = file.folder WHERE series = ?",
            (series,),
        )
        opened: dict[bytes, bytes] = {}
        return [self._slice(row, opened) for row in rows.fetchall()]

    def first_and_folders(self, series: int) -> tuple[int, list[int]]:
        """Return when a scan first saw a series, ns, and the folders with its files."""
        first = self._database.execute("SELECT first FROM series WHERE id = ?", (series,))
        query = "SELECT DISTINCT folder FROM file WHERE series = ?"
        folders = self._database.execute(query, (series,))
        return int(first.fetchone()[0]), [row[0] for row in folders]

    def unread_since(self, folder: int, reasons: Iterable[str]) -> list[int]:
        """Return since when each unreadable file of a folder has been as it is, ns, in order."""
        wanted = list(reasons)
        marks = ",".join("?" * len(wanted))
        query = f"SELECT since FROM file WHERE reason IN ({marks}) AND folder = ? ORDER BY since"  # noqa: S608 - marks only
        return [row[0] for row in self._database.execute(query, (*wanted, folder))]

    def series_in(self, folder: int) -> set[int]:
        """Return the series that have files in a folder."""
        rows = self._database.execute(
            "SELECT DISTINCT series FROM file WHERE folder = ? AND series IS NOT NULL", (folder,)
        )
        return {row[0] for row in rows}

    def set_series(self, series: int, row: SeriesRow) -> None:
        """Update a series with its verdict."""
        verdict = row.verdict
        self._database.execute(
            "UPDATE series SET stale = ?, key = ?, key_id = ?, digest = ?, stamp = ?, modality = ?,"
            " count = ?, newest = ?, readiness = ?, code = ?, text = ?, wishes = ? WHERE id = ?",
            (
                *(row.stale, row.key, row.key_id, row.digest, row.stamp, row.modality, row.files),
                *(limit_time(row.newest), str(verdict.readiness), verdict.code, verdict.text),
                *(row.wishes, series),
            ),
        )

    def limit_times(self, now: int, unread: Iterable[str]) -> None:
        """Replace times in the future by the present: the clock was set back.

        Of files, those that could not be read for the reasons `unread`.
        """
        self._database.execute(
            "UPDATE series SET since = MIN(since, ?1), first = MIN(first, ?1) WHERE since > ?1",
            (now,),
        )
        query = "UPDATE file SET since = ?1 WHERE reason = ?2 AND since > ?1"
        self._database.executemany(query, ((now, reason) for reason in unread))

    def drop_series(self, series: int) -> None:
        """Delete a series without files."""
        self._database.execute("DELETE FROM series WHERE id = ?", (series,))

    def series(self) -> Iterator[SeriesRow]:
        """Yield every series that has a verdict."""
        rows = self._database.execute(
            "SELECT id, first, since, stale, key, key_id, digest, stamp, modality, count, newest, "
            "readiness, code, text, wishes, EXISTS (SELECT 1 FROM reference WHERE "
            "reference.uid = series.uid) FROM series WHERE readiness IS NOT NULL ORDER BY id"
        )
        for row in rows.fetchall():
            *facts, readiness, code, text, wishes, contoured = row
            verdict = Verdict(Readiness(readiness), code, text)
            yield SeriesRow._make((*facts, verdict, wishes, bool(contoured)))

    def images(self) -> int:
        """Return the number of images in all series that have a verdict."""
        return int(self._database.execute("SELECT TOTAL(count) FROM series").fetchone()[0])

    def study_dates(self) -> Iterator[tuple[str, str]]:
        """Yield key and study date (yyyymmdd, or "") of each series that may be sent."""
        rows = self._database.execute(
            "SELECT series.key, facts.key, facts.sealed FROM series JOIN facts ON facts.id = "
            "(SELECT MIN(facts) FROM file WHERE file.series = series.id) "
            "WHERE readiness != ?",
            (str(Readiness.IGNORED),),
        )
        for series, key, sealed in rows:
            yield series, unpack_study_date(self._keys.open(sealed, key).decode("ascii"))

    def files_naming(self, uids: Iterable[bytes]) -> set[NamingFile]:
        """Return the structure sets that name one of some series or frames, by keyed hashes."""
        query = (
            "SELECT folder, name, size, mtime FROM reference JOIN file USING (folder, name) "
            "WHERE uid = ?"
        )
        rows = (self._database.execute(query, (uid,)).fetchall() for uid in uids)
        return {NamingFile._make(row) for found in rows for row in found}

    def is_named(self, uid: bytes) -> bool:
        """Return whether any RT object names a UID, such as a plan its structure set."""
        query = "SELECT 1 FROM reference WHERE uid = ? LIMIT 1"
        return self._database.execute(query, (uid,)).fetchone() is not None

    def path_of(self, file: NamingFile) -> str:
        """Return the path of a file."""
        query = (
            "SELECT file.sealed, folder.sealed, folder.key FROM file JOIN folder "
            "ON folder.id = file.folder WHERE folder = ? AND name = ?"
        )
        row = self._database.execute(query, (file.folder, file.name)).fetchone()
        sealed, folder, key = row
        bound = file.name + BOUND.pack(file.folder, file.size, file.mtime_ns)
        name = json.loads(self._keys.open(sealed, bound))[0]
        return os.path.join(os.fsdecode(self._keys.open(folder, key)), name)  # noqa: PTH118 - as scandir does

    def tidy(self) -> None:
        """Delete shared facts that no file uses."""
        self._database.execute(
            "DELETE FROM facts WHERE id NOT IN (SELECT facts FROM file WHERE facts IS NOT NULL)"
        )
        self._facts.clear()

    def _slice(self, row: Any, opened: dict[bytes, bytes]) -> Slice:
        folder, name, size, mtime, sealed, facts_key, facts, folder_key, path = row
        for key, data in ((facts_key, facts), (folder_key, path)):
            if key not in opened:
                opened[key] = self._keys.open(data, key)
        bound = name + BOUND.pack(folder, size, mtime)
        own_name, own = json.loads(self._keys.open(sealed, bound))
        place = os.path.join(os.fsdecode(opened[folder_key]), own_name)  # noqa: PTH118 - as scandir does
        shared = opened[facts_key].decode("ascii")
        return unpack_slice(shared, own, path=place, size=size, mtime_ns=mtime)


def limit_time(number: int) -> int:
    """Return a time limited to the range of the database."""
    return max(-_HIGHEST, min(number, _HIGHEST))
