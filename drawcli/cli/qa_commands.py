"""qa: quality assurance of contours."""

from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, group
from drawcli.cli.qa import (
    commission_command,
    golden_commands,
    import_command,
    pair_commands,
    rating_commands,
    report_command,
    scan_command,
)
from drawcli.cli.qa.tables import LONGEST_NAME, legend, show_structures
from drawcli.cli.render import Result, not_written
from drawcli.cli.status_command import CsvOption
from drawcli.core.qa import DEFAULT_TAU_MM
from drawcli.errors import JobError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from drawcli.core.qa.outcomes import StructureComparison
    from drawcli.operations.qa.compare import ComparedPair


_SUMMARY_LEGEND: Final = "n: pairs with the structure; same: untouched. Dice, HD95 (mm): medians."


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    commands: dict[str, Callable[..., Any]] = {
        "compare": compare,
        "commission": commission_command.commission,
        "scan": scan_command.scan,
        "list": pair_commands.list_,
        "show": pair_commands.show,
        "export": pair_commands.export,
        "report": report_command.report,
        "rate": rating_commands.rate,
        "ratings": rating_commands.ratings,
        "import-ratings": import_command.import_ratings,
    }
    qa = group(app, "qa", commands, what="Quality assurance of contours.")
    golden: dict[str, Callable[..., Any]] = {
        "add": golden_commands.add,
        "run": golden_commands.run,
        "list": golden_commands.list_,
        "accept": golden_commands.accept,
        "remove": golden_commands.remove,
    }
    group(qa, "qa golden", golden, what="Fixed scans that are sent again, to notice a new model.")


def compare(
    door: Door,
    a: Annotated[
        Path, typer.Argument(help="An RTSTRUCT, or a folder.", metavar="A", show_default=False)
    ],
    b: Annotated[
        Path | None,
        typer.Argument(help="Another RTSTRUCT, or a folder.", metavar="[B]", show_default=False),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="The images, for pictures on the page.", metavar="DIR"),
    ] = None,
    tau: Annotated[
        float,
        typer.Option(
            "--tau", min=0, help="Tolerance of surface Dice and added path.", metavar="MM"
        ),
    ] = DEFAULT_TAU_MM,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a page; a folder for many pairs.", metavar="FILE"),
    ] = None,
    as_csv: CsvOption = False,
) -> Result:
    """Compare two structure sets, structure by structure: outcome, volumes, Dice, distances.

    A and B are two RTSTRUCT files, or two folders: their files pair by name or by series. A folder
    alone has a subfolder for each pair. No site is needed.
    """
    from drawcli.operations.qa.compare import compare_files, pairs_of

    if images is not None and html is None:
        raise UsageError("--images needs --html FILE: where to write the page")
    with render.spinner("comparing") if door.to_person else nullcontext():
        pairs = list(compare_files(pairs_of(a, b), tau))
    if html is not None:
        _write_pages(pairs, html, images, tau)
    result = _result(pairs, tau, html)
    if as_csv:
        text = _table(pairs)
        result.data, result.show = {"csv": text}, render.verbatim(text)
    return result


def _result(pairs: "Sequence[ComparedPair]", tau: float, html: Path | None) -> Result:
    """Return the figures of all pairs; an exit code if some of them could not be compared."""
    errors = [pair.error for pair in pairs if pair.error is not None]
    result = Result(data=_facts(pairs, tau, html), errors=errors)
    if len(errors) == len(pairs):
        result.exit_code = errors[0].exit_code
        return result
    if errors:
        result.exit_code = JobError.exit_code
    result.show = lambda out: _show(out, pairs, tau, html)
    return result


def _facts(pairs: "Sequence[ComparedPair]", tau: float, html: Path | None) -> dict[str, Any]:
    from drawcli.operations.qa.compare import has_scipy

    data: dict[str, Any] = {
        "tau_mm": tau,
        "distances": has_scipy(),
        "html": None if html is None else str(html),
        "pairs": [
            {
                "a": str(pair.a),
                "b": str(pair.b),
                "warning": pair.warning or None,
                "structures": [one.as_plain() for one in _structures(pair)],
            }
            for pair in pairs
        ],
    }
    data["structures"] = [one for pair in data["pairs"] for one in pair["structures"]]
    return data


