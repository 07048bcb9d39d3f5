"""The control charts of a site: from the records of quality assurance to charts and their summary.

A chart has the cases of one template, ROI, metric and version. The charts of all versions of a
template, ROI and metric stand together; that of the latest case is the present one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

from drawcli.core.qa.charts import (
    Chart,
    ChartState,
    Point,
    Signal,
    VersionShift,
    chart,
    compare_versions,
)
from drawcli.core.qa.records import PairRecord, PairStatus, drawn_structures
from drawcli.core.qa.summary import NOTED, ChartSignal, ChartSummary, VersionChange
from drawcli.operations.commissioning.limits import GivenLimits

VERSION: Final = "version"  # rule: the first cases of a new version
_ORDER: Final = tuple(ChartState)
_NEW_FOR: Final = timedelta(days=31)  # the comparison with the version before counts
_DIGITS: Final = 4


def no_given_limits(template: str, roi: str, metric: str, version: str) -> None:
    """Give no limits: those of the baseline are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiCharts:
    """The charts of one template, ROI and metric: one for each version, the present one last."""

    template: str
    roi: str
    metric: str
    charts: tuple[Chart, ...]
    shift: VersionShift | None = None  # of the first cases of the present version
    changes: tuple[VersionChange, ...] = ()  # vertical lines

    @property
    def present(self) -> Chart:
        """The chart of the version of the latest case."""
        return self.charts[-1]

    @property
    def is_new(self) -> bool:
        """Whether the present version has no limits yet, or came within a month."""
        cases, limits = self.present.points, self.present.limits
        if limits and limits.source == "commissioning":
            return False  # somebody has accepted it
        return bool(self.present.missing) or cases[-1].at - cases[0].at <= _NEW_FOR

    @property
    def state(self) -> ChartState:
        """The present chart's state, or while it is new that of the change of version."""
        states = [self.present.state]
        if self.shift and self.is_new:
            states.append(self.shift.state)
        return max(states, key=_ORDER.index)

    @property
    def signals(self) -> tuple[ChartSignal, ...]:
        """The signals that the state comes from, the latest first; none if it is routine."""
        found = [_plain_signal(signal) for signal in reversed(self.present.recent)]
        if self.shift and self.is_new and self.shift.state in NOTED:
            found.insert(0, _signal_of(self.shift, self.present))
        return tuple(found)

    def summary(self) -> ChartSummary:
        """Return its present state."""
        now = self.present
        limits = now.limits
        return ChartSummary(
            template=self.template,
            roi=self.roi,
            metric=self.metric,
            version=now.version,
            state=str(self.state),
            n=len(now.points),
            missing=now.missing,
            last=_rounded(now.points[-1].value),
            centre=_rounded(limits.centre) if limits else None,
            lower=_rounded(limits.lower) if limits else None,
            upper=_rounded(limits.upper) if limits else None,
            limits_from=limits.source if limits else "",
            signals=self.signals,
        )


def site_charts(
    records: Iterable[PairRecord],
    metrics: Sequence[str],
    baseline: int,
    given: GivenLimits = no_given_limits,
    golden: Sequence[VersionChange] = (),
) -> list[RoiCharts]:
    """Return the charts of a site, by template, ROI (as first delivered) and metric.

    Parameters
    ----------
    records
        The last record of each job, in any order.
    metrics
        Names in `charts.METRICS`.
    baseline
        The number of first cases of a version that set its limits, where none are given.
    given
        Returns the limits of a template, ROI, metric and version that were set by hand or by
        commissioning.
    golden
        Changes that golden cases have shown.
    """
    compared = [record for record in records if record.status is PairStatus.COMPARED]
    compared.sort(key=lambda record: (record.delivered_at, record.job))
    changes = sorted([*changes_of(compared), *golden], key=lambda change: change.at)
    found = []
    for (template, roi, metric), versions in _points(compared, metrics).items():
        charts = [
            chart(
                points,
                metric=metric,
                baseline=baseline,
                limits=given(template, roi, metric, version),
                template=template,
                roi=roi,
                version=version,
            )
            for version, points in versions.items()
        ]
        charts.sort(key=lambda made: made.points[-1].at)
        found.append(
            RoiCharts(
                template=template,
                roi=roi,
                metric=metric,
                charts=tuple(charts),
                shift=_shift(charts),
                changes=tuple(change for change in changes if change.template == template),
            )
        )
    order = {metric: number for number, metric in enumerate(metrics)}
    return sorted(found, key=lambda made: (made.template, made.roi, order[made.metric]))


_Points = dict[tuple[str, str, str], dict[str, list[Point]]]


def _points(records: Iterable[PairRecord], metrics: Sequence[str]) -> _Points:
    """Return the cases by template, ROI and metric, then by version."""
    found: _Points = defaultdict(lambda: defaultdict(list))
    for record in records:
        version = record.version
        for structure in drawn_structures(record):
            for metric in metrics:
                value = getattr(structure, metric)
                if value is not None:
                    point = Point(record.delivered_at, value, record.job)
                    found[record.template, structure.name, metric][version].append(point)
    return found


def _shift(charts: Sequence[Chart]) -> VersionShift | None:
    """Compare the present version with the latest that has enough cases."""
    *before, now = charts
    for old in reversed(before):
        shift = compare_versions(old, now.points)
        if shift.state is not ChartState.NEW:
            return shift
    return None


def changes_of(records: Sequence[PairRecord]) -> Iterator[VersionChange]:
    """Yield what changed between deliveries of the same template; records in order of time."""
    by_template: dict[str, list[PairRecord]] = defaultdict(list)
    for record in records:
        by_template[record.template].append(record)
    for template, deliveries in by_template.items():
        for before, after in pairwise(deliveries):
            if before.version != after.version:
                for kind, text in _differences(before, after):
                    yield VersionChange(
                        at=after.delivered_at, template=template, kind=kind, text=text
                    )


def _differences(before: PairRecord, after: PairRecord) -> Iterator[tuple[str, str]]:
    if before.template_digest != after.template_digest:
        yield "template", "the template changed"
    if before.catalogue_digest != after.catalogue_digest:
        yield "catalogue", _of_catalogue(before.catalogue_digest, after.catalogue_digest)
    if before.drawcli.split(".")[:2] != after.drawcli.split(".")[:2]:
        yield "drawcli", f"drawcli {before.drawcli or 'unknown'} to {after.drawcli or 'unknown'}"


def _plain_signal(signal: Signal) -> ChartSignal:
    return ChartSignal(
        rule=signal.rule,
        at=signal.at,
        job=signal.job,
        text=signal.text,
        state=str(signal.state),
        better=signal.better,
    )


def _rounded(value: float) -> float:
    return round(value, _DIGITS) + 0.0  # no negative zero


def _of_catalogue(before: str, after: str) -> str:
    if before and after:
        return "the server's catalogue entry of a model changed"
    if after:  # no model need have changed
        return "the server's catalogue is known from here on; before, drawcli had not read it"
    return "the server's catalogue entry of the models is not known any more"


def _signal_of(shift: VersionShift, now: Chart) -> ChartSignal:
    last = now.points[-1]
    return ChartSignal(
        rule=VERSION,
        at=last.at,
        job=last.job,
        text=shift.text,
        state=str(shift.state),
        better=shift.better,
    )
