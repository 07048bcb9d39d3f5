"""The summary of quality assurance: made from the records after each scan for clinical sets."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from drawcli import __version__
from drawcli.adapters.state.qa_records import FOLDER, PAIRS, QaRecords
from drawcli.adapters.state.qa_summary import read_summary, write_summary
from drawcli.config.load import Settings
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.core.qa.summary import QaSummary
from drawcli.operations.qa.site_charts import RoiCharts, site_charts

UNPAIRED: Final = (PairStatus.MISSING, PairStatus.WAITING, PairStatus.UNCLEAR)
_MOST_CHANGES: Final = 20


def update_summary(settings: Settings, now: datetime) -> QaSummary:
    """Write the summary of a site anew, unless nothing has changed since; return it.

    Call it at the end of each scan for clinical structure sets.

    Raises
    ------
    DiskFull, OSError
        If it cannot be written.
    """
    source, old = _source(settings), read_summary(settings.state_dir)
    if old is not None and old.source == source:
        return old
    records = QaRecords(settings.state_dir).by_job()
    charts = site_charts(records.values(), settings.qa.charts, settings.qa.baseline)
    summary = summary_of(charts, records.values(), now, source)
    write_summary(settings.state_dir, summary)
    return summary


def _source(settings: Settings) -> str:
    """Return a digest of the files and settings that the summary is made from."""
    paths = [settings.state_dir / FOLDER / PAIRS, settings.qa.limits]
    facts = [__version__, settings.qa.charts, settings.qa.baseline, *map(_stamp, paths)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _stamp(path: Path | None) -> object:
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return stat and (str(path), stat.st_size, stat.st_mtime_ns)


def summary_of(
    charts: Iterable[RoiCharts], records: Iterable[PairRecord], now: datetime, source: str = ""
) -> QaSummary:
    """Return the present state of charts and pairs in short."""
    every = list(charts)
    pairs: Counter[str] = Counter()
    unpaired = []
    for record in records:
        pairs[str(record.status)] += 1
        if record.status in UNPAIRED:
            unpaired.append(record.delivered_at)
    changes = sorted({change for one in every for change in one.changes}, key=lambda one: one.at)
    return QaSummary(
        at=now,
        pairs={str(status): pairs[status] for status in PairStatus if pairs[status]},
        oldest_unpaired=min(unpaired, default=None),
        charts=tuple(one.summary() for one in every),
        changes=tuple(changes[-_MOST_CHANGES:]),
        source=source,
    )
