"""Advance jobs by one step each; step failures are handled only here."""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from drawcli.core.jobs.backoff import LONGEST_WAIT, failed_too_long, wait_after
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import (
    AWAY,
    LOCKED,
    SERVER_TOOK_NOTHING,
    SHORT,
    AnotherRun,
    DrawcliError,
    FolderSilent,
    GateBlocked,
    LeaseLost,
    NeedsPerson,
    OutOfMemory,
    OutOfReach,
    OutOfResources,
    ServerSilent,
    ServerUnavailable,
    TryLater,
)
from drawcli.pipeline.cluster.images import with_remedy
from drawcli.pipeline.cluster.pressure import check_uploads_welcome, note_server_wait, slot_for
from drawcli.pipeline.context import Context
from drawcli.pipeline.holds import hold_new
from drawcli.pipeline.pull.step import run_pull
from drawcli.pipeline.step_report import StepReport, outcome_of
from drawcli.pipeline.steps import COMMANDS, Step, step_from
from drawcli.pipeline.survey.scan_result import ScanResult
from drawcli.pipeline.survey.scan_step import run_scan
from drawcli.pipeline.survey.watchdog import READ_IMAGES, watch_step
from drawcli.pipeline.tidying import tidy
from drawcli.system.failures import as_machine_error
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL

AT_ONCE: Final = frozenset({"upload", "poll", "fetch"})  # run in parallel: mostly waiting
# Results are delivered first; then new series are sent.
HOMEWARD: Final = ("poll", "fetch", "reidentify")
OUTWARD: Final = ("match", "deidentify", "upload")

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
            hold_new(ctx, hold, chosen.job_id)
        _advance_due(command, ctx, chosen, report)
        if command == "match":
            hold_new(ctx, hold, chosen.job_id)
    return report


def _advance_due(command: str, ctx: Context, chosen: Selection, report: StepReport) -> None:
    """Advance the due jobs of a command by one step each."""
    lanes = ctx.settings.server.parallel if command in AT_ONCE else 1
    for state, jobs in due_by_state(command, ctx, chosen.job_id):
        if report.is_paused(ctx.site_dir, ctx.ledger.shared) or not jobs:
            continue
        ctx.progress.expect(len(jobs))
        if command == "upload":
            _put_off_unless_welcome(jobs, ctx, report)
        waiting = _one_by_one(jobs, ctx, chosen, report)
        take = partial(advance, step=step_from(state), ctx=ctx, report=report, limited=True)
        ctx.turns.share(waiting, take, lanes=min(lanes, len(jobs)))


def _one_by_one(
    jobs: Iterable[Job], ctx: Context, chosen: Selection, report: StepReport
) -> Generator[Job, None, None]:
    """Yield jobs until the limit or the deadline is reached, or the step must stop."""
    for job in jobs:
        late = chosen.until is not None and ctx.now() >= chosen.until
        full = chosen.limit is not None and report.begun >= chosen.limit
        ended = late or full or report.unreachable or report.stopped
        if ended or report.is_paused(ctx.site_dir, ctx.ledger.shared):
            return
        report.begun += 1
        yield job


def _put_off_unless_welcome(jobs: Iterable[Job], ctx: Context, report: StepReport) -> None:
    """Ask once whether the server takes uploads; if not, postpone all jobs without a failure."""
    try:
        check_uploads_welcome(ctx)
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


def due_by_state(
    command: str, ctx: Context, only: str | None = None
) -> Iterator[tuple[State, list[Job]]]:
    """Yield the states of a command with their due jobs, each state read when its turn comes.

    If one job is chosen (`only`), the states that it is not in are left out, and it is read again
    only after a step may have changed it: each read is a request to a database.
    """
    if only is None:
        yield from ((state, list(due_jobs(state, ctx))) for state in COMMANDS[command])
        return
    job: Job | None = None
    for state in COMMANDS[command]:
        job = job or ctx.ledger.get(only)
        if job is not None and job.state is state:
            yield state, list(_due([job], state, ctx, only))
            job = None


def due_jobs(state: State, ctx: Context, only: str | None = None) -> Iterator[Job]:
    """Yield the due jobs in a state: by priority, then by age."""
    return _due(ctx.jobs_in([state], only), state, ctx, only)


def _due(jobs: list[Job], state: State, ctx: Context, only: str | None) -> Iterator[Job]:
    """Yield those of the jobs in a state that are due on this host."""
    due = [job for job in jobs if _is_due(job, state, ctx)]
    elsewhere = ctx.files.elsewhere(only) if due else {}
    yield from sorted(
        (one for one in due if one.id not in elsewhere), key=lambda job: -job.priority
    )


