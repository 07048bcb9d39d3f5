"""Advance jobs by one step each; step failures are handled only here."""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, TypeVar

from drawcli.adapters.state.workdir import Busy
from drawcli.core.jobs.backoff import LONGEST_WAIT, failed_too_long, wait_after
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State
from drawcli.errors import (
    AWAY,
    LOCKED,
    SERVER_TOOK_NOTHING,
    AnotherRun,
    DrawcliError,
    FolderSilent,
    GateBlocked,
    JobError,
    NeedsPerson,
    OutOfMemory,
    OutOfReach,
    ServerSilent,
    ServerUnavailable,
    TryLater,
    as_machine_error,
)
from drawcli.pipeline.context import Context
from drawcli.pipeline.model_change import hold_new
from drawcli.pipeline.pull.step import run_pull
from drawcli.pipeline.step_report import StepReport, outcome_of
from drawcli.pipeline.steps import COMMANDS, Step, step_from
from drawcli.pipeline.survey.scan_result import ScanResult
from drawcli.pipeline.survey.scan_step import run_scan
from drawcli.pipeline.survey.watchdog import READ_IMAGES, watch_step
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL

JobErrorT = TypeVar("JobErrorT", bound=JobError)

AT_ONCE: Final = frozenset({"upload", "poll", "fetch"})  # run in parallel: mostly waiting
# Results are delivered first; then new series are sent.
HOMEWARD: Final = ("poll", "fetch", "reidentify")
OUTWARD: Final = ("match", "deidentify", "upload")

GIB: Final = 1 << 30
IMAGES_GONE: Final = frozenset({"source-changed", "source-moved"})  # or replaced
_SOON_SECONDS: Final = 60.0  # until the server is asked again whether it takes uploads
_log = logging.getLogger(__name__)


class Selection(NamedTuple):
    """The jobs that a command processes."""

    job_id: str | None = None
    limit: int | None = None
    until: datetime | None = None  # no job is started after this time


def run_step(command: str, ctx: Context, chosen: Selection) -> StepReport:
    """Advance every due job of a command by one step."""
    with ctx.progress.step(command), ExitStack() as open_:
        if command == "scan":
            return run_scan(ctx, chosen.job_id, chosen.limit)
        if command == "pull":
            return run_pull(ctx, chosen.until)
        if command in READ_IMAGES:
            open_.enter_context(watch_step(ctx, command))
        if command == "match":
            _ = ctx.rulebook  # report a broken file at once, not with the next series
        report = StepReport(command)
        hold = partial(advance, ctx=ctx, report=report)
        if command in OUTWARD[1:]:
            hold_new(ctx, hold, whole_run=chosen.job_id is None)
        _advance_due(command, ctx, chosen, report)
        if command == "match":
            hold_new(ctx, hold, whole_run=chosen.job_id is None)
    return report


def _advance_due(command: str, ctx: Context, chosen: Selection, report: StepReport) -> None:
    """Advance the due jobs of a command by one step each."""
    lanes = ctx.settings.server.parallel if command in AT_ONCE else 1
    for state in COMMANDS[command]:
        jobs = list(due_jobs(state, ctx, chosen))
        if report.is_paused(ctx.site_dir) or not jobs:
            continue
        ctx.progress.expect(len(jobs))
        if command == "upload":
            _put_off_unless_welcome(jobs, ctx, report)
        waiting = _one_by_one(jobs, ctx, chosen, report)
        take = partial(advance, step=step_from(state), ctx=ctx, report=report)
        ctx.turns.share(waiting, take, lanes=min(lanes, len(jobs)))


def _one_by_one(
    jobs: Iterable[Job], ctx: Context, chosen: Selection, report: StepReport
) -> Generator[Job, None, None]:
    """Yield jobs until the limit or the deadline is reached, or the step must stop."""
    for job in jobs:
        late = chosen.until is not None and ctx.now() >= chosen.until
        full = chosen.limit is not None and report.begun >= chosen.limit
        ended = late or full or report.unreachable or report.stopped
        if ended or report.is_paused(ctx.site_dir):
            return
        report.begun += 1
        yield job


def _put_off_unless_welcome(jobs: Iterable[Job], ctx: Context, report: StepReport) -> None:
    """Ask once whether the server takes uploads; if not, postpone all jobs without a failure."""
    try:
        ctx.check_uploads_welcome()
    except ServerUnavailable as err:
        refused = err
    else:
        return

    def upload(job: Job, ctx: Context) -> Job:
        wait = min(timedelta(seconds=refused.wait_seconds or _SOON_SECONDS), LONGEST_WAIT)
        reason = f"no uploads now: {refused}"
        return job.postponed(ctx.now() + wait, code=refused.code, reason=reason)

    for job in jobs:
        advance(job, upload, ctx, report)
    report.unreachable = str(refused)


def run_once(ctx: Context, chosen: Selection) -> Iterator[StepReport]:
    """Run the whole cycle: deliver results, pull, then send new series.

    The caller holds the run lock.
    """
    ctx.tokens.read()  # else ConfigError: there is no usable token
    ctx.work.remove_leftovers(lambda job_id: ctx.ledger.get(job_id) is not None)
    ctx.ledger.keep_copy()
    pulls = ctx.settings.pull.sources and chosen.job_id is None
    for command in (*HOMEWARD, *(["pull"] if pulls else []), "scan", *OUTWARD):
        try:
            yield run_step(command, ctx, chosen)
        except AnotherRun as err:  # it uses the scan index: go on with the known series
            lost = OutOfReach(str(err), code=err.code, hint=err.hint)
            yield StepReport(command, scanned=ScanResult(lost=[lost]))
    tidy(ctx)


