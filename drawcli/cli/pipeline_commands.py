"""scan, match, deidentify, upload, poll, fetch, reidentify, and all of them: run-once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import typer

from drawcli.cli.door import Door, RunOptions, command, end_after
from drawcli.cli.progress_bar import shown
from drawcli.cli.render import Result
from drawcli.cli.run_result import result_of, waiting_now
from drawcli.errors import AnotherRun, DrawcliError, JobError, UsageError
from drawcli.system.failures import SHORTAGES, as_run_error
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.operations.commissioning.golden import GoldenRun
    from drawcli.operations.hung_runs import Hang
    from drawcli.pipeline.context import Context
    from drawcli.pipeline.runner import Selection
    from drawcli.pipeline.step_report import StepReport

_HELP: Final = {
    "scan": "Find complete planning scans in the datastore or PATH.",
    "match": "Choose the template of each series by the rules.",
    "deidentify": "Build the package of each matched series. With PATH and --to, de-identify a "
    "folder for inspection.",
    "upload": "Send packages to the DRAW server.",
    "poll": "Ask the server for the status of uploaded series.",
    "fetch": "Download finished structure sets and check them.",
    "reidentify": "Re-identify structure sets, check and deliver them. With --dry-run and --job, "
    "show the changes to the file.",
}


def register(
    app: typer.Typer, own: Mapping[str, Callable[..., Result | None]] | None = None
) -> None:
    """Add the commands to the program; `own` has those that do more than run their step."""
    for name, text in _HELP.items():
        command(app, name, help=text)((own or {}).get(name) or step_command(name))
    command(app, "run-once", help="Run the whole cycle once, as cron does.")(_run_once)


def step_command(name: str) -> Callable[..., Result]:
    """Return a step as a command."""

    def step(door: Door, run: RunOptions) -> Result:
        from drawcli.pipeline.runner import run_step

        with door.context(dry_run=run.dry_run) as ctx:
            chosen = _selection(ctx, run)
            if run.dry_run:
                return _planned((name,), ctx, chosen)
            with shown(door, ctx.progress):
                reports = [run_step(name, ctx, chosen)]
            wordy = name == "scan" or door.to_person or door.common.as_json
            waiting = waiting_now(ctx) if wordy else None  # cron would mail it
            return result_of(reports, waiting, fail_if_idle=run.fail_if_idle, always=True)

    return step


def _run_once(door: Door, run: RunOptions) -> Result:
    try:
        return _whole_run(door, run)
    except AnotherRun as err:
        return _beside_another(door, err)
    except DrawcliError as err:
        if not run.dry_run:
            _tell_of_no_run(door, err)
        raise


def _beside_another(door: Door, err: AnotherRun) -> Result:
    """Return what to say where another run is at work: under cron nothing, unless it hangs.

    A run that hangs is reported once; the lock is not held here.
    """
    from drawcli.operations.after_run import report_hung
    from drawcli.pipeline.context import utc_now

    hung = report_hung(door.settings(), utc_now())
    if hung is None and not door.wants_talk:
        return Result(exit_code=err.exit_code)
    if hung is None:
        raise err
    said = [hung.error] if hung.is_new or door.wants_talk else []
    return Result(errors=said, exit_code=err.exit_code)


def _tell_of_no_run(door: Door, err: DrawcliError) -> None:
    """Send an alarm that a run could not start, if the settings can be read."""
    from drawcli.adapters.state.run_log import EARLY
    from drawcli.operations.after_run import report_no_run
    from drawcli.pipeline.context import utc_now

    if err.exit_code not in EARLY:
        return  # a slip of the pen on the command line
    try:
        settings = door.settings()
    except DrawcliError:
        return
    report_no_run(settings, err.code, utc_now())


def _whole_run(door: Door, run: RunOptions) -> Result:
    from drawcli.operations.after_run import compare_contours, report_contours, send_golden_cases

    with door.context(dry_run=run.dry_run) as ctx:
        result = _cycle(door, run, ctx)
        if ctx.settings.qa.enabled and not run.dry_run:
            _add_qa(result, compare_contours(ctx), always=door.to_person)
            _add_golden(result, send_golden_cases(ctx))
            report_contours(ctx, has_news=bool(result.data["qa"]["recorded"]))
        return result


def _cycle(door: Door, run: RunOptions, ctx: "Context") -> Result:
    from drawcli.operations.after_run import begin_run, note_run, report_out
    from drawcli.operations.heartbeat import beating
    from drawcli.operations.hung_runs import hanging_jobs
    from drawcli.pipeline.runner import HOMEWARD, OUTWARD, run_once

    chosen = _selection(ctx, run)
    if run.dry_run:
        return _planned((*HOMEWARD, "scan", *OUTWARD), ctx, chosen)
    reports: list[StepReport] = []
    began = ctx.now()
    with ExitStack() as lock:
        reported = begin_run(ctx, lock.enter_context(ctx.work.run_lock(began)))
        with beating(ctx.settings.metrics) as beat:
            error = ""
            try:
                ctx.ledger.beat()
                with shown(door, ctx.progress):
                    for report in run_once(ctx, chosen):
                        reports.append(report)  # noqa: PERF402 - what was done stays known
                result = result_of(
                    reports,
                    waiting_now(ctx),
                    fail_if_idle=run.fail_if_idle,
                    always=door.to_person,
                )
            except (DrawcliError, *SHORTAGES) as err:
                ended = as_run_error(err)
                result = result_of(reports, fail_if_idle=False, always=door.to_person)
                result.errors.append(ended)
                result.exit_code, error = ended.exit_code, ended.code
            busy = {job for one in reports for job, what in one.outcomes if what == "busy"}
            hung = hanging_jobs(ctx.settings, busy, ctx.now())
            _add_hung(result, hung)
            note_run(ctx, began, reports, exit_code=result.exit_code, error=error)
            beat.exit_code = result.exit_code
            lock.close()  # what follows is for others, and no run shall wait for it
            reported()
            report_out(ctx, error, hung)
    return result


def _add_qa(result: Result, found: dict[str, Any], *, always: bool) -> None:
    """Add what the comparison of contours found; the exit code stays as it is."""
    from drawcli.operations.qa.summary_text import counts_text

    result.data["qa"] = found
    before = result.show
    counts = counts_text(found["recorded"])
    said = [f"contours: {counts}"] if counts else []
    if left := found.get("left"):
        said.append(f"contours: {counted(left, 'pair')} left for the next run")
    said += [f"warning: {found['warning']}"] if found["warning"] else []

    def show(out: "Console") -> None:
        if before is not None:
            before(out)
        for line in said:
            out.print(line, soft_wrap=True)

    result.show = show if always else before


def _add_golden(result: Result, found: "GoldenRun | None") -> None:
    """Add what golden cases have shown: a change is reported once."""
    if found is None:
        return
    from drawcli.cli.qa.golden_commands import errors_of, facts_of_run

    result.data["golden"] = facts_of_run(found)
    errors = list(errors_of(found))
    result.errors += errors
    result.exit_code = result.exit_code or (JobError.exit_code if errors else 0)


def _add_hung(result: Result, hung: "Sequence[Hang]") -> None:
    """Add new reports of processes that block jobs."""
    new = [one.error for one in hung if one.is_new]
    result.errors += new
    result.exit_code = result.exit_code or (JobError.exit_code if new else 0)


def _selection(ctx: "Context", run: RunOptions) -> "Selection":
    from drawcli.pipeline.actions import find_job
    from drawcli.pipeline.runner import Selection

    until = end_after(run.max_minutes, ctx.now())
    job_id = None if run.job is None else find_job(run.job, ctx).id
    return Selection(job_id=job_id, limit=run.limit, until=until)


def _planned(commands: Sequence[str], ctx: "Context", chosen: "Selection") -> Result:
    """Return what the commands would do; write nothing and open no connection."""
    from drawcli.adapters.state.pause import read_pause

    pause = read_pause(ctx.settings.state_dir, ctx.ledger.shared) if "upload" in commands else None
    going = [name for name in commands if pause is None or name != "upload"]
    rows = [row for name in going for row in _planned_step(name, ctx, chosen)]
    rows = rows[: chosen.limit] if len(commands) == 1 else rows
    data = {
        "planned": [{"step": s, "job": j, "would": what} for s, j, what in rows],
        "paused": pause and pause.as_plain(),
    }

    def show(out: "Console") -> None:
        for step, job_id, what in rows:
            out.print(f"{step:<11} {job_id}  {what}", soft_wrap=True)
        if not rows:
            out.print("Nothing would be done.")
        if pause is not None:
            out.print(pause.notice(ctx.now()), soft_wrap=True)

    return Result(data=data, show=show)


def _planned_step(
    name: str, ctx: "Context", chosen: "Selection"
) -> "Iterator[tuple[str, str, str]]":
    """Yield step, job and intent of each job that a step would take."""
    from drawcli.pipeline.runner import due_jobs
    from drawcli.pipeline.steps import COMMANDS, step_from

    if name == "scan":
        yield from _planned_scan(ctx, chosen)
        return
    for state in COMMANDS[name]:
        for job in due_jobs(state, ctx, chosen.job_id):
            yield name, job.id, _intent(job, step_from(state).__name__, ctx)


def _planned_scan(ctx: "Context", chosen: "Selection") -> list[tuple[str, str, str]]:
    from drawcli.pipeline.steps.scan import preview_scan

    if chosen.job_id is not None:
        raise UsageError("'scan --dry-run' covers the whole datastore: omit --job")
    return [
        (
            "scan",
            seen.key,
            f"{seen.modality} of {counted(seen.files, 'file')}: "
            + ", ".join(filter(None, (seen.verdict.readiness, seen.verdict.text))),
        )
        for seen in preview_scan(ctx)
    ]


def _intent(job: "Job", step: str, ctx: "Context") -> str:
    """Return what a step would do with a job; match applies the rules."""
    if step != "match":
        return f"{step} ({job.template})" if job.template else step
    from drawcli.pipeline.steps.match import decision_for

    try:
        decision = decision_for(job, ctx)
    except JobError as err:
        return f"match would fail: {err}"
    templates = ", ".join(str(rule.template) for rule in decision.fired if rule.template)
    return f"{decision.choice} {templates}".strip() + f": {decision.sentence}"
