"""Login, sessions in a signed cookie, CSRF tokens of forms, and bearer tokens of programs.

The key of the cookie is new at each start: a restart ends all sessions. So does a new password. The
ids of logged-out sessions are kept, since their cookies would still be valid.
"""

import logging
import secrets
from asyncio import Lock, sleep
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from time import time
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from drawcli.dashboard.access.addresses import client_of
from drawcli.dashboard.access.devices import Devices
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.rate_limit import (
    LoginCounter,
    LoginLimiter,
    device_counters,
    network_counters,
)
from drawcli.dashboard.access.request_guard import EDITING
from drawcli.errors import ConfigError

_log = logging.getLogger(__name__)
SESSION_HOURS: Final = 12  # of a login
CSRF_FIELD: Final = "csrf"
METRICS_PATH: Final = "/metrics"  # the only path that accepts a bearer token
LOGIN_AGAIN: Final = f"{EDITING}login"  # with a form that was sent after the session had ended
_OPEN: Final = ("/login", "/static/", LOGIN_AGAIN)
SEE_OTHER: Final = 303
_SEE_LOG: Final = "See the log of drawcli on the machine that serves the page."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused password."""

    wait_seconds: float  # until the next one is checked
    checked: bool = True  # False: too many were waiting

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 429 if self.wait_seconds else 401

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers."""
        return {"retry-after": str(ceil(self.wait_seconds))} if self.wait_seconds else {}


class Authenticator:
    """Checks passwords and sessions.

    Parameters
    ----------
    secret
        The password or token; until one is stored, every user of this machine can read the page.
    """

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self._asked = secret.is_set
        self.attempts = LoginLimiter()
        self.devices = Devices(secret)
        self._over: set[str] = set()
        self._turn = Lock()  # one attempt at a time, so that parallel ones are counted too

    @property
    def requires_login(self) -> bool:
        """Whether a login is needed: there is a password, or there was one at the start."""
        return self._asked or self.secret.is_set

    def is_logged_in(self, connection: HTTPConnection) -> bool:
        """Return whether the session has logged in, or needs no login."""
        if not self.requires_login:
            return True
        session = connection.session
        name = session.get("in", "")
        if not name or name in self._over or session["password"] != self.secret.stamp:
            return False
        return bool(session["until"] > time())

    async def check_password(
        self, words: str, counted: Sequence[LoginCounter], address: str
    ) -> Refusal | None:
        """Check a password after its wait; return None if it is right.

        Raises
        ------
        ConfigError
            Where the stored password cannot be trusted; the log has the reason.
        """
        wait = self.attempts.reserve(counted)  # counts even if the client disconnects
        if wait == inf:
            return Refusal(max(self.attempts.wait_seconds(counted), 1.0), checked=False)
        await sleep(wait)
        async with self._turn:
            if await run_in_threadpool(self._fits, words):
                self.attempts.record_success(counted)
                return None
        wait = self.attempts.wait_seconds(counted)
        _log.warning("login=refused address=%s wait_seconds=%.0f", address, wait)
        return Refusal(wait)

    def _fits(self, words: str) -> bool:
        try:
            return self.secret.verify(words)
        except ConfigError as err:
            _log.warning("login=impossible reason=%s hint=%s", err, err.hint)
            raise ConfigError("passwords cannot be checked now", hint=_SEE_LOG) from None

    def start_session(self, session: dict[str, Any], password: str) -> None:
        """Start a new session, valid for the password with this stamp."""
        session.clear()
        ends = int(time()) + SESSION_HOURS * 3600
        session.update({"in": secrets.token_urlsafe(16), "until": ends, "password": password})

    def end_session(self, session: dict[str, Any]) -> None:
        """End a session; its cookie is no longer accepted."""
        self._over.add(session.get("in", ""))
        session.clear()


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
        if path.startswith(_OPEN) or self._entry.is_logged_in(request):
            return None
        kind, _, words = headers.get("authorization", "").partition(" ")
        if path == METRICS_PATH and kind.lower() == "bearer":
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
        refusal = await self._entry.check_password(
            words, network_counters(address, "program "), address
        )
        if refusal is None:
            return None
        headers = refusal.headers or {"www-authenticate": "Bearer"}
        return PlainTextResponse("drawcli: wrong token\n", refusal.status, headers)


def form_token(request: Request) -> str:
    """Return the CSRF token of this session."""
    return str(request.session.setdefault(CSRF_FIELD, secrets.token_urlsafe(24)))


async def verified_form(request: Request) -> FormData:
    """Return the form of a request; 403 without the CSRF token of this session."""
    try:
        form = await request.form(max_files=0)
        "".join(f"{name}{value}" for name, value in form.multi_items()).encode("utf-8")
    except ClientDisconnect:
        raise HTTPException(408, "The form is incomplete.") from None
    except (ValueError, LookupError):  # an unknown charset, or a lone surrogate
        raise HTTPException(400, "The form cannot be read.") from None
    wanted, given = request.session.get(CSRF_FIELD), form.get(CSRF_FIELD)
    right = isinstance(wanted, str) and isinstance(given, str)
    if not right or not secrets.compare_digest(str(wanted).encode(), str(given).encode()):
        raise HTTPException(403, "The form is too old, or came from another page. Reload it.")
    return form


async def log_in(request: Request, entry: Authenticator) -> Refusal | None:
    """Check the password of a form and start a session; return None if it is right."""
    form = await verified_form(request)
    address = address_of(request)
    password = entry.secret.stamp  # before the check: a new password meanwhile ends this session
    device = entry.devices.number_of(request)
    counted = device_counters(device) if device else network_counters(address)
    refusal = await entry.check_password(str(form.get("password", "")), counted, address)
    if refusal is None:
        entry.start_session(request.session, password)
        _log.info("login=good address=%s", address)
    return refusal


def address_of(connection: HTTPConnection) -> str:
    """Return the address of the client."""
    return client_of(connection.scope, connection.app.state.parts.options.proxies)
