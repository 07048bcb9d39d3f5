"""What the hosts of a site share besides the jobs: the clock, workers, waits, the pause."""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli import __version__
from drawcli.adapters.ledger.postgres.hosts import SEEN
from drawcli.adapters.ledger.postgres.records import job_of
from drawcli.adapters.ledger.postgres.site_values import read_value, write_value
from drawcli.core.jobs.job import FARTHEST_WAIT, FINISHED, Job, State
from drawcli.core.jobs.ledger import LimitReached
from drawcli.errors import DrawcliError

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.claims import LeaseHolder
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.ledger.postgres.leases import Leases

# Each state by itself, in the order of the index job_open: of a large backlog its head is read.
_DUE: Final = """
SELECT one.id, one.state, one.due_at, one.priority, one.home
FROM unnest(%s::text[]) AS wanted(state), LATERAL (
  SELECT id, state, due_at, priority, home, since FROM drawcli.job
  WHERE site = %s AND month IS NULL AND NOT held AND state = wanted.state
    AND (due_at IS NULL OR due_at <= drawcli.clock()
      OR due_at > drawcli.clock() + make_interval(secs => %s))
    AND (lease_until IS NULL OR lease_until <= drawcli.clock())
    AND (NOT wanted.state = ANY(%s) OR record LIKE '%%"replaced":["%%')
    AND NOT id = ANY(%s)
    AND (home IS NULL OR home = ANY(%s) OR NOT EXISTS (
      SELECT 1 FROM drawcli.host WHERE host.site = job.site AND host.host = job.home
        AND host.seen_at > drawcli.clock() - make_interval(secs => %s)))
  ORDER BY priority DESC, since, id LIMIT %s) AS one
ORDER BY one.priority DESC, one.since, one.id LIMIT %s
"""
_AT_HOMES: Final = """
SELECT home, count(*) FROM drawcli.job
WHERE site = %s AND month IS NULL AND NOT held AND state = ANY(%s) AND home IS NOT NULL
  AND (due_at IS NULL OR due_at <= drawcli.clock()) GROUP BY home
"""
_STALE: Final = """
DELETE FROM drawcli.slot AS s WHERE site = %s AND step = %s AND NOT EXISTS (
  SELECT 1 FROM drawcli.job AS j WHERE j.site = s.site AND j.id = s.job_id AND j.fence = s.fence
    AND j.lease_until > drawcli.clock())
"""
# Without the job itself: it has a row if the answer to its first attempt was lost.
_OTHERS: Final = "SELECT count(*) FROM drawcli.slot WHERE site = %s AND step = %s AND job_id <> %s"
_TAKE: Final = """
INSERT INTO drawcli.slot (site, step, job_id, fence) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_WAIT: Final = """
INSERT INTO drawcli.server_wait (site, server, until, reason)
VALUES (%s, %s, drawcli.clock() + make_interval(secs => %s), %s)
ON CONFLICT (site, server) DO UPDATE SET reason = excluded.reason,
  until = greatest(drawcli.server_wait.until, excluded.until)
