"""Takes jobs on, one step each; the one place where a step may fail."""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

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
from drawcli.pipeline.step_report import StepReport
from drawcli.pipeline.steps import COMMANDS, Step, step_from
from drawcli.pipeline.steps.scan import Scanned, scan
from drawcli.pipeline.survey.watchdog import READ_IMAGES, reading
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL

JobErrorT = TypeVar("JobErrorT", bound=JobError)


AT_ONCE: Final = frozenset({"upload", "poll", "fetch"})  # they wait for the server most of the time
# Contours come home first; then new series go out.
HOMEWARD: Final = ("poll", "fetch", "reidentify")
OUTWARD: Final = ("match", "deidentify", "upload")

GIB: Final = 1 << 30
IMAGES_GONE: Final = frozenset({"source-changed", "source-moved"})  # or others
_SOON_SECONDS: Final = 60.0  # until the server is asked again whether uploads are welcome
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which jobs a command takes."""

    job_id: str | None = None
    limit: int | None = None
    until: datetime | None = None  # no job is begun after this


def run_step(command: str, ctx: Context, chosen: Selection) -> StepReport:
    """Take every due job that a command is for one step on."""
    with ctx.progress.step(command), ExitStack() as open_:
        if command == "scan":
            return _run_scan(ctx, chosen)
        if command in READ_IMAGES:
            open_.enter_context(reading(ctx, command))
        if command == "match":
            _ = ctx.rulebook  # a broken file is told by the next run, not by the next series
        report = StepReport(command)
        lanes = ctx.settings.server.parallel if command in AT_ONCE else 1
        for state in COMMANDS[command]:
            jobs = list(due(state, ctx, chosen))
            if not jobs:
                continue
            ctx.progress.expect(len(jobs))
            if command == "upload":
                _put_off_unless_welcome(jobs, ctx, report)
            waiting = _one_by_one(jobs, ctx, chosen, report)
            take = partial(_advance, step=step_from(state), ctx=ctx, report=report)
            ctx.turns.share(waiting, take, lanes=min(lanes, len(jobs)))
    return report


def _one_by_one(
    jobs: Iterable[Job], ctx: Context, chosen: Selection, report: StepReport
) -> Generator[Job, None, None]:
    """Yield jobs to be begun, until there is a reason to begin no more."""
    for job in jobs:
        late = chosen.until is not None and ctx.now() >= chosen.until
        full = chosen.limit is not None and report.begun >= chosen.limit
        if late or full or report.unreachable or report.stopped:
            return
        report.begun += 1
        yield job


def _put_off_unless_welcome(jobs: Iterable[Job], ctx: Context, report: StepReport) -> None:
    """Ask once whether uploads are welcome; where they are not, let all wait: none has failed."""
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
        _advance(job, upload, ctx, report)
    report.unreachable = str(refused)


def run_once(ctx: Context, chosen: Selection) -> Iterator[StepReport]:
    """Run the whole cycle: contours home, then new series out. Call it under the run lock."""
    ctx.check_token()
    ctx.work.remove_leftovers(lambda job_id: ctx.ledger.get(job_id) is not None)
    ctx.ledger.keep_copy()
    for command in (*HOMEWARD, "scan", *OUTWARD):
        try:
            yield run_step(command, ctx, chosen)
        except AnotherRun as err:  # of the scan index: what is known of the datastore goes on
            lost = OutOfReach(str(err), code=err.code, hint=err.hint)
            yield StepReport(command, scanned=Scanned(lost=[lost]))
    tidy(ctx)


def due(state: State, ctx: Context, chosen: Selection) -> Iterator[Job]:
    """Yield the jobs in a state whose time has come: the urgent first, then the longest there."""
    now = ctx.now()
    for job in sorted(ctx.ledger.jobs([state]), key=lambda job: -job.priority):
        if chosen.job_id is not None and job.id != chosen.job_id:
            continue
        if state in RULES_DECIDE:
            from drawcli.pipeline.steps.match import wants_match

            asked = job.is_due(now) or job.reason_code == "ambiguous"
            if asked and wants_match(job, ctx):  # also what was held for the rules of before
                yield job
        elif job.is_due(now):
            yield job


def tidy(ctx: Context) -> None:
    """Remove old work folders of finished jobs, and put such jobs into the archive."""
    for job in expired(ctx):
        ctx.work.remove(job.id)
    ctx.ledger.archive_finished(ctx.now())


def expired(ctx: Context) -> list[Job]:
    """Return the jobs whose work folders are not needed any more.

    Those finished for `deliver.keep_days`; where less than `deliver.keep_free_gib` are free, also
    the longest finished of the others. Never one that is not finished.
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


