"""The page of a group of sites, that of the machines of this site, and the summary of this site."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from drawcli.adapters.site_status.queried_page import PATH as SUMMARY_PATH
from drawcli.core.jobs.job import State
from drawcli.dashboard.turns import in_turn
from drawcli.dashboard.view import page, parts_of
from drawcli.operations.group.own_summary import own_summary
from drawcli.system.durations import duration


def group_routes(turn: asyncio.Semaphore) -> list[BaseRoute]:
    """Return the routes of these pages."""
    return [
        Route("/group", in_turn(turn, group)),
        Route("/cluster", in_turn(turn, cluster)),
        Route(SUMMARY_PATH, summary),
    ]


def group(request: Request) -> Response:
    """Show every site of the group: what needs attention, counts, runs; no patient data."""
    parts = parts_of(request)
    if not parts.group.is_on:
        raise HTTPException(404)
    sites = parts.group.sites()
    summaries = [site.summary for site in sites if site.summary is not None]
    totals = Counter[str]()
    for one in summaries:
        totals.update(one.counts)
    return page(
        request,
        "group.html",
        sites=sites,
        levels=Counter(site.level for site in sites),
        totals=[(str(state), totals[state]) for state in State if totals[state]],
        held_in_all=sum(one.held_jobs for one in summaries),
        silent_hours=parts.site.ctx.settings.group.silent_hours,
    )


def cluster(request: Request) -> Response:
    """Show the machines of the site: hosts, workers, queues, claimed jobs, waits."""
    site = parts_of(request).site
    if not site.ctx.settings.ledger:
        raise HTTPException(404)
    facts = _cluster(site.ctx.ledger)
    return page(
        request,
        "cluster.html",
        cluster=facts,
        hosts=[
            (one["host"], _seconds(one["silent_seconds"]), one["leases"], one["version"])
            for one in facts["hosts"]
        ],
        workers=[
            (
                *(one["host"], one["pid"], _seconds(one["silent_seconds"])),
                f"{len(one['running'])} of {one['parallel']}",
                ", ".join(one["queues"]),
            )
            for one in facts.get("workers", ())
        ],
        queues=[
            (one["queue"], one["waiting"], one["running"], _seconds(one["oldest_seconds"]))
            for one in facts.get("queues", ())
        ],
        leases=[
            (one["job"], one["state"], one["host"], one["pid"], _seconds(one["seconds_left"]))
            for one in facts["leases"]
        ],
        waits=[
            (one["server"], f"{one['until']:%H:%M:%S} UTC", one["reason"]) for one in facts["waits"]
        ],
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else duration(timedelta(seconds=value))


def _cluster(ledger: Any) -> dict[str, Any]:
    from drawcli.operations.cluster.status import status_of

    return status_of(ledger)


def summary(request: Request) -> Response:
    """Return the summary of this site as JSON, for the page of a group."""
    site = parts_of(request).site
    with site.lock:
        snapshot, verdict = site.snapshot(), site.verdict()
        counts = Counter(job.state for job in snapshot.jobs)
        return JSONResponse(own_summary(site.ctx, counts, snapshot.jobs, site.health, verdict))
