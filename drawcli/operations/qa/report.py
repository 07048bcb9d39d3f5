"""What the comparison of delivered and clinical contours says about a span of time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from statistics import quantiles
from typing import Any, Final

from drawcli.config.load import Settings
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.ratings import RatingRow, rating_rows
from drawcli.core.qa.records import DRAWN, PairRecord, PairStatus
from drawcli.core.qa.summary import NOTED, STATES, VersionChange
from drawcli.operations.commissioning.changes import golden_changes
from drawcli.operations.commissioning.limits import given_limits
from drawcli.operations.qa.ratings import site_ratings
from drawcli.operations.qa.site_charts import RoiCharts, site_charts
from drawcli.operations.qa.summarize import summary_of
from drawcli.operations.qa.summary_text import also_in, causes

REPORTED: Final = ("dice", "surface_dice", "hd95_mm", "mean_distance_mm", "apl_mm")
_SAME: Final = (ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED)
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Median and middle half of some figures."""

    median: float
    lower: float  # a quarter is not above
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles | None":
        """Return them, interpolated; None without values."""
        if not values:
            return None
        lower, middle, upper = (
            quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
        )
        return cls(*(round(value, _DIGITS) for value in (middle, lower, upper)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureReport:
    """A structure of a template: pairs with contours in both sets, and the state of its charts."""

    template: str
    roi: str
    untouched: int
    edited: int
    redrawn: int
    others: Mapping[str, int] = field(default_factory=dict)  # by outcome; not in the figures
    figures: Mapping[str, Quartiles] = field(default_factory=dict)  # by metric
    state: str = ""  # the most urgent of its charts; "" without any
    cases: int = 0  # of the present version
    missing: int = 0  # cases until its baseline is complete

    @property
    def n(self) -> int:
        """The number of pairs with contours in both sets."""
        return self.untouched + self.edited + self.redrawn

    def shares(self) -> tuple[int, ...]:
        """Return the shares of untouched, edited and redrawn, percent; they add up to 100."""
        if not self.n:
            return ()
        first, second = (round(100 * n / self.n) for n in (self.untouched, self.edited))
        return first, second, 100 - first - second

    def as_row(self) -> dict[str, Any]:
        """Return it as a row for CSV and JSON."""
        row: dict[str, Any] = {
            "template": self.template,
            "roi": self.roi,
            "n": self.n,
            "untouched": self.untouched,
            "edited": self.edited,
            "redrawn": self.redrawn,
            "others": sum(self.others.values()),
        }
        for metric in REPORTED:
            found = self.figures.get(metric)
            row[f"{metric}_median"] = found and found.median
            row[f"{metric}_q1"] = found and found.lower
            row[f"{metric}_q3"] = found and found.upper
        return row | {"state": self.state, "missing": self.missing}


COLUMNS: Final = tuple(
    StructureReport(template="", roi="", untouched=0, edited=0, redrawn=0).as_row()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QaReport:
    """The pairs delivered from `since` to `until`, and the present state of the charts. UTC."""

    since: datetime
    until: datetime
    baseline: int  # cases
    structures: Sequence[StructureReport]
    pairs: Mapping[str, int]  # by status
    unpaired: Sequence[PairRecord]  # those without a comparison
    added: Mapping[str, int]  # clinical ROIs that belong to no delivered one, by name
    unlisted: int  # the others of these, whose names are not kept
    tolerances: Sequence[float]  # of surface Dice and added path length, mm
    signals: Sequence[str]
    changes: Sequence[VersionChange]
    shifts: Sequence[str]  # what these changes did, where chance does not explain it
    ratings: Sequence[RatingRow]
    charts: Sequence[RoiCharts]

    def as_plain(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "pairs": dict(self.pairs),
            "structures": [
                one.as_row() | {"outcomes": dict(one.others)} for one in self.structures
            ],
            "tolerances_mm": list(self.tolerances),
            "added": dict(self.added),
            "unlisted": self.unlisted,
            "signals": list(self.signals),
            "unpaired": [
                {"job": one.job, "status": str(one.status), "note": one.note}
                for one in self.unpaired
            ],
            "changes": [
                {"at": one.at.isoformat(), "template": one.template, "text": one.text}
                for one in self.changes
            ],
            "shifts": list(self.shifts),
            "ratings": [row.as_plain() for row in self.ratings],
        }


def read_report(
    records: Iterable[PairRecord],
    settings: Settings,
    since: datetime,
    until: datetime,
    template: str | None = None,
) -> QaReport:
    """Return the report on a span of deliveries.

    Parameters
    ----------
    records
        The last record of each job, of all times: charts need them.
    settings
        Those of the site.
    since, until
        The span of deliveries, UTC.
    template
        The only template to report; None: all.

    Raises
    ------
    ConfigError
        If the file of `qa.limits` is wrong.
    """
    every = [record for record in records if template in (None, record.template)]
    given = given_limits(settings)
    golden = golden_changes(settings.state_dir)
    charts = site_charts(every, settings.qa.charts, settings.qa.baseline, given, golden)
    within = [record for record in every if since <= record.delivered_at <= until]
    summary = summary_of(charts, within, until)
    compared = [record for record in within if record.status is PairStatus.COMPARED]
    return QaReport(
        since=since,
        until=until,
        baseline=settings.qa.baseline,
        structures=list(_structures(compared, charts)),
        pairs=summary.pairs,
        unpaired=[record for record in within if record.status is not PairStatus.COMPARED],
        added=_added(compared),
        unlisted=sum(record.unpaired for record in compared),
        tolerances=_tolerances(compared),
        signals=causes(summary, *NOTED),
        changes=[change for change in summary.changes if since <= change.at <= until],
        shifts=_shifts(charts, since),
        ratings=rating_rows(site_ratings(settings.state_dir, since, template)),
        charts=charts,
    )


def _structures(
    compared: Sequence[PairRecord], charts: Sequence[RoiCharts]
) -> Iterator[StructureReport]:
    """Yield the structures by template, the most urgent first."""
    found: dict[tuple[str, str], list[StructureComparison]] = defaultdict(list)
    for record in compared:
        for structure in record.structures:
            if structure.outcome is not ContourOutcome.ADDED:
                found[record.template, structure.name].append(structure)
    by_roi: dict[tuple[str, str], list[RoiCharts]] = defaultdict(list)
    for chart in charts:
        by_roi[chart.template, chart.roi].append(chart)
    rows = [_structure(*key, same, by_roi[key]) for key, same in found.items()]
    yield from sorted(rows, key=lambda row: (row.template, -_urgency(row.state), row.roi))


def _structure(
    template: str, roi: str, found: Sequence[StructureComparison], charts: Sequence[RoiCharts]
) -> StructureReport:
    outcomes = Counter(one.outcome for one in found)
    drawn = [one for one in found if one.outcome in DRAWN]
    figures = {metric: Quartiles.of(_values(drawn, metric)) for metric in REPORTED}
    present = max(
        (chart.present for chart in charts), key=lambda one: len(one.points), default=None
    )
    return StructureReport(
        template=template,
        roi=roi,
        untouched=sum(outcomes[kind] for kind in _SAME),
        edited=outcomes[ContourOutcome.EDITED],
        redrawn=outcomes[ContourOutcome.REDRAWN],
        others={str(kind): n for kind, n in outcomes.items() if kind not in DRAWN},
        figures={metric: quarts for metric, quarts in figures.items() if quarts is not None},
        state=max((str(chart.state) for chart in charts), key=_urgency, default=""),
        cases=len(present.points) if present else 0,
        missing=present.missing if present else 0,
    )


def _values(drawn: Iterable[StructureComparison], metric: str) -> list[float]:
    values = (getattr(one, metric) for one in drawn)
    return sorted(value for value in values if value is not None)


def _added(compared: Iterable[PairRecord]) -> dict[str, int]:
    added = Counter(
        one.name
        for record in compared
        for one in record.structures
        if one.outcome is ContourOutcome.ADDED
    )
    return dict(added.most_common())


def _tolerances(compared: Iterable[PairRecord]) -> list[float]:
    found = {one.tau_mm for record in compared for one in record.structures}
    return sorted(tau for tau in found if tau is not None)


def _shifts(charts: Sequence[RoiCharts], since: datetime) -> list[str]:
    """Return where the present version, if it began since, differs from the one before, in words.

    Those of the last month are among the signals.
    """
    found = [
        (one, one.shift)
        for one in charts
        if one.shift and one.shift.state in NOTED
        if not one.is_new and one.present.points[0].at >= since
    ]
    texts = []
    for _, group in groupby(found, lambda pair: (pair[0].template, pair[0].roi)):
        (first, shift), *others = group
        how = "better" if shift.better else "worse"
        also = also_in([one.metric for one, _ in others])
        texts.append(f"{first.template} {first.roi}, {how}: {shift.text}{also}")
    return texts


def _urgency(state: str) -> int:
    return STATES.index(state) if state in STATES else -1
