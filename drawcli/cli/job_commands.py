"""release, retry, assign and cancel."""

from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context

JobArgument = Annotated[
    str, typer.Argument(help="A job's id or its unique beginning.", metavar="JOB")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "release")(release)
    command(app, "retry")(retry)
    command(app, "assign")(assign)
    command(app, "cancel")(cancel)


def release(
    door: Door,
    job: JobArgument,
    dry_run: DryRunOption = False,
) -> Result:
    """Continue a held job from its present state."""
    from drawcli.pipeline import actions

    return _act(door, job, actions.release, "released", dry_run=dry_run)


def cancel(
    door: Door,
    job: JobArgument,
    dry_run: DryRunOption = False,
) -> Result:
    """Cancel a job. Undo with retry."""
    from drawcli.pipeline import actions

    return _act(door, job, actions.cancel, "cancelled", dry_run=dry_run)


def retry(
    door: Door,
    jobs: Annotated[
        list[str] | None, typer.Argument(help="Jobs to retry.", metavar="[JOB]...")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All jobs that wait or are held.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Retry jobs now, from the step that failed."""
    from drawcli.core.jobs.job import FINISHED
    from drawcli.pipeline import actions

    if bool(jobs) == everything:
        raise UsageError("name the jobs to retry, or use --all")
    with door.context(dry_run=dry_run) as ctx:
        if everything:
            stuck = (job for job in ctx.ledger.jobs() if job.held or job.due_at)
            chosen = [job for job in stuck if job.state not in FINISHED]
        else:
            chosen = [actions.find_job(name, ctx) for name in jobs or []]
        after = [_changed(job, actions.retry, ctx, dry_run=dry_run) for job in chosen]
    return _acted(after, "to be tried again", dry_run=dry_run)


def assign(
    door: Door,
    job: Annotated[
        str, typer.Argument(help="A job's id, or a SeriesInstanceUID.", metavar="SERIES|JOB")
    ],
    template: Annotated[str, typer.Argument(help="A name in templates.yaml.", metavar="TEMPLATE")],
    dry_run: DryRunOption = False,
) -> Result:
    """Assign a template to a series; it overrides the rules."""
    from drawcli.pipeline import actions

    with door.context(dry_run=dry_run) as ctx:
        found = actions.find_job(job, ctx)
        actions.check_assignable(found, template, ctx)
        after = found if dry_run else actions.assign_template(found, template, ctx)
    return _acted([after], f"assigned to {template}", dry_run=dry_run)


def _act(
    door: Door,
    name: str,
    action: "Callable[[Job, Context], Job]",
    done: str,
    *,
    dry_run: bool,
) -> Result:
    from drawcli.pipeline.actions import find_job

    with door.context(dry_run=dry_run) as ctx:
        after = _changed(find_job(name, ctx), action, ctx, dry_run=dry_run)
    return _acted([after], done, dry_run=dry_run)


def _changed(
    job: "Job", action: "Callable[[Job, Context], Job]", ctx: "Context", *, dry_run: bool
) -> "Job":
    from drawcli.pipeline.actions import apply_action

    return action(job, ctx) if dry_run else apply_action(job, action, ctx)


def _acted(jobs: "list[Job]", done: str, *, dry_run: bool) -> Result:
    said = f"would be {done}" if dry_run else done

    def show(out: "Console") -> None:
        for job in jobs:
            out.print(f"{job.id}  {said}; state {job.state}", soft_wrap=True)
        if not jobs:
            out.print("No job waits or is held.")

    return Result(data={"jobs": [job.id for job in jobs], "dry_run": dry_run}, show=show)
