"""DELIVERED -> DONE: confirm the delivery to the server, which then deletes its copy.

Safe to repeat: a server that has already deleted it answers 404, which counts as success.

Tasks that were replaced by another upload, or cancelled, are confirmed once the job is finished.
They are in the ledger from the moment that they are replaced until the server has deleted them, and
a job with such tasks is not archived.
"""

from dataclasses import replace
from typing import Final

from drawcli.adapters.state.audit_log import CONFIRMED
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.jobs.ledger import check_claim
from drawcli.core.protocol.task_status import TaskState
from drawcli.errors import NeedsPerson, TryLater
from drawcli.pipeline.context import Context

_PATIENCE: Final = 8  # tries, some four hours, in which the server may still work on the task


def confirm(job: Job, ctx: Context) -> Job:
    """Confirm a delivered job."""
    _confirm_task(job, job.task_id or "", ctx)
    return job.to(State.DONE, at=ctx.now())


def confirm_replaced(job: Job, ctx: Context) -> Job:
    """Confirm the replaced tasks of a finished job, so that the server keeps no copy of them.

    Raises
    ------
    TryLater
        If the server has not deleted all of them; it is asked until it has.
    """
    in_use = {other.task_id for other in ctx.ledger.jobs() if other.state not in FINISHED}
    try:
        for task_id in job.replaced:
            if task_id not in in_use:  # a server that was reset may give an id once more
                _check_ended(job, task_id, ctx)
                _confirm_task(job, task_id, ctx)
    except NeedsPerson as err:  # no decision of a user would help
        raise TryLater(str(err), code=err.code, hint=err.hint) from err
    return replace(job, replaced=(), attempts=0, due_at=None)


def _check_ended(job: Job, task_id: str, ctx: Context) -> None:
    """Raise TryLater if the server still works on a task: it would keep the result."""
    if job.attempts >= _PATIENCE:
        return
    server = ctx.server
    with ctx.turns.released():
        status = server.status(task_id)
    if status.state is TaskState.RUNNING:
        raise TryLater(f"the server says {status.word or 'nothing'} of a replaced task")


def _confirm_task(job: Job, task_id: str, ctx: Context) -> None:
    server, now = ctx.server, ctx.now()
    check_claim(ctx.ledger, job.id)
    with ctx.turns.released():
        server.confirm(task_id, at=now)
    ctx.audit_write_outcome(CONFIRMED, job, task=task_id)
