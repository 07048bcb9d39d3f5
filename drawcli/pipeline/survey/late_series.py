"""Series whose images were added, removed, changed or moved after the upload."""

from dataclasses import replace
from typing import Final

from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.jobs.late_changes import Late, cancel_replaced, hold_changed, note_changed
from drawcli.core.jobs.ledger import ArchiveEntry
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
    for entry in archived:
        job = ctx.ledger.get(entry.id) if _was_other(entry, seen, jobs) else None
        choice = "ignore" if job is None else _late_choice(job.rule, seen, ctx)
        if job is None or choice == "ignore":
            continue
        done.changed_later.append(job.id)
        is_ready = seen.verdict.readiness is Readiness.READY
        if choice == "resend" and is_ready and not job.one_off:
            _send_again(job, seen, ctx, done)


def _was_other(entry: ArchiveEntry, seen: SeriesSnapshot, jobs: list[Job]) -> bool:
    """Return whether a series has changed since its job was done and archived."""
    is_archived = entry.id not in {job.id for job in jobs}  # else it was assigned again
    return is_archived and entry.state is State.DONE and entry.source_digest != seen.digest


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
        rule = ctx.rulebook.rules.by_name.get(rule_name or "")
    except DrawcliError:
        rule = None
    return (rule and rule.late) or seen.wanted.late


def _send_again(job: Job, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    """Make a new job of a series that changed after the upload, and cancel the old one.

    The new job is stored first: after a crash in between, the old job finds its successor.
    """
    series = ctx.ledger.of_series(job.series_key)
    newest = _line_of(job, series)[-1]
    is_over = newest.id == job.id or newest.state in FINISHED
    if is_over and newest.source_digest != seen.digest:
        made = _make_successor(newest, series[-1].number + 1, seen, ctx, done)
        if made is None:
            return
        newest = made
    if job.state in _ON_THE_WAY:
        change_job(job, lambda: cancel_replaced(job, ctx.now(), newest.id), ctx, done)


def _line_of(job: Job, series: list[Job]) -> list[Job]:
    """Return a job and the later jobs that replace it; another template is sent beside it."""
    line, ids = [job], {job.id}
    for later in series:
        replaces = later.follows in ids
        is_same = later.template in (job.template, None) and not later.one_off
        if later.number > job.number and (is_same or replaces):
            line.append(later)
            ids.add(later.id)
    return line


def _make_successor(
    old: Job, number: int, seen: SeriesSnapshot, ctx: Context, done: ScanResult
) -> Job | None:
    """Make the next job of a series that changed after the upload; it names its predecessor.

    It inherits the template: one that a user assigned is kept, else the rules decide again.
    """
    job = Job(id=f"{old.series_key}-{number}", state=State.FOUND, since=ctx.now(), **seen.facts)
    inherited = {name: getattr(old, name) for name in ("template", "rule", "priority")}
    job = replace(job, key_id=seen.key_id, follows=old.id, **inherited).begun(at=ctx.now())
    if not ctx.begin(job, seen.crosswalk):
        return None
    done.jobs.append(job)
    return job


def _followed(job: Job, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return the job with the present paths of its images."""
    ctx.seal(job.id, ctx.crosswalk(job).moved_to(seen.slices))
    freed = job if job.held else replace(job, due_at=None)
    return replace(freed, source_stamp=seen.stamp)
