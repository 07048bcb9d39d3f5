"""The task that follows: what is deferred after a step, and for which host."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from drawcli.adapters.work_queue.queue import Deferral
from drawcli.core.jobs.job import RULES_DECIDE
from drawcli.core.jobs.tasks import QueueTask, step_for, urgency

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.operations.workers.site import OpenSite

SOON: Final = timedelta(minutes=10)  # later tasks are deferred by the feeder when they are due


def follow(site: "OpenSite", job_id: str, done: str) -> str | None:
    """Defer the next step of a job; return the step if it is left to the feeder, else None.

    `done` is the step that has just ended. Only the feeder repeats the same step of a job: it runs
    every few seconds, so that a task cannot repeat itself without a pause.
    """
    ctx = site.context()
    job, home = site.shared.with_home(job_id)
    step = None if job is None else step_for(job)
    if job is None or step is None or job.state in RULES_DECIDE or is_far(job, ctx.now()):
        return None
    if step == done and job.is_due(ctx.now()):
        return None
    if step == "deidentify" or step in ctx.settings.cluster.limits:
        return step  # what a new site may send, and how many at once, is decided for all jobs
    task = QueueTask(site.shared.site, step, job_id, home)
    site.queue.defer(Deferral(task, job.due_at, urgency(step, job.priority)))
    return None


def is_far(job: "Job", now: datetime) -> bool:
    """Return whether the next step of a job is due much later."""
    return job.due_at is not None and job.due_at > now + SOON
