"""The forms that start a run, and that pause and resume sending; 403 without --allow-actions."""

import logging
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from drawcli.adapters.state.audit_log import Actor
from drawcli.adapters.state.pause import (
    Pause,
    end_pause,
    paused,
    read_pause,
    stored_pause,
    write_pause,
)
from drawcli.adapters.state.progress import ProgressState
from drawcli.adapters.state.workdir import RunOwner
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.runs.starter import StartedRun
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import PageParts, parts_of
from drawcli.system.printable import plain

_log = logging.getLogger(__name__)
LONGEST_REASON: Final = 200  # characters
_PAGES: Final = ("/", "/server")  # with these forms


class Controls(NamedTuple):
    """What the forms show."""

    runner: RunOwner | None  # the active run, whoever started it
    step: ProgressState | None  # of it, once it has run for a second
    started: StartedRun  # the last one from here
    pause: Pause | None

    @property
    def is_running(self) -> bool:
        """Whether a run is active, or has just been started."""
        return self.runner is not None or self.started.is_running


def controls_of(parts: PageParts) -> Controls:
    """Return what the forms show."""
    health = parts.site.health
    return Controls(health.runner, health.standing, parts.runs.last, health.pause)


def run_routes() -> list[BaseRoute]:
    """Return the routes."""
    return [
        Route("/run", run_now, methods=["POST"]),
        Route("/pause", pause, methods=["POST"]),
        Route("/resume", resume, methods=["POST"]),
    ]


async def run_now(request: Request) -> Response:
    """Start a run."""
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    await run_in_threadpool(parts_of(request).runs.start, visitor.name)
    _log.info("step=run outcome=started from=page")
    return _back(form)


async def pause(request: Request) -> Response:
    """Stop sending, with a reason."""
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    reason = plain(str(form.get("reason", ""))).strip()[:LONGEST_REASON]
    await run_in_threadpool(_pause, parts_of(request).site, reason, visitor.name)
    return _back(form)


async def resume(request: Request) -> Response:
    """Resume sending."""
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    await run_in_threadpool(_resume, parts_of(request).site, visitor.name)
    return _back(form)


def _pause(site: SiteReader, reason: str, by: str) -> None:
    state_dir, who = site.ctx.settings.state_dir, Actor.present()
    shared = site.ctx.ledger.shared
    before = stored_pause(state_dir, shared)
    after = paused(before, reason, by or who.user, who.host, site.now)
    if after != before:
        site.record(by, "pause")
        write_pause(state_dir, after, shared)
        _log.info("step=pause outcome=paused from=page")


def _resume(site: SiteReader, by: str) -> None:
    state_dir = site.ctx.settings.state_dir
    shared = site.ctx.ledger.shared
    if read_pause(state_dir, shared) is not None:
        site.record(by, "resume")
        end_pause(state_dir, shared)
        _log.info("step=pause outcome=resumed from=page")


def _back(form: FormData) -> Response:
    """Return to the page with the form."""
    page = form.get("back")
    return RedirectResponse(f"{page if page in _PAGES else '/'}#controls", SEE_OTHER)
