"""Run the tasks of some queues, one at a time, until asked to stop."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.work_queue.engine import NAME, UnknownTask, quiet, schema_of, task_of
from drawcli.core.jobs.tasks import QueueTask
from drawcli.system.network.idle_connections import has_news

if TYPE_CHECKING:
    from procrastinate import PsycopgConnector
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

_ASK_SECONDS: Final = 1.0  # between two queries for tasks that have become due; the others notify
_CONNECT_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.2
_NO_WAIT_FOR_DISK: Final = (
    "-c synchronous_commit=off"  # what a crash loses here the ledger makes again
)
_log = logging.getLogger(__name__)


class QueueAway(Exception):
    """The database of the queues does not answer."""


def serve(
    parameters: dict[str, Any],
    site: str,
    queues: Collection[str],
    handle: Callable[[QueueTask], None],
    stop: threading.Event,
) -> None:
    """Run tasks in the calling thread until `stop` is set; the running task is finished.

    Parameters
    ----------
    parameters
        The connection parameters, for libpq.
    site, queues
        The site and the queues whose tasks are run.
    handle
        Runs a task, always in the same thread. It must not raise an error.
    stop
        Set by another thread, or by a signal.

    Raises
    ------
    QueueAway
        If the database does not answer. The task that ran has been finished.
    """
    quiet()
    asyncio.run(_serve(parameters, site, queues, handle, stop))


async def _serve(
    parameters: dict[str, Any],
    site: str,
    queues: Collection[str],
    handle: Callable[[QueueTask], None],
    stop: threading.Event,
) -> None:
    import psycopg
    from procrastinate import App
    from procrastinate.exceptions import ProcrastinateException

    try:  # the pool would try for long
        await (await psycopg.AsyncConnection.connect(**parameters)).close()
    except psycopg.Error as err:
        raise QueueAway(type(err).__name__) from None
    lost = asyncio.Event()
    app = App(connector=_connector(parameters, site))
    loop = asyncio.get_running_loop()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="step") as one:

            async def run_task(**facts: Any) -> None:
                try:
                    task = task_of(facts, site)
                except UnknownTask as err:  # its sender makes it again
                    _log.warning("step=worker outcome=dropped a task: %s", err)
                    return
                await loop.run_in_executor(one, handle, task)

            app.task(name=NAME)(run_task)
            _note_unfinished(app, lost)
            async with app.open_async():
                await _until_stopped(app, queues, stop, lost)
    except (ProcrastinateException, psycopg.Error, OSError) as err:
        raise QueueAway(type(err).__name__) from None


def _connector(parameters: dict[str, Any], site: str) -> "PsycopgConnector":
    """Return a pool of connections that use the tables of the site's queues."""
    from procrastinate import PsycopgConnector

    given = parameters.get("options", "")
    ours = f"-c search_path={schema_of(site)} {_NO_WAIT_FOR_DISK}"
    return PsycopgConnector(
        kwargs=parameters | {"options": f"{given} {ours}".strip()},
        min_size=1,
        max_size=2,
        num_workers=1,
        pool_factory=_pool,
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_CONNECT_SECONDS,
    )


def _pool(**given: Any) -> "AsyncConnectionPool[AsyncConnection[Any]]":
    """Return a pool that sends no query before each use of a connection."""
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(**(given | {"check": _check_open}))


async def _check_open(connection: "AsyncConnection[Any]") -> None:
    """Close an idle connection that has ended and raise OperationalError: the pool opens another.

    The pool would take back one that is open for libpq, and check it again until its time is over.
    """
    from psycopg import OperationalError

    if connection.closed or has_news(connection.pgconn.socket):
        await connection.close()
        raise OperationalError("the connection has ended")


def _note_unfinished(app: Any, lost: asyncio.Event) -> None:
    """Set an event if the end of a task cannot be stored.

    The engine would continue, and the task would count as running until the engine ends.
    """
    from procrastinate.exceptions import ProcrastinateException

    finish = app.job_manager.finish_job

    async def finish_job(*args: Any, **more: Any) -> None:
        try:
            await finish(*args, **more)
        except ProcrastinateException:
            lost.set()
            raise

    app.job_manager.finish_job = finish_job


async def _until_stopped(
    app: Any, queues: Collection[str], stop: threading.Event, lost: asyncio.Event
) -> None:
    worker = asyncio.create_task(
        app.run_worker_async(
            queues=[*queues],
            fetch_job_polling_interval=_ASK_SECONDS,
            install_signal_handlers=False,
            delete_jobs="always",
        )
    )
    while not (stop.is_set() or lost.is_set()):
        done, _ = await asyncio.wait([worker], timeout=_TICK_SECONDS)
        if done:
            worker.result()
            raise QueueAway("a connection was lost")
    worker.cancel()  # it finishes the running task
    with suppress(asyncio.CancelledError):
        await worker
    if lost.is_set():
        raise QueueAway("the end of a task was not stored")
