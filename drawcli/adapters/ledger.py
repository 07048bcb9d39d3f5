"""The job ledger: a TinyDB file that is whole at every instant.

An ordinary TinyDB file, written anew for every change: temporary file, fsync, rename, fsync of the
folder, all under a lock between processes that is held round the whole read-modify-write. A first
table holds format, generation and SHA-256 of the rest, because one flipped bit in plain JSON is
more often different data than an error.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from filelock import FileLock, Timeout
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from drawcli.core.job import Event, Job, State
from drawcli.errors import LedgerError
from drawcli.files import write_durably

FORMAT: Final = 1
_SEAL: Final = "_ledger"
_JOBS: Final = "jobs"
_PATIENCE_SECONDS: Final = 60.0
_TIMES: Final = frozenset({"since", "due_at", "uploaded_at"})

Tables = dict[str, dict[Any, Any]]


class SealedStorage(Storage):
    """Keep the tables in one JSON file, replaced as a whole, with a digest over it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.generation = 0

    def read(self) -> Tables | None:
        """Return the tables, or None where there is no ledger yet.

        Raises
        ------
        LedgerError
            Where the file is damaged, or was written by a newer drawcli.
        """
        try:
            whole = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be read: {err.strerror}") from None
        except (ValueError, RecursionError) as err:
            raise _damaged(self._path, type(err).__name__) from None
        seal = _seal_of(whole)
        if seal is None:
            raise _damaged(self._path, "its seal is missing")
        if seal["format"] > FORMAT:
            raise _newer(self._path)
        sha256 = seal.pop("sha256", None)
        if sha256 != _digest(whole):
            raise _damaged(self._path, "its digest does not fit")
        self.generation = seal["generation"]
        tables: Tables = {name: table for name, table in whole.items() if name != _SEAL}
        return tables

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Replace the file; the generation counts the writes and never goes back.

        Raises
        ------
        LedgerError
            Where the disk refuses; the file is as it was.
        """
        seal: dict[str, Any] = {"format": FORMAT, "generation": self.generation + 1}
        whole = {**data, _SEAL: {"1": seal}}
        seal["sha256"] = _digest(whole)
        try:
            write_durably(self._path, _as_bytes(whole))
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be written: {err.strerror}") from None
        self.generation += 1


class LockedTable(Table):
    """Holds the ledger's lock from reading the tables to having written them."""

    lock: FileLock

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        with _held(self.lock):
            super()._update_table(updater)


class Ledger:
    """Every job, by id. Any number of processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = TinyDB(path, storage=SealedStorage)
        self._table = LockedTable(self._db.storage, _JOBS, cache_size=0)
        self._table.lock = FileLock(f"{path}.lock", mode=0o600)

    def __enter__(self) -> Self:
        """Read the ledger once, so that damage is told before anything is done."""
        self._db.storage.read()
        if any(_leftovers(self._path)):
            with _held(self._table.lock):  # who holds it knows that nobody else is writing
                for leftover in _leftovers(self._path):
                    leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ledger."""
        self._db.close()

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None where there is none of that id."""
        row = self._table.get(doc_id=_number(job_id))
        if not isinstance(row, Document) or row.get("id") != job_id:
            return None
        return self._as_job(row)

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs in some states, or all; those that came there first come first."""
        wanted = None if states is None else set(states)
        rows = (row for row in self._table.all() if wanted is None or row["state"] in wanted)
        found = [self._as_job(row) for row in rows]
        return sorted(found, key=lambda job: (job.since, job.id))

    def of_series(self, series_key: str) -> list[Job]:
        """Return the jobs of one series, the first sending first."""
        found = (job for job in self.jobs() if job.series_key == series_key)
        return sorted(found, key=lambda job: job.number)

    def add(self, *jobs: Job) -> list[Job]:
        """Insert new jobs in one write; return those that were not there yet."""
        added: list[Job] = []

        def insert(table: dict[int, Mapping[str, Any]]) -> None:
            for job in jobs:
                if _number(job.id) not in table:
                    table[_number(job.id)] = _as_row(job)
                    added.append(job)

        self._table._update_table(insert)  # noqa: SLF001 - the one way to check and write at once
        return added

    def commit(self, job: Job) -> Job:
        """Replace a job by a later version of itself; return it as it stands now.

        Raises
        ------
        LedgerError
            Where another process has changed the job since it was read.
        """
        after = replace(job, revision=job.revision + 1)

        def store(table: dict[int, Mapping[str, Any]]) -> None:
            stored = table.get(_number(job.id))
            if stored is None or stored["revision"] != job.revision:
                raise LedgerError(
                    f"job {job.id} was changed by another drawcli at the same time",
                    hint="Run the command again.",
                )
            table[_number(job.id)] = _as_row(after)

        self._table._update_table(store)  # noqa: SLF001 - likewise
        return after

    def _as_job(self, row: Mapping[str, Any]) -> Job:
        """Return a job as it is stored.

        Raises
        ------
        LedgerError
            Where a later drawcli has written something into it that this one does not know.
        """
        try:
            return _as_job(row)
        except (TypeError, KeyError, ValueError):
            raise _newer(self._path) from None


