"""Series whose images were added, removed, changed or moved after the upload."""

from dataclasses import replace
from typing import Final

from drawcli.adapters.ledger import ArchiveEntry
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.late_changes import Late, cancel_replaced, hold_changed, note_changed
from drawcli.core.series.verdict import Readiness
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.judge import SeriesSnapshot
from drawcli.pipeline.survey.scan_result import ScanResult, change_job

_ON_THE_WAY: Final = frozenset({State.UPLOADED, State.SEGMENTED, State.FETCHED})


def check_archived(
    archived: list[ArchiveEntry],
    jobs: list[Job],
    seen: SeriesSnapshot,
    ctx: Context,
    done: ScanResult,
) -> None:
    """Check whether a series has changed since its job was archived."""
    others = [one.id for one in archived if _was_other(one, seen, jobs)]
    if not others:
        return
    newest = ctx.ledger.get(archived[-1].id)
    choice = _late_choice(newest.rule if newest else None, seen, ctx)
    if choice == "ignore":
        return
    done.changed_later += others
    apart = newest is not None and newest.one_off  # the images sent were never in the datastore
    is_ready = seen.verdict.readiness is Readiness.READY
    if choice == "resend" and is_ready and not jobs and not apart:
        _make_successor(archived[-1].id, seen, ctx, done)


def _was_other(one: ArchiveEntry, seen: SeriesSnapshot, jobs: list[Job]) -> bool:
    """Return whether a series has changed since its job was done and archived."""
    is_archived = one.id not in {job.id for job in jobs}  # else it was assigned again
    return is_archived and one.state is State.DONE and one.source_digest != seen.digest


def check_sent(job: Job, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    """Check whether the images of a series that was sent have changed or moved."""
    if job.source_digest == seen.digest:
        if job.state in _ON_THE_WAY and job.source_stamp != seen.stamp:
            change_job(job, lambda: _followed(job, seen, ctx), ctx, done)
        return
    choice = _late_choice(job.rule, seen, ctx)
    if choice == "ignore":
        return
    done.changed_later.append(job.id)
    if choice == "resend" and seen.verdict.readiness is Readiness.READY:
        _send_again(job, seen, ctx, done)
    elif job.late_digest == seen.digest:
        return
    elif job.state not in _ON_THE_WAY:
        change_job(
            job,
            lambda: note_changed(job, ctx.now(), seen.files, seen.digest),
            ctx,
            done,
            into=done.late,
        )
    elif not job.held:
        change_job(job, lambda: hold_changed(job, ctx.now(), seen.files, seen.digest), ctx, done)


def _late_choice(rule_name: str | None, seen: SeriesSnapshot, ctx: Context) -> Late:
    """Return what to do if images are added, removed or changed after the upload.

    The rule that chose the template decides, else the settings; invalid rules are ignored.
    """
    try:
        choices = {rule.name: rule.late for rule in ctx.rulebook.rules}
    except DrawcliError:
        choices = {}
    return choices.get(rule_name or "") or seen.wanted.late


def _send_again(job: Job, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    """Make a new job of a series that changed after the upload, and cancel the old one.

    The new job is stored first: after a crash in between, the old job finds its successor.
    """
    newest = ctx.ledger.of_series(job.series_key)[-1]
    is_cancelled = newest.state is State.CANCELLED and newest.source_digest != seen.digest
    if newest.id == job.id or is_cancelled:
        if not _make_successor(newest.id, seen, ctx, done):
            return
        newest = ctx.ledger.of_series(job.series_key)[-1]
    if job.state in _ON_THE_WAY:
        change_job(job, lambda: cancel_replaced(job, ctx.now(), newest.id), ctx, done)


def _make_successor(old_id: str, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> bool:
    """Make the next job of a series that changed after the upload; it names its predecessor."""
    key, _, number = old_id.partition("-")
    job = Job(id=f"{key}-{int(number) + 1}", state=State.FOUND, since=ctx.now(), **seen.facts)
    job = replace(job, key_id=seen.key_id, follows=old_id).begun(at=ctx.now())
    is_new = ctx.begin(job, seen.crosswalk)
    if is_new:
        done.jobs.append(job)
    return is_new


def _followed(job: Job, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return the job with the present paths of its images."""
    ctx.seal(job.id, ctx.crosswalk(job).moved_to(seen.slices))
    freed = job if job.held else replace(job, due_at=None)
    return replace(freed, source_stamp=seen.stamp)
