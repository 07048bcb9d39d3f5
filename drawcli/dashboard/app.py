"""The ASGI application: routes and middleware."""

import asyncio
import secrets
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from drawcli.core.pictures.chart import CHART_STYLE
from drawcli.dashboard.access.auth import Authenticator
from drawcli.dashboard.access.login_required import (
    HEALTH_PATH,
    LIVE_PATH,
    METRICS_PATH,
    LoginRequired,
)
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.request_guard import Guard
from drawcli.dashboard.access.sessions import SessionLimits
from drawcli.dashboard.access.single_sign_on import ANSWER_PATH, START_PATH, SingleSignOnLogin
from drawcli.dashboard.access.users import Users
from drawcli.dashboard.actions import act
from drawcli.dashboard.editing.files import SeenTexts
from drawcli.dashboard.editing.kept_forms import ask_login
from drawcli.dashboard.editing.routes import editing_routes
from drawcli.dashboard.editing.trials import TrialRuns
from drawcli.dashboard.events import Live, Stamped
from drawcli.dashboard.find.finder import Finder
from drawcli.dashboard.find.routes import find_routes
from drawcli.dashboard.group.pages import group_routes
from drawcli.dashboard.group.reader import GroupReader
from drawcli.dashboard.pages.jobs import job, jobs, jobs_csv, takes_long
from drawcli.dashboard.pages.login import (
    finish_login,
    login,
    logout,
    show_error,
    start_login,
    submit_login,
)
from drawcli.dashboard.pages.overview import overview
from drawcli.dashboard.pages.pictures import picture, pictures
from drawcli.dashboard.pages.ratings import rate
from drawcli.dashboard.pages.rules import rules, unmatched
from drawcli.dashboard.pages.site import checkup, server, settings
from drawcli.dashboard.preview import Previews
from drawcli.dashboard.qa.pictures import Differences
from drawcli.dashboard.qa.reader import QaReader
from drawcli.dashboard.qa.routes import qa_routes
from drawcli.dashboard.records.chain import VerifiedChain
from drawcli.dashboard.records.routes import record_routes
from drawcli.dashboard.records.statistics_reader import StatisticsReader
from drawcli.dashboard.runs.controls import run_routes
from drawcli.dashboard.runs.starter import RunStarter
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.template_pages.asking import ask_server
from drawcli.dashboard.template_pages.catalogue_request import CatalogueRequest
from drawcli.dashboard.template_pages.editor import change_template, edit_template
from drawcli.dashboard.template_pages.pages import template, templates
from drawcli.dashboard.turns import AT_ONCE, in_turn
from drawcli.dashboard.view import PageParts, parts_of
from drawcli.dashboard.viewer.routes import viewer_routes
from drawcli.dashboard.volumes import Volumes
from drawcli.errors import DrawcliError, LedgerError
from drawcli.operations.cluster.metrics import group_gauges
from drawcli.operations.metrics import metrics_text, text_of
from drawcli.operations.verdict.findings import Level, SiteFinding, SiteVerdict
from drawcli.system.limits import PAGE_STREAMS

_STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = frozenset(path.name for path in _STATIC.iterdir())


class Files(StaticFiles):
    """The static files by name; no other path reaches the disk."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or 404."""
        if path == "chart.css":
            return PlainTextResponse(CHART_STYLE, media_type="text/css")
        if path not in _FILES:
            raise HTTPException(404)
        return await super().get_response(path, scope)


def routes() -> list[BaseRoute]:
    """Return every route."""
    pixels, tables = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
    return [
        Route("/", overview),
        Route("/jobs", in_turn(tables, jobs, takes_long)),
        Route("/jobs.csv", in_turn(tables, jobs_csv)),
        *find_routes(pixels),
        Route("/jobs/{job}", job),
        Route("/jobs/{job}/pictures", in_turn(pixels, pictures)),
        Route("/jobs/{job}/pictures/{plane}/{index:int}.png", in_turn(pixels, picture)),
        *viewer_routes(pixels),
        Route("/jobs/{job}/rate", rate, methods=["POST"]),
        Route("/jobs/{job}/{action}", act, methods=["POST"]),
        *qa_routes(pixels),
        Route("/unmatched", unmatched),
        Route("/rules", rules),
        Route("/templates", templates),
        Route("/templates/+ask", ask_server, methods=["POST"]),
        Route("/edit/templates", edit_template),
        Route("/edit/templates", change_template, methods=["POST"]),
        Route("/templates/{template}", template),
        *run_routes(),
        Route("/server", server),
        Route("/checkup", checkup),
        Route("/settings", settings),
        *editing_routes(),
        *record_routes(tables),
        *group_routes(tables),
        Route("/login", login),
        Route("/login", submit_login, methods=["POST"]),
        Route(START_PATH, start_login),
        Route(ANSWER_PATH, finish_login),
        Route("/logout", logout, methods=["POST"]),
        Route(LIVE_PATH, live),
        Route(METRICS_PATH, metrics),
        Route(HEALTH_PATH, health),
        Mount("/static", Files(directory=_STATIC)),
    ]


