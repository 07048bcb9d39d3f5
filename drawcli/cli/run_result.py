"""The result of a run or a step, as the result of a command."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from drawcli.cli import render
from drawcli.cli.render import Result
from drawcli.errors import (
    FIRST_RUN,
    MODEL_CHANGED,
    DrawcliError,
    GateBlocked,
    JobError,
    NeedsPerson,
)
from drawcli.system.printable import counted, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

    from drawcli.adapters.state.pause import Pause
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context
    from drawcli.pipeline.step_report import StepReport
    from drawcli.pipeline.survey.scan_result import ScanResult

IDLE: Final = 9


def waiting_now(ctx: "Context") -> "list[tuple[int, str]]":
    """Return how many jobs wait for what."""
    from drawcli.core.jobs.waiting import open_groups

    return open_groups(ctx.ledger.jobs(), ctx.now())


def result_of(
    reports: "Sequence[StepReport]",
    waiting: "Sequence[tuple[int, str]] | None" = None,
    *,
    fail_if_idle: bool,
    always: bool,
) -> Result:
    """Return the result of steps: counts and what waits for people, all data for programs.

    Without `waiting` people see the counts only.
    """
    from drawcli.cli.network.pull_result import errors_of_step, exit_code_of
    from drawcli.pipeline.step_report import out_of_reach

    errors: list[DrawcliError] = [*_held_errors(job for report in reports for job in report.held)]
    errors += [_late_error(job) for report in reports for job in _late(report)]
    lost, pause = out_of_reach(list(reports)), _pause(reports)
    pulled = [err for report in reports for err in errors_of_step(report)]
    errors += [*lost, *pulled]
    outcomes = [
        {"job": job_id, "step": report.step, "outcome": what}
        for report in reports
        for job_id, what in report.outcomes
    ]
    data: dict[str, Any] = {
        "steps": {report.step: dict(report.counts) for report in reports},
        "jobs": outcomes,
        "waiting": [{"jobs": count, "what": what} for count, what in waiting or ()],
        "paused": pause and pause.as_plain(),
        **{key: value for report in reports for key, value in _scan_facts(report).items()},
    }
    for report in reports:
        data |= {} if report.pulled is None else {"pull": report.pulled.as_plain()}
    exit_code = _exit_code(reports, unreachable=bool(lost)) or exit_code_of(pulled)
    if fail_if_idle and not outcomes and not exit_code:
        exit_code = IDLE
    show = _summary(reports, waiting) if always else None
    return Result(data=data, show=show, errors=errors, exit_code=exit_code)


def _exit_code(reports: "Sequence[StepReport]", *, unreachable: bool) -> int:
    if any(report.blocked for report in reports):
        return GateBlocked.exit_code
    if any(report.held or _late(report) for report in reports):
        return JobError.exit_code
    return 7 if unreachable else 0


def _held_errors(held: "Iterable[Job]") -> "Iterator[DrawcliError]":
    """Yield an error for each held job; one for all that are held for the same decision."""
    together: dict[str, list[Job]] = {}
    for job in held:
        if job.reason_code in (FIRST_RUN, MODEL_CHANGED):
            together.setdefault(job.reason or "", []).append(job)
        else:
            yield _held_error(job)
    for reason, jobs in together.items():
        what = "1 job is held" if len(jobs) == 1 else f"{len(jobs):,} jobs are held"
        yield NeedsPerson(f"{reason}; {what}", code=jobs[-1].reason_code, hint=jobs[-1].hint)


def _held_error(job: "Job") -> DrawcliError:
    return NeedsPerson(
        f"job {job.id} is held at {job.state}: {job.reason}",
        code=job.reason_code,
        hint=job.hint or f"'drawcli show {job.id}' shows more.",
    )


def _late(report: "StepReport") -> "list[Job]":
    return report.scanned.late if report.scanned is not None else []


def _late_error(job: "Job") -> DrawcliError:
    return NeedsPerson(
        f"job {job.id}: the series changed after its contours were delivered: {job.events[-1].why}",
        code="changed-after-delivery",
        hint=f"Check that the contours still match; 'drawcli assign {job.id} TEMPLATE' sends the "
        "series as it is now. This is reported once for each change.",
    )


def _scan_facts(report: "StepReport") -> dict[str, Any]:
    if report.scanned is None:
        return {}
    return {
        "series_seen": report.scanned.series,
        "files_seen": report.scanned.files,
        "files_passed_over": dict(report.scanned.passed_over),
        "series_ignored": dict(report.scanned.ignored),
        "series_with_structure_set": report.scanned.contoured,
        "series_changed_later": report.scanned.changed_later,
        "index_made_anew": report.scanned.rebuilt or None,
        "folders_missing": report.scanned.folders_missing,
    }


def _summary(
    reports: "Sequence[StepReport]", waiting: "Sequence[tuple[int, str]] | None"
) -> "Callable[[Console], None]":
    """Return a renderer: what was scanned, the counts of the outcomes, and what waits.

    A single step that was done shows its counts only.
    """
    done = any(report.outcomes for report in reports)
    scanned = any(report.scanned is not None for report in reports)
    pause = _pause(reports)

    def show(out: "Console") -> None:
        for report in reports:
            if report.scanned is not None and waiting is not None:
                _tell_scan(out, report.scanned)
            _tell_counts(out, report, f"  ({report.step})" if len(reports) > 1 else "")
        if reports and not done and (scanned or waiting is not None):
            out.print(_nothing(reports))
        if pause is not None:
            render.say(pause.notice(datetime.now(UTC)))
        if waiting is not None and (scanned or not done):
            out.print("waiting now:" if waiting else "waiting now: nothing")
            for count, what in waiting:
                out.print(f"{count:4d} {plain(what)}", soft_wrap=True)

    return show


def _pause(reports: "Sequence[StepReport]") -> "Pause | None":
    """Return the pause that kept a step from sending."""
    return next((report.pause for report in reports if report.pause is not None), None)


def _tell_counts(out: "Console", report: "StepReport", step: str) -> None:
    from drawcli.cli.network.pull_result import lines_of

    for line in () if report.pulled is None else lines_of(report.pulled):
        out.print(line, soft_wrap=True)
    for what, count in sorted(report.counts.items()):
        out.print(f"{count:4d} {what}{step}")


def _tell_scan(out: "Console", scanned: "ScanResult") -> None:
    """Write what a scan has seen, and what it left alone."""
    if scanned.rebuilt:
        render.say(f"the scan index was rebuilt: {scanned.rebuilt}")
    for name in scanned.folders_missing:
        render.say(f"scan.folders: there is no folder '{name}' in the datastore")
    seen = f"{counted(scanned.series, 'series', 'series')} of {counted(scanned.files, 'image')}"
    out.print(f"scanned: {seen} in the datastore")
    if scanned.contoured:
        count = counted(scanned.contoured, "new series", "new series")
        out.print(f"{count} with a structure set already (scan.segmented)", soft_wrap=True)
    for what, counts in (("series", scanned.ignored), ("files", scanned.passed_over)):
        if shown := ", ".join(f"{count} {code}" for code, count in sorted(counts.items())):
            out.print(f"{what} left alone: {shown}", soft_wrap=True)
    if scanned.ignored["too-old"]:
        out.print("too-old: studied before scan.studied_after ('drawcli config show')")


def _nothing(reports: "Sequence[StepReport]") -> str:
    if reports[-1].scanned is not None:
        return "nothing new"
    return "nothing was due" if len(reports) > 1 else "no job was due for this step"
