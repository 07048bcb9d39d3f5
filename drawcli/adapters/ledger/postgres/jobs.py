"""The ledger of a site in PostgreSQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from drawcli.adapters.ledger.jobs import ARCHIVED_AFTER, stay_of
from drawcli.adapters.ledger.postgres.archive import DatabaseArchive
from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.failures import TryAgain
from drawcli.adapters.ledger.postgres.files import DatabaseFiles
from drawcli.adapters.ledger.postgres.hosts import check_clock, note_host
from drawcli.adapters.ledger.postgres.keys import check_key
from drawcli.adapters.ledger.postgres.leases import Leases, steady_seconds
from drawcli.adapters.ledger.postgres.moves import check_not_moved
from drawcli.adapters.ledger.postgres.records import columns_of, job_of
from drawcli.adapters.ledger.postgres.schema import check_version
from drawcli.adapters.ledger.postgres.shared import Shared
from drawcli.adapters.ledger.postgres.view import KeptJobs, has_jobs
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.errors import ConfigError, LeaseLost, LedgerError

if TYPE_CHECKING:
    import psycopg

    from drawcli.core.jobs.shared_files import FileCarrier, FileChanges

_COLUMNS: Final = (
    "site, id, series_key, state, since, due_at, held, priority, source_digest, revision, record"
)
_ADD: Final = f"""
INSERT INTO drawcli.job ({_COLUMNS})
SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[],
  %s::boolean[], %s::integer[], %s::text[], %s::bigint[], %s::text[])
ON CONFLICT DO NOTHING RETURNING id
"""
_ARE: Final = """
SELECT j.id FROM drawcli.job AS j JOIN unnest(%s::text[], %s::text[]) AS ours(id, record)
  ON j.id = ours.id AND j.record = ours.record WHERE j.site = %s
"""
_ARCHIVE: Final = """
UPDATE drawcli.job AS j SET month = old.month, changed = nextval('drawcli.changes')
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS old(id, month, revision)
WHERE j.site = %s AND j.id = old.id AND j.revision = old.revision AND j.month IS NULL
RETURNING j.id
"""
_MOST_AT_ONCE: Final = 5_000  # jobs in a statement
_STORE: Final = """
UPDATE drawcli.job SET state = %s, since = %s, due_at = %s, held = %s, priority = %s,
  source_digest = %s, revision = %s, record = %s, month = NULL,
  changed = nextval('drawcli.changes'),
  lease_until = CASE WHEN %s THEN NULL ELSE drawcli.clock() + make_interval(secs => %s) END
WHERE site = %s AND id = %s AND revision = %s AND fence = %s AND lease_until IS NOT NULL
RETURNING id
"""
_IS: Final = """
SELECT 1 FROM drawcli.job WHERE site = %s AND id = %s AND revision = %s AND record = %s
  AND fence = %s