def _is_due(job: Job, state: State, ctx: Context) -> bool:
    """Return whether the step from a state is due for a job that is in it."""
    is_due = job.is_due(ctx.now())
    if state in FINISHED:
        return is_due and bool(job.replaced)
    if state in RULES_DECIDE and (is_due or job.reason_code == "ambiguous"):
        from drawcli.pipeline.steps.match import wants_match

        return wants_match(job, ctx)  # also jobs held under earlier rules
    return is_due


def advance(
    job: Job, step: Step, ctx: Context, report: StepReport, *, limited: bool = False
) -> None:
    """Advance a job by one step under its lock; store the outcome.

    If `limited`, it counts towards the limit of the step over all machines (`cluster.limits`).
    """
    try:
        with ctx.progress.job(job.id), ctx.job_lock(job.id):
            fresh = ctx.ledger.get(job.id)
            if fresh is None or fresh.revision != job.revision:
                return  # another process was faster
            with slot_for(ctx, report.step, job.id) if limited else nullcontext():
                after = _attempt(fresh, step, ctx, report)
            shown = after.held or (job.state, after.state) == (State.FETCHED, State.DELIVERED)
            if after != fresh:
                after = ctx.ledger.commit(after, last=not shown)
            if shown:
                from drawcli.pipeline.preview import draw_preview

                with watch_step(ctx, "preview"):
                    draw_preview(
                        after, ctx, partial(_attempt, ctx=ctx, report=StepReport("preview"))
                    )
    except Busy:
        report.outcomes.append((job.id, "busy"))
        return
    except LeaseLost as err:
        _log.warning("job=%s step=%s code=%s: %s", job.id, step.__name__, err.code, err)
        report.outcomes.append((job.id, "taken over"))
        return
    what = outcome_of(job, after)
    report.outcomes.append((job.id, what))
    if after.held:
        report.held.append(after)
    _log.info(
        "job=%s step=%s from=%s outcome=%s code=%s",
        *(job.id, step.__name__, job.state, what, after.reason_code or "-"),
    )
    if (short := report.shortage) is not None:
        kind = OutOfResources if short.code == OutOfResources.code else OutOfMemory
        raise kind(f"{short} to {step.__name__} job {job.id}; the job waits")


def _attempt(job: Job, step: Step, ctx: Context, report: StepReport) -> Job:
    """Run a step; turn a failure into the new state of the job."""
    try:
        after = step(job, ctx)
    except Exception as err:  # noqa: BLE001 - a bug in one job must not stop the others
        return _after_error(err, job, step, ctx, report)
    report.silent = 0
    return after


def _after_error(err: Exception, job: Job, step: Step, ctx: Context, report: StepReport) -> Job:
    """Return the job waiting or held; raise an error that was not caused by this job."""
    if (trouble := as_machine_error(err, step.__name__)) is not None:
        return _failed(job, trouble, ctx, report)
    if isinstance(err, TryLater):
        return _failed(job, with_remedy(err, job), ctx, report)
    if isinstance(err, NeedsPerson):
        report.blocked += isinstance(err, GateBlocked)
        return _as_stored(job, ctx).held_for(with_remedy(err, job), at=ctx.now())
    if isinstance(err, LeaseLost):  # if another machine has the job, this is not stored
        again = ctx.now() + timedelta(seconds=_SOON_SECONDS)
        return _as_stored(job, ctx).postponed(again, code=err.code, reason=str(err))
    if isinstance(err, DrawcliError):
        raise err  # the run cannot go on
    _log.error("job=%s step=%s", job.id, step.__name__, exc_info=err)
    bug = NeedsPerson(
        f"bug: {type(err).__name__} in {step.__name__}",
        code="bug",
        hint="Send the log to the developers; it contains no patient data.",
    )
    return _as_stored(job, ctx).held_for(bug, at=ctx.now())


def _failed(job: Job, err: TryLater, ctx: Context, report: StepReport) -> Job:
    """Return the job waiting, or held if it has failed for too long."""
    tries, now = job.tries(err.code), ctx.now()
    stored = _as_stored(job, ctx).not_after(now)
    is_silent = isinstance(err, ServerSilent)
    note_server_wait(ctx, err)
    report.silent, report.silences = is_silent * (report.silent + 1), report.silences + is_silent
    if report.silent >= SILENT_IN_A_ROW or report.silences >= SILENT_IN_ALL:
        report.unreachable = str(err)
    report.stopped = report.stopped or isinstance(err, FolderSilent) or err.code in LOCKED
    if err.code in AWAY:
        report.undelivered = err
    elif err.code in SHORT:
        report.shortage = err
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