def _number(job_id: str) -> int:
    """Return TinyDB's number for a job: 48 bits of the series, 16 of the sending.

    >>> _number("0000000000ff-2") == 0xFF << 16 | 2
    True
    """
    series, _, sending = job_id.partition("-")
    try:
        return int(series, 16) << 16 | int(sending)
    except ValueError:
        return 0


def _as_row(job: Job) -> Document:
    row = {field.name: getattr(job, field.name) for field in fields(job)}
    row |= {key: row[key].isoformat() for key in _TIMES if row[key]}
    row["events"] = [[event.at.isoformat(), event.what] for event in job.events]
    row["state"] = job.state.value
    return Document(row, _number(job.id))


def _as_job(row: Mapping[str, Any]) -> Job:
    times = {key: datetime.fromisoformat(row[key]) for key in _TIMES if row[key]}
    events = tuple(Event(datetime.fromisoformat(at), what) for at, what in row["events"])
    return Job(**{**row, **times, "events": events, "state": State(row["state"])})


def _held(lock: FileLock) -> Any:
    try:
        return lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout:
        raise LedgerError(
            f"another process holds {lock.lock_file} for more than {_PATIENCE_SECONDS:.0f} seconds",
            hint="Look for a drawcli that hangs; the lock is free once it has ended.",
        ) from None


def _leftovers(path: Path) -> Iterator[Path]:
    """Yield the temporary files of this ledger: one is being written now, or its writer died."""
    return path.parent.glob(f".{path.name}.*.tmp")


def _seal_of(whole: Any) -> dict[str, Any] | None:
    """Return the one row of the first table, if it has the form of a seal."""
    table = whole.get(_SEAL) if isinstance(whole, dict) else None
    seal = table.get("1") if isinstance(table, dict) else None
    if not isinstance(seal, dict) or not isinstance(seal.get("format"), int):
        return None
    return seal if isinstance(seal.get("generation"), int) else None


def _digest(whole: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all tables, the seal without its digest among them."""
    return hashlib.sha256(_as_bytes(whole)).hexdigest()


def _as_bytes(tables: Mapping[str, Any]) -> bytes:
    return json.dumps(tables, sort_keys=True, separators=(",", ":")).encode("ascii")


def _newer(path: Path) -> LedgerError:
    return LedgerError(
        f"{path} was written by a newer drawcli",
        hint="Install that version again; this one would not understand it.",
    )


def _damaged(path: Path, what: str) -> LedgerError:
    return LedgerError(
        f"{path} is damaged: {what}",
        hint="Put back a copy of ledger.json from your backup; work folders are untouched.",
    )