"""


class DatabaseLedger:
    """Every job of a site, by id. Any number of processes on any number of hosts may use it."""

    def __init__(
        self, database: Database, site: str, holder: LeaseHolder, lease_seconds: float
    ) -> None:
        self.database, self.site = database, site
        self.leases = Leases.of(database, site, holder, lease_seconds)
        self.archive = DatabaseArchive(database, site)
        self.files = DatabaseFiles(database, self.leases)
        self.shared = Shared(database, site, self.leases)
        self.carrier: FileCarrier | None = None  # returns the changed files of each stored job
        self._kept: KeptJobs | None = None
        self.refuses_moved = True  # False for a move of the ledger itself
        self.key_id = ""  # of the site key of this host, once it has joined the site

    def __enter__(self) -> Self:
        """Connect, and check the version of the tables and the site."""
        try:
            self._check()
        except BaseException:
            self.database.__exit__()
            raise
        return self

    def _check(self) -> None:
        check_version(self.database)
        sites = [row[0] for row in self.database.rows("SELECT site FROM drawcli.site")]
        if self.site not in sites and (self.site or len(sites) != 1):
            known = ", ".join(sites) or "none"
            raise ConfigError(
                f"{self.database.name}: the database user has no site '{self.site}'"
                if self.site
                else f"{self.database.name}: the database user has several sites: {known}",
                hint="Set cluster.site, or ask the administrator of the database.",
            )
        self.site = self.shared.site = self.site or sites[0]
        self.leases.table.site = self.archive.site = self.site
        if self.refuses_moved:
            check_not_moved(self.database, self.site)

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.leases.close()
        self.database.__exit__()

    def get(self, job_id: str) -> Job | None:
        """Return a job, archived or not; None if there is none of this id."""
        found = self._jobs("id = %s", job_id)
        return found[0] if found else None

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs that are not archived, optionally of some states, oldest state first."""
        wanted = [state.value for state in (State if states is None else states)]
        return self._jobs("month IS NULL AND state = ANY(%s) ORDER BY since, id", wanted)

    def jobs_kept(self) -> list[Job]:
        """Return all of `jobs`; only those that have changed since the last call are read."""
        self._kept = self._kept or KeptJobs(self.database, self.site)
        return self._kept.read()

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return jobs, archived or not, in the order of their ids."""
        return self._jobs("id = ANY(%s) ORDER BY id", sorted(set(ids)))

    def of_series(self, series_key: str) -> list[Job]:
        """Return all jobs of a series by number."""
        jobs = self._jobs("series_key = %s", series_key)
        return sorted(jobs, key=lambda job: job.number)

    def all_jobs(self, since: str = "") -> Iterator[Job]:
        """Yield the jobs of `jobs`, then those of the archive from month `since` on ("2026-11")."""
        yield from self.jobs()
        yield from self.archive.jobs(since)

    def add(self, *jobs: Job) -> list[Job]:
        """Insert jobs with their files, thousands in a transaction; return those that are new."""
        new: list[Job] = []
        for first in range(0, len(jobs), _MOST_AT_ONCE):
            new += self._add({job.id: job for job in reversed(jobs[first : first + _MOST_AT_ONCE])})
        return new

    def _add(self, jobs: "dict[str, Job]") -> list[Job]:
        """Insert jobs, the last first; return those that are new, the first first."""
        files = {job_id: self._file_changes(job_id) for job_id in jobs}
        columns = list(map(list, zip(*map(columns_of, jobs.values()), strict=True)))

        def insert(cursor: "psycopg.Cursor[Any]") -> set[str]:
            check_key(cursor, self.site, self.key_id)
            cursor.execute(_ADD.encode(), (self.site, *columns))
            ids = {job_id for (job_id,) in cursor.fetchall()}
            for job_id in ids:
                self.files.write_with(cursor, job_id, files[job_id])
            return ids

        try:
            ids = self.database.run_once(insert)
        except TryAgain:  # it may have been done: then the stored jobs equal these
            ids = self.database.run_once(insert)
            there = self.database.rows(_ARE, columns[0], columns[-1], self.site)
            ids |= {job_id for (job_id,) in there}
        for job_id in ids:
            self._note_stored(job_id, files[job_id])
        return [job for job in reversed(jobs.values()) if job.id in ids]

    def _file_changes(self, job_id: str) -> "FileChanges | None":
        return None if self.carrier is None else self.carrier.changes(job_id)

    def _note_stored(self, job_id: str, changes: "FileChanges | None") -> None:
        if self.carrier is not None and changes is not None:
            self.carrier.stored(job_id, changes)

    def commit(self, job: Job, *, last: bool = False) -> Job:
        """Store a new version of a job that this process has claimed, with its files; return it.

        The claim is extended, or, with the `last` version of a step, given back.

        Raises
        ------
        LeaseLost
            If the claim has ended, and another process has the job.
        LedgerError
            If the job was changed since it was read.
        """
        after = replace(job, revision=job.revision + 1)
        fence, asked = self.leases.fence_of(job.id), steady_seconds()
        _, _, *facts = columns_of(after)
        values = (*facts, last, self.leases.seconds, self.site, job.id, job.revision, fence)
        changes = self._file_changes(job.id)

        def store(cursor: "psycopg.Cursor[Any]") -> bool:
            stored = cursor.execute(_STORE.encode(), values).fetchone()
            if stored is not None:
                self.files.write_with(cursor, job.id, changes)
            return stored is not None

        def stored() -> bool:
            if changes:
                return self.database.run_once(store)
            return bool(self.database.rows_once(_STORE, *values))

        try:
            is_stored = stored()
        except TryAgain:  # it may have been done: then the stored job equals this one
            is_stored = stored() or self._is_stored(after, fence)
        if is_stored:
            self.leases.written(job.id, asked, last=last)
        elif self.leases.is_lost(job.id):
            raise LeaseLost.of(job.id)
        else:
            raise LedgerError(
                f"job {job.id} was changed by another process at the same time",
                hint="Run the command again.",
            )
        self._note_stored(job.id, changes)
        return after

    def _is_stored(self, job: Job, fence: int | None) -> bool:
        """Return whether a job is stored as it is here, by this claim and not by a later one."""
        record = columns_of(job)[-1]
        return bool(self.database.rows(_IS, self.site, job.id, job.revision, record, fence))

    def has_jobs(self) -> bool:
        """Return whether there is any job, archived or not."""
        return has_jobs(self.database, self.site)

    def keys_used(self) -> set[str]:
        """Return nothing: the database has the key of the site, which every host compares."""
        return set()

    def archive_finished(self, now: datetime) -> int:
        """Move jobs finished more than a day ago to the archive; return their number."""
        states = [state.value for state in FINISHED]
        day_old = "month IS NULL AND state = ANY(%s) AND since < %s"
        done = self._jobs(day_old, states, now - ARCHIVED_AFTER)
        old = [job for job in done if not job.replaced and job.since < now - stay_of(job)]
        if not old:
            return 0
        months = [f"{job.since:%Y-%m}" for job in old]
        which = ([job.id for job in old], months, [job.revision for job in old])
        return len(self.database.rows(_ARCHIVE, *which, self.site))

    def keep_copy(self) -> None:
        """Do nothing: the database has backups of its own."""

    def beat(self) -> None:
        """Record that this host is active; release the jobs of its ended processes."""
        self.check_present()
        check_clock(self.database)  # of a run; workers go by that of the database
        note_host(self.database, self.site, self.leases.holder)
        self.leases.release_dead()

    def check_present(self) -> None:
        """Raise an error if tables, site key or the place of the ledger have changed meanwhile."""
        check_version(self.database)
        check_not_moved(self.database, self.site)
        self.database.run(lambda cursor: check_key(cursor, self.site, self.key_id))

    @contextmanager
    def claim(self, job_id: str) -> Iterator[None]:
        """Claim a job during a block; Busy if another host works on it."""
        lease = self.leases.claim(job_id)
        try:
            yield
        finally:
            if lease is not None:
                self.leases.release(lease)

    def is_safe(self, job_id: str) -> bool:
        """Return whether a transfer may begin for a claimed job: its claim has not ended."""
        return self.leases.is_safe(job_id)

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes with each change of a job."""
        [(latest, near)] = self.database.rows(
            "WITH top AS (SELECT max(changed) AS latest FROM drawcli.job WHERE site = %s) "
            "SELECT latest, (SELECT count(*) FROM drawcli.job WHERE site = %s "
            "AND changed > latest - 1000) FROM top",
            *(self.site, self.site),
        )
        return (latest or 0, near)

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        query = f"SELECT record FROM drawcli.job WHERE site = %s AND {where}"
        return [job_of(text) for (text,) in self.database.rows(query, self.site, *values)]