def due_jobs(state: State, ctx: Context, chosen: Selection) -> Iterator[Job]:
    """Yield the due jobs in a state: by priority, then by age."""
    now = ctx.now()
    for job in sorted(ctx.ledger.jobs([state]), key=lambda job: -job.priority):
        if chosen.job_id is not None and job.id != chosen.job_id:
            continue
        if state in FINISHED and not job.replaced:
            continue
        if state in RULES_DECIDE:
            from drawcli.pipeline.steps.match import wants_match

            is_due = job.is_due(now) or job.reason_code == "ambiguous"
            if is_due and wants_match(job, ctx):  # also jobs held under earlier rules
                yield job
        elif job.is_due(now):
            yield job


def tidy(ctx: Context) -> None:
    """Remove old work folders of finished jobs; archive finished jobs."""
    for job in expired_jobs(ctx):
        ctx.work.remove(job.id)
    ctx.ledger.archive_finished(ctx.now())


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


def advance(job: Job, step: Step, ctx: Context, report: StepReport) -> None:
    """Advance a job by one step under its lock; store the outcome."""
    try:
        with ctx.progress.job(job.id), ctx.work.job_lock(job.id):
            fresh = ctx.ledger.get(job.id)
            if fresh is None or fresh.revision != job.revision:
                return  # another process was faster
            after = _attempt(fresh, step, ctx, report)
            if after != fresh:
                after = ctx.ledger.commit(after)
            if after.held or (job.state, after.state) == (State.FETCHED, State.DELIVERED):
                from drawcli.pipeline.preview import draw_preview

                with watch_step(ctx, "preview"):
                    draw_preview(
                        after, ctx, partial(_attempt, ctx=ctx, report=StepReport("preview"))
                    )
    except Busy:
        report.outcomes.append((job.id, "busy"))
        return
    what = outcome_of(job, after)
    report.outcomes.append((job.id, what))
    if after.held:
        report.held.append(after)
    _log.info(
        "job=%s step=%s from=%s outcome=%s code=%s",
        *(job.id, step.__name__, job.state, what, after.reason_code or "-"),
    )
    if report.no_memory:
        raise OutOfMemory(f"not enough memory to {step.__name__} job {job.id}; the job waits")


def _attempt(job: Job, step: Step, ctx: Context, report: StepReport) -> Job:
    """Run a step; turn a failure into the new state of the job."""
    try:
        after = step(job, ctx)
    except TryLater as err:
        return _failed(job, _for_one_off(err, job), ctx, report)
    except NeedsPerson as err:
        report.blocked += isinstance(err, GateBlocked)
        return _as_stored(job, ctx).held_for(_for_one_off(err, job), at=ctx.now())
    except DrawcliError:
        raise  # not caused by this job: the run cannot go on
    except Exception as err:  # noqa: BLE001 - a bug in one job must not stop the others
        if (trouble := as_machine_error(err, step.__name__)) is not None:
            return _failed(job, trouble, ctx, report)
        _log.exception("job=%s step=%s", job.id, step.__name__)
        bug = NeedsPerson(
            f"bug: {type(err).__name__} in {step.__name__}",
            code="bug",
            hint="Send the log to the developers; it contains no patient data.",
        )
        return _as_stored(job, ctx).held_for(bug, at=ctx.now())
    else:
        report.silent = 0
        return after


def _for_one_off(err: JobErrorT, job: Job) -> JobErrorT:
    """Add to an error how to restore the images of a one-off job, which no scan finds."""
    if not job.one_off or err.code not in IMAGES_GONE:
        return err
    return err.replaced(
        hint="Reconnect the medium, or scan the images again with 'drawcli scan PATH'; "
        f"then 'drawcli retry {job.id}'."
    )


def _failed(job: Job, err: TryLater, ctx: Context, report: StepReport) -> Job:
    """Return the job waiting, or held if it has failed for too long."""
    stored, tries, now = _as_stored(job, ctx), job.tries(err.code), ctx.now()
    is_silent = isinstance(err, ServerSilent)
    report.silent, report.silences = is_silent * (report.silent + 1), report.silences + is_silent
    if report.silent >= SILENT_IN_A_ROW or report.silences >= SILENT_IN_ALL:
        report.unreachable = str(err)
    report.stopped = report.stopped or isinstance(err, FolderSilent) or err.code in LOCKED
    if err.code in AWAY:
        report.undelivered = err
    elif err.code == OutOfMemory.code:
        report.no_memory = True
    elif err.code in SERVER_TOOK_NOTHING:
        report.unreachable = str(err)
    elif job.state not in FINISHED:
        deadline = timedelta(hours=ctx.settings.server.deadline_hours)
        given_up = failed_too_long(stored, err, tries, now=now, deadline=deadline)
        if given_up is not None:
            return stored.held_for(given_up, at=now)
    return stored.failed(err, at=now, until=now + wait_after(err, tries, job.id))


def _as_stored(job: Job, ctx: Context) -> Job:
    """Return the stored job: a step may have recorded an attempt before it failed."""
    return ctx.ledger.get(job.id) or job
