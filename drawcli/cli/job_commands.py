"""release, retry, assign, cancel and seen."""

from functools import wraps
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.errors import DrawcliError, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context

    Action = Callable[[Job, Context], Job]

JobArgument = Annotated[
    str, typer.Argument(help="A job's id or its unique beginning.", metavar="JOB")
]
JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Ids of jobs, or their unique beginnings.", metavar="[JOB]..."),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason", help="All jobs held for this reason, such as first-run.", metavar="CODE"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "release")(release)
    command(app, "retry")(retry)
    command(app, "assign")(assign)
    command(app, "cancel")(cancel)
    command(app, "seen")(seen)


def release(
    door: Door,
    jobs: JobsArgument = None,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Continue held jobs from their present state."""
    from drawcli.pipeline import actions

    return _act(door, jobs, reason, actions.release, "released", dry_run=dry_run)


def cancel(
    door: Door,
    jobs: JobsArgument = None,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Cancel jobs. Undo with retry."""
    from drawcli.pipeline import actions

    return _act(door, jobs, reason, actions.cancel, "cancelled", dry_run=dry_run)


def retry(
    door: Door,
    jobs: Annotated[
        list[str] | None, typer.Argument(help="Jobs to retry.", metavar="[JOB]...")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All jobs that wait or are held, except those held for a decision."
        ),
    ] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="Upload the series again, to be segmented once more.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Retry jobs now, from the step that failed.

    A refused structure set is checked again with the present settings, then downloaded again. The
    series is uploaded again only if the server has failed or lost it, or with --resend. Jobs held
    for 'first-run', 'changed-after-upload' or 'model-changed' are left out by --all: decide with
    release or cancel.
    """
    from drawcli.core.jobs.job import FINISHED
    from drawcli.pipeline import actions

    if bool(jobs) == everything:
        raise UsageError("name the jobs to retry, or use --all")
    if everything and resend:
        raise UsageError("--resend uploads series again: name the jobs instead of --all")
    with door.context(dry_run=dry_run) as ctx:
        stuck = [job for job in ctx.ledger.jobs() if job.held or job.due_at]
        stuck = [job for job in stuck if job.state not in FINISHED] if everything else []
        left = [job.id for job in stuck if actions.awaits_decision(job)]
        names = [job.id for job in stuck if job.id not in left] if everything else jobs or []
        action = actions.resend if resend else actions.retry
        result = _apply(names, action, ctx, "due again", dry_run=dry_run)
    return _without(result, left)


def _without(result: Result, left: list[str]) -> Result:
    """Return a result that also says which jobs were left to the decision of a user."""
    result.data["left"], shown = left, result.show

    def show(out: "Console") -> None:
        if shown is not None and (result.data["jobs"] or not left):
            shown(out)
        if left:
            what = counted(len(left), "held job waits", "held jobs wait")
            out.print(f"{what} for your decision, see 'drawcli quarantine'", soft_wrap=True)

    result.show = show
    return result


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


def seen(
    door: Door,
    jobs: JobsArgument = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All deliveries with warnings, of the last week.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Mark the warnings of deliveries as seen, by you.

    Until then they are amber in every list. The history of the job records who and when.
    """
    from drawcli.core.jobs.warned import unseen_warnings
    from drawcli.pipeline import actions

    if bool(jobs) == everything:
        raise UsageError("name the jobs whose warnings you have seen, or use --all")
    with door.context(dry_run=dry_run) as ctx:
        unseen = [job.id for job in ctx.ledger.jobs() if unseen_warnings(job)]
        none = "No delivery has warnings that nobody has seen."
        names = unseen if everything else jobs or []
        return _apply(names, actions.seen, ctx, "marked as seen", dry_run=dry_run, none=none)


def _act(
    door: Door,
    names: list[str] | None,
    reason: str | None,
    action: "Action",
    done: str,
    *,
    dry_run: bool,
) -> Result:
    """Act on the named jobs, or on all that are held for a reason."""
    if bool(names) == bool(reason):
        raise UsageError("name the jobs, or all that are held for a reason: --reason CODE")

    @wraps(action)  # its name is in the audit log
    def act(job: "Job", ctx: "Context") -> "Job":
        if reason and not (job.held and job.reason_code == reason):
            raise UsageError(f"job {job.id} is no longer held for '{reason}'")
        return action(job, ctx)

    with door.context(dry_run=dry_run) as ctx:
        held = [job.id for job in ctx.ledger.jobs() if job.held and job.reason_code == reason]
        none = f"No job is held for '{reason}'."
        return _apply(names or held, act, ctx, done, dry_run=dry_run, none=none)


def _apply(
    names: list[str],
    action: "Action",
    ctx: "Context",
    done: str,
    *,
    dry_run: bool,
    none: str = "No job is held, and none waits for another try.",
) -> Result:
    """Act on jobs, on all or none; one that another process has taken since is reported."""
    after: list[Job] = []
    errors: list[DrawcliError] = []
    before = _checked(names, action, ctx)
    for job in before:
        try:
            after.append(_changed(job, action, ctx, dry_run=dry_run))
        except UsageError as err:
            errors.append(err)
    result = _acted(after, done, dry_run=dry_run, none=none)
    result.data["failed"] = [job.id for job in before if job.id not in result.data["jobs"]]
    result.errors, result.exit_code = errors, errors[0].exit_code if errors else 0
    result.is_partial = bool(after)
    return result


def _checked(names: list[str], action: "Action", ctx: "Context") -> "list[Job]":
    """Return the jobs of some names, each once.

    Raises
    ------
    UsageError
        With a line for each job that does not exist or does not allow the action.
    """
    from drawcli.pipeline.actions import find_job

    found: dict[str, Job] = {}
    refused: list[UsageError] = []
    for name in names:
        try:
            job = find_job(name, ctx)
            action(job, ctx)
        except UsageError as err:
            refused.append(err)
        else:
            found[job.id] = job
    if len(names) == 1 and refused:
        raise refused[0]
    if refused:
        text = "\n".join(dict.fromkeys(str(err) for err in refused))
        raise UsageError(text, hint="Nothing was changed, for none of the jobs.")
    return list(found.values())


def _changed(job: "Job", action: "Action", ctx: "Context", *, dry_run: bool) -> "Job":
    from drawcli.pipeline.actions import apply_action

    return action(job, ctx) if dry_run else apply_action(job, action, ctx)


def _acted(
    jobs: "list[Job]",
    done: str,
    *,
    dry_run: bool,
    none: str = "",
) -> Result:
    said = f"would be {done}" if dry_run else done

    def show(out: "Console") -> None:
        for job in jobs:
            out.print(f"{job.id}  {said}; state {job.state}", soft_wrap=True)
        if not jobs:
            out.print(none)

    return Result(data={"jobs": [job.id for job in jobs], "dry_run": dry_run}, show=show)
