"""The middleware that requires a login."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from drawcli.adapters.site_status.queried_page import PATH as SUMMARY_PATH
from drawcli.dashboard.access.auth import SEE_OTHER, Authenticator, address_of
from drawcli.dashboard.access.rate_limit import network_counters
from drawcli.dashboard.access.request_guard import EDITING

METRICS_PATH: Final = "/metrics"
HEALTH_PATH: Final = "/health"
_FOR_PROGRAMS: Final = (METRICS_PATH, HEALTH_PATH, SUMMARY_PATH)  # with a bearer token
LIVE_PATH: Final = "/live"
REFRESH_HEADER: Final = "x-refresh"  # of what the script asks by itself: its user may be away
LOGIN_AGAIN: Final = f"{EDITING}login"  # with a form that was sent after the session had ended
_OPEN: Final = ("/login", "/static/", LOGIN_AGAIN)


class LoginRequired:
    """Middleware that requires a login; it needs the session middleware before it."""

    def __init__(
        self,
        app: ASGIApp,
        entry: Authenticator,
        keep: Callable[[Request], Awaitable[Response]] | None = None,
    ) -> None:
        self._app = app
        self._entry = entry
        self._keep = keep  # answers a form of the editor, so that what was typed is not lost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or redirect it to the login."""
        refused = await self._refusal(Request(scope, receive))
        await (refused or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """Return the response to a request without a login; None with one."""
        path, headers = request.scope["path"], request.headers
        if path.startswith(_OPEN):
            return None
        if self._entry.is_logged_in(request):
            if path != LIVE_PATH and REFRESH_HEADER not in headers:
                self._entry.note_use(request)
            return None
        kind, _, words = headers.get("authorization", "").partition(" ")
        if path in _FOR_PROGRAMS and kind.lower() == "bearer":
            return await self._token_refusal(words.strip(), request)
        is_page = headers.get("accept", "").startswith("text/html")
        if request.method == "GET" and is_page:
            return RedirectResponse("/login", SEE_OTHER)
        if self._keep is not None and is_page and path.startswith(EDITING):
            return await self._keep(request)
        return PlainTextResponse("drawcli: log in first\n", 401)

    async def _token_refusal(self, words: str, request: Request) -> Response | None:
        """Return the response to a wrong bearer token; None if it is right.

        Programs are counted apart: one with an old password slows no user down, and a right one
        does not reset the count of users.
        """
        address = address_of(request)
        counted = network_counters(address, "program ")
        refusal = await self._entry.check_password(None, words, counted, address)
        if refusal is None:
            return None
        headers = refusal.headers or {"www-authenticate": "Bearer"}
        return PlainTextResponse("drawcli: wrong token\n", refusal.status, headers)
