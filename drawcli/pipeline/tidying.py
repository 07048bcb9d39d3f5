"""Remove old work folders at the end of a run, and that of one job on request."""

from datetime import timedelta
from typing import Final

from drawcli.core.jobs.job import FINISHED, Job
from drawcli.errors import UsageError
from drawcli.pipeline.actions import act_locked
from drawcli.pipeline.cluster.reading import remove_old_files
from drawcli.pipeline.context import Context

GIB: Final = 1 << 30


def tidy(ctx: Context) -> None:
    """Remove old work folders of finished jobs; archive finished jobs."""
    for job in expired_jobs(ctx):
        ctx.work.remove(job.id)
    remove_old_files(ctx)
    ctx.ledger.archive_finished(ctx.now())


def check_erasable(job: Job) -> None:
    """Raise UsageError if the files of a job are still needed."""
    if job.state not in FINISHED:
        raise UsageError(
            f"job {job.id} is {job.state}: its files are needed",
            hint="Wait until it is done, or 'drawcli cancel' it.",
        )


def erase(job: Job, ctx: Context) -> int:
    """Remove all files of a finished job; return the bytes removed on this host.

    They are removed here, in the database and in shared storage. Other hosts keep what they have.

    Raises
    ------
    UsageError
        If the job is not finished, or is being processed.
    """
    check_erasable(job)

    def forget(now: Job) -> int:
        ctx.record("erase", now)
        ctx.files.forget(now.id)
        return ctx.work.size_of(now.id)

    size = act_locked(job, ctx, forget)
    ctx.work.remove(job.id)
    if ctx.work.size_of(job.id):
        raise UsageError(f"job {job.id} is being processed", hint="Run the command again.")
    return size


def expired_jobs(ctx: Context) -> list[Job]:
    """Return the finished jobs whose work folders can be removed.

    They finished `deliver.keep_days` ago; if less than `deliver.keep_free_gib` is free, the oldest
    of the other finished jobs follow.
    """
    finished = sorted(
        (job for job in ctx.kept_jobs() if job.state in FINISHED), key=lambda job: job.since
    )
    oldest = ctx.now() - timedelta(days=ctx.settings.deliver.keep_days)
    missing = ctx.settings.deliver.keep_free_gib * GIB - ctx.work.free_bytes()
    gone = []
    for job in finished:
        if job.since < oldest or missing > 0:
            missing -= ctx.work.size_of(job.id)
            gone.append(job)
    return gone
