"""pull: retrieve series from archives into the datastore."""

from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, DryRunOption, command, end_after
from drawcli.cli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, max=1_000_000, help="Pull at most N series.", metavar="N"),
]
MinutesOption = Annotated[
    float | None,
    typer.Option("--max-minutes", min=0, help="Start no image after N minutes.", metavar="N"),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "pull")(pull)


def pull(
    door: Door,
    *,
    limit: LimitOption = None,
    max_minutes: MinutesOption = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Retrieve series from the archives of the settings. With --dry-run, only list only."""
    from drawcli.cli.network.pull_result import errors_of, exit_code_of, lines_of
    from drawcli.cli.progress_bar import shown
    from drawcli.pipeline.pull.pull import pull as run
    from drawcli.pipeline.pull.source import PullOptions

    with door.context(dry_run=dry_run) as ctx:
        until = end_after(max_minutes, ctx.now())
        with shown(door, ctx.progress):
            report = run(ctx, PullOptions(until=until, dry_run=dry_run, limit=limit))
    errors = errors_of(report)

    def show(out: "Console") -> None:
        for line in lines_of(report):
            out.print(line, soft_wrap=True)
        for source in report.sources if dry_run else ():
            for one in source.series:
                if one.outcome == "would-pull":
                    out.print(f"  {one.key}  {one.missing} of {one.expected} images")

    return Result(
        data=report.as_plain(),
        show=show,
        errors=errors,
        exit_code=exit_code_of(errors),
        is_partial=any(source.series for source in report.sources),
    )
