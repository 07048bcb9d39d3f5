"""The summary of quality assurance: made from the records after each scan for clinical sets."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli import __version__
from drawcli.adapters.state.golden_store import RESULTS, GoldenStore
from drawcli.adapters.state.qa_records import BASELINES, FOLDER, PAIRS, QaRecords
from drawcli.adapters.state.qa_summary import read_summary, write_summary
from drawcli.config.load import Settings
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.core.qa.summary import QaSummary, TemplatePairs

if TYPE_CHECKING:
    from drawcli.operations.qa.site_charts import RoiCharts

UNPAIRED: Final = (PairStatus.MISSING, PairStatus.WAITING, PairStatus.UNCLEAR)
_MOST_CHANGES: Final = 20


def update_summary(settings: Settings, now: datetime) -> QaSummary:
    """Bring the summary of a site up to date; return it.

    Charts are made anew for the templates that have new records only, or for all if settings or
    limits have changed. Call it at the end of each scan for clinical structure sets.

    Raises
    ------
    ConfigError
        If the file of `qa.limits` is wrong.
    DiskFull, OSError
        If it cannot be written.
    """
    book, source = QaRecords(settings.state_dir), _source(settings)
    old = read_summary(settings.state_dir)
    known = QaSummary(at=now, source=source)
    if old is not None and old.source == source and old.read_to <= book.size:
        known = old
    fresh, read_to = _templates_from(book, known.read_to)
    if known is old and not fresh:
        return known
    from drawcli.operations.commissioning.changes import golden_changes
    from drawcli.operations.commissioning.limits import given_limits
    from drawcli.operations.qa.site_charts import site_charts

    given, golden = given_limits(settings), golden_changes(settings.state_dir)
    changed = tuple(sorted(GoldenStore(settings.state_dir).changed()))
    summary = replace(known, at=now, read_to=read_to, golden=changed)
    for template in sorted(fresh):
        records = book.of_template(template).values()
        charts = site_charts(records, settings.qa.charts, settings.qa.baseline, given, golden)
        summary = _replaced(summary, template, summary_of(charts, records, now))
    write_summary(settings.state_dir, summary)
    return summary


def _templates_from(book: QaRecords, place: int) -> tuple[set[str], int]:
    """Return the templates of the records from a place on, and the place of the end."""
    found = set[str]()
    for row, end in book.rows_from(place):
        found.add(str(row.get("template", "")))
        place = end
    return found, place


def _replaced(summary: QaSummary, template: str, own: QaSummary) -> QaSummary:
    """Return a summary with what is known of a template replaced."""
    templates = (*(one for one in summary.templates if one.template != template), *own.templates)
    charts = (*(one for one in summary.charts if one.template != template), *own.charts)
    changes = (*(one for one in summary.changes if one.template != template), *own.changes)
    return replace(
        summary,
        templates=tuple(sorted(templates, key=lambda one: one.template)),
        charts=tuple(sorted(charts, key=lambda one: (one.template, one.roi))),  # metrics as set
        changes=tuple(sorted(changes, key=lambda one: one.at)[-_MOST_CHANGES:]),
    )


def _source(settings: Settings) -> str:
    """Return a digest of the settings and files that the charts depend on, beside the records."""
    folder = settings.state_dir / FOLDER
    facts = [__version__, settings.qa.charts, settings.qa.baseline, _inode(folder / PAIRS)]
    cases = GoldenStore(settings.state_dir).folder / "cases"
    paths = (folder / BASELINES, folder / RESULTS, cases, settings.qa.limits)
    facts += [_stamp(path) for path in paths]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _inode(path: Path) -> int:
    """Return what distinguishes a file from another of the same name, such as an older copy."""
    return path.stat().st_ino if path.exists() else 0


def _stamp(path: Path | None) -> object:
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns


def summary_of(
    charts: "Iterable[RoiCharts]", records: Iterable[PairRecord], now: datetime
) -> QaSummary:
    """Return the present state of charts and pairs in short."""
    every = list(charts)
    by_template: dict[str, list[PairRecord]] = defaultdict(list)
    for record in records:
        by_template[record.template].append(record)
    changes = sorted({change for one in every for change in one.changes}, key=lambda one: one.at)
    return QaSummary(
        at=now,
        templates=tuple(_pairs(*item) for item in sorted(by_template.items())),
        charts=tuple(one.summary() for one in every),
        changes=tuple(changes[-_MOST_CHANGES:]),
    )


def _pairs(template: str, records: Iterable[PairRecord]) -> TemplatePairs:
    every = list(records)
    counts = Counter(record.status for record in every)
    unpaired = (record.delivered_at for record in every if record.status in UNPAIRED)
    return TemplatePairs(
        template=template,
        pairs={str(status): counts[status] for status in PairStatus if counts[status]},
        oldest_unpaired=min(unpaired, default=None),
    )
