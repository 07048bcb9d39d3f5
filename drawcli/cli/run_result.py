"""The result of a run or a step, as the result of a command."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from drawcli.cli import render
from drawcli.cli.render import Result
from drawcli.errors import (
    FIRST_RUN,
    DrawcliError,
    GateBlocked,
    JobError,
    NeedsPerson,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

    from drawcli.adapters.state.pause import Pause
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.step_report import StepReport
    from drawcli.pipeline.survey.scan_result import ScanResult


IDLE: Final = 9


def result_of(reports: "Sequence[StepReport]", *, fail_if_idle: bool, always: bool) -> Result:
    """Return the result of steps: counts for people, all data for programs."""
    from drawcli.pipeline.step_report import out_of_reach

    errors: list[DrawcliError] = [*_held_errors(job for report in reports for job in report.held)]
    errors += [_late_error(job) for report in reports for job in _late(report)]
    lost, pause = out_of_reach(list(reports)), _pause(reports)
    errors += lost
    outcomes = [
        {"job": job_id, "step": report.step, "outcome": what}
        for report in reports
        for job_id, what in report.outcomes
    ]
    data: dict[str, Any] = {
        "steps": {report.step: dict(report.counts) for report in reports},
        "jobs": outcomes,
        "paused": pause and pause.as_plain(),
        **{key: value for report in reports for key, value in _scan_facts(report).items()},
    }
    exit_code = _exit_code(reports, unreachable=bool(lost))
    if fail_if_idle and not outcomes and not exit_code:
        exit_code = IDLE
    show = _summary(reports) if always else None
    return Result(data=data, show=show, errors=errors, exit_code=exit_code)


def _exit_code(reports: "Sequence[StepReport]", *, unreachable: bool) -> int:
    if any(report.blocked for report in reports):
        return GateBlocked.exit_code
    if any(report.held or _late(report) for report in reports):
        return JobError.exit_code
    return 7 if unreachable else 0


def _held_errors(held: "Iterable[Job]") -> "Iterator[DrawcliError]":
    """Yield an error for each held job; one for all that a new site would send at first."""
    first = []
    for job in held:
        if job.reason_code == FIRST_RUN:
            first.append(job)
        else:
            yield _held_error(job)
    if first:
        what = "it is held" if len(first) == 1 else f"{len(first):,} jobs are held"
        yield NeedsPerson(f"{first[-1].reason}; {what}", code=FIRST_RUN, hint=first[-1].hint)


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
        "files_passed_over": dict(report.scanned.passed_over),
        "series_ignored": dict(report.scanned.ignored),
        "series_changed_later": report.scanned.changed_later,
        "index_made_anew": report.scanned.rebuilt or None,
        "folders_missing": report.scanned.folders_missing,
    }


def _summary(reports: "Sequence[StepReport]") -> "Callable[[Console], None]":
    """Return a renderer of the counts, one line for each outcome."""
    pause = _pause(reports)

    def show(out: "Console") -> None:
        for report in reports:
            _say_of_scan(report)
            if report.scanned is not None and not report.outcomes and len(reports) == 1:
                out.print(_nothing_new(report.scanned), soft_wrap=True)
            for what, count in sorted(report.counts.items()):
                step = f"  ({report.step})" if len(reports) > 1 else ""
                out.print(f"{count:4d} {what}{step}")
        if pause is not None:
            render.say(pause.notice(datetime.now(UTC)))
        elif len(reports) > 1 and not any(report.outcomes for report in reports):
            render.say("Nothing to do.")

    return show


def _say_of_scan(report: "StepReport") -> None:
    """Report what a scan found amiss."""
    if report.scanned is None:
        return
    if report.scanned.rebuilt:
        render.say(f"the scan index was rebuilt: {report.scanned.rebuilt}")
    for name in report.scanned.folders_missing:
        render.say(f"scan.folders: there is no folder '{name}' in the datastore")


def _pause(reports: "Sequence[StepReport]") -> "Pause | None":
    """Return the pause that kept a step from sending."""
    return next((report.pause for report in reports if report.pause is not None), None)


def _nothing_new(scanned: "ScanResult") -> str:
    """Return why a scan found no series."""
    seen = {**scanned.ignored, **scanned.passed_over}
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(seen.items()))
    return f"nothing new; left alone: {counts}" if counts else "nothing new"
