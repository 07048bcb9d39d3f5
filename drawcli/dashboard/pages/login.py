"""In and out; and what is said where a page cannot be shown."""

from math import ceil
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from drawcli.adapters.state import logs
from drawcli.dashboard.actions import WHAT
from drawcli.dashboard.auth import SEE_OTHER, form_token, own_form, tried
from drawcli.dashboard.view import bare, parts_of
from drawcli.errors import DrawcliError, UsageError

_TITLES = {403: "Not allowed", 404: "Not here", 409: "Not possible now", 503: "Not possible now"}
_BUSY: Final = "The password was not checked: too many from this network are waiting already."
_SLOW: Final = "Several from this network were wrong, so the next one is checked in"
_BY_FORM: Final = 405  # other methods
_CONFLICT: Final = 409  # with how the job stands now


def login(request: Request) -> Response:
    """Ask for the password."""
    entry = parts_of(request).entry
    if not entry.asks or entry.is_in(request):
        return RedirectResponse("/", SEE_OTHER)
    return bare(request, "login.html", csrf=form_token(request), trouble="")


async def enter(request: Request) -> Response:
    """Look at the password, when it has its turn."""
    entry = parts_of(request).entry
    refusal = await tried(request, entry)
    if refusal is None:
        answer: Response = RedirectResponse("/", SEE_OTHER)
        entry.devices.remember(request, answer, secure=parts_of(request).options.over_tls)
        return answer
    trouble = "That is not the password." if refusal.looked_at else _BUSY
    if refusal.wait_seconds:
        trouble += f" {_SLOW} {ceil(refusal.wait_seconds)} s."
    csrf = form_token(request)
    answer = bare(request, "login.html", status=refusal.status, csrf=csrf, trouble=trouble)
    answer.headers.update(refusal.headers)
    return answer


async def leave(request: Request) -> Response:
    """End the session."""
    await own_form(request)
    parts_of(request).entry.let_out(request.session)
    return RedirectResponse("/login", SEE_OTHER)


async def refused(request: Request, err: Exception) -> Response:
    """Say why a page cannot be shown, and what to do."""
    if isinstance(err, HTTPException):
        if err.status_code == _BY_FORM and request.path_params.get("action", "") not in {"", *WHAT}:
            return _said(request, 404, "Not Found", "")
        return _said(request, err.status_code, str(err.detail), "")
    if isinstance(err, UsageError):
        return _said(request, 404 if request.method == "GET" else 409, str(err), err.hint)
    if isinstance(err, DrawcliError):
        return _said(request, 503, str(err), err.hint)
    words = f"bug: {type(err).__name__} at {logs.origin(err)}"
    return _said(request, 500, words, "Please report this line; it names no patient.")


def _said(request: Request, status: int, message: str, hint: str) -> Response:
    if not request.headers.get("accept", "").startswith("text/html"):
        return PlainTextResponse(f"drawcli: {message}\n", status)
    title = _TITLES.get(status, "Trouble")
    facts = {"title": title, "message": message, "hint": hint}
    job = request.path_params.get("job", "") if status == _CONFLICT else ""
    return bare(request, "error.html", status=status, job=job, **facts)
