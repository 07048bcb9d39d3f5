"""Summaries of contour QA as a site has them."""

from collections.abc import Mapping
from datetime import datetime

from drawcli.core.qa.summary import ChartSignal, ChartSummary, QaSummary, TemplatePairs
from tests.conftest import NOON
from tests.operations.qa.cases import job


def signal(rule: str = "run", state: str = "investigate", **facts: object) -> ChartSignal:
    usual = {"at": NOON, "text": "9 changed cases in a row are worse than the centre 0.921"}
    return ChartSignal(rule=rule, job=job(1), state=state, **usual | facts)  # type: ignore[arg-type]


def chart_of(
    roi: str = "Bladder", metric: str = "dice", state: str = "routine", **facts: object
) -> ChartSummary:
    """Return a chart; with a signal of its state, if that asks for something."""
    signals = (signal(state=state),) if state in ("watch", "investigate") else ()
    usual = {
        "template": "Prostate_OAR",
        "version": "0123456789ab",
        "n": 40,
        "last": 0.9,
        "centre": 0.92,
        "lower": 0.85,
        "upper": 0.97,
        "limits_from": "baseline",
        "signals": signals,
    }
    return ChartSummary(roi=roi, metric=metric, state=state, **usual | facts)  # type: ignore[arg-type]


def summary_with(
    *charts: ChartSummary,
    pairs: Mapping[str, int] | None = None,
    oldest_unpaired: datetime | None = None,
    **facts: object,
) -> QaSummary:
    """Return the summary of a site with one template."""
    of_template = TemplatePairs(
        template="Prostate_OAR",
        pairs={"compared": 40} if pairs is None else pairs,
        oldest_unpaired=oldest_unpaired,
    )
    return QaSummary(charts=charts, templates=(of_template,), **{"at": NOON} | facts)  # type: ignore[arg-type]
