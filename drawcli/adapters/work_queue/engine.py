"""The engine of the queues: procrastinate, set up for one kind of task."""

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.jobs.tasks import QueueTask
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from datetime import datetime

    from procrastinate import App
    from procrastinate.jobs import Job

NAME: Final = "drawcli.step"
FORMAT: Final = 1  # of the arguments of a task
_SCHEMA: Final = "drawcli_queue_"
_LONGEST_NAME: Final = 63  # of a schema of PostgreSQL


class UnknownTask(Exception):
    """A task of another version of drawcli, or of another site."""


def schema_of(site: str) -> str:
    """Return the name of the schema with the queues of a site.

    >>> schema_of("north-2")
    'drawcli_queue_north_2'
    """
    name = _SCHEMA + re.sub("[^a-z0-9]", "_", site)
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(site.encode()).hexdigest()[:12]
    return f"{name[: _LONGEST_NAME - 13]}_{digest}"


def bare_app() -> "App":
    """Return the engine without a connection of its own."""
    try:
        from procrastinate import App, SyncPsycopgConnector
    except ImportError:
        raise not_installed("drawcli worker", "cluster") from None
    quiet()
    return App(connector=SyncPsycopgConnector())


def quiet() -> None:
    """Turn off the log of the engine: drawcli logs each task itself."""
    for name in ("procrastinate", "psycopg", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def arguments_of(task: QueueTask) -> dict[str, Any]:
    """Return the arguments that the engine stores."""
    return {"format": FORMAT, **task._asdict()}


def task_of(facts: dict[str, Any], site: str) -> QueueTask:
    """Return the task of stored arguments.

    Raises
    ------
    UnknownTask
        If another version has written them, or they are for another site.
    """
    known = {"format", *QueueTask._fields}
    texts = [value for name, value in facts.items() if name != "format"]
    if facts.get("format") != FORMAT or facts.keys() - known or "step" not in facts:
        raise UnknownTask("it was written by another version of drawcli")
    if facts.get("site") != site or not all(isinstance(one, str) for one in texts):
        raise UnknownTask("it is not for this site")
    return QueueTask(**{name: facts[name] for name in QueueTask._fields if name in facts})


def stored_job(app: "App", task: QueueTask, priority: int, at: "datetime | None") -> "Job":
    """Return what the engine stores for a task that may run at a time of the database's clock."""
    return app.configure_task(
        NAME,
        allow_unknown=True,
        queue=task.queue,
        queueing_lock=task.key,
        task_kwargs=arguments_of(task),
        priority=priority,
        schedule_at=at,
    ).job
