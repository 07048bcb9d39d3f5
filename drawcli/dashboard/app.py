"""The application: which address is which page, and the shells around all of them."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from drawcli.dashboard.actions import act
from drawcli.dashboard.auth import FIGURES, HOURS, Authenticator, Doorkeeper
from drawcli.dashboard.events import Live
from drawcli.dashboard.options import DashboardOptions
from drawcli.dashboard.pages.jobs import job, jobs
from drawcli.dashboard.pages.login import enter, leave, login, refused
from drawcli.dashboard.pages.overview import overview
from drawcli.dashboard.pages.pictures import picture, pictures
from drawcli.dashboard.pages.rules import rules, template, unmatched
from drawcli.dashboard.pages.site import checkup, server, settings
from drawcli.dashboard.password import Secret
from drawcli.dashboard.preview import Previews
from drawcli.dashboard.request_guard import Guard
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import PageParts, parts_of
from drawcli.errors import DrawcliError
from drawcli.operations.metrics import metrics_text
from drawcli.system.limits import PAGE_STREAMS

_STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = frozenset(path.name for path in _STATIC.iterdir())


class Files(StaticFiles):
    """Our own files, by their names: no other name is looked for on a disk."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return one; 404 where there is none."""
        if path not in _FILES:
            raise HTTPException(404)
        return await super().get_response(path, scope)


def routes() -> list[BaseRoute]:
    """Return every address."""
    return [
        Route("/", overview),
        Route("/jobs", jobs),
        Route("/jobs/{job}", job),
        Route("/jobs/{job}/pictures", pictures),
        Route("/jobs/{job}/pictures/{plane}/{index:int}.png", picture),
        Route("/jobs/{job}/{action}", act, methods=["POST"]),
        Route("/unmatched", unmatched),
        Route("/rules", rules),
        Route("/templates/{template}", template),
        Route("/server", server),
        Route("/checkup", checkup),
        Route("/settings", settings),
        Route("/login", login),
        Route("/login", enter, methods=["POST"]),
        Route("/logout", leave, methods=["POST"]),
        Route("/live", live),
        Route(FIGURES, metrics),
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
        What it shows.
    options
        What it may show and do, and under which names.
    secret
        What lets a person in; where none is stored, it is open to this machine.
    stopping
        Whether the server is to end.
    most_streams
        How many open pages may follow the ledger.
    """
    entry = Authenticator(secret)
    sessions = Middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie=f"drawcli-{options.port}",  # browsers share cookies between ports
        max_age=HOURS * 3600,
        same_site="strict",
        https_only=options.over_tls,
    )
    app = Starlette(
        routes=routes(),
        middleware=[sessions, Middleware(Doorkeeper, entry=entry)],
        exception_handlers={DrawcliError: refused, HTTPException: refused, Exception: refused},
    )
    app.state.parts = PageParts(
        site=site,
        options=options,
        entry=entry,
        live=Live(site, stopping, most_streams),
        previews=Previews(site),
    )
    return Guard(app, options)


async def live(request: Request) -> Response:
    """Tell an open page when something has changed."""
    return parts_of(request).live.response(request.query_params.get("drawn", ""))


def metrics(request: Request) -> Response:
    """Return the figures of the site for Prometheus."""
    site = parts_of(request).site
    with site.lock:
        text = metrics_text(site.ctx)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
