"""Rendering: the Jinja environment, and the values that every page needs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from drawcli import __version__
from drawcli.adapters.reference import Reason, reasons, setting_meanings, state_meanings
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State
from drawcli.core.jobs.waiting import held_since, way_out
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.core.qa.summary import INVESTIGATE
from drawcli.dashboard.access.auth import Authenticator, form_token
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.rights import Right, visitor_of
from drawcli.dashboard.access.single_sign_on import START_PATH
from drawcli.dashboard.editing.files import SeenTexts
from drawcli.dashboard.editing.trials import TrialRuns
from drawcli.dashboard.events import Live
from drawcli.dashboard.find.finder import Finder
from drawcli.dashboard.group.reader import GroupReader
from drawcli.dashboard.local_time import (
    both_times,
    local_seconds,
    local_time,
    utc_time,
    zone_name,
)
from drawcli.dashboard.navigation import navigation_of
from drawcli.dashboard.preview import Previews
from drawcli.dashboard.qa.pictures import Differences
from drawcli.dashboard.qa.reader import QaReader
from drawcli.dashboard.records.chain import VerifiedChain
from drawcli.dashboard.records.statistics_reader import StatisticsReader
from drawcli.dashboard.runs.starter import RunStarter
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.template_pages.catalogue_request import CatalogueRequest
from drawcli.system.durations import duration, long_duration
from drawcli.system.printable import counted, size, volume_with_unit

_TEMPLATES: Final = Path(__file__).parent / "templates"
GLYPHS: Final = {
    "held": "!",
    "warned": "▲",
    "waits": "…",
    "moves": "→",
    "home": "✓",
    "left": "·",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """The objects that pages use; `request.app.state.parts`."""

    site: SiteReader
    options: DashboardOptions
    entry: Authenticator
    live: Live
    previews: Previews
    qa: QaReader
    differences: Differences
    seen: SeenTexts
    trials: TrialRuns
    catalogue: CatalogueRequest
    find: Finder
    runs: RunStarter
    statistics: StatisticsReader
    chain: VerifiedChain
    group: GroupReader


def parts_of(request: Request) -> PageParts:
    """Return the objects that pages use."""
    parts: PageParts = request.app.state.parts
    return parts


def page(request: Request, file: str, /, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page with navigation and the state of the site."""
    parts = parts_of(request)
    visitor = visitor_of(request)
    identify = visitor.may(Right.PATIENTS)
    now = parts.site.now
    snapshot = parts.site.snapshot()
    overview = snapshot.overview
    around = {
        "verdict": parts.site.verdict(),
        "held": len(overview.held),
        "unmatched": overview.counts[State.UNMATCHED],
        "investigate": parts.qa.noted(INVESTIGATE),
        "nav": navigation_of(request.url.path, visitor, _hidden(parts)),
        "may_act": visitor.may(Right.ACT),
        "may_edit": visitor.may(Right.EDIT),
        "identify": identify,
        "can_leave": parts.entry.requires_login,
        "user": visitor.name,
        "csrf": form_token(request) if parts.entry.requires_login else "",
        "now": now,
        "zone": zone_name(now),
        "stamp": request.state.stamp,
        "as_row": row,
        "series_text": parts.find.series.of,
        "patient": parts.site.patient if identify else None,
    }
    return bare_page(request, file, status=status, **(around | facts))


def _hidden(parts: PageParts) -> set[str]:
    """Return the pages that a site with one machine, or without a group, does not have."""
    machines, group = bool(parts.site.ctx.settings.ledger), parts.group.is_on
    return {to for to, there in (("/cluster", machines), ("/group", group)) if not there}


def login_page(
    request: Request, trouble: str = "", status: int = 200, **facts: Any
) -> HTMLResponse:
    """Return the login form."""
    entry = parts_of(request).entry
    around = {
        "csrf": form_token(request),
        "trouble": trouble,
        "asks_name": entry.asks_name,
        "takes_passwords": entry.takes_passwords,
        "single_sign_on": START_PATH if entry.single_sign_on else "",
    }
    return bare_page(request, "login.html", status=status, **around, **facts)


def bare_page(request: Request, file: str, /, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page without data of the site: for the login, and for errors."""
    theme = request.cookies.get("theme", "")
    around = {
        "path": request.url.path,
        "verdict": None,
        "theme": theme if theme in ("light", "dark") else "",
        "version": __version__,
    }
    text = ENVIRONMENT.get_template(file).render(around | facts)
    return HTMLResponse(text, status_code=status)


def row(job: Job) -> dict[str, Any]:
    """Return the values of a job in a list."""
    tone = tone_of(job)
    warned = f"{job.state}, warnings" if tone == "warned" else str(job.state)
    return {
        "tone": tone,
        "glyph": GLYPHS[tone],
        "state": f"held at {job.state}" if job.held else warned,
        "way_out": way_out(job),
        "since": held_since(job) if job.held else job.since,
    }


def tone_of(job: Job) -> str:
    """Return the status of a job as one of six CSS classes."""
    if job.held:
        return "held"
    if unseen_warnings(job):
        return "warned"
    if job.state in (State.DONE, State.DELIVERED):
        return "home"
    if job.state in RULES_DECIDE | FINISHED:
        return "left"
    return "waits" if job.state is State.WAITING or job.reason else "moves"


def _ago(at: datetime, now: datetime) -> str:
    return duration(now - at)


def _span(value: timedelta) -> str:
    return long_duration(value)


def _seconds(value: float | None) -> str:
    return "" if value is None else duration(timedelta(seconds=value))


def _reasons_of(code: str | None) -> list[Reason]:
    """Return what the documentation says about a reason code."""
    return reasons().get(code or "", [])


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "counted": counted,
        "reasons_of": _reasons_of,
        "setting_meanings": setting_meanings,
        "state_meanings": state_meanings,
    }
    environment.filters |= {"ago": _ago, "utc": utc_time, "long": _span, "size": size}
    environment.filters |= {"local": local_time, "local_seconds": local_seconds}
    environment.filters |= {"both": both_times, "volume": volume_with_unit}
    environment.filters["seconds"] = _seconds
    return environment


ENVIRONMENT: Final = _environment()
