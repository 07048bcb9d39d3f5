"""The sites of a group, from every source, with what each said last."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.adapters.site_status.asked import asked
from drawcli.adapters.site_status.pushed import Told, pushed
from drawcli.core.group.site_summary import LEVELS, SiteSummary
from drawcli.core.jobs.job import FINISHED
from drawcli.errors import DrawcliError
from drawcli.system.threads import as_completed, run_in_thread

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_group import GroupView

_AT_ONCE: Final = 16  # pages that are asked
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
        told = self.summary
        return {
            "site": self.name,
            "level": self.level,
            "why": self.why or None,
            "told_at": told and told.told_at.isoformat(),
            "last_run": told and told.last_run and told.last_run.isoformat(),
            "open": self.open_jobs,
            "counts": dict(told.counts) if told else {},
            "held": told.held_jobs if told else 0,
            "held_reasons": dict(told.held) if told else {},
            "archived": told.archived if told else 0,
            "warnings": told.warnings if told else 0,
            "paused": bool(told and told.paused),
            "contours": (told and told.contours) or None,
        }

    @property
    def open_jobs(self) -> int:
        """The number of jobs that are not finished."""
        counts = self.summary.counts if self.summary else {}
        done = {str(state) for state in FINISHED}
        return sum(count for state, count in counts.items() if state not in done)


def group_sites(settings: "GroupView", now: datetime) -> list[GroupSiteState]:
    """Return the sites of a group, those that need somebody first.

    A source that cannot be read is a site of its own, so that its sites are not missed in silence.
    """
    longest = timedelta(hours=settings.silent_hours)
    found = [_state(told, now, longest) for told in _told(settings)]
    return sorted(found, key=lambda site: (_ORDER.index(site.level), site.name))


def _told(settings: "GroupView") -> Iterator[Told]:
    try:
        if settings.folder is not None:
            yield from pushed(settings.folder)
    except DrawcliError as err:
        yield Told("(group.folder)", trouble=str(err))
    yield from _asked(settings)
    try:
        if settings.database:
            yield from _in_database(settings)
    except DrawcliError as err:
        yield Told("(group.database)", trouble=str(err))


def _asked(settings: "GroupView") -> Iterator[Told]:
    left = list(settings.sites)
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        calls = [run_in_thread(lambda site=site: asked(site)) for site in some]  # type: ignore[misc]
        yield from (call.result() for call in as_completed(calls))


def database_of(settings: "GroupView") -> "Database":
    """Return the database of a group, to be entered."""
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_cluster import Cluster

    return Database(settings.database, Cluster(password_file=settings.password_file))


def _in_database(settings: "GroupView") -> Iterable[Told]:
    from drawcli.adapters.ledger.postgres.site_values import read_summaries

    with database_of(settings) as database:
        return [
            Told(name, raw, at) if at else Told(name, trouble="it has told nothing yet")
            for name, raw, at in read_summaries(database)
        ]


def _state(told: Told, now: datetime, longest: timedelta) -> GroupSiteState:
    if told.trouble or told.at is None:
        return GroupSiteState(told.name, None, UNKNOWN, told.trouble)
    try:
        summary = SiteSummary.of(json.loads(told.raw), told.at)
    except (ValueError, RecursionError):
        why = "what it says is not the output of 'drawcli status --json'"
        return GroupSiteState(told.name, None, UNKNOWN, why)
    if summary.is_silent(now, longest):
        return GroupSiteState(told.name, summary, SILENT, _silence(summary, now))
    level = summary.level if summary.level in LEVELS else UNKNOWN
    return GroupSiteState(told.name, summary, level, "" if level == "well" else summary.headline)


def _silence(summary: SiteSummary, now: datetime) -> str:
    from drawcli.system.durations import duration

    if summary.last_run is not None and summary.last_run < summary.told_at:
        return f"no run for {duration(now - summary.last_run)}"
    return f"it has told nothing for {duration(now - summary.told_at)}"
