"""The shared files of jobs in PostgreSQL: names and digests of all, contents of the small ones."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.jobs.job import FINISHED
from drawcli.core.jobs.shared_files import FileChanges, Manifest, SharedFile
from drawcli.errors import LeaseLost

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.ledger.postgres.leases import Leases

_MANIFEST: Final = """
SELECT job.home, job.state, file.name, file.digest, file.place
FROM drawcli.job LEFT JOIN drawcli.job_file AS file
  ON file.site = job.site AND file.job_id = job.id
WHERE job.site = %s AND job.id = %s
"""
_PUT: Final = """
INSERT INTO drawcli.job_file (site, job_id, name, digest, place, sealed)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (site, job_id, name) DO UPDATE
  SET digest = excluded.digest, place = excluded.place, sealed = excluded.sealed
"""
_DROP: Final = "DELETE FROM drawcli.job_file WHERE site = %s AND job_id = %s AND name = ANY(%s)"
_HOME: Final = "UPDATE drawcli.job SET home = %s WHERE site = %s AND id = %s"
_HOLD: Final = """
SELECT 1 FROM drawcli.job WHERE site = %s AND id = %s AND fence = %s AND lease_until IS NOT NULL
FOR UPDATE
"""
_ELSEWHERE: Final = """
SELECT job.id, job.home FROM drawcli.job JOIN drawcli.host
  ON host.site = job.site AND host.host = job.home
WHERE job.site = %s AND job.home <> %s AND job.month IS NULL
  AND (%s::text IS NULL OR job.id = %s)
  AND host.seen_at > drawcli.clock() - make_interval(secs => %s)
"""

_OLD: Final = """
SELECT DISTINCT job.id FROM drawcli.job JOIN drawcli.job_file AS file
  ON file.site = job.site AND file.job_id = job.id
WHERE job.site = %s AND job.state = ANY(%s) AND job.since < %s
"""
_SWEEP: Final = """
INSERT INTO drawcli.site_state (site, name, value) VALUES (%s, 'work-store-swept', '')
ON CONFLICT (site, name) DO UPDATE SET set_at = clock_timestamp()
WHERE drawcli.site_state.set_at < clock_timestamp() - interval '1 day'
RETURNING clock_timestamp()
"""


class DatabaseFiles:
    """The table of the shared files of a site."""

    def __init__(self, database: "Database", leases: "Leases") -> None:
        self._database, self._leases = database, leases

    @property
    def host(self) -> str:
        """The name of this host."""
        return self._leases.holder.host

    @property
    def _site(self) -> str:
        return self._leases.table.site

    def manifest(self, job_id: str) -> Manifest | None:
        """Return the files of a job; None if it is not in the ledger."""
        rows = self._database.rows(_MANIFEST, self._site, job_id)
        if not rows:
            return None
        named = (row[2:] for row in rows if row[2] is not None)
        files = {name: SharedFile(digest, place or "") for name, digest, place in named}
        return Manifest(files, rows[0][0] or "", rows[0][1])

    def sealed(self, job_id: str, names: Iterable[str]) -> dict[str, bytes]:
        """Return the sealed contents of small files."""
        query = (
            "SELECT name, sealed FROM drawcli.job_file WHERE site = %s AND job_id = %s "
            "AND name = ANY(%s) AND sealed IS NOT NULL"
        )
        rows = self._database.rows(query, self._site, job_id, sorted(names))
        return {name: bytes(sealed) for name, sealed in rows}

    def write(self, job_id: str, changes: FileChanges) -> None:
        """Store changes at once, between two commits of a claimed job; durable on return."""

        def store(cursor: "psycopg.Cursor[Any]") -> None:
            cursor.execute(_HOLD.encode(), (self._site, job_id, self._leases.fence_of(job_id)))
            if cursor.fetchone() is None:
                raise LeaseLost.of(job_id)
            self.write_with(cursor, job_id, changes)

        self._database.run(store)

    def write_with(
        self, cursor: "psycopg.Cursor[Any]", job_id: str, changes: FileChanges | None
    ) -> None:
        """Store changes, if any, in the transaction of a cursor."""
        if changes is None:
            return
        where = (self._site, job_id)
        for name, entry in changes.put.items():
            sealed = changes.sealed.get(name)
            cursor.execute(_PUT.encode(), (*where, name, entry.digest, entry.place or None, sealed))
        if changes.dropped:
            cursor.execute(_DROP.encode(), (*where, sorted(changes.dropped)))
        cursor.execute(_HOME.encode(), (changes.home or None, *where))

    def elsewhere(self, gone_minutes: float, only: str | None = None) -> dict[str, str]:
        """Return the jobs whose home is another host that was active lately, with that host."""
        where = (self._site, self.host, only, only, gone_minutes * 60)
        return dict(self._database.rows(_ELSEWHERE, *where))

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs that have files."""
        query = "SELECT DISTINCT job_id FROM drawcli.job_file WHERE site = %s ORDER BY job_id"
        return [job_id for (job_id,) in self._database.rows(query, self._site)]

    def old(self, before: datetime) -> list[str]:
        """Return the ids of the jobs with files that were finished before a time."""
        finished = [state.value for state in FINISHED]
        return [one for (one,) in self._database.rows(_OLD, self._site, finished, before)]

    def named(self, places: list[str]) -> set[str]:
        """Return those of some objects that a job of the site names."""
        query = "SELECT place FROM drawcli.job_file WHERE site = %s AND place = ANY(%s)"
        return {place for (place,) in self._database.rows(query, self._site, places)}

    def has_objects(self) -> bool:
        """Return whether any file of the site is an object in shared storage."""
        query = "SELECT 1 FROM drawcli.job_file WHERE site = %s AND place NOT LIKE '@%%' LIMIT 1"
        return bool(self._database.rows(query, self._site))

    def begin_sweep(self) -> datetime | None:
        """Return the time, if no host has removed lost objects for a day: then this one does."""
        rows = self._database.rows(_SWEEP, self._site)
        return rows[0][0] if rows else None
