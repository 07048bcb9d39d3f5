"""The queues of a site: tasks are added once, counted, removed; each site has its own."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.work_queue.engine import schema_of
from drawcli.adapters.work_queue.queue import Deferral, QueueCounts, WorkQueue
from drawcli.adapters.work_queue.serve import QueueAway, _check_open, serve
from drawcli.adapters.work_queue.tables import install_queues
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.tasks import QueueTask
from drawcli.errors import LedgerError
from tests.postgres import Postgres, needs_postgres, password_file, with_tables
from tests.waiting import PATIENCE, wait_until

pytestmark = needs_postgres
_numbers = count(1)
TASK = QueueTask("north", "upload", "0123456789ab-1")
OTHER = QueueTask("north", "match", "0123456789ab-2")


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    name = f"queues{next(_numbers)}"
    with_tables(postgres_server, name)
    with opened(postgres_server, name, "owner") as owner:
        install_queues(owner)
    return name


def opened(server: Postgres, database: str, role: str) -> Database:
    return Database(server.url(role, database), Cluster(password_file=password_file(server)))


@pytest.fixture
def queue_of(postgres_server: Postgres, database: str) -> Iterator[Callable[[str], WorkQueue]]:
    """Return a function that returns the queues of a site by the role of its name."""
    connections = []

    def of(site: str, role: str = "") -> WorkQueue:
        connections.append(opened(postgres_server, database, role or site))
        return WorkQueue(connections[-1], site)

    yield of
    for one in connections:
        one.__exit__()


def test_a_task_waits_once(queue_of: Callable[[str], WorkQueue]) -> None:
    queue = queue_of("north")

    assert queue.defer(Deferral(TASK), Deferral(OTHER)) == 2
    assert queue.defer(Deferral(TASK), Deferral(TASK._replace(job_id="0123456789ab-3"))) == 1

    assert queue.keys() == {
        "north/upload/0123456789ab-1",
        "north/upload/0123456789ab-3",
        "north/match/0123456789ab-2",
    }


def test_tasks_are_counted_by_queue(queue_of: Callable[[str], WorkQueue]) -> None:
    queue = queue_of("north")
    soon = datetime.now(UTC) + timedelta(hours=1)
    queue.defer(Deferral(TASK), Deferral(OTHER, at=soon))
    queue.defer(Deferral(TASK._replace(job_id="0123456789ab-4", host="ct-room-2")))

    counts = {one.queue: one for one in queue.counts()}

    assert counts["match"] == QueueCounts("match", 0, 1, 0, 0.0)
    assert counts["upload"][:4] == ("upload", 1, 0, 0)
    assert counts["upload@ct-room-2"][:4] == ("upload@ct-room-2", 1, 0, 0)
    assert counts["upload"].oldest_seconds > 0


def test_tasks_of_hosts_that_are_gone_are_dropped(queue_of: Callable[[str], WorkQueue]) -> None:
    queue = queue_of("north")
    for number, host in enumerate(("", "here", "gone")):
        queue.defer(Deferral(TASK._replace(job_id=f"{number:012x}-1", host=host)))

    assert queue.drop_queues_of_others({"here"}) == 1

    assert {one.queue for one in queue.counts()} == {"upload", "upload@here"}


@pytest.mark.parametrize("name", ["north", "a" * 63])
def test_the_schema_of_a_site_is_a_name_of_postgresql(name: str) -> None:
    assert len(schema_of(name)) <= 63


def test_no_site_reaches_the_tasks_of_another(
    queue_of: Callable[..., WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue_of("north").defer(Deferral(TASK))
    intruder = queue_of("north", "south")

    for attempt in (
        intruder.keys,
        intruder.counts,
        intruder.drop_stalled,
        lambda: intruder.drop(TASK),
        lambda: intruder.defer(Deferral(OTHER)),
    ):
        with pytest.raises(LedgerError, match="the queues of site north"):
            attempt()

    assert queue_of("south").keys() == set()
    assert queue_of("north").keys() == {TASK.key}
    may = "SELECT has_schema_privilege('south', 'drawcli_queue_north', 'USAGE, CREATE')"
    assert postgres_server.execute(may, database=database) == [(False,)]


def test_the_tables_are_made_again_only_for_another_engine(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue_of("north").defer(Deferral(TASK))
    with opened(postgres_server, database, "owner") as owner:
        assert install_queues(owner) == []
        owner.rows("COMMENT ON SCHEMA drawcli_queue_north IS 'of an older engine'")
        assert install_queues(owner) == ["north"]

    assert queue_of("north").keys() == set()


def run_until_empty(server: Postgres, database: str, queue: WorkQueue) -> list[QueueTask]:
    """Run the tasks of the queues `match` and `upload` with the engine; return them in order."""
    done: list[QueueTask] = []
    stop = threading.Event()
    parameters = opened(server, database, "north").parameters()
    args = (parameters, "north", ["match", "upload"], done.append, stop)
    thread = threading.Thread(target=serve, args=args)
    thread.start()
    wait_until(lambda: not queue.counts())
    stop.set()
    thread.join(PATIENCE)
    return done


def test_the_engine_runs_tasks_by_priority_and_drops_those_of_other_versions(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue = queue_of("north")
    queue.defer(Deferral(TASK, priority=1), Deferral(OTHER, priority=5))
    newer = '{"format": 2, "site": "north", "step": "upload", "job_id": "0123456789ab-1"}'
    foreign = '{"format": 1, "site": "south", "step": "upload", "job_id": "0123456789ab-1"}'
    wider = '{"format": 1, "site": "north", "step": "upload", "shape": "unknown"}'
    for arguments in (newer, wider, foreign):
        postgres_server.execute(
            "SET search_path = drawcli_queue_north",
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, priority) "
            f"VALUES ('upload', 'drawcli.step', '{arguments}', 9)",
            database=database,
        )

    assert run_until_empty(postgres_server, database, queue) == [OTHER, TASK]


def test_the_engine_asks_nothing_only_to_see_whether_it_is_connected(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue, log = queue_of("north"), postgres_server.data.parent / "log"
    queue.defer(Deferral(TASK), Deferral(OTHER))
    postgres_server.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
    start = log.stat().st_size

    run_until_empty(postgres_server, database, queue)

    told = log.read_text()[start:]
    assert "procrastinate_finish_job" in told
    assert not re.search(r"(statement|execute <unnamed>): *$", told, re.MULTILINE)


def test_connections_that_end_while_the_engine_is_idle_are_replaced(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue, done, stop = queue_of("north"), list[QueueTask](), threading.Event()
    parameters = opened(postgres_server, database, "north").parameters()

    def worker() -> None:
        while not stop.is_set():
            with suppress(QueueAway):  # the one that waits for notifications
                serve(parameters, "north", ["upload", "match"], done.append, stop)

    thread = threading.Thread(target=worker)
    thread.start()
    try:
        for count_, task in enumerate((TASK, OTHER), 1):
            queue.defer(Deferral(task))
            wait_until(lambda wanted=count_: len(done) == wanted)  # type: ignore[misc]
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{database}' AND usename = 'north'"
            )
    finally:
        stop.set()
        thread.join(PATIENCE)

    assert done == [TASK, OTHER]


def test_a_connection_that_has_ended_is_closed_when_it_is_checked(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    """The pool would check an open one again and again, and no task would run meanwhile."""
    import psycopg

    queue_of("north")
    parameters = opened(postgres_server, database, "north").parameters()

    async def checked() -> bool:
        connection = await psycopg.AsyncConnection.connect(**parameters)
        await _check_open(connection)
        assert not connection.closed
        postgres_server.execute(
            f"SELECT pg_terminate_backend({connection.info.backend_pid}, {PATIENCE * 1000:.0f})"
        )
        with pytest.raises(psycopg.OperationalError):
            await checked_for_ever(connection)
        return connection.closed

    async def checked_for_ever(connection: psycopg.AsyncConnection[Any]) -> None:
        while True:  # until the end has arrived
            await _check_open(connection)

    assert asyncio.run(checked())


def test_the_task_of_a_dead_worker_is_dropped(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue = queue_of("north")
    queue.defer(Deferral(TASK), Deferral(OTHER))
    postgres_server.execute(
        "SET search_path = drawcli_queue_north",
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '5 seconds')",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1 WHERE queue_name = 'upload'",
        database=database,
    )

    assert queue.drop_stalled(seconds=30) == 0
    assert queue.keys(running=True) == {TASK.key}
    assert queue.drop_stalled(seconds=1) == 1
    assert queue.keys() == {OTHER.key}


def test_a_database_that_does_not_answer_ends_the_engine() -> None:
    parameters = {"host": "127.0.0.1", "port": 9, "user": "north", "connect_timeout": 2}

    with pytest.raises(QueueAway):
        serve(parameters, "north", ["upload"], lambda _task: None, threading.Event())


def test_a_task_whose_end_was_not_stored_does_not_count_as_running_for_ever(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    queue = queue_of("north")
    queue.defer(Deferral(TASK))
    function = "ALTER FUNCTION drawcli_queue_north.{}(bigint, procrastinate_job_status, boolean)"

    def handle(_task: QueueTask) -> None:
        """Remove the function with which the engine stores the end of a task."""
        renamed = function.format("procrastinate_finish_job_v1") + " RENAME TO gone"
        where = "SET search_path TO drawcli_queue_north"
        postgres_server.execute(where, renamed, database=database)

    parameters, stop = opened(postgres_server, database, "north").parameters(), threading.Event()
    timer = threading.Timer(PATIENCE, stop.set)
    timer.start()
    with pytest.raises(QueueAway):
        serve(parameters, "north", ["upload"], handle, stop)
    timer.cancel()

    assert queue.drop_stalled() == 1
    assert queue.keys() == set()


def test_keys_are_read_of_one_step(queue_of: Callable[[str], WorkQueue]) -> None:
    queue = queue_of("north")
    queue.defer(Deferral(TASK), Deferral(OTHER), Deferral(TASK._replace(step="up")))

    assert queue.keys("north/upload/") == {TASK.key}
    assert queue.keys("north/up/") == {"north/up/0123456789ab-1"}
    assert queue.keys("north/%") == set()


def test_no_change_of_a_queue_waits_for_the_disk(
    queue_of: Callable[[str], WorkQueue], postgres_server: Postgres, database: str
) -> None:
    """The ledger can restore what a crash of the database loses here; its own changes do wait."""
    postgres_server.execute(
        "CREATE TABLE public.seen (what text, durable text)",
        "GRANT INSERT ON public.seen TO north",
        "CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.seen VALUES (TG_OP, current_setting('synchronous_commit')); "
        "RETURN NULL; END $$",
        "CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE "
        "ON drawcli_queue_north.procrastinate_jobs EXECUTE FUNCTION public.see()",
        database=database,
    )
    queue = queue_of("north")
    queue.defer(Deferral(TASK))

    assert run_until_empty(postgres_server, database, queue) == [TASK]

    seen = postgres_server.execute("SELECT DISTINCT * FROM public.seen", database=database)
    assert sorted(seen) == [("DELETE", "off"), ("INSERT", "off"), ("UPDATE", "off")]
    with opened(postgres_server, database, "north") as ledger:
        assert ledger.rows("SHOW synchronous_commit") == [("on",)]
