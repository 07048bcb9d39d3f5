"""(datastore) -> FOUND: make a job of every complete series, and watch incomplete ones.

Safe to repeat: a series has one key, and its job is stored only once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

from drawcli.adapters.scan_index import IndexBroken
from drawcli.core.jobs.job import BEFORE_UPLOAD, Job, State
from drawcli.core.jobs.ledger import ArchiveEntry
from drawcli.core.series.verdict import Readiness, Verdict
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey import (
    SegmentedJudge,
    SeriesSnapshot,
    incomplete,
    open_survey,
    snapshot_one_off,
    take_unread,
)
from drawcli.pipeline.survey.late_series import check_archived, check_sent
from drawcli.pipeline.survey.scan_result import ScanResult, change_job

_AT_ONCE: Final = 200  # series whose archived jobs are asked for in one request
_NOT_SHOWN: Final = "the images of the one-off job are missing; 'drawcli scan PATH' finds them"


def scan(
    ctx: Context,
    *,
    only: str | None = None,
    limit: int | None = None,
    tell: Callable[[int], None] = lambda _files: None,
) -> ScanResult:
    """Read the datastore and bring the ledger up to date with it.

    `only` is a job: only its series is scanned. `limit` is the maximum number of new series. `tell`
    is called with the number of files read so far.
    """
    try:
        return _scan(ctx, only, limit, tell)
    except IndexBroken:
        done = _scan(ctx, only, limit, tell)
        return replace(done, rebuilt="it is damaged")


def _scan(
    ctx: Context, only: str | None, limit: int | None, tell: Callable[[int], None]
) -> ScanResult:
    with open_survey(ctx, tell=tell) as survey:
        done = ScanResult(
            passed_over=survey.passed_over,
            rebuilt=survey.rebuilt,
            folders_missing=survey.folders_missing,
            lost=survey.lost,
        )
        _take(survey.series, only, limit, ctx, done)
        change = partial(change_job, ctx=ctx, done=done)
        done.jobs += take_unread(survey, ctx, change, only=only)
    return done


def _take(
    series: Iterable[SeriesSnapshot],
    only: str | None,
    limit: int | None,
    ctx: Context,
    done: ScanResult,
) -> None:
    """Bring the jobs of every series up to date."""
    known, segmented = _jobs_by_series(ctx), SegmentedJudge(ctx)
    for seen, archived in _with_archived(series, ctx):
        done.series, done.files = done.series + 1, done.files + seen.files
        jobs = known.pop(seen.key, [])
        if only is not None and all(job.id != only for job in jobs):
            continue
        check_archived(archived, jobs, seen, ctx, done)
        left_out = _left_out(archived, jobs, seen, ctx)
        jobs += left_out
        is_new = all(job.state is State.WAITING or incomplete.is_left_out(job) for job in jobs)
        if is_new and {entry.id for entry in archived} <= {job.id for job in jobs}:
            seen = segmented.judged(seen)  # noqa: PLW2901 - the same series
        if jobs or (not archived and (limit is None or len(done.jobs) < limit)):
            _look_at(seen, jobs, ctx, done)
    for job in (job for jobs in known.values() for job in jobs if only in (None, job.id)):
        _note_unseen(job, ctx, done)


def _with_archived(
    series: Iterable[SeriesSnapshot], ctx: Context
) -> Iterator[tuple[SeriesSnapshot, list[ArchiveEntry]]]:
    """Yield every series with its archived jobs, of many series in one request to the ledger."""
    every = iter(series)
    while part := deque(islice(every, _AT_ONCE)):
        archived: dict[str, list[ArchiveEntry]] = {}
        for entry in ctx.ledger.archive.of_series(*(seen.key for seen in part)):
            archived.setdefault(entry.series_key, []).append(entry)
        while part:
            seen = part.popleft()  # so that its data are freed after use
            yield seen, archived.get(seen.key, [])


def _left_out(
    archived: list[ArchiveEntry], jobs: list[Job], seen: SeriesSnapshot, ctx: Context
) -> list[Job]:
    """Return the archived jobs that the settings left out, unless they still do."""
    if seen.verdict.readiness is Readiness.IGNORED:
        return []
    known = {job.id for job in jobs}
    ids = [one.id for one in archived if not one.source_digest and one.id not in known]
    return list(filter(incomplete.is_left_out, ctx.ledger.archive.find(ids))) if ids else []


def preview_scan(ctx: Context) -> list[SeriesSnapshot]:
    """Return each series that a scan would treat as new; raise OutOfReach if a folder is lost."""
    known = _jobs_by_series(ctx)
    with open_survey(ctx, throwaway=True) as survey:
        if survey.lost:
            raise survey.lost[0]
        every = _with_archived(survey.series, ctx)
        new = (one for one, archived in every if _is_new(known.get(one.key, []), archived))
        return list(map(SegmentedJudge(ctx).judged, new))


def _is_new(jobs: list[Job], archived: list[ArchiveEntry]) -> bool:
    if jobs:
        is_open = jobs[-1].state is State.WAITING or incomplete.is_left_out(jobs[-1])
        return is_open and not jobs[-1].one_off
    return all(entry.state is State.CANCELLED and not entry.source_digest for entry in archived)


def _look_at(seen: SeriesSnapshot, jobs: list[Job], ctx: Context, done: ScanResult) -> None:
    """Bring the jobs of one series up to date."""
    if not jobs and seen.verdict.readiness is Readiness.IGNORED:
        done.ignored[seen.verdict.code] += 1
    elif not jobs:
        _take_up(seen, ctx, done)
    for job in jobs:
        if job.one_off:
            _note_unseen(job, ctx, done)  # it keeps its own images
        else:
            _look_at_job(job, seen, ctx, done)


def _look_at_job(job: Job, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    if job.state is State.WAITING:
        _look_again(job, seen, ctx, done)
    elif job.state in BEFORE_UPLOAD:
        if (job.source_digest, job.source_stamp) != (seen.digest, seen.stamp):
            change_job(job, partial(_sent_back, job, seen, ctx), ctx, done)
        elif seen.verdict.readiness is Readiness.IGNORED and not incomplete.is_anyhow_sent(job):
            leave = partial(incomplete.leave_out, job, seen.verdict, seen, ctx)
            change_job(job, leave, ctx, done)
    elif incomplete.is_left_out(job):
        if seen.verdict.readiness is not Readiness.IGNORED:
            change_job(job, partial(_taken_back, job, seen, ctx), ctx, done)
    elif job.state is not State.CANCELLED:
        check_sent(job, seen, ctx, done)


def _take_up(seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    """Make a job of a series: found, or waiting if incomplete."""
    ready = seen.verdict.readiness is Readiness.READY
    state = State.FOUND if ready else State.WAITING
    job = Job(id=f"{seen.key}-1", state=state, since=ctx.now(), **seen.facts)
    job = replace(job, key_id=seen.key_id).begun(at=ctx.now())
    job = job if ready else incomplete.postpone_or_hold(job, seen.verdict, seen, ctx)
    if ctx.begin(job, seen.crosswalk):
        done.jobs.append(job)
        done.contoured += seen.contoured


def _look_again(job: Job, seen: SeriesSnapshot, ctx: Context, done: ScanResult) -> None:
    """Check whether a waiting series is complete now."""
    verdict = incomplete.released_verdict(job, seen)
    changed = job.source_digest != seen.digest
    if not changed and incomplete.is_unchanged(job, verdict, seen, ctx):
        return

    look = partial(_judged, job, verdict, seen, ctx)
    if job.held and not changed and incomplete.has_same_reason(job, verdict, seen):
        _ask_rules_again(job, look, ctx, done)
    else:
        change_job(job, look, ctx, done)


def _judged(job: Job, verdict: Verdict, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return a waiting job after the verdict on its series."""
    if verdict.readiness is Readiness.READY:
        ctx.seal(job.id, seen.crosswalk)
        return job.to(State.FOUND, at=ctx.now(), **seen.facts)
    if verdict.readiness is Readiness.IGNORED and verdict.code != "few-slices":
        return incomplete.leave_out(job, verdict, seen, ctx)
    return incomplete.postpone_or_hold(replace(job.freed(), **seen.facts), verdict, seen, ctx)


