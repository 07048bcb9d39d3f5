"""UPLOADED -> SEGMENTED: ask the server how the task fares.

Safe to repeat: asking changes nothing. A task that the server has lost goes up again, the same
bytes, once; where that one is lost, too, it is the address of the status that is wrong.
"""

from datetime import datetime, timedelta
from typing import Final

from drawcli.adapters.server.responses import ENDPOINT_HINT
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.core.protocol.task_status import TaskState, TaskStatus
from drawcli.errors import NeedsPerson, TryLater
from drawcli.pipeline.context import Context

LOST_AFTER: Final = 4  # times that the server did not know the task, minutes apart
_AGAIN: Final = "the server has lost the task: the series is sent again"
_SOONEST: Final = timedelta(seconds=2)
_LATEST: Final = timedelta(minutes=10)


def poll(job: Job, ctx: Context) -> Job:
    """Ask for the status of a job's task; move on, wait, or hold."""
    server = ctx.server
    with ctx.turns.released():
        status = server.status(job.task_id or "")
    match status.state:
        case TaskState.READY | TaskState.DELIVERED:
            return job.to(State.SEGMENTED, at=ctx.now())
        case TaskState.FAILED:
            raise NeedsPerson(
                f"the server could not segment the series: {status.error or status.word}",
                code="segmentation-failed",
                hint=f"'drawcli retry {job.id}' sends it again.",
            )
        case TaskState.UNKNOWN:
            return _lost(job, ctx.now())
        case _:
            return _waiting(job, status, ctx)


def next_look(uploaded_at: datetime, now: datetime) -> datetime:
    """Return when to ask again: soon at first, then after a quarter of the time waited so far.

    >>> start = datetime(2026, 3, 14, 12)
    >>> [str(next_look(start, start + timedelta(minutes=m)) - start) for m in (0, 4, 60)]
    ['0:00:02', '0:05:00', '1:10:00']
    """
    return now + max(_SOONEST, min((now - uploaded_at) / 4, _LATEST))


def _lost(job: Job, now: datetime) -> Job:
    """Return the job on its way to be sent again: once, for a server may forget, but not each."""
    if job.tries("task-unknown") + 1 < LOST_AFTER:
        raise TryLater("the server does not know the task", code="task-unknown")
    if _was_sent_again(job):
        raise NeedsPerson(
            "the server answers 404 to the status of a task that it has just taken, for the "
            "second time",
            code="task-unknown",
            hint=f"{ENDPOINT_HINT} 'drawcli release {job.id}' asks again, 'drawcli retry {job.id}' "
            "sends the series again.",
        )
    lost = job.noted(now, "task-unknown", _AGAIN, EventKind.FAILED)
    return lost.to(State.PACKAGED, at=now, task_id=None, uploaded_at=None)


def _was_sent_again(job: Job) -> bool:
    """Tell whether a lost task was sent again since a person last looked at the job."""
    for event in reversed(job.events):
        if event.kind is EventKind.HELD:
            return False
        if event.why == _AGAIN:
            return True
    return False


def _waiting(job: Job, status: TaskStatus, ctx: Context) -> Job:
    """Return the job waiting; a word that nobody knows is told once, and waited through."""
    now, word = ctx.now(), status.word
    since = job.uploaded_at or job.since
    hours = ctx.settings.server.deadline_hours
    if now - since > timedelta(hours=hours):
        raise NeedsPerson(
            f"no result {hours:g} hours after the upload; the server says {word or 'nothing'}",
            code="deadline",
            hint=f"'drawcli release {job.id}' goes on asking; 'drawcli retry' sends it again.",
        )
    code, reason = "processing", f"the server says {word or 'nothing'}"
    if not status.is_known:
        code, reason = "status-unknown", f"{reason}, which drawcli does not know"
        told = any(event.code == reason for event in job.events)
        job = job if told else job.noted(now, reason)
    return job.postponed(next_look(since, now), code=code, reason=reason)
