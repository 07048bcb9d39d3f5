"""Limits of control charts that do not come from the first cases: commissioned, or set by hand.

state_dir/qa/baselines.jsonl    one line for each template, version, ROI and metric

Later lines count. The file of `qa.limits` is YAML:

    Prostate_OAR:
      Bladder:
        dice: {centre: 0.94, limit: 0.88, reason: "audit of March 2026, 60 patients"}
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.state.qa_records import BASELINES, FOLDER, LineFile
from drawcli.config.load import Settings
from drawcli.core.qa.chart_limits import METRICS, baseline_limits
from drawcli.core.qa.chart_limits import limits_by_hand as limits_from
from drawcli.core.qa.criteria import values_of
from drawcli.core.qa.nelson import Limits
from drawcli.core.qa.outcomes import check_types
from drawcli.system.records import suggest
from drawcli.system.yaml_read import Document, raise_problems, read_yaml

if TYPE_CHECKING:
    from drawcli.operations.commissioning.results import Commissioned

_SOURCE: Final = "commissioning"
_NEEDED: Final = ("centre", "limit", "reason")
_MOST: Final = 1e6  # mm
_HINT: Final = "Such as Prostate_OAR: {Bladder: {dice: {centre: 0.94, limit: 0.88, reason: audit}}}"

LimitsKey = tuple[str, str, str, str]  # template, ROI, metric, version; "" for every version
GivenLimits = Callable[[str, str, str, str], Limits | None]


def save_baseline(state_dir: Path, done: "Commissioned", metrics: list[str], at: datetime) -> int:
    """Store the limits from commissioned cases; return how many charts get theirs.

    A chart needs 20 changed cases: others keep the baseline of their first deliveries.

    Parameters
    ----------
    state_dir
        Of the site.
    done
        The commissioning.
    metrics
        Names in `METRICS`.
    at
        The present time.
    """
    reason = f"{done.name}, {len(done.compared)} cases"
    rows = []
    for result in done.results:
        for metric in metrics:
            drawn = [value for value in values_of(metric, result.structures) if value is not None]
            limits = baseline_limits(drawn, metric, _SOURCE, reason)
            if limits is not None:
                key = {
                    "template": done.template_name,
                    "roi": result.name,
                    "metric": metric,
                    "version": done.version.name,
                }
                rows.append({"at": at.isoformat(), **key, "limits": asdict(limits)})
    LineFile(state_dir / FOLDER / BASELINES).add(rows)
    return len(rows)


def commissioned_limits(state_dir: Path) -> dict[LimitsKey, Limits]:
    """Return the limits from commissioning, by template, ROI, metric and version."""
    names = {item.name for item in fields(Limits)}
    found = {}
    for row in LineFile(state_dir / FOLDER / BASELINES).rows():
        try:
            key = (str(row["template"]), str(row["roi"]), str(row["metric"]), str(row["version"]))
            given = {name: value for name, value in row["limits"].items() if name in names}
            limits = Limits(**given)
            check_types(limits)
            found[key] = limits
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found


def limits_by_hand(path: Path) -> dict[LimitsKey, Limits]:
    """Return the limits of a file, with "" as version: they hold for every one.

    Raises
    ------
    ConfigError
        With every problem, each with file, line and column.
    """
    document, problems = read_yaml(path), list[str]()
    found = {}
    for template, below in _mapping(document, (), problems):
        for roi, metrics in _mapping(document, (template,), problems, below):
            for metric, given in _mapping(document, (template, roi), problems, metrics):
                limits = _given(document, (template, roi, metric), given, problems)
                if limits is not None:
                    found[template, roi, metric, ""] = limits
    raise_problems(problems, hint=_HINT)
    return found


def given_limits(settings: Settings) -> GivenLimits:
    """Return a function that gives the limits of a chart: set by hand, else commissioned.

    Raises
    ------
    ConfigError
        If the file of `qa.limits` is wrong.
    """
    by_hand = {} if settings.qa.limits is None else limits_by_hand(settings.qa.limits)
    commissioned = commissioned_limits(settings.state_dir)

    def give(template: str, roi: str, metric: str, version: str) -> Limits | None:
        own = by_hand.get((template, roi, metric, ""))
        return own or commissioned.get((template, roi, metric, version))

    return give


_WHOLE: Final[Any] = object()


def _mapping(
    document: Document, at: tuple[str, ...], problems: list[str], value: Any = _WHOLE
) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a mapping of the file, or report that it is none."""
    found = document.data if value is _WHOLE else value
    if isinstance(found, Mapping):
        yield from ((str(key), below) for key, below in found.items())
    elif found is not None or at:
        what = ("a template", "an ROI", "a metric")[len(at)]
        problems.append(f"{document.place(at)}: expected {what} with values below it")


def _given(
    document: Document, at: tuple[str, ...], given: Any, problems: list[str]
) -> Limits | None:
    metric = at[-1]
    if metric not in METRICS:
        near = suggest(metric, METRICS) or f"; there are {', '.join(METRICS)}"
        problems.append(f"{document.place(at)}: unknown metric {metric}{near}")
        return None
    values = dict(_mapping(document, at[:2], problems, given))
    problem = _problem(metric, values)
    if problem:
        problems.append(f"{document.place(at)}: {problem}")
        return None
    return limits_from(metric, float(values["centre"]), float(values["limit"]), values["reason"])


def _problem(metric: str, values: Mapping[str, Any]) -> str:
    """Return what is wrong with limits set by hand; "" if nothing is."""
    unknown = [name for name in values if name not in _NEEDED]
    if unknown:
        return f"unknown key {unknown[0]}{suggest(unknown[0], _NEEDED)}"
    for name in ("centre", "limit"):
        if isinstance(values.get(name), bool) or not isinstance(values.get(name), int | float):
            return f"{metric} needs centre, limit and reason; {name} should be a number"
    if not isinstance(values.get("reason"), str) or not values["reason"].strip():
        return f"{metric} needs a reason: who set the limit, and from what"
    kind = METRICS[metric]
    most = 1.0 if kind.kind == "share" else _MOST
    least = -most if kind.two_sided else 0
    for name in ("centre", "limit"):
        if not least <= values[name] <= most:
            return f"{name} of {metric} should be from {least:g} to {most:g}"
    centre, limit = kind.scaled(float(values["centre"])), kind.scaled(float(values["limit"]))
    if not kind.two_sided and limit <= centre:
        side = "below" if kind.falls else "above"
        return f"the limit of {metric} is the worse side: it should be {side} the centre"
    return "" if limit != centre else "limit and centre are the same"
