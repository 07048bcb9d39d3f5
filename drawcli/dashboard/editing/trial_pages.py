"""The effect of changed rules on the series of the ledger, beside the form and the diff."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.authoring.file_checks import CheckedFile
from drawcli.dashboard.access.auth import SEE_OTHER
from drawcli.dashboard.access.rights import Right, require, visitor_of
from drawcli.dashboard.editing.flow import BASE, Proposal, drafted
from drawcli.dashboard.editing.kept_forms import editing
from drawcli.dashboard.editing.trials import MOST_LISTED
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import DrawcliError

TRIALS: Final = "/edit/rules/trials"


def effect_of(request: Request, checked: CheckedFile) -> Mapping[str, Any]:
    """Start to apply changed rules to the series of the ledger; return what the page shows."""
    owner = f"{visitor_of(request).name}/{request.session.get('in', '')}"
    trials = parts_of(request).trials
    run = trials.start(owner, checked.before, checked.book) if checked.before else None
    why = "" if run else "too many trials are running: try again in a minute"
    if checked.before is None:
        why = "the file was invalid before, so there is nothing to compare with"
    return {"trial": run, "why_not": why, "most": MOST_LISTED}


async def tried(
    request: Request, form: FormData, what: Proposal, problems: Mapping[str, str]
) -> Response:
    """Return the effect of a form that is still being filled in; nothing is shown as a diff yet."""
    facts: dict[str, Any] = {"trial": None, "why_not": "", "most": MOST_LISTED, "checked": None}
    if problems:
        return page(request, "edit_trial.html", **facts, unready=True)
    try:
        _, checked = await run_in_threadpool(drafted, request, what, str(form.get(BASE, "")))
    except DrawcliError as err:
        facts["why_not"] = " ".join([str(err), err.hint]).strip()
        return page(request, "edit_trial.html", **facts, unready=False)
    facts |= {"checked": checked, **effect_of(request, checked)}
    return page(request, "edit_trial.html", **facts, unready=False)


def trial(request: Request) -> Response:
    """Show the progress or the result of a trial."""
    require(request, Right.EDIT)
    run = parts_of(request).trials.get(request.path_params["trial"])
    if run is None:
        raise HTTPException(404, "This trial is over. Show the change again to repeat it.")
    facts: dict[str, Any] = {"trial": run, "why_not": "", "most": MOST_LISTED, "checked": None}
    return page(request, "edit_trial.html", **facts, unready=False)


@editing
async def stop_trial(request: Request, form: FormData) -> Response:
    """Stop a trial."""
    run = parts_of(request).trials.get(str(form.get("trial", "")))
    if run is None:
        raise HTTPException(404, "This trial is over.")
    run.stop.set()
    return RedirectResponse(f"{TRIALS}/{run.name}", SEE_OTHER)
