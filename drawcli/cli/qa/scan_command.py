"""qa scan: find the clinical structure sets of delivered series, and compare."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.render import Result
from drawcli.errors import DrawcliError, OutOfReach, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.operations.qa.clinical.scan_result import QaScanResult
    from drawcli.pipeline.context import Context


def scan(
    door: Door,
    job: Annotated[str | None, typer.Option("--job", help="Only this job.", metavar="JOB")] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Also pairs of which no file has changed."),
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Compare delivered structure sets with the clinical ones in the datastore and qa.folders.

    'run-once' does this at its end if qa.enabled is true.
    """
    from drawcli.operations.qa.clinical.scan import scan_pairs
    from drawcli.operations.qa.clinical.scan_result import QaScanOptions
    from drawcli.pipeline.actions import find_job

    with door.context(dry_run=dry_run) as ctx:
        only = None if job is None else find_job(job, ctx).id
        if only is not None and not ctx.work.has_folder(only):
            raise UsageError(
                f"the work folder of job {only} is gone: its files cannot be compared any more",
                hint="It is removed after deliver.keep_days; 'drawcli qa show' shows the record.",
            )
        with render.spinner("comparing") if door.to_person else nullcontext():
            lost = [] if dry_run else _refresh(ctx)
            done = scan_pairs(ctx, QaScanOptions(job=only, again=again, dry_run=dry_run))
    errors: list[DrawcliError] = [*lost, *done.warnings]
    is_lost = any(isinstance(err, OutOfReach) for err in errors)
    return Result(
        data=done.as_plain(),
        show=lambda out: _show(out, done, written=not dry_run),
        errors=errors,
        exit_code=OutOfReach.exit_code if is_lost else 0,
        is_partial=True,
    )


def _refresh(ctx: "Context") -> list[OutOfReach]:
    """Bring the scan index of the datastore up to date; return the folders out of reach."""
    from drawcli.adapters.scan_index import IndexBroken
    from drawcli.pipeline.survey import open_survey

    for _ in range(2):
        try:
            with open_survey(ctx) as survey:
                return list(survey.lost)
        except IndexBroken:
            continue  # it is removed, and made anew
    return []


def _show(out: "Console", done: "QaScanResult", *, written: bool) -> None:
    news = list(done.news.values())
    if news:
        rows = [(one.job, one.template, str(one.status), one.summary) for one in news]
        render.columns(("job", "template", "status", "what is known"), rows)(out)
    what = counted(len(news), "new record")
    jobs = counted(done.jobs, "delivered job")
    out.print(f"{jobs}, {what if written else f'{what} (not written: dry run)'}", soft_wrap=True)
    if done.left:
        out.print(f"{counted(done.left, 'pair')} left for the next scan", soft_wrap=True)
