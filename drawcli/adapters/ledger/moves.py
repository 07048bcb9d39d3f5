"""The ledger of a site moved as a whole, from file to database or back.

The place that the ledger leaves refuses every change during the move, and every use after it, so
that no job can be in both places with different states.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from drawcli.adapters.ledger.archive import FileArchive
from drawcli.adapters.ledger.jobs import FileLedger
from drawcli.adapters.ledger.parts import Parts
from drawcli.adapters.ledger.rows import as_row, number_of
from drawcli.adapters.ledger.storage import SealedStorage
from drawcli.core.jobs.job import Job
from drawcli.errors import LedgerError
from drawcli.system.files import make_private, write_durably

BATCH: Final = 500  # jobs


class Place(Protocol):
    """One end of a move."""

    words: str  # what it is, for messages

    def exists(self) -> bool:
        """Return whether there is a ledger, and not a note that it was moved."""
        ...

    def is_left_for(self, words: str) -> bool:
        """Return whether the ledger was moved from here to a place."""
        ...

    def frozen(self, words: str, at: datetime) -> AbstractContextManager[None]:
        """Refuse changes by others during a block, which moves the ledger to another place."""
        ...

    def open_jobs(self) -> Iterator[Job]:
        """Yield the jobs that are not archived."""
        ...

    def archived_jobs(self) -> Iterator[Job]:
        """Yield the archived jobs."""
        ...

    def take(self, open_jobs: Iterable[Job], archived: Iterable[Job]) -> None:
        """Write jobs as they are; durable on return."""
        ...

    def leave(self, words: str, at: datetime) -> None:
        """Keep the jobs aside, and refuse every use from now on."""
        ...

    def settle(self) -> None:
        """Take up use after a move to here."""
        ...


class FilePlace:
    """The ledger in a file, as one end of a move."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.words = f"file {path}"

    def exists(self) -> bool:
        """Return whether there is a ledger, and not a note that it was moved."""
        storage = SealedStorage(self._path)
        try:
            return storage.read() is not None
        except LedgerError:
            if storage.moved_to:
                return False
            raise

    def is_left_for(self, words: str) -> bool:
        """Return whether the ledger was moved from here to a place."""
        storage = SealedStorage(self._path)
        with suppress(LedgerError):
            storage.read()
        return storage.moved_to == words

    @contextmanager
    def frozen(self, _words: str, _at: datetime) -> Iterator[None]:
        """Keep every other process from changing the ledger during a block."""
        with FileLedger(self._path):
            pass  # it removes what a dead process left, under the same lock
        with Parts(self._path).locked():
            yield

    def open_jobs(self) -> Iterator[Job]:
        """Yield the jobs that are not archived."""
        with FileLedger(self._path) as ledger:
            yield from ledger.jobs()

    def archived_jobs(self) -> Iterator[Job]:
        """Yield the archived jobs; those that are in the ledger, too, are among the open ones."""
        with FileLedger(self._path) as ledger:
            hot = {job.id for job in ledger.jobs()}
            yield from (job for job in ledger.archive.jobs() if job.id not in hot)

    def take(self, open_jobs: Iterable[Job], archived: Iterable[Job]) -> None:
        """Write jobs as they are; the ledger has these open jobs and no others afterwards."""
        make_private(self._path.parent)
        archive = FileArchive(self._path.parent / "archive")
        for batch in batches(archived, many=20 * BATCH):
            archive.store(batch)
        storage = SealedStorage(self._path)
        with suppress(LedgerError):
            storage.read()
        rows = {str(number_of(job.id)): as_row(job) for job in open_jobs}
        Parts(self._path).replace(rows, storage.generation)

    def leave(self, words: str, _at: datetime) -> None:
        """Rename the ledger, and put a note in its place."""
        rows, storage = Parts(self._path), SealedStorage(self._path)
        kept = self._path.with_name(f"{self._path.name}.moved")
        write_durably(kept, rows.whole() or b"")
        storage.read()
        storage.write_moved(words)
        rows.set_aside(".moved")

    def settle(self) -> None:
        """Do nothing: a ledger that was written is in use."""


def batches(jobs: Iterable[Job], *, many: int) -> Iterator[list[Job]]:
    """Yield lists of at most `many` jobs."""
    batch: list[Job] = []
    for job in jobs:
        batch.append(job)
        if len(batch) >= many:
            yield batch
            batch = []
    if batch:
        yield batch
