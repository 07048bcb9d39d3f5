"""(datastore) -> WAITING: a job for each folder with unreadable files.

It is held once it has waited as long as a series may be incomplete, and cancelled when everything
is readable. After a release or cancellation it comes back only for other unreadable files.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.errors import NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.survey import Survey
from drawcli.pipeline.survey.unread_folders import FolderSnapshot

Change = Callable[[Job, Callable[[], Job]], None]
_TOLD_BY_SERIES: Final = "unreadable-files"


def take_unread(survey: Survey, ctx: Context, change: Change, *, only: str | None) -> list[Job]:
    """Bring the jobs of unread folders up to date; return those that were made.

    Parameters
    ----------
    survey
        What the scan has seen.
    ctx
        The site.
    change
        Changes a job under its lock.
    only
        A job: update that one alone.
    """
    made, known = list[Job](), _jobs_by_folder(ctx)
    for seen in survey.unread:
        jobs = known.pop(seen.key, [])
        if only is not None and all(job.id != only for job in jobs):
            continue
        made += _of_folder(jobs[-1] if jobs else None, seen, ctx, change)
    left = () if survey.lost else known.values()  # a missing datastore was not scanned
    for job in (job for jobs in left for job in jobs if only in (None, job.id)):
        if job.state is State.WAITING:
            change(job, partial(_readable, job, ctx))
    return made


def _of_folder(latest: Job | None, seen: FolderSnapshot, ctx: Context, change: Change) -> list[Job]:
    """Bring the job of one folder up to date; return the one that was made."""
    if latest is not None and latest.state is State.WAITING:
        _look_again(latest, seen, ctx, change)
    elif not _set_aside(latest, seen, ctx) and not _told_by_series(seen, ctx):
        return _begun(latest, seen, ctx)
    return []


def _jobs_by_folder(ctx: Context) -> dict[str, list[Job]]:
    known: dict[str, list[Job]] = {}
    for job in sorted(ctx.ledger.jobs(), key=lambda job: job.number):
        if job.of_folder:
            known.setdefault(job.series_key, []).append(job)
    return known


def _readable(job: Job, ctx: Context) -> Job:
    """Return the cancelled job of a folder whose files are all readable now."""
    reason = "everything in the folder is readable now"
    cancelled = job.to(State.CANCELLED, at=ctx.now(), source_digest=None)
    return cancelled.postponed(None, code="readable-again", reason=reason)


def _begun(latest: Job | None, seen: FolderSnapshot, ctx: Context) -> list[Job]:
    archived = ctx.ledger.archive.of_series(seen.key)
    numbers = [int(one.id.partition("-")[2]) for one in archived]
    number = max([*numbers, latest.number if latest else 0]) + 1
    job = Job(id=f"{seen.key}-{number}", state=State.WAITING, since=ctx.now(), **seen.facts)
    job = replace(job, key_id=seen.key_id).begun(at=ctx.now())
    job = _waiting(job, seen, ctx)
    return [job] if ctx.begin(job, seen.crosswalk) else []


def _set_aside(latest: Job | None, seen: FolderSnapshot, ctx: Context) -> bool:
    """Return whether a user has released or cancelled the job of these files."""
    if latest is not None:
        return latest.state is State.CANCELLED and latest.source_digest == seen.digest
    archived = ctx.ledger.archive.of_series(seen.key)
    return bool(archived) and archived[-1].source_digest == seen.digest


def _told_by_series(seen: FolderSnapshot, ctx: Context) -> bool:
    """Return whether the job of a series beside the files reports them, or did so lately."""
    since = datetime.fromtimestamp(seen.since_ns / 1e9, UTC)
    return any(
        (job.state is State.WAITING and job.reason_code == _TOLD_BY_SERIES)
        or any(
            (one.kind, one.code) == (EventKind.HELD, _TOLD_BY_SERIES) and one.at >= since
            for one in job.events
        )
        for key in seen.beside
        for job in ctx.ledger.of_series(key)
    )


def _look_again(job: Job, seen: FolderSnapshot, ctx: Context, change: Change) -> None:
    as_it_was = (job.source_digest, job.reason) == (seen.digest, seen.verdict.text)
    if job.held and not as_it_was:  # reported once; the reason is kept up to date
        change(job, lambda: replace(job, reason=seen.verdict.text, **seen.facts))
    elif not job.held:
        after = _waiting(replace(job, **seen.facts), seen, ctx)
        if after != job:
            change(job, lambda: after)


def _waiting(job: Job, seen: FolderSnapshot, ctx: Context) -> Job:
    """Return the job waiting with its reason; held if it has waited too long."""
    job, verdict = job.not_after(ctx.now()), seen.verdict
    if ctx.now() - job.since <= timedelta(hours=seen.wanted.incomplete_hours):
        return job.postponed(None, code=verdict.code, reason=verdict.text)
    hint = (
        f"'drawcli show {job.id} --identify' names the folder. Repair or remove its files: the "
        "next scan finds the change. 'drawcli release JOB' leaves them unread."
    )
    return job.held_for(NeedsPerson(verdict.text, code=verdict.code, hint=hint), at=ctx.now())
