"""redeliver and verify."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, IdentifyOption, RunOptions, command
from drawcli.cli.pipeline_commands import step_command
from drawcli.cli.render import Result
from drawcli.errors import DrawcliError, NeedsPerson, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.core.gate.acceptance import Finding
    from drawcli.core.gate.header_diff import ElementDiff
    from drawcli.core.jobs.job import Job

JobArgument = Annotated[
    str, typer.Argument(help="A job's id or its unique beginning.", metavar="JOB")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "redeliver")(redeliver)
    command(app, "verify")(verify)


def reidentify(door: Door, run: RunOptions, identify: IdentifyOption = False) -> Result:
    """Re-identify structure sets, check and deliver them.

    With --dry-run and --job: show what would change in the file.
    """
    if not (run.dry_run and run.job):
        if identify:
            raise UsageError("--identify needs --dry-run and --job: it shows the values")
        return step_command("reidentify")(door, run)
    from drawcli.pipeline import results
    from drawcli.pipeline.actions import find_job

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found = find_job(run.job, ctx)
        lines = results.compare_finished(found, ctx)
        place = results.delivery_path(found, ctx) if identify else None
    return _changes(lines, place, identify=identify)


def _changes(lines: "list[ElementDiff]", place: Path | None, *, identify: bool) -> Result:
    """Return the changes: top-level elements one by one, nested ones as counts."""
    changed = [line for line in lines if line.what != "kept"]
    top = [line for line in changed if line.depth == 0 and line.vr != "SQ"]
    below = Counter(f"{line.keyword or line.vr} {line.what}" for line in changed if line.depth)
    data = {
        "elements": [{"keyword": line.keyword, "vr": line.vr, "what": line.what} for line in top],
        "in_sequences": dict(below),
    }

    def show(out: "Console") -> None:
        rows = [
            (line.keyword or line.vr, line.what, (line.after or "") if identify else line.vr)
            for line in top
        ]
        titles = ("element", "", "after" if identify else "after (VR)")
        render.columns(titles, (tuple(map(render.shortened, row)) for row in rows))(out)
        for what, count in sorted(below.items()):
            out.print(f"in sequences: {count:6d} {what}", soft_wrap=True)
        if place is not None:
            out.print(f"it would go to {place}", soft_wrap=True)

    return Result(data=data, show=show)


def redeliver(
    door: Door,
    job: JobArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Another folder for the file.", metavar="DIR"),
    ] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Deliver the structure set of a job again. Starts from the server's file."""
    from drawcli.pipeline import results
    from drawcli.pipeline.actions import act_locked, find_job

    with door.context(dry_run=dry_run) as ctx:
        found = find_job(job, ctx)
        if dry_run:
            results.verify(found, ctx)  # says why not, if not
            return _told([found.id], "would be written again")
        note = "redelivered" if to is None else "written to another folder"

        def act(now: "Job") -> results.Redelivered:
            again = results.redeliver(now, ctx, to)
            for what in (note, *again.at_node):
                now = now.noted(ctx.now(), what)
            ctx.ledger.commit(now)
            return again

        again = act_locked(found, ctx, act)
    said = "; ".join([f"is there; sha256 {again.sha256}", *again.at_node])
    result = _told([found.id], said)
    result.data |= {"sha256": again.sha256, "node": again.at_node}
    return result


def verify(
    door: Door,
    job: Annotated[
        str | None,
        typer.Argument(help="A job; all delivered jobs if omitted.", metavar="[JOB]"),
    ] = None,
) -> Result:
    """Re-check delivered structure sets. Each must be present, unchanged and match its images."""
    from drawcli.pipeline import results
    from drawcli.pipeline.actions import find_job

    with door.context(dry_run=True) as ctx:
        jobs = results.verifiable_jobs(ctx) if job is None else [find_job(job, ctx)]
        found = [(job, results.verify(job, ctx)) for job in jobs]
    return _verified(found)


def _verified(found: "list[tuple[Job, list[Finding]]]") -> Result:
    wrong = sum(
        any(str(finding.severity) == "block" for finding in findings) for _, findings in found
    )
    data = {
        "jobs": [
            {"job": job.id, "findings": [finding.as_plain() for finding in findings]}
            for job, findings in found
        ]
    }
    errors: list[DrawcliError] = []
    if wrong:
        errors = [
            NeedsPerson(
                f"{wrong} of {len(found)} delivered structure sets are not as they should be",
                hint="Do not plan on them until they are checked.",
            )
        ]

    def show(out: "Console") -> None:
        rows = [
            (
                job.id,
                job.template or "",
                "; ".join(finding.text for finding in findings) or "as delivered",
            )
            for job, findings in found
        ]
        if rows:
            render.columns(("job", "template", "structure set"), rows)(out)
        else:
            out.print("No delivered structure set is kept.")

    code = errors[0].exit_code if errors else 0
    return Result(data=data, show=show, errors=errors, exit_code=code)


def _told(jobs: list[str], what: str) -> Result:
    return Result(
        data={"jobs": jobs},
        show=lambda out: out.print("\n".join(f"{job}  {what}" for job in jobs), soft_wrap=True),
    )
