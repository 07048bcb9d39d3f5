"""The ledger of a site in PostgreSQL as one end of a move.

While it is moved, and after that, the database refuses every change of its jobs: a trigger reads
the note in `drawcli.site_state`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.ledger.moves import BATCH, batches
from drawcli.adapters.ledger.postgres.failures import moved
from drawcli.adapters.ledger.postgres.records import columns_of
from drawcli.adapters.ledger.postgres.site_values import read_value
from drawcli.core.jobs.job import Job
from drawcli.errors import AnotherRun

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger

_NOTE: Final = "moved"  # its name in drawcli.site_state
_WAS_MOVED: Final = "was moved to the"
_IS_COMING: Final = "is being moved to this database, and not complete"
_TAKE: Final = """
INSERT INTO drawcli.job (site, id, series_key, state, since, due_at, held, priority, source_digest,
  revision, record, month)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (site, id) DO UPDATE SET state = excluded.state, since = excluded.since,
  due_at = excluded.due_at, held = excluded.held, priority = excluded.priority,
  source_digest = excluded.source_digest, revision = excluded.revision,
  record = excluded.record, month = excluded.month, changed = nextval('drawcli.changes')
WHERE drawcli.job.revision <= excluded.revision
"""


def check_not_moved(database: "Database", site: str) -> None:
    """Raise LedgerError if the ledger of a site was moved away: its jobs here are old ones."""
    note = read_value(database, site, _NOTE) or ""
    if note.startswith(_WAS_MOVED):
        raise moved(f"the ledger of site {site} {note}")


class DatabasePlace:
    """The ledger in a database, as one end of a move."""

    def __init__(self, ledger: "DatabaseLedger", words: str) -> None:
        self._ledger, self.words = ledger, words

    def exists(self) -> bool:
        """Return whether there are jobs, and no note that they were moved."""
        there = self._rows("SELECT 1 FROM drawcli.job WHERE site = %s LIMIT 1")
        return bool(there) and not self._note().startswith(_WAS_MOVED)

    @contextmanager
    def frozen(self, words: str, at: datetime) -> Iterator[None]:
        """Refuse every change by others, from now on; until `thaw` if the move fails.

        Raises
        ------
        AnotherRun
            If a host works on a job.
        """

        def freeze(cursor: "psycopg.Cursor[Any]") -> list[tuple[Any, ...]]:
            cursor.execute("LOCK TABLE drawcli.job IN SHARE MODE")
            cursor.execute(
                "SELECT DISTINCT lease_host FROM drawcli.job "
                "WHERE site = %s AND lease_until > drawcli.clock()",
                (self._ledger.site,),
            )
            busy = cursor.fetchall()
            if not busy:
                self._write_note(cursor, f"is being moved to the {words} since {at:%d %b %H:%M}")
            return busy

        if busy := self._ledger.database.run(freeze):
            hosts = ", ".join(sorted(host for (host,) in busy))
            raise AnotherRun(
                f"{self.words} is in use: {hosts} works on jobs of the site",
                hint="Stop the workers and runs of all hosts, then run the command again.",
            )
        try:
            yield
        except BaseException:
            self.thaw()  # the ledger stays here
            raise

    def is_left_for(self, words: str) -> bool:
        """Return whether the ledger was moved from here to a place."""
        return self._note().startswith(f"{_WAS_MOVED} {words} on ")

    def thaw(self) -> None:
        """End the refusal of `frozen`: the move was given up, and the ledger stays here."""
        self._rows("DELETE FROM drawcli.site_state WHERE site = %s AND name = 'moved'")

    def open_jobs(self) -> Iterator[Job]:
        """Yield the jobs that are not archived."""
        yield from self._ledger.jobs()

    def archived_jobs(self) -> Iterator[Job]:
        """Yield the archived jobs."""
        yield from self._ledger.archive.jobs()

    def take(self, open_jobs: Iterable[Job], archived: Iterable[Job]) -> None:
        """Write jobs as they are, some hundred in a transaction; later revisions stay.

        Until `settle`, other hosts cannot change them, nor add any.
        """
        self._ledger.database.run(lambda cursor: self._write_note(cursor, _IS_COMING))
        for jobs, is_old in ((archived, True), (open_jobs, False)):
            for batch in batches(jobs, many=BATCH):
                rows = [
                    (self._ledger.site, *columns_of(job), f"{job.since:%Y-%m}" if is_old else None)
                    for job in batch
                ]

                def store(
                    cursor: "psycopg.Cursor[Any]", rows: list[tuple[Any, ...]] = rows
                ) -> None:
                    cursor.execute("SET LOCAL drawcli.moving = 'on'")
                    cursor.executemany(_TAKE, rows)

                self._ledger.database.run(store)

    def leave(self, words: str, at: datetime) -> None:
        """Put a note beside the jobs, which stay as they are."""
        self._ledger.database.run(
            lambda cursor: self._write_note(cursor, f"{_WAS_MOVED} {words} on {at:%d %b %Y}")
        )

    def settle(self) -> None:
        """Remove the note of an earlier move to a file: the ledger is here again."""
        self.thaw()

    def _note(self) -> str:
        """Return what was written of the last move; "" if there is nothing."""
        return read_value(self._ledger.database, self._ledger.site, _NOTE) or ""

    def _write_note(self, cursor: "psycopg.Cursor[Any]", text: str) -> None:
        cursor.execute(
            "INSERT INTO drawcli.site_state (site, name, value) VALUES (%s, 'moved', %s) "
            "ON CONFLICT (site, name) DO UPDATE SET value = excluded.value, "
            "set_at = clock_timestamp()",
            (self._ledger.site, text),
        )

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._ledger.database.rows(query, self._ledger.site)
