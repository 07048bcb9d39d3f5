"""DELIVERED -> DONE: confirm the delivery to the server, which then deletes its copy.

Safe to repeat: a server that has already deleted it answers 404, which counts as success.
"""

from drawcli.adapters.state.audit_log import CONFIRMED
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context


def confirm(job: Job, ctx: Context) -> Job:
    """Confirm a delivered job."""
    server, now = ctx.server, ctx.now()
    with ctx.turns.released():
        server.confirm(job.task_id or "", at=now)
    ctx.audit_write_outcome(CONFIRMED, job, task=job.task_id)
    return job.to(State.DONE, at=ctx.now())
