"""The sites of a group from every source, with the last report of each."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.adapters.site_status.pushed_files import SiteReport, read_pushed
from drawcli.adapters.site_status.queried_page import query_page
from drawcli.core.group.site_summary import LEVELS, SiteSummary
from drawcli.core.jobs.job import FINISHED
from drawcli.errors import DrawcliError
from drawcli.system.threads import as_completed, run_in_thread

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_group import GroupView

_AT_ONCE: Final = 16  # pages that are queried
SILENT: Final = "silent"
UNKNOWN: Final = "unknown"
_ORDER: Final = ("broken", SILENT, UNKNOWN, "attention", "well")


class GroupSiteState(NamedTuple):
    """A site of the group."""

    name: str
    summary: SiteSummary | None
    level: str  # of its verdict; or `silent`, `unknown`
    why: str  # a sentence; "" if it is well

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        last = self.summary
        return {
            "site": self.name,
            "level": self.level,
            "why": self.why or None,
            "told_at": last and last.told_at.isoformat(),
            "last_run": last and last.last_run and last.last_run.isoformat(),
            "open": self.open_jobs,
            "counts": dict(last.counts) if last else {},
            "held": last.held_jobs if last else 0,
            "held_reasons": dict(last.held) if last else {},
            "archived": last.archived if last else 0,
            "warnings": last.warnings if last else 0,
            "paused": bool(last and last.paused),
            "contours": (last and last.contours) or None,
        }

    @property
    def open_jobs(self) -> int:
        """The number of jobs that are not finished."""
        counts = self.summary.counts if self.summary else {}
        done = {str(state) for state in FINISHED}
        return sum(count for state, count in counts.items() if state not in done)


def group_sites(settings: "GroupView", now: datetime) -> list[GroupSiteState]:
    """Return the sites of a group, those that need attention first.

    A source that cannot be read is listed like a site, so that its sites do not vanish unnoticed.
    """
    longest = timedelta(hours=settings.silent_hours)
    found = [_state(report, now, longest) for report in _reports(settings)]
    return sorted(found, key=lambda site: (_ORDER.index(site.level), site.name))


def _reports(settings: "GroupView") -> Iterator[SiteReport]:
    try:
        if settings.folder is not None:
            yield from read_pushed(settings.folder)
    except DrawcliError as err:
        yield SiteReport("(group.folder)", trouble=str(err))
    yield from _of_pages(settings)
    try:
        if settings.database:
            yield from _in_database(settings)
    except DrawcliError as err:
        yield SiteReport("(group.database)", trouble=str(err))


def _of_pages(settings: "GroupView") -> Iterator[SiteReport]:
    left = list(settings.sites)
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        calls = [run_in_thread(lambda site=site: query_page(site)) for site in some]  # type: ignore[misc]
        yield from (call.result() for call in as_completed(calls))


def database_of(settings: "GroupView") -> "Database":
    """Return the database of a group, to be entered."""
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_cluster import Cluster

    return Database(settings.database, Cluster(password_file=settings.password_file))


def _in_database(settings: "GroupView") -> Iterable[SiteReport]:
    from drawcli.adapters.ledger.postgres.site_values import read_summaries

    with database_of(settings) as database:
        return [
            SiteReport(name, raw, at) if at else SiteReport(name, trouble="no report yet")
            for name, raw, at in read_summaries(database)
        ]


def _state(report: SiteReport, now: datetime, longest: timedelta) -> GroupSiteState:
    if report.trouble or report.at is None:
        return GroupSiteState(report.name, None, UNKNOWN, report.trouble)
    try:
        summary = SiteSummary.of(json.loads(report.raw), report.at)
    except (ValueError, RecursionError):
        why = "its report is not the output of 'drawcli status --json'"
        return GroupSiteState(report.name, None, UNKNOWN, why)
    if summary.is_silent(now, longest):
        return GroupSiteState(report.name, summary, SILENT, _silence(summary, now))
    level = summary.level if summary.level in LEVELS else UNKNOWN
    return GroupSiteState(report.name, summary, level, "" if level == "well" else summary.headline)


def _silence(summary: SiteSummary, now: datetime) -> str:
    from drawcli.system.durations import duration

    if summary.last_run is not None and summary.last_run < summary.told_at:
        return f"no run for {duration(now - summary.last_run)}"
    return f"no report for {duration(now - summary.told_at)}"
