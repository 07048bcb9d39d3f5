"""show: one job with its history and files."""

from typing import TYPE_CHECKING, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.cli.job_commands import JobArgument
from drawcli.cli.render import Result
from drawcli.cli.text_parts import StyledLine, outcome_style
from drawcli.errors import JobError
from drawcli.pipeline.identity import private_facts
from drawcli.system.printable import plain, size, volume_with_unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.core.jobs.timeline import Moment
    from drawcli.pipeline.context import Context

_Facts = list[tuple[str, object]]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "show")(show)


def show(
    door: Door,
    job: JobArgument,
    identify: IdentifyOption = False,
) -> Result:
    """Show one job with its history and files."""
    from drawcli.adapters.state.workdir import REPORT
    from drawcli.core.jobs.columns import DETAILS, STATUS, as_plain
    from drawcli.core.jobs.timeline import moments
    from drawcli.pipeline.actions import find_job
    from drawcli.pipeline.stored_explanation import read_explanation

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found, now = find_job(job, ctx), ctx.now()
        explanation = read_explanation(
            found, ctx.work, (lambda: ctx.rulebook) if identify else None
        )
        report = ctx.work.read_json(found.id, REPORT)
        history = list(moments(found))
        plain_job = as_plain(found, now, (*STATUS, *DETAILS))
        plain_job["source_bytes"] = _source_bytes(found, ctx)
        files = dict(ctx.work.files_of(found.id))
        data = {
            "job": plain_job,
            "events": [moment.as_plain() for moment in history],
            "explanation": explanation or None,
            "acceptance": report,
            "files": files,
        }
        facts = (
            _facts(found, plain_job, now)
            + _folder(found, ctx)
            + (private_facts(found, ctx) if identify else [])
        )

        def tell(out: "Console") -> None:
            render.lines(facts)(out)
            _tell_history(out, found, history, now)
            _tell_rules(out, explanation)
            _tell_acceptance(out, report)
            _tell_files(out, files)

        return Result(data=data, show=tell)


def _folder(job: "Job", ctx: "Context") -> _Facts:
    from drawcli.adapters.state.workdir import VAULT

    there = ctx.work.has_folder(job.id)
    return [("work folder", ctx.work.file(job.id, VAULT).parent)] if there else []


def _source_bytes(job: "Job", ctx: "Context") -> int | None:
    """Return the size of the series in bytes; None without a vault."""
    try:
        return sum(file.size for file in ctx.crosswalk(job).files)
    except JobError:
        return None


def _facts(job: "Job", plain_job: dict[str, Any], now: "datetime") -> _Facts:
    """Return the head of the page: state and facts of a job."""
    from drawcli.core.jobs.columns import facts
    from drawcli.system.durations import duration

    return [
        ("job", job.id),
        ("state", f"{job.state}, held" if job.held else job.state),
        ("for", duration(now - job.since)),
        ("reason", f"{job.reason} ({job.reason_code})" if job.reason else ""),
        ("waits for", "" if job.held or job.reason else plain_job["waits_for"]),
        ("do", plain_job["way_out"]),
        ("what to do", job.hint),
        ("more", f"drawcli reasons {job.reason_code}" if job.reason else ""),
        ("next try", f"{job.due_at:%Y-%m-%d %H:%M:%S} UTC" if job.due_at else ""),
        *facts(job, now, plain_job["source_bytes"]),
    ]


def _tell_history(out: "Console", job: "Job", history: "Sequence[Moment]", now: "datetime") -> None:
    from drawcli.system.durations import long_duration

    rows = [
        (
            f"{moment.at:%Y-%m-%d %H:%M:%S}",
            "" if moment.after is None else f"+ {long_duration(moment.after)}",
            moment.what,
            str(moment.attempt or ""),
            " ".join(filter(None, (moment.why, f"by {moment.by}" if moment.by else ""))),
        )
        for moment in history
    ]
    last = history[-1].at if history else job.since
    rows.append(("now", f"+ {long_duration(now - last)}", f"({job.state})", "", ""))
    out.print()
    render.columns(("history (UTC)", "after", "what", "try", "why"), rows)(out)


def _tell_rules(out: "Console", explanation: dict[str, Any]) -> None:
    for name, tree in explanation.get("rules", {}).items():
        out.print(f"\nrule {plain(name)}", soft_wrap=True)
        _print_tree(out, tree, 1)


def _print_tree(
    out: "Console", tree: dict[str, Any], depth: int, *, is_turned: bool = False
) -> None:
    line = f"{tree['outcome']:<8}{tree['condition']}"
    style = "dim" if is_turned else outcome_style(tree["outcome"])
    out.print(StyledLine(f"{'  ' * depth}{plain(line)}", style), soft_wrap=True)
    for part in tree.get("parts", []):
        turned = is_turned or tree["condition"] == "not"
        _print_tree(out, part, depth + 1, is_turned=turned)


def _tell_acceptance(out: "Console", report: Any) -> None:
    for number, structure in enumerate((report or {}).get("structures", [])):
        measured = f"{volume_with_unit(structure['volume_cm3'])}, {structure['contours']} contours"
        before = "" if number else "\n"
        out.print(f"{before}structure {plain(structure['name'])}: {measured}", soft_wrap=True)
    for finding in (report or {}).get("findings", []):
        line = plain(f"acceptance: {finding['severity']}: {finding['text']}")
        out.print(f"\n{line}", soft_wrap=True)


def _tell_files(out: "Console", files: dict[str, int]) -> None:
    if not files:
        out.print("\nno work folder any more: it is removed some time after a job is finished")
        return
    out.print("\nfiles in the work folder")
    width = max(map(len, files))
    for name, count in files.items():
        out.print(f"  {name:<{width}}  {size(count):>12}")
