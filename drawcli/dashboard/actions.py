"""What a person may do to a job from the page: the same as by the commands, one job at a time."""

import logging
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.dashboard.auth import SEE_OTHER, own_form
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import parts_of
from drawcli.errors import UsageError
from drawcli.pipeline import actions
from drawcli.pipeline.context import Context

_log = logging.getLogger(__name__)
_ACTIONS: Final[dict[str, Callable[[Job, Context], Job]]] = {
    "release": actions.release,
    "retry": actions.retry,
    "cancel": actions.cancel,
}
ASSIGN: Final = "assign"
SEEN: Final = "revision"  # the field of a form that says which writing of the job was on the page
WHAT: Final = {
    "release": "Let it go on from where it stands",
    "retry": "Try it again now, from the step that failed",
    "cancel": "Set it aside; nothing more is done for it",
    ASSIGN: "Give the series a template, whatever the rules say",
}
_TRACES: Final[dict[str, set[str]]] = {  # the last that happened to a job to which it was done
    "release": {EventKind.RELEASED},
    "retry": {EventKind.RELEASED, State.WAITING, State.PACKAGED},
    "cancel": {State.CANCELLED},
    ASSIGN: {State.MATCHED, State.WAITING},
}


def offered(job: Job, ctx: Context) -> dict[str, str]:
    """Return what can be done to a job as it stands, with what it means."""
    able = [name for name, action in _ACTIONS.items() if _can(action, job, ctx)]
    if job.state is not State.WAITING:
        able.append(ASSIGN)
    return {name: WHAT[name] for name in able}


def done_to(job: Job, asked: str) -> str:
    """Return the action that an address says was done, where the job bears it out; else ""."""
    done = job.events and job.events[-1].what in _TRACES.get(asked, ())
    return asked if done else ""


async def act(request: Request) -> Response:
    """Do what a form asks for; 403 where the page was not started for it."""
    parts = parts_of(request)
    form = await own_form(request)
    if not parts.options.allow_actions:
        raise HTTPException(403, "This page only shows. Start it with --allow-actions to act.")
    name, action = request.path_params["job"], request.path_params["action"]
    if action not in WHAT:
        raise HTTPException(404, f"There is no action '{action}'.")
    done = await run_in_threadpool(_done, name, action, form, parts.site)
    return RedirectResponse(f"/jobs/{done.id}?done={action}", SEE_OTHER)


def _done(name: str, action: str, form: FormData, site: SiteReader) -> Job:
    """Act on a job, with the site opened anew: what it reads is what is on disk."""
    with site.again() as ctx:
        job = actions.find_job(name, ctx)
        after = actions.locked(job, ctx, lambda now: _acted(now, action, form, ctx))
    _log.info("job=%s action=%s from=page", after.id, action)
    return after


def _acted(job: Job, action: str, form: FormData, ctx: Context) -> Job:
    """Act on a job, if it still is what the person saw who sent the form."""
    if form.get(SEEN) != str(job.revision):
        raise UsageError(
            f"job {job.id} has changed since; look again",
            hint="Nothing was done: what you saw when you chose this is no longer so.",
        )
    if action == ASSIGN:
        return actions.assign(job, str(form.get("template", "")), ctx)
    return ctx.ledger.commit(_ACTIONS[action](job, ctx))


def _can(action: Callable[[Job, Context], Job], job: Job, ctx: Context) -> bool:
    """Tell whether an action is possible: it is a pure function of the job, so it is tried."""
    try:
        action(job, ctx)
    except UsageError:
        return False
    return True
