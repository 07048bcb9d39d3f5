"""qa report: what the comparison of delivered and clinical contours says about a span of time."""

from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door
from drawcli.cli.render import Result, not_written
from drawcli.cli.status_command import CsvOption, past_moment
from drawcli.cli.text_parts import StyledLine
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from drawcli.operations.qa.report import QaReport, Quartiles, StructureReport

_NO_PAIRS: Final = "'drawcli qa scan' compares them, and each run if qa.enabled is set"
_NARROWEST: Final = 40
_NAME: Final = 16  # width of the column of structures
_WIDTHS: Final = (10, 10, 9, 9)  # of the columns of figures
_SHOWN: Final = (("dice", 3, 2), ("surface_dice", 3, 2), ("hd95_mm", 1, 1), ("apl_mm", 0, 0))
_STYLES: Final = {"investigate": "bold red", "watch": "yellow"}


def report(
    door: Door,
    since: Annotated[
        str,
        typer.Option(
            "--since", help="Deliveries since when: 90d, 12w or 2026-01-31.", metavar="WHEN"
        ),
    ] = "90d",
    template: Annotated[
        str | None, typer.Option("--template", help="Only this template.", metavar="NAME")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a page with charts.", metavar="FILE"),
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="Also write the same as PDF.", metavar="FILE")
    ] = None,
    as_csv: CsvOption = False,
) -> Result:
    """Show how much delivered contours were edited, by template and structure, and the charts."""
    from drawcli.adapters.state.qa_records import QaRecords
    from drawcli.operations.qa.report import COLUMNS, read_report

    with door.context(dry_run=True) as ctx:
        now = ctx.now()
        first = past_moment(since, now)
        with render.spinner("reading") if door.to_person else nullcontext():
            records = QaRecords(ctx.settings.state_dir).by_job()
            _check_template(template, {record.template for record in records.values()})
            made = read_report(records.values(), ctx.settings, first, now, template)
    _write_documents(made, html, pdf)
    if as_csv:
        from drawcli.operations.ledger_copies import as_csv as table

        text = table([one.as_row() for one in made.structures], COLUMNS)
        return Result(data={"csv": text}, show=render.verbatim(text))
    written = [str(path) for path in (html, pdf) if path is not None]
    return Result(
        data=made.as_plain() | {"written": written}, show=lambda out: _show(out, made, written)
    )


def _check_template(template: str | None, known: set[str]) -> None:
    if template is not None and template not in known:
        from drawcli.system.records import suggest

        names = ", ".join(sorted(known)) or "none"
        raise UsageError(
            f"no pair has the template '{template}'{suggest(template, known)}",
            hint=f"Templates with pairs: {names}.",
        )


def _write_documents(made: "QaReport", html: Path | None, pdf: Path | None) -> None:
    from drawcli.operations.qa.document import as_html
    from drawcli.operations.qa.document_pdf import as_pdf
    from drawcli.operations.qa.report_document import document_of

    if html is None and pdf is None:
        return
    document = document_of(made)
    if html is not None:
        _write(html, as_html(document).encode("utf-8"))
    if pdf is not None:
        _write(pdf, as_pdf(document))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as err:
        raise not_written(path, err) from None


def _show(out: "Console", made: "QaReport", written: "Sequence[str]") -> None:
    from drawcli.operations.qa.report_text import noted_text, sections
    from drawcli.operations.qa.summary_text import counts_text

    span = f"{made.since:%Y-%m-%d} to {made.until:%Y-%m-%d}"
    pairs = counts_text(made.pairs) or f"no delivered structure sets were looked at\n{_NO_PAIRS}"
    head = f"delivered {span}: {pairs}".splitlines()
    head += [f"to be looked at: {noted_text(made)}"] if made.structures else []
    for line in head:
        out.print(fill(line, max(out.width, _NARROWEST)), soft_wrap=True)
    _show_structures(out, made)
    for title, lines in sections(made):
        out.print(f"\n{title}", soft_wrap=True)
        for line in lines:
            out.print(_wrapped(line, out.width), soft_wrap=True)
    for path in written:
        out.print(f"\nwritten: {path}", soft_wrap=True)


def _show_structures(out: "Console", made: "QaReport") -> None:
    """Show a table for each template."""
    for template, rows in groupby(made.structures, lambda row: row.template):
        out.print(f"\n{template}\n{_TITLES}", soft_wrap=True)
        for row in rows:
            for part in _row(row):
                out.print(part, soft_wrap=True)
    if made.structures:
        out.print(f"\n{_legend(made)}", soft_wrap=True)


def _wrapped(line: str, width: int) -> str:
    """Return an entry of a list, indented and folded between words."""
    return fill(
        line,
        max(width, _NARROWEST),
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns(cells: "Sequence[str]") -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


_TITLES: Final = (
    f"{'structure':<{_NAME}}{'n':>4}{'u/e/r':>9}{_columns(('Dice', 'sDice', 'HD95', 'APL'))}  state"
)


def _row(row: "StructureReport") -> "Iterator[StyledLine]":
    """Yield the two lines of a structure: medians, and below them the middle half."""
    found = [(row.figures.get(metric), digits, fewer) for metric, digits, fewer in _SHOWN]
    medians = [_figure(one.median if one else None, digits) for one, digits, _ in found]
    state = f"new {row.cases}/{row.cases + row.missing}" if row.state == "new" else row.state
    name = render.shortened(row.roi, _NAME)
    shares = "/".join(map(str, row.shares()))
    first = f"{name:<{_NAME}}{row.n:>4}{shares:>9}{_columns(medians)}  {state}"
    yield StyledLine(first.rstrip(), _STYLES.get(row.state, ""))
    if row.n > 1:
        halves = [_half(one, digits) for one, _, digits in found]
        yield StyledLine(f"{'':<{_NAME + 13}}{_columns(halves)}", "dim")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _half(quartiles: "Quartiles | None", digits: int) -> str:
    """Return the middle half; nothing where it is a single figure."""
    if quartiles is None:
        return ""
    lower, upper = (_figure(value, digits) for value in (quartiles.lower, quartiles.upper))
    return f"{lower}-{upper}"


def _legend(made: "QaReport") -> str:
    tau = " or ".join(f"{tau:g}" for tau in made.tolerances)
    within = f" (tolerance {tau} mm)" if tau else ""
    return (
        "u/e/r: % untouched, edited, redrawn. Figures: median, below it the middle half.\n"
        f"sDice: surface Dice; APL: added path length{within}; HD95, APL in mm."
    )
