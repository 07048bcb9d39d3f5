"""Metrics of the machines of a site, and of the sites of a group."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from drawcli.operations.metrics import Gauge, by_label

if TYPE_CHECKING:
    from drawcli.operations.group.sites import GroupSiteState

LEVELS: Final = {"well": 0, "attention": 1, "unknown": 2, "silent": 3, "broken": 4}


def cluster_gauges(facts: Mapping[str, Any]) -> Iterator[Gauge]:
    """Yield the metrics of hosts, queues and claimed jobs; see `status_of`."""
    hosts = {one["host"]: float(one["silent_seconds"]) for one in facts["hosts"]}
    yield by_label("host_silent_seconds", "Time since a host was active.", "host", hosts)
    claimed = {one["host"]: float(one["leases"]) for one in facts["hosts"]}
    yield by_label("claimed_jobs", "Jobs that a host works on.", "host", claimed)
    queues = facts["queues"]
    for name, what, key in (
        ("queue_waiting", "Tasks that could run now.", "waiting"),
        ("queue_running", "Tasks that run.", "running"),
        ("queue_oldest_seconds", "How long the oldest has waited.", "oldest_seconds"),
    ):
        yield by_label(name, what, "queue", {one["queue"]: float(one[key]) for one in queues})
    waits = {one["server"]: one["until"].timestamp() for one in facts["waits"]}
    yield by_label("server_wait_until_seconds", "When uploads may continue.", "server", waits)


def group_gauges(sites: Sequence["GroupSiteState"], now: datetime) -> Iterator[Gauge]:
    """Yield the metrics of a group: level, held and open jobs, age of the report, by site."""
    told = {site.name: site.summary for site in sites if site.summary is not None}
    levels = {site.name: float(LEVELS[site.level]) for site in sites}
    what = f"{', '.join(f'{number} {name}' for name, number in LEVELS.items())}."
    yield by_label("group_site_level", f"State of a site: {what}", "site", levels)
    held = {name: float(one.held_jobs) for name, one in told.items()}
    yield by_label("group_site_held", "Held jobs of a site.", "site", held)
    in_progress = {site.name: float(site.open_jobs) for site in sites if site.summary}
    yield by_label("group_site_open", "Jobs of a site in progress.", "site", in_progress)
    ages = {name: max((now - one.told_at).total_seconds(), 0.0) for name, one in told.items()}
    yield by_label("group_site_told_seconds", "Time since the last report of a site.", "site", ages)
