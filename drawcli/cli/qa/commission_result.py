"""What qa commission prints: facts for programs, tables for people."""

from typing import TYPE_CHECKING, Any

from drawcli.cli import render
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from drawcli.core.qa.criteria import Judgement, StructureResult
    from drawcli.operations.commissioning.results import Commissioned


def facts_of(done: "Commissioned", charts: int | None) -> dict[str, Any]:
    """Return a commissioning as JSON values; `charts` is how many got limits from it."""
    return {
        "template": done.template_name,
        "commissioning": done.name,
        "version": done.version.name,
        "catalogue_digest": done.version.catalogue_digest,
        "passed": done.passed,
        "complete": done.is_complete,
        "n": len(done.compared),
        "cases": [
            {
                "case": one.case.number,
                "job": one.job.id,
                "state": str(one.job.state),
                "held": one.job.held,
                "reason": one.job.reason_code,
                "not_in_result": one.standing or None,
            }
            for one in done.cases
        ],
        "left_out": dict(done.past.left_out),
        "structures": [*_structures(done)],
        "charts_with_limits": charts,
    }


def _structures(done: "Commissioned") -> "Iterator[dict[str, Any]]":
    from drawcli.core.qa.criteria import statistic_of, values_of, worst_cases
    from drawcli.operations.commissioning.report import SHOWN

    for result in done.results:
        metrics: dict[str, dict[str, float | None]] = {}
        for field, _, _, larger in SHOWN:
            values = values_of(field, result.structures)
            metrics[field] = {
                name: statistic_of(name, values, larger=larger) if values else None
                for name in ("median", "q1", "q3", "worst")
            }
        yield {
            "name": result.name,
            "passed": result.passed,
            "n": result.n,
            "not_counted": result.others,
            "metrics": metrics,
            "worst": worst_cases("dice", done.by_case(result.name)),
            "criteria": [
                {
                    "metric": one.criterion.metric,
                    "criterion": one.criterion.text,
                    "passed": one.passed,
                    "value": one.value,
                }
                for one in result.judgements
            ],
        }


def show_result(
    out: "Console",
    done: "Commissioned",
    charts: int | None,
    written: dict[str, Any],
    *,
    identify: bool,
) -> None:
    """Print a commissioning; with `identify`, which case is which patient."""
    from drawcli.operations.commissioning.report import remarks, sentence, spread

    results = done.results if done.compared else []
    rows = [
        (
            result.name,
            {True: "pass", False: "FAIL", None: "-"}[result.passed],
            str(result.n),
            spread(result, "dice", 3, larger=True),
            spread(result, "hd95_mm", 1, larger=False),
        )
        for result in results
    ]
    titles = ("structure", "result", "n", "Dice: median (IQR)", "HD95: the same, mm")
    if rows:
        render.columns(titles, rows, numbers_from=2)(out)
    lines = [*_notes(results), *remarks(done), sentence(done)]
    lines += [] if charts is None else [_charts_text(charts)]
    lines += [f"written: {path}" for path in written.values() if path]
    for line in lines:
        out.print(line, soft_wrap=True)
    if identify:
        _show_patients(out, done)


def _notes(results: "Sequence[StructureResult]") -> "Iterator[str]":
    """Yield the criteria that were not met, and what was not drawn in both sets."""
    for result in results:
        for one in result.judgements:
            if one.passed is not True:
                criterion = f"{one.criterion.metric} {one.criterion.text}"
                yield f"{result.name}: {criterion}: {one.words}, {_value(one)}"
        if result.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in result.others.items())
            yield f"{result.name}: not drawn in both sets: {kinds}"


def _value(one: "Judgement") -> str:
    """Return the figure that a criterion was judged by, and which it is."""
    from drawcli.operations.commissioning.report import found

    named = one.value is not None and one.criterion.statistic in {"median", "mean", "worst"}
    return f"{one.criterion.statistic} {found(one)}" if named else found(one)


def _charts_text(charts: int) -> str:
    if not charts:
        return "no control chart has limits from it: that takes 20 cases in which something differs"
    return f"limits from it: {counted(charts, 'control chart')}"


def _show_patients(out: "Console", done: "Commissioned") -> None:
    """Show which case is which patient; on a terminal only."""
    rows = [
        (str(one.case.number), *one.case.patient, str(one.case.clinical.path), one.standing)
        for one in done.cases
    ]
    render.columns(("case", "patient", "ID", "clinical structure set", ""), rows)(out)
