"""Login, logout, and the error page."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from drawcli.adapters.identity_provider.id_token import LoginRefused
from drawcli.adapters.state import logs
from drawcli.dashboard.access.auth import SEE_OTHER, log_in, sign_on, verified_form
from drawcli.dashboard.access.single_sign_on import SingleSignOnLogin
from drawcli.dashboard.actions import DESCRIPTIONS
from drawcli.dashboard.view import bare_page, login_page, parts_of
from drawcli.errors import DrawcliError, UsageError

_TITLES = {403: "Not allowed", 404: "Not found", 409: "Not possible now", 503: "Not possible now"}
_FORBIDDEN: Final = 403
_BY_FORM: Final = 405  # wrong method
_CONFLICT: Final = 409  # with the present state of the job


def login(request: Request) -> Response:
    """Show the login form."""
    entry = parts_of(request).entry
    if not entry.requires_login or entry.is_logged_in(request):
        return RedirectResponse("/", SEE_OTHER)
    return login_page(request)


async def submit_login(request: Request) -> Response:
    """Check the password and log in."""
    entry = parts_of(request).entry
    refusal = await log_in(request, entry)
    if refusal is None:
        answer: Response = RedirectResponse("/", SEE_OTHER)
        entry.remember(request, answer)
        return answer
    answer = login_page(request, refusal.trouble(named=entry.asks_name), refusal.status)
    answer.headers.update(refusal.headers)
    return answer


async def start_login(request: Request) -> Response:
    """Send the browser to the identity provider."""
    login = _single_sign_on(request)
    async with login.turn:
        address, cookie = await run_in_threadpool(login.start, request)
    answer = RedirectResponse(address, SEE_OTHER)
    login.set_cookie(request, answer, cookie)
    return answer


async def finish_login(request: Request) -> Response:
    """Log in who comes back from the identity provider.

    The answer is a page that leads on: cookies of this site are sent with its request only.
    """
    entry, login = parts_of(request).entry, _single_sign_on(request)
    try:
        name = await sign_on(request, entry, login)
    except LoginRefused as err:
        answer: Response = login_page(request, f"{err}. {err.hint}".strip(), _FORBIDDEN)
    else:
        answer = bare_page(request, "signed_on.html", name=name)
    login.set_cookie(request, answer, "")
    return answer


def _single_sign_on(request: Request) -> SingleSignOnLogin:
    login = parts_of(request).entry.single_sign_on
    if login is None:
        raise HTTPException(404)
    return login


async def logout(request: Request) -> Response:
    """End the session."""
    await verified_form(request)
    parts_of(request).entry.end_session(request.session)
    return RedirectResponse("/login", SEE_OTHER)


async def show_error(request: Request, err: Exception) -> Response:
    """Show an error and its hint."""
    if isinstance(err, HTTPException):
        if err.status_code == _BY_FORM and request.path_params.get("action", "") not in {
            "",
            *DESCRIPTIONS,
        }:
            return _error_page(request, 404, "Not Found", "")
        return _error_page(request, err.status_code, str(err.detail), "")
    if isinstance(err, UsageError):
        return _error_page(request, 404 if request.method == "GET" else 409, str(err), err.hint)
    if isinstance(err, DrawcliError):
        return _error_page(request, 503, str(err), err.hint)
    message = f"bug: {type(err).__name__} at {logs.origin(err)}"
    return _error_page(request, 500, message, "Please report this line; it names no patient.")


def _error_page(request: Request, status: int, message: str, hint: str) -> Response:
    if not request.headers.get("accept", "").startswith("text/html"):
        return PlainTextResponse(f"drawcli: {message}\n", status)
    title = _TITLES.get(status, "Error")
    facts = {"title": title, "message": message, "hint": hint}
    job = request.path_params.get("job", "") if status == _CONFLICT else ""
    return bare_page(request, "error.html", status=status, job=job, **facts)