"""


class DueJob(NamedTuple):
    """A job whose next step is due."""

    id: str
    state: State
    due_at: datetime | None
    priority: int
    home: str | None  # the host that has its large files


class WorkerSeen(NamedTuple):
    """A running `drawcli worker`."""

    host: str
    pid: int
    facts: dict[str, Any]  # queues, parallel, version, running
    silent_seconds: float

    @property
    def queues(self) -> list[str]:
        """The kinds of work that it does."""
        return [str(one) for one in self.facts.get("queues", [])]


class Shared:
    """What the hosts of a site share; all times are those of the database."""

    def __init__(self, database: "Database", site: str, leases: "Leases") -> None:
        self.database, self.site, self._leases = database, site, leases

    @property
    def holder(self) -> "LeaseHolder":
        """The process, as the database names it."""
        return self._leases.holder

    def clock(self) -> datetime:
        """Return the time of the database."""
        [(now,)] = self.database.rows("SELECT drawcli.clock()")
        return datetime.fromisoformat(now.isoformat())

    def due(
        self,
        states: Iterable[State],
        limit: int,
        *,
        without: Collection[str] = (),
        hosts: Collection[str] = (),
        gone_seconds: float = 0.0,
    ) -> list[DueJob]:
        """Return jobs that are due and that no host has claimed, the most urgent first.

        Parameters
        ----------
        states, limit, without
            The states; the largest number of jobs; ids to leave out.
        hosts, gone_seconds
            A job whose home is another host than these waits, unless that host has been inactive
            for `gone_seconds`.
        """
        words, over = [state.value for state in states], [state.value for state in FINISHED]
        most, far = max(limit, 0), FARTHEST_WAIT.total_seconds()
        wanted = (words, self.site, far, over, [*without], [*hosts], gone_seconds, most, most)
        rows = self.database.rows(_DUE, *wanted)
        return [DueJob(row[0], State(row[1]), *row[2:]) for row in rows]

    def at_homes(self, states: Iterable[State]) -> dict[str, int]:
        """Return the number of due jobs in some states by their home, of those that have one."""
        words = [state.value for state in states]
        return dict(self.database.rows(_AT_HOMES, self.site, words))

    def with_home(self, job_id: str) -> tuple[Job | None, str]:
        """Return a job, and the host that has files of it that no other host has; "" if none."""
        query = "SELECT record, home FROM drawcli.job WHERE site = %s AND id = %s"
        rows = self.database.rows(query, self.site, job_id)
        return (job_of(rows[0][0]), rows[0][1] or "") if rows else (None, "")

    def beat(self, pid: int, facts: dict[str, Any] | None, alive: Collection[int]) -> None:
        """Write that a worker of this host is active, or, with `facts` None, that it has ended.

        `alive` are the ids of the processes of this host that still run.
        """

        def write(cursor: "psycopg.Cursor[Any]") -> None:
            where = (self.site, self.holder.host)
            query = "SELECT facts, boot FROM drawcli.host WHERE site = %s AND host = %s FOR UPDATE"
            cursor.execute(query.encode(), where)
            row = cursor.fetchone()
            stored = _facts(row[0]) if row and row[1] == self.holder.boot else {}
            kept = {key: one for key, one in stored.items() if int(key) in alive}
            kept.pop(str(pid), None)
            cursor.execute(b"SELECT extract(epoch FROM drawcli.clock())::float8")
            [now] = cursor.fetchone() or [0.0]
            if facts is not None:
                kept[str(pid)] = facts | {"version": __version__, "seen": now}
            text = json.dumps({"workers": kept})
            cursor.execute(SEEN.encode(), (*where, self.holder.boot, __version__, text, text))

        self.database.run(write)

    def workers(self, within_seconds: float | None = None) -> list[WorkerSeen]:
        """Return the workers of all hosts, by host; only those seen within so many seconds."""
        rows = self.database.rows(
            "SELECT host, facts, extract(epoch FROM drawcli.clock())::float8 "
            "FROM drawcli.host WHERE site = %s ORDER BY host",
            self.site,
        )
        found = [
            WorkerSeen(host, int(pid), one, max(now - float(one.get("seen", 0.0)), 0.0))
            for host, text, now in rows
            for pid, one in sorted(_facts(text).items(), key=lambda item: int(item[0]))
        ]
        most = float("inf") if within_seconds is None else within_seconds
        return [one for one in found if one.silent_seconds <= most]

    def workers_alive(self) -> int:
        """Return how many workers of the site have shown that they are alive within a lease."""
        return len(self.workers(self._leases.seconds))

    def set_wait(self, server: str, seconds: float, reason: str) -> None:
        """Stop uploads of all hosts of the site to a server for a time; a longer wait stays."""
        self.database.rows(_WAIT, self.site, server, seconds, reason)

    def wait_of(self, server: str) -> tuple[float, str] | None:
        """Return the remaining wait before uploads to a server, s, and its reason; None if none."""
        rows = self.database.rows(
            "SELECT extract(epoch FROM until - drawcli.clock())::float8, reason "
            "FROM drawcli.server_wait WHERE site = %s AND server = %s AND until > drawcli.clock()",
            *(self.site, server),
        )
        return (float(rows[0][0]), str(rows[0][1])) if rows else None

    @contextmanager
    def slot(self, step: str, job_id: str, limit: int) -> Iterator[None]:
        """Count a claimed job towards the limit of a step during a block.

        Raises
        ------
        LimitReached
            If so many others are in the step.
        """
        fence = self._leases.fence_of(job_id)

        def take(cursor: "psycopg.Cursor[Any]") -> bool:
            name = f"{self.site}/{step}"
            cursor.execute(b"SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
            cursor.execute(_STALE.encode(), (self.site, step))
            cursor.execute(_OTHERS.encode(), (self.site, step, job_id))
            [taken] = cursor.fetchone() or [0]
            if taken < limit:
                cursor.execute(_TAKE.encode(), (self.site, step, job_id, fence))
            return bool(taken < limit)

        if fence is None or not self.database.run(take):
            raise LimitReached
        try:
            yield
        finally:
            with suppress(DrawcliError):  # it does not count any more when the claim has ended
                self.database.rows(
                    "DELETE FROM drawcli.slot WHERE site = %s AND step = %s AND job_id = %s "
                    "AND fence = %s",
                    *(self.site, step, job_id, fence),
                )

    def state(self, name: str) -> str | None:
        """Return a fact about the whole site, such as its pause."""
        return read_value(self.database, self.site, name)

    def set_state(self, name: str, value: str | None) -> None:
        """Set or remove (None) a fact about the whole site."""
        if value is None:
            query = "DELETE FROM drawcli.site_state WHERE site = %s AND name = %s"
            self.database.rows(query, self.site, name)
        else:
            write_value(self.database, self.site, name, value)


def _facts(text: str) -> dict[str, dict[str, Any]]:
    """Return the workers in the facts of a host, by process id."""
    try:
        workers = json.loads(text).get("workers", {})
        return {pid: one for pid, one in workers.items() if pid.isdigit() and isinstance(one, dict)}
    except (ValueError, AttributeError):
        return {}
