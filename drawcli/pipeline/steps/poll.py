"""UPLOADED -> SEGMENTED: ask the server for the status of a task.

Safe to repeat: a request changes nothing. If the server has lost a task, the same bytes are sent
again, once; if that task is lost, too, the status address is probably wrong.
"""

from datetime import datetime, timedelta
from typing import Final

from drawcli.adapters.server.responses import ENDPOINT_HINT
from drawcli.adapters.state.workdir import REFUSED
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.core.protocol.task_status import SENT_AGAIN, TaskState, TaskStatus
from drawcli.errors import NeedsPerson, TryLater
from drawcli.pipeline.context import Context
from drawcli.system.printable import counted

LOST_AFTER: Final = 4  # times that the server did not know the task, minutes apart
_SOONEST: Final = timedelta(seconds=2)
_LATEST: Final = timedelta(minutes=10)


def poll(job: Job, ctx: Context) -> Job:
    """Ask for the status of a job's task; advance, wait, or hold."""
    server = ctx.server
    with ctx.turns.released():
        status = server.status(job.task_id or "")
    match status.state:
        case TaskState.READY | TaskState.DELIVERED:
            ctx.work.file(job.id, REFUSED).unlink(missing_ok=True)  # of an earlier task
            return job.to(State.SEGMENTED, at=ctx.now())
        case TaskState.FAILED:
            why = status.error or f"{status.word}, without a reason"
            raise NeedsPerson(
                f"the server could not segment the series: {why}",
                code="segmentation-failed",
                hint=f"'drawcli retry {job.id}' uploads it again. If it fails again, ask the DRAW "
                f"administrator, or try another template: 'drawcli assign {job.id} TEMPLATE'.",
            )
        case TaskState.UNKNOWN:
            return _lost(job, ctx.now())
        case _:
            return _waiting(job, status, ctx)


def next_poll(uploaded_at: datetime, now: datetime) -> datetime:
    """Return when to ask again: after a quarter of the time waited, 2 s to 10 min.

    >>> start = datetime(2026, 3, 14, 12)
    >>> [str(next_poll(start, start + timedelta(minutes=m)) - start) for m in (0, 4, 60)]
    ['0:00:02', '0:05:00', '1:10:00']
    """
    return now + max(_SOONEST, min((now - uploaded_at) / 4, _LATEST))


def _lost(job: Job, now: datetime) -> Job:
    """Return a job whose task the server lost, to be sent again once."""
    if job.tries("task-unknown") + 1 < LOST_AFTER:
        raise TryLater("the server does not know the task", code="task-unknown")
    if _was_sent_again(job):
        raise NeedsPerson(
            "the server answers 404 to the status of a task that it has just accepted, for the "
            "second time",
            code="task-unknown",
            hint=f"{ENDPOINT_HINT} 'drawcli release {job.id}' asks again, 'drawcli retry {job.id}' "
            "sends the series again.",
        )
    lost = job.noted(now, "task-unknown", SENT_AGAIN, EventKind.FAILED)
    return lost.to(State.PACKAGED, at=now, task_id=None, uploaded_at=None)


def _was_sent_again(job: Job) -> bool:
    """Return whether a lost task was sent again since the job was last held."""
    for event in reversed(job.events):
        if event.kind is EventKind.HELD:
            return False
        if event.why == SENT_AGAIN:
            return True
    return False


def _waiting(job: Job, status: TaskStatus, ctx: Context) -> Job:
    """Return the job waiting; an unknown status is reported once."""
    now, word = ctx.now(), status.word
    job = job.not_after(now)
    since = job.uploaded_at or job.since
    hours = ctx.settings.server.deadline_hours
    if now - since > timedelta(hours=hours):
        raise NeedsPerson(
            f"no result {counted(hours, 'hour')} after the upload; the server says "
            f"{word or 'nothing'}",
            code="deadline",
            hint=f"'drawcli retry {job.id}' asks for as long again. 'drawcli retry "
            f"{job.id} --resend' uploads it again: it is then segmented twice.",
        )
    code, reason = "processing", f"the server says {word or 'nothing'}"
    if not status.is_known:
        code, reason = "status-unknown", f"{reason}, which drawcli does not know"
        is_noted = any(event.code == reason for event in job.events)
        job = job if is_noted else job.noted(now, reason)
    return job.postponed(next_poll(since, now), code=code, reason=reason)
