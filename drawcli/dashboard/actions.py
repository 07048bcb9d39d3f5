"""Actions on a job from the page: the same as the commands, one job at a time."""

import logging
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.jobs import warned
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
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
    "seen": actions.seen,
}
ASSIGN: Final = "assign"
SEEN: Final = "revision"  # the form field with the revision of the job that the page showed
DESCRIPTIONS: Final = {
    "release": "Continue from its present state",
    "retry": "Try the failed step again now",
    "cancel": "Cancel the job; nothing more is done for it",
    ASSIGN: "Assign a template, whatever the rules say",
    "seen": "You have looked at its warnings: it is no longer amber; kept in its history",
}
_LAST_EVENTS: Final[dict[str, set[str]]] = {  # of a job after each action
    "release": {EventKind.RELEASED},
    "retry": {EventKind.RELEASED, State.WAITING, State.PACKAGED},
    "cancel": {State.CANCELLED},
    ASSIGN: {State.MATCHED, State.WAITING},
    "seen": {warned.SEEN},
}


def available_actions(job: Job, ctx: Context) -> dict[str, str]:
    """Return the possible actions on a job, with their descriptions."""
    able = [name for name, action in _ACTIONS.items() if _can(action, job, ctx)]
    if job.state is not State.WAITING:
        able.append(ASSIGN)
    return {name: DESCRIPTIONS[name] for name in able}


def completed_action(job: Job, action: str) -> str:
    """Return the action that an address names, if it is the job's last event; else ""."""
    done = job.events and job.events[-1].what in _LAST_EVENTS.get(action, ())
    return action if done else ""


async def act(request: Request) -> Response:
    """Apply the action of a form; 403 without --allow-actions."""
    parts = parts_of(request)
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    name, action = request.path_params["job"], request.path_params["action"]
    if action not in DESCRIPTIONS:
        raise HTTPException(404, f"There is no action '{action}'.")
    done = await run_in_threadpool(_done, name, action, form, parts.site, visitor.name)
    return RedirectResponse(f"/jobs/{done.id}?done={action}", SEE_OTHER)


def _done(name: str, action: str, form: FormData, site: SiteReader, by: str) -> Job:
    """Act on a job, with the site opened again, so that the state on disk is used."""
    revision, template = (str(form.get(field, "")) for field in (SEEN, "template"))
    with site.reopen(by) as ctx:
        return act_on(name, action, revision, template, ctx)


def act_on(name: str, action: str, revision: str, template: str, ctx: Context) -> Job:
    """Act on a job under its lock; UsageError if its revision is not the one that was seen."""
    job = actions.find_job(name, ctx)
    after = actions.act_locked(job, ctx, lambda now: _acted(now, action, revision, template, ctx))
    _log.info("job=%s action=%s from=page", after.id, action)
    return after


def _acted(job: Job, action: str, revision: str, template: str, ctx: Context) -> Job:
    """Act on a job, if its revision is the one that the user saw."""
    if revision != str(job.revision):
        raise UsageError(
            f"job {job.id} has changed since this page was loaded",
            hint="Nothing was done. Reload the job and try again.",
        )
    if action == ASSIGN:
        return actions.assign(job, template, ctx)
    return actions.carry_out(job, _ACTIONS[action], ctx)


def _can(action: Callable[[Job, Context], Job], job: Job, ctx: Context) -> bool:
    """Return whether an action is possible, by trying it: it only returns a changed job."""
    try:
        action(job, ctx)
    except UsageError:
        return False
    return True
