"""The jobs of a site for pages and reports, without reading all of them each time."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.ledger.postgres.records import job_of
from drawcli.core.jobs.job import FINISHED, Job, State

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_COUNTS: Final = """
SELECT state, count(*), count(*) FILTER (WHERE held),
  count(*) FILTER (WHERE NOT held AND since >= %s)
FROM drawcli.job
WHERE site = %s AND month IS NULL GROUP BY state
"""
# The condition of the index job_concern, word by word.
_CONCERN: Final = """
SELECT record FROM drawcli.job WHERE site = %s AND month IS NULL AND (held
  OR record LIKE '%%"reason_code":"dicom-node"%%' OR record LIKE '%%"reason_code":"commitment"%%'
  OR record LIKE '%%,"warning: %%')
"""
_OLDEST: Final = """
SELECT one.record FROM unnest(%s::text[]) AS wanted(state), LATERAL (
  SELECT record, since, id FROM drawcli.job
  WHERE site = %s AND state = wanted.state AND month IS NULL AND NOT held
  ORDER BY since, id LIMIT %s) AS one
ORDER BY one.since, one.id LIMIT %s
"""
_DELIVERED: Final = """
SELECT one.record FROM (VALUES ('done'), ('delivered')) AS wanted(state), LATERAL (
  SELECT record, since FROM drawcli.job WHERE site = %s AND state = wanted.state
  ORDER BY since DESC LIMIT 1) AS one
ORDER BY one.since DESC
"""
# `changed` is numbered before it is committed: the last numbers may come in another order.
_MARGIN: Final = 1_000
_WHOLE_SECONDS: Final = 600.0  # then all jobs are read again
_OPEN: Final = """
SELECT id, changed, record FROM drawcli.job WHERE site = %s AND month IS NULL
"""
_CHANGED: Final = "SELECT id, changed FROM drawcli.job WHERE site = %s AND changed > %s"
_RECORDS: Final = """
SELECT id, changed, CASE WHEN month IS NULL THEN record END FROM drawcli.job
WHERE site = %s AND id = ANY(%s)
"""
_IN_PROGRESS: Final = tuple(
    state.value for state in State if state not in {*FINISHED, State.UNMATCHED, State.EXCLUDED}
)


class SiteJobs(NamedTuple):
    """The jobs that are not archived, as far as an overview shows them."""

    counts: Mapping[State, int]
    concerns: Sequence[Job]  # held, waiting for a DICOM node, or with a warning
    oldest: Sequence[Job]  # in progress and not held, the oldest first; as many as were asked for
    in_progress: int  # such jobs in all
    unmatched_lately: int
    newest_delivered: Job | None  # archived or not


def view_of(database: "Database", site: str, most: int, lately: datetime) -> SiteJobs:
    """Return an overview with at most so many jobs in progress.

    Parameters
    ----------
    database, site
        The ledger of a site.
    most
        The number of jobs in progress to return.
    lately
        Unmatched series are counted from this time on.
    """
    counts: dict[State, int] = {}
    in_progress = unmatched_lately = 0
    for state, count, held, recent in database.rows(_COUNTS, lately, site):
        counts[State(state)] = count
        in_progress += count - held if state in _IN_PROGRESS else 0
        unmatched_lately += recent if state == State.UNMATCHED else 0
    wanted = list(_IN_PROGRESS)
    done = database.rows(_DELIVERED, site)
    return SiteJobs(
        counts,
        [job_of(record) for (record,) in database.rows(_CONCERN, site)],
        [job_of(record) for (record,) in database.rows(_OLDEST, wanted, site, most, most)],
        in_progress,
        unmatched_lately,
        job_of(done[0][0]) if done else None,
    )


class KeptJobs:
    """The jobs that are not archived, in memory: only those that have changed are read again."""

    def __init__(self, database: "Database", site: str) -> None:
        self._database, self._site = database, site
        self._jobs: dict[str, Job] = {}
        self._changed: dict[str, int] = {}  # by job, archived ones too
        self._read_at = float("-inf")  # all of them, by the monotonic clock

    def read(self) -> list[Job]:
        """Return the present jobs, oldest state first."""
        now = time.monotonic()
        if now - self._read_at > _WHOLE_SECONDS:
            rows = self._database.rows(_OPEN, self._site)
            self._jobs, self._changed, self._read_at = {}, {}, now
        else:
            rows = self._changes()
        for job_id, changed, record in rows:
            if record is None:
                self._jobs.pop(job_id, None)
            else:
                self._jobs[job_id] = job_of(record)
            self._changed[job_id] = changed
        return sorted(self._jobs.values(), key=lambda job: (job.since, job.id))

    def _changes(self) -> list[tuple[str, int, str | None]]:
        """Return the jobs that have changed, with their records; None if they are archived."""
        since = max(self._changed.values(), default=0) - _MARGIN
        known, near = self._changed, self._database.rows(_CHANGED, self._site, since)
        ids = [job_id for job_id, changed in near if known.get(job_id) != changed]
        return [(id_, n, text) for id_, n, text in self._database.rows(_RECORDS, self._site, ids)]


def has_jobs(database: "Database", site: str) -> bool:
    """Return whether a site has any job, archived or not."""
    query = "SELECT EXISTS (SELECT 1 FROM drawcli.job WHERE site = %s)"
    return bool(database.rows(query, site)[0][0])
