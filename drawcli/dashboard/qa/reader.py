"""The records of quality assurance for the pages: an index in memory that grows with the file.

The index has, of each job, its record without structures and the figures that charts show: some 3
kB. Reading the records of 10,000 jobs for the first time takes seconds; later only what was
appended is read.
"""

import sys
from array import array
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan
from pathlib import Path
from threading import RLock
from typing import Any, Final

from drawcli.adapters.state.golden_store import RESULTS
from drawcli.adapters.state.qa_records import BASELINES, QaRecords
from drawcli.adapters.state.qa_summary import SUMMARY, read_summary
from drawcli.config.load import Settings
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.records import DRAWN, PairRecord, PairStatus
from drawcli.core.qa.summary import QaSummary
from drawcli.operations.commissioning.changes import golden_changes
from drawcli.operations.commissioning.limits import given_limits
from drawcli.operations.qa.site_charts import RoiCharts, site_charts

_MOST_CHARTS: Final = 16  # kept in memory
_LEFT_OUT: Final[dict[str, Any]] = {"structures": (), "a_sha256": "", "b_sha256": ""}
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class PairRow:
    """A record in the index."""

    record: PairRecord  # without structures
    outcomes: tuple[tuple[str, int], ...]  # structures by outcome
    lowest: tuple[float, str] | None  # Dice and name of the structure that changed most
    figures: Mapping[str, "array[float]"]  # of the charts, by ROI; nan: none


class QaReader:
    """Reads the quality assurance of a site; safe for any number of threads.

    Parameters
    ----------
    settings
        Those of the site.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics: Sequence[str] = settings.qa.charts
        self._records = QaRecords(settings.state_dir)
        self._summary_path = self._records.path.parent / SUMMARY
        self._lock = RLock()
        self._rows: dict[str, PairRow] = {}
        self._read_to = 0
        self._stamp: _Stamp = None
        self._summary: tuple[_Stamp, QaSummary | None] = (None, None)
        folder = self._records.path.parent
        by_hand = [settings.qa.limits] if settings.qa.limits else []
        self._others = [folder / BASELINES, folder / RESULTS, *by_hand]  # that charts depend on
        self._seen: list[_Stamp] = []  # of these, when the charts in memory were made
        self._charts: OrderedDict[tuple[str, str, str], RoiCharts | None] = OrderedDict()

    @property
    def stamp(self) -> tuple[_Stamp, _Stamp]:
        """What changes when records or summary change."""
        return _stamp_of(self._records.path), _stamp_of(self._summary_path)

    def summary(self) -> QaSummary | None:
        """Return the summary of the last scan; None if there is none."""
        stamp = _stamp_of(self._summary_path)
        kept = self._summary
        if kept[0] != stamp:
            self._summary = kept = (stamp, read_summary(self.settings.state_dir))
        return kept[1]

    def noted(self, state: str) -> int:
        """Return the number of structures with a chart in a state, by the summary."""
        charts = summary.charts if (summary := self.summary()) else ()
        return len({(one.template, one.roi) for one in charts if one.state == state})

    def pairs(self) -> list[PairRow]:
        """Return the last record of each job, the latest delivery first."""
        with self._lock:
            self._refresh()
            rows = list(self._rows.values())
        return sorted(rows, key=lambda row: (row.record.delivered_at, row.record.job), reverse=True)

    def record(self, job: str) -> PairRecord | None:
        """Return the last record of a job, with its structures."""
        return self._records.of_job(job)

    def status(self, job: str) -> PairStatus | None:
        """Return what is known of the pair of a job, without waiting for the index."""
        row = None
        is_read = self._stamp is not None and self._lock.acquire(blocking=False)
        if is_read:
            try:
                self._refresh()
                row = self._rows.get(job)
            finally:
                self._lock.release()
        found = row.record if row else None if is_read else self.record(job)
        return found.status if found else None

    def charts(self, template: str, roi: str, metric: str) -> RoiCharts | None:
        """Return the charts of a template, ROI and metric; None without cases."""
        key = (template, roi, metric)
        with self._lock:
            self._refresh()
            seen = list(map(_stamp_of, self._others))
            if seen != self._seen:
                self._seen = seen
                self._charts.clear()
            if key not in self._charts:
                while len(self._charts) >= _MOST_CHARTS:
                    self._charts.popitem(last=False)
                self._charts[key] = self._made(*key)
            self._charts.move_to_end(key)
            return self._charts[key]

    def rois(self, template: str) -> list[str]:
        """Return the ROIs of a template that have charts."""
        with self._lock:
            self._refresh()
            rows = [row for row in self._rows.values() if row.record.template == template]
        return sorted({roi for row in rows for roi in row.figures})

    def _made(self, template: str, roi: str, metric: str) -> RoiCharts | None:
        if metric not in self.metrics:
            return None
        rows = (row for row in self._rows.values() if row.record.template == template)
        records = [_with_figure(row, roi, metric, self.metrics.index(metric)) for row in rows]
        given, golden = given_limits(self.settings), golden_changes(self.settings.state_dir)
        found = site_charts(records, [metric], self.settings.qa.baseline, given, golden)
        return next((one for one in found if one.roi == roi), None)

    def _refresh(self) -> None:
        """Read what was appended; everything, if the file is another one."""
        stamp = _stamp_of(self._records.path)
        if stamp == self._stamp:
            return
        before, self._stamp = self._stamp, stamp
        if before is None or stamp is None or before[0] != stamp[0] or stamp[2] < self._read_to:
            self._rows, self._read_to = {}, 0
        for plain, end in self._records.rows_from(self._read_to):
            with suppress(ValueError):
                row = self._row(plain)
                self._rows[row.record.job] = row
            self._read_to = end
        self._charts.clear()

    def _row(self, plain: Mapping[str, Any]) -> PairRow:
        """Return a record for the index; ValueError if it is none."""
        shared = {name: _shared(value) for name, value in plain.items()}
        record = PairRecord.from_plain(shared | _LEFT_OUT)
        structures = plain.get("structures") or ()
        try:
            outcomes = Counter(str(ContourOutcome(one["outcome"])) for one in structures)
            figures = {
                sys.intern(one["name"]): array("d", (_number(one.get(m)) for m in self.metrics))
                for one in structures
                if one["outcome"] in DRAWN
            }
            dice = [(_number(one.get("dice")), str(one["name"])) for one in structures]
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a record of quality assurance: {err}") from None
        lowest = min((pair for pair in dice if pair[0] < 1), default=None)
        return PairRow(record, tuple(outcomes.most_common()), lowest, figures)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and isfinite(value) else nan


def _shared(value: Any) -> Any:
    """Return a value; texts that many records have are one object."""
    return sys.intern(value) if isinstance(value, str) else value


def _with_figure(row: PairRow, roi: str, metric: str, number: int) -> PairRecord:
    """Return the record with one figure of one structure, if it has it."""
    figures = row.figures.get(roi)
    if figures is None or isnan(figures[number]):
        return row.record
    facts: dict[str, Any] = {metric: figures[number]}
    one = StructureComparison(name=roi, outcome=ContourOutcome.EDITED, **facts)
    return replace(row.record, structures=(one,))


def _stamp_of(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
