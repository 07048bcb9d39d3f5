"""report: turnaround, volume, failures and unmatched series."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result, not_written
from drawcli.cli.status_command import CsvOption, past_moment
from drawcli.cli.text_parts import StyledLine

if TYPE_CHECKING:
    from collections import Counter

    from rich.console import Console

    from drawcli.operations.report import Report

_COLOURS: Final = {"held": "red", "failed": "yellow", "delivered": "green"}
_GB: Final = 1e9


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "report")(report)


def report(
    door: Door,
    since: Annotated[
        str,
        typer.Option("--since", help="Since when: 12h, 7d or 2026-01-31 (UTC).", metavar="WHEN"),
    ] = "7d",
    as_csv: CsvOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write an HTML page with plots.", metavar="FILE"),
    ] = None,
) -> Result:
    """Show turnaround, volume, failures, unmatched series."""
    from drawcli.adapters.state.former_client import read_history
    from drawcli.adapters.state.qa_summary import read_summary
    from drawcli.operations.former_report import former_report
    from drawcli.operations.report import COLUMNS, report_of

    with door.context(dry_run=True) as ctx:
        now = ctx.now()
        first = past_moment(since, now)
        made = report_of(ctx.ledger.all_jobs(f"{first:%Y-%m}"), first, now)
        made.former = former_report(read_history(ctx.settings.state_dir), first, now)
        made.contours = read_summary(ctx.settings.state_dir)
    if html is not None:
        _write_page(html, made)
    if as_csv:
        from drawcli.operations.ledger_copies import as_csv as table

        text = table(list(made.rows()), COLUMNS)
        return Result(data={"csv": text}, show=render.verbatim(text))
    data = made.as_plain() | {"html": None if html is None else str(html)}
    return Result(data=data, show=lambda out: _tell(out, made, html))


def _write_page(path: Path, made: "Report") -> None:
    from drawcli.operations.report_page import page

    try:
        path.write_text(page(made), encoding="utf-8")
    except OSError as err:
        raise not_written(path, err) from None


def _tell(out: "Console", made: "Report", html: Path | None) -> None:
    _tell_totals(out, made)
    _tell_spans(out, made)
    for title, counts in (
        ("held, by reason", made.holds),
        ("failed tries, by reason", made.failures),
        ("delivered, by template", made.templates),
    ):
        _tell_counts(out, title, counts)
    if made.former and (rows := made.former.table()):
        out.print()
        render.columns(("the former client", "", ""), rows)(out)
    if made.contours is not None:
        from drawcli.operations.qa.summary_text import lines

        out.print(StyledLine("\ncontours", "bold"))
        for line in lines(made.contours, made.since, made.until):
            out.print(f"  {line}", soft_wrap=True)
    if unmatched := made.left.get("unmatched"):
        out.print(StyledLine(f"\nunmatched: {' '.join(unmatched)}", "yellow"))
        out.print("  'drawcli explain JOB' tells why", soft_wrap=True)
    if html is not None:
        out.print(f"\nwritten: {html}", soft_wrap=True)


def _tell_totals(out: "Console", made: "Report") -> None:
    volume = f"{made.total('bytes_sent') / _GB:,.2f} GB"
    render.lines(
        [
            ("from", f"{made.since:%Y-%m-%d %H:%M} to {made.until:%Y-%m-%d %H:%M} UTC"),
            ("found", f"{made.total('found'):,}"),
            ("sent", f"{made.total('sent'):,}, {volume}"),
            ("delivered", f"{made.total('delivered'):,}"),
            ("held", f"{made.total('held'):,}; {made.held_now:,} now"),
            ("left by rules", ", ".join(f"{len(ids):,} {name}" for name, ids in made.left.items())),
        ]
    )(out)


def _tell_spans(out: "Console", made: "Report") -> None:
    """Print how long each step took."""
    from drawcli.system.durations import long_duration

    rows = [
        (
            taken.step,
            f"{len(taken.seconds):,}",
            *(long_duration(timedelta(seconds=s)) for s in (taken.median, taken.ninetieth)),
        )
        for taken in made.took
    ]
    if rows:
        out.print()
        render.columns(("step", "jobs", "median", "90th percentile"), rows)(out)


def _tell_counts(out: "Console", title: str, counts: "Counter[str]") -> None:
    if counts:
        out.print(StyledLine(f"\n{title}", "bold"))
        style = next((s for word, s in _COLOURS.items() if title.startswith(word)), "")
        for name, count in counts.most_common():
            out.print(StyledLine(f"  {count:5,}  {name}", style), soft_wrap=True)
