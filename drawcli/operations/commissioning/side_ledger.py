"""Jobs that go to the server and back by the steps of the pipeline, and are delivered nowhere.

They have a ledger and work folders of their own below `state_dir/qa`, and share the key, the
tokens, the rules and the audit log of the site. So they disturb no clinical job, count in no
status or report, and no step that delivers can reach them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.errors import AnotherRun
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, advance, due_jobs, run_step
from drawcli.pipeline.step_report import StepReport
from drawcli.pipeline.steps import Step
from drawcli.system.files import make_private

MOST_ON_THE_WAY: Final = 10  # jobs from their package to the confirmation
_ON_THE_WAY: Final = (
    State.PACKAGED,
    State.UPLOADED,
    State.SEGMENTED,
    State.FETCHED,
    State.DELIVERED,
)
_SHORTEST: Final = timedelta(seconds=0.5)  # between two passes
_LONGEST: Final = timedelta(seconds=30)
_PHASES: Final = {
    State.UPLOADED: "at the server",
    State.SEGMENTED: "to download",
    State.FETCHED: "to check",
    State.DELIVERED: "to confirm",
    State.DONE: "done",
}


@dataclass(slots=True)
class SideRun:
    """What became of the jobs in one call."""

    reports: list[StepReport] = field(default_factory=list)
    stopped: str = ""  # why jobs are left that could go on


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """How to wait for the server."""

    sleep: Callable[[float], None]  # waits some seconds
    until: datetime | None = None  # when to stop although jobs are open
    tell: Callable[[str], None] = lambda _text: None  # gets a line before each wait
    progress: Progress = field(default_factory=Progress)  # of the steps


@contextmanager
def open_side_ledger(
    ctx: Context, folder: Path, purpose: str, progress: Progress | None = None
) -> Iterator[Context]:
    """Open a ledger and work folders of their own; hold their lock.

    Parameters
    ----------
    ctx
        The site.
    folder
        Below its state_dir.
    purpose
        Of the jobs, for the audit log.
    progress
        Of the steps; that of the site stays as it is.

    Raises
    ------
    AnotherRun
        If another process works on them.
    """
    make_private(folder)
    settings = ctx.settings.replace(
        datastore=[],
        state_dir=folder,
        preview="never",
        deliver=ctx.settings.deliver.replace(folder=folder / "nowhere", node=None),
    )
    with FileLedger(folder / "ledger.json") as ledger:
        ledger.shared = ctx.ledger.shared
        side = replace(
            ctx,
            settings=settings,
            ledger=ledger,
            work=WorkDir(folder),
            progress=progress or Progress(),
            open_server=lambda: ctx.server,
            purpose=purpose,
            side_of=ctx.site_dir,
        )
        with ExitStack() as held:
            try:
                held.enter_context(side.work.run_lock(ctx.now()))
            except AnotherRun as err:
                raise AnotherRun(f"{purpose}: {err}", hint="Wait until it has ended.") from None
            yield side


def run_jobs(side: Context, finish: Step, waiting: WaitOptions) -> SideRun:
    """Advance the jobs until each is finished or held, or none can go on.

    Parameters
    ----------
    side
        See `open_side_ledger`.
    finish
        Takes a job from FETCHED to DELIVERED, without delivering anything.
    waiting
        How to wait for the server.
    """
    run = SideRun()
    while True:
        reports = _pass(side, finish)
        run.reports += reports
        left = open_jobs(side)
        run.stopped = _why_stop(reports) if left else ""
        if not left or run.stopped:
            return run
        if waiting.until is not None and side.now() >= waiting.until:
            run.stopped = "the time is over"
            return run
        waiting.tell(phases(side.ledger.jobs()))
        waiting.sleep(_wait(left, side.now()))


def run_pass(side: Context, finish: Step) -> SideRun:
    """Advance each due job as far as it goes without waiting."""
    reports = _pass(side, finish)
    return SideRun(reports, _why_stop(reports) if open_jobs(side) else "")


def _pass(side: Context, finish: Step) -> list[StepReport]:
    """Advance each due job; what is at the server comes first, as in a run of the site.

    Only some jobs are on the way at once: patients wait for the same server, and packages are
    large.
    """
    reports = [run_step(command, side, Selection()) for command in ("poll", "fetch")]
    finished = StepReport(finish.__name__)
    for job in list(due_jobs(State.FETCHED, side)):
        advance(job, finish, side, finished)
    reports += [finished, run_step("poll", side, Selection())]  # which confirms
    reports += [run_step(command, side, Selection()) for command in ("upload", "match")]
    room = MOST_ON_THE_WAY - sum(not job.held for job in side.ledger.jobs(_ON_THE_WAY))
    if room > 0:
        reports.append(run_step("deidentify", side, Selection(limit=room)))
        reports.append(run_step("upload", side, Selection()))
    return reports


def open_jobs(side: Context) -> list[Job]:
    """Return the jobs that can go on without a person."""
    return [
        job
        for job in side.ledger.jobs()
        if not job.held and (job.state not in FINISHED or job.replaced)
    ]


def phases(jobs: Sequence[Job]) -> str:
    """Return how far jobs are, in words.

    >>> from drawcli.core.jobs.job import Job, State
    >>> at = datetime(2026, 11, 2)
    >>> phases([Job(id=f"{n:012x}-1", state=State.DONE, since=at) for n in range(3)])
    '3 done'
    """
    counts = Counter("held" if job.held else _PHASES.get(job.state, "to prepare") for job in jobs)
    order = [*("done", "to confirm", "to check", "to download"), "at the server", "to prepare"]
    return ", ".join(f"{counts[name]} {name}" for name in (*order, "held") if counts[name])


def _wait(jobs: Sequence[Job], now: datetime) -> float:
    """Return the seconds until the next job is due; those before it wait for room."""
    begun = [job for job in jobs if job.state in _ON_THE_WAY] or jobs
    due = min((job.due_at or now for job in begun), default=now)
    return max(_SHORTEST, min(due - now, _LONGEST)).total_seconds()


def _why_stop(reports: Sequence[StepReport]) -> str:
    """Return why no job can go on now; "" if some can."""
    for report in reports:
        if report.unreachable:
            return f"no answer from the server: {report.unreachable}"
        if report.pause is not None:
            return "uploads are paused ('drawcli resume')"
        if report.undelivered is not None:
            return str(report.undelivered)
    return ""
