"""The waiting and running tasks of a site: add, count, and remove them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from drawcli.adapters.work_queue.engine import bare_app, schema_of, stored_job
from drawcli.core.jobs.tasks import QueueTask
from drawcli.errors import LedgerError

if TYPE_CHECKING:
    from psycopg import Cursor

T = TypeVar("T")
STALLED_SECONDS: Final = 30.0  # without a heartbeat; the engine writes one every 10 s
_AT_ONCE: Final = 100  # tasks that are stored in one request

_COUNTS: Final = """
SELECT queue_name,
  count(*) FILTER (WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())),
  count(*) FILTER (WHERE status = 'todo' AND scheduled_at > now()),
  count(*) FILTER (WHERE status = 'doing'),
  extract(epoch FROM now() - min(coalesce(scheduled_at, (
    SELECT min(at) FROM {schema}.procrastinate_events e
    WHERE e.job_id = j.id AND e.type = 'deferred')))
    FILTER (WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())))
FROM {schema}.procrastinate_jobs j GROUP BY queue_name ORDER BY queue_name
"""
_KEYS: Final = """
SELECT queueing_lock FROM {schema}.procrastinate_jobs
WHERE status::text = ANY(%s) AND starts_with(queueing_lock, %s)
"""
# Of a transaction: no commit waits for the disk, as a task that is lost is made again.
_SET_LOCAL: Final = """
SELECT set_config('search_path', %s, true), set_config('synchronous_commit', 'off', true)
"""
_STALLED: Final = """
DELETE FROM procrastinate_jobs j WHERE status NOT IN ('todo', 'doing') OR status = 'doing' AND
  NOT EXISTS (SELECT 1 FROM procrastinate_workers w WHERE w.id = j.worker_id
              AND w.last_heartbeat >= now() - make_interval(secs => %s))
"""


class Transactions(Protocol):
    """A database in which a function of a cursor can be run as one transaction."""

    def run(self, work: "Callable[[Cursor[Any]], T]") -> T:
        """Return what the function returns; DrawcliError if the database does not answer."""
        ...

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, a transaction of its own."""
        ...


class Deferral(NamedTuple):
    """A task to add: when it may run (None: now), and how urgent it is."""

    task: QueueTask
    at: datetime | None = None
    priority: int = 0


class QueueCounts(NamedTuple):
    """The tasks of a queue."""

    queue: str
    waiting: int  # could run now
    later: int  # have a time in the future
    running: int
    oldest_seconds: float  # how long the first of the waiting has waited; 0 if none waits


class WorkQueue:
    """The tasks of a site. All hosts of the site have the same."""

    def __init__(self, database: Transactions, site: str) -> None:
        self._database, self.site, self.schema = database, site, schema_of(site)
        self._app = bare_app()

    def defer(self, *wanted: Deferral) -> int:
        """Add tasks; return their number without those that wait already."""
        added = 0
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            added += self._stored(part) if len(part) == 1 else self._stored_or_each(part)
        return added

    def _stored_or_each(self, part: Iterable[Deferral]) -> int:
        part = list(part)
        return self._stored(part) or sum(self._stored([one]) for one in part)

    def _stored(self, part: Iterable[Deferral]) -> int:
        """Add tasks in one transaction; return 0, and add none, if one of them waits already."""
        from procrastinate.exceptions import AlreadyEnqueued

        jobs = [stored_job(self._app, one.task, one.priority, one.at) for one in part]

        def store(cursor: "Cursor[Any]") -> int:
            manager = self._app.job_manager
            return len(manager.batch_defer_jobs(jobs, connection=cursor.connection))

        try:
            return self._asked(store)
        except AlreadyEnqueued:
            return 0

    def keys(self, start: str = "", *, running: bool = False) -> set[str]:
        """Return the keys of all tasks that wait or run, or of those that run.

        With `start` only the keys that begin with it.
        """
        words = ["doing"] if running else ["todo", "doing"]
        return {key for (key,) in self._rows(_KEYS, words, start)}

    def counts(self) -> list[QueueCounts]:
        """Return the number of tasks of each queue that has any, by name."""
        return [
            QueueCounts(name, waiting, later, running, max(float(oldest or 0), 0.0))
            for name, waiting, later, running, oldest in self._rows(_COUNTS)
        ]

    def drop_stalled(self, seconds: float = STALLED_SECONDS) -> int:
        """Remove the tasks of dead workers, and tasks that have ended; return their number.

        A worker is dead if it has written no heartbeat for so many seconds.
        """

        def drop(cursor: "Cursor[Any]") -> int:
            cursor.execute(_STALLED.encode(), (seconds,))
            dropped = cursor.rowcount
            cursor.execute(b"SELECT procrastinate_prune_stalled_workers_v1(%s)", (seconds,))
            return dropped

        return self._asked(drop)

    def drop_queues_of_others(self, hosts: Collection[str]) -> int:
        """Remove the waiting tasks that only hosts other than these could do."""
        suffixes = {QueueTask("", "", "", host).queue for host in hosts}
        return self._dropped(
            "DELETE FROM procrastinate_jobs WHERE status = 'todo' "
            "AND strpos(queue_name, '@') > 0 "
            "AND NOT substr(queue_name, strpos(queue_name, '@')) = ANY(%s)",
            sorted(suffixes),
        )

    def drop(self, task: QueueTask) -> int:
        """Remove a task, whether it waits or runs."""
        return self._dropped("DELETE FROM procrastinate_jobs WHERE queueing_lock = %s", task.key)

    def _dropped(self, query: str, *values: Any) -> int:
        def drop(cursor: "Cursor[Any]") -> int:
            cursor.execute(query.encode(), values)
            return cursor.rowcount

        return self._asked(drop)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query that names the schema: one request, without a transaction."""
        with self._named_errors():
            return self._database.rows(query.format(schema=f'"{self.schema}"'), *values)

    def _asked(self, work: "Callable[[Cursor[Any]], T]") -> T:
        """Run a function in a transaction that sees the tables of the site's queues."""
        from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

        def inner(cursor: "Cursor[Any]") -> T:
            cursor.execute(_SET_LOCAL.encode(), (f'"{self.schema}"',))
            try:
                return work(cursor)
            except AlreadyEnqueued:
                raise
            except ConnectorException as err:
                raise (err.__cause__ or err) from None

        with self._named_errors():
            return self._database.run(inner)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except LedgerError as err:
            raise LedgerError(
                f"the queues of site {self.site}: {err}",
                hint="The owner of the database makes them with 'drawcli cluster init', "
                "'add-site' or 'upgrade'.",
            ) from None