def application(
    site: SiteReader,
    options: DashboardOptions,
    secret: Secret,
    stopping: Callable[[], bool] = lambda: False,
    most_streams: int = PAGE_STREAMS,
) -> ASGIApp:
    """Return the page as an ASGI application.

    Parameters
    ----------
    site
        The site to show.
    options
        Host names, and whether actions and patient names are allowed.
    secret
        The password; without one, every user of this machine can read the page.
    stopping
        Returns whether the server is shutting down.
    most_streams
        The largest number of event streams.
    """
    settings = site.ctx.settings.dashboard
    limits = SessionLimits(settings.session_hours, settings.idle_minutes)
    oidc = site.ctx.settings.oidc
    single_sign_on = SingleSignOnLogin(oidc) if oidc.is_on else None
    users = Users(secret.path.parent, secret.hasher)
    entry = Authenticator(secret, users, limits, single_sign_on)
    sessions = Middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie=f"drawcli-{options.port}",  # browsers share cookies between ports
        max_age=ceil(limits.hours * 3600),
        same_site="strict",
        https_only=options.over_tls,
    )
    parts = _parts(site, options, entry, stopping, most_streams)
    app = Starlette(
        routes=routes(),
        middleware=[
            sessions,
            Middleware(LoginRequired, entry=entry, keep=ask_login),
            Middleware(Stamped, live=parts.live),
        ],
        exception_handlers=dict.fromkeys((DrawcliError, HTTPException, Exception), show_error),
    )
    app.state.parts = parts
    return Guard(app, options)


def _parts(
    site: SiteReader,
    options: DashboardOptions,
    entry: Authenticator,
    stopping: Callable[[], bool],
    most_streams: int,
) -> PageParts:
    """Return the objects that pages use."""
    qa_reader, volumes = QaReader(site.ctx.settings), Volumes()
    finder, runs = Finder.of(site), RunStarter(site)
    return PageParts(
        site=site,
        options=options,
        entry=entry,
        live=Live(site, stopping, most_streams, lambda: (qa_reader.stamp, finder.stamp, runs.last)),
        previews=Previews(site, volumes),
        qa=qa_reader,
        differences=Differences(site, volumes),
        seen=SeenTexts(),
        trials=TrialRuns(site),
        catalogue=CatalogueRequest(site),
        find=finder,
        runs=runs,
        statistics=StatisticsReader(site, finder.series),
        chain=VerifiedChain(site.ctx.audit),
        group=GroupReader(site),
    )


async def live(request: Request) -> Response:
    """Stream change events to an open page."""
    return parts_of(request).live.response(request.query_params.get("drawn", ""))


def health(request: Request) -> Response:
    """Return the verdict on the site for a monitor: 503 if it is broken."""
    site = parts_of(request).site
    try:
        verdict = site.verdict()
    except LedgerError:
        text = "the ledger cannot be read"
        verdict = SiteVerdict((SiteFinding(Level.BROKEN, "ledger", text),))
    plain = verdict.as_plain()
    findings = [{key: one[key] for key in ("level", "code", "text")} for one in plain["findings"]]
    body = {"schema": 1, "at": site.now.isoformat(), **plain, "findings": findings}
    return JSONResponse(body, 503 if verdict.level is Level.BROKEN else 200)


def metrics(request: Request) -> Response:
    """Return the metrics of the site for Prometheus."""
    parts = parts_of(request)
    site = parts.site
    with site.lock:
        text = metrics_text(site.ctx)
    if parts.group.is_on:
        text += text_of(group_gauges(parts.group.sites(), site.now))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