def _structures(pair: "ComparedPair") -> "Sequence[StructureComparison]":
    return () if pair.comparison is None else pair.comparison.structures


def _table(pairs: "Sequence[ComparedPair]") -> str:
    """Return one row a structure as CSV."""
    from drawcli.core.qa.pair_rows import FIGURE_COLUMNS, spread
    from drawcli.operations.ledger_copies import as_csv

    rows = [
        {"a": str(pair.a), "b": str(pair.b)} | dict(spread(one.as_plain()))
        for pair in pairs
        for one in _structures(pair)
    ]
    return as_csv(rows, ("a", "b", *FIGURE_COLUMNS))


def _write_pages(
    pairs: "Sequence[ComparedPair]", html: Path, images: Path | None, tau: float
) -> None:
    """Write one page, or a page a pair into a folder."""
    from drawcli.operations.qa.compare import find_scene
    from drawcli.operations.qa.page import render_comparison
    from drawcli.pipeline.deidentify_folder import read_folder

    folder = None if images is None else read_folder(images)
    if len(pairs) > 1:
        html.mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(pairs, start=1):
        if pair.comparison is None:
            continue
        scene = find_scene(folder, images, pair.a) if folder and images else None
        path = html / f"pair-{number:03}.html" if len(pairs) > 1 else html
        try:
            path.write_text(render_comparison(pair, tau, scene), encoding="utf-8")
        except OSError as err:
            raise not_written(path, err) from None


def _show(out: "Console", pairs: "Sequence[ComparedPair]", tau: float, html: Path | None) -> None:
    from drawcli.operations.qa.compare import DISTANCES_NEED, has_scipy
    from drawcli.system.packages import install_hint

    if len(pairs) == 1:
        show_structures(out, _structures(pairs[0]))
        if pairs[0].warning:
            out.print(f"warning: {pairs[0].warning}", soft_wrap=True)
        out.print(legend([tau], " A is the reference."), soft_wrap=True)
    else:
        _show_summary(out, pairs)
    if not has_scipy():
        out.print(f"{DISTANCES_NEED}\n  {install_hint('scipy')}", soft_wrap=True)
    if html is not None:
        out.print(f"written: {html}", soft_wrap=True)


def _show_summary(out: "Console", pairs: "Sequence[ComparedPair]") -> None:
    """Show medians for each structure over all pairs, and its worst pair by Dice."""
    from drawcli.operations.qa.page import NO_FIGURE, figure

    by_name: dict[str, list[tuple[StructureComparison, int]]] = defaultdict(list)
    for number, pair in enumerate(pairs, start=1):
        for one in _structures(pair):
            by_name[one.name].append((one, number))
    rows, named = [], set[int]()
    for name, found in by_name.items():
        dice = [(one.dice, number) for one, number in found if one.dice is not None]
        hd95 = [one.hd95_mm for one, _ in found if one.hd95_mm is not None]
        worst = min(dice, default=(None, 0))
        named.add(worst[1])
        kinds = [str(one.outcome) for one, _ in found]
        rows.append(
            (
                render.shortened(name, LONGEST_NAME),
                str(len(found)),
                str(kinds.count("untouched")),
                str(kinds.count("edited")),
                str(kinds.count("redrawn")),
                figure(median(value for value, _ in dice) if dice else None, 3),
                figure(median(hd95) if hd95 else None, 1),
                f"{figure(worst[0], 3)} (pair {worst[1]})" if dice else NO_FIGURE,
            )
        )
    titles = ("structure", "n", "same", "edited", "redrawn", "Dice", "HD95", "worst Dice")
    render.columns(titles, rows, numbers_from=1)(out)
    out.print(_SUMMARY_LEGEND, soft_wrap=True)
    for number, pair in enumerate(pairs, start=1):
        if number in named or pair.warning:
            warning = f"; warning: {pair.warning}" if pair.warning else ""
            out.print(f"pair {number}: {pair.a} and {pair.b}{warning}", soft_wrap=True)
    out.print(f"{len(pairs)} pairs; --csv and --json have the figures of each", soft_wrap=True)