def _run_scan(ctx: Context, chosen: Selection) -> StepReport:
    with ctx.progress.part("files read") as read:
        done = scan(ctx, only=chosen.job_id, limit=chosen.limit, tell=read.to)
    report = StepReport("scan", scanned=done)
    if done.rebuilt:
        _log.warning("scan index made anew: %s; every file is read once more", done.rebuilt)
    counted = sorted((done.ignored + done.passed_over).items())
    if aside := " ".join(f"{reason}={count}" for reason, count in counted):
        _log.info("step=scan left alone: %s", aside)
    for name in done.folders_missing:
        _log.warning("scan.folders: there is no folder '%s' in the datastore", name)
    for job in done.late:
        _log.warning("job=%s step=scan changed later: %s", job.id, job.events[-1].why)
    for job in done.jobs:
        what = "held" if job.held else str(job.state)
        report.outcomes.append((job.id, what))
        report.held += [job] if job.held else []
        _log.info("job=%s step=scan outcome=%s code=%s", job.id, what, job.reason_code)
    return report


def _advance(job: Job, step: Step, ctx: Context, report: StepReport) -> None:
    """Take one job one step on under its lock; write down what became of it."""
    try:
        with ctx.progress.job(job.id), ctx.work.job_lock(job.id):
            fresh = ctx.ledger.get(job.id)
            if fresh is None or fresh.revision != job.revision:
                return  # another process was quicker
            after = _attempt(fresh, step, ctx, report)
            if after != fresh:
                after = ctx.ledger.commit(after)
            if after.held or (job.state, after.state) == (State.FETCHED, State.DELIVERED):
                from drawcli.pipeline.preview import picture

                with reading(ctx, "preview"):
                    picture(after, ctx, partial(_attempt, ctx=ctx, report=StepReport("preview")))
    except Busy:
        report.outcomes.append((job.id, "busy"))
        return
    what = "held" if after.held else "waiting" if after.state is job.state else str(after.state)
    report.outcomes.append((job.id, what))
    if after.held:
        report.held.append(after)
    _log.info(
        "job=%s step=%s from=%s outcome=%s code=%s",
        *(job.id, step.__name__, job.state, what, after.reason_code),
    )
    if report.no_memory:
        raise OutOfMemory(f"not enough memory to {step.__name__} job {job.id}; it waits")


def _attempt(job: Job, step: Step, ctx: Context, report: StepReport) -> Job:
    """Try a step; turn a failure into how the job now fares."""
    try:
        after = step(job, ctx)
    except TryLater as err:
        return _failed(job, _for_one_off(err, job), ctx, report)
    except NeedsPerson as err:
        report.blocked += isinstance(err, GateBlocked)
        return _as_stored(job, ctx).held_for(_for_one_off(err, job), at=ctx.now())
    except DrawcliError:
        raise  # no job is to blame: the run cannot go on
    except Exception as err:  # noqa: BLE001 - one patient's bug must not stop the others
        if (trouble := as_machine_error(err, step.__name__)) is not None:
            return _failed(job, trouble, ctx, report)
        _log.exception("job=%s step=%s", job.id, step.__name__)
        bug = NeedsPerson(
            f"bug: {type(err).__name__} in {step.__name__}",
            code="bug",
            hint="Send the log to the developers; it names no patient.",
        )
        return _as_stored(job, ctx).held_for(bug, at=ctx.now())
    else:
        report.silent = 0
        return after


def _for_one_off(err: JobErrorT, job: Job) -> JobErrorT:
    """Return an error that says how the images of a one-off job come back: no scan finds them."""
    if not job.one_off or err.code not in IMAGES_GONE:
        return err
    return err.replaced(
        hint="Plug the medium in where it was, or show the images again with 'drawcli scan PATH'; "
        f"then 'drawcli retry {job.id}'."
    )


def _failed(job: Job, err: TryLater, ctx: Context, report: StepReport) -> Job:
    """Return the job waiting; held, if it has failed for too long."""
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
    else:
        deadline = timedelta(hours=ctx.settings.server.deadline_hours)
        given_up = failed_too_long(stored, err, tries, now=now, deadline=deadline)
        if given_up is not None:
            return stored.held_for(given_up, at=now)
    return stored.failed(err, at=now, until=now + wait_after(err, tries, job.id))


def _as_stored(job: Job, ctx: Context) -> Job:
    """Return the job as the ledger has it: a step may have recorded an attempt before it failed."""
    return ctx.ledger.get(job.id) or job