def _taken_back(job: Job, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return a job that was left out, for a series that the settings include again."""
    waiting = job.to(State.WAITING, at=ctx.now())
    return _judged(waiting, incomplete.released_verdict(job, seen), seen, ctx)


def _ask_rules_again(job: Job, look: Callable[[], Job], ctx: Context, done: ScanResult) -> None:
    """Release a held series that the rules would not send; otherwise report nothing new."""
    after = look()
    if after.held:
        asked = replace(job, rules_digest=after.rules_digest)
        change_job(job, lambda: asked, ctx, done, into=[])
    else:
        change_job(job, lambda: after, ctx, done)


def _sent_back(job: Job, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return a job whose series changed before the upload to waiting."""
    ctx.seal(job.id, seen.crosswalk)
    after = job.to(State.WAITING, at=ctx.now(), **seen.facts)
    reason = "the series changed before it was sent"
    return after.postponed(None, code="series-changed", reason=reason)


def _note_unseen(job: Job, ctx: Context, done: ScanResult) -> None:
    """Record that the series of a waiting job is missing; check the paths of a one-off job."""
    if job.state is not State.WAITING or job.held or job.of_folder or ctx.files.home_of(job.id):
        return
    apart = snapshot_one_off(job, ctx) if job.one_off else None
    if apart is not None:
        _look_again(job, apart, ctx, done)
        return
    what = _NOT_SHOWN if job.one_off else "the last scan found no file of the series"
    gone = Verdict(Readiness.WAITING, "not-seen", what)
    change_job(job, lambda: incomplete.postpone_or_hold(job, gone, None, ctx), ctx, done)


def _jobs_by_series(ctx: Context) -> dict[str, list[Job]]:
    jobs: dict[str, list[Job]] = {}
    for job in sorted(ctx.ledger.jobs(), key=lambda job: job.number):
        jobs.setdefault(job.series_key, []).append(job)
    return jobs
