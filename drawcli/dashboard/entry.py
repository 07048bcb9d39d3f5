"""Who may come in: the login, the session in a signed cookie, the tokens of forms and programs.

The cookie's key is made anew at each start: a restart ends all sessions. So does a new password. A
session that was logged out is remembered as over, for the cookie itself would still be good.
"""

import asyncio
import logging
import secrets
from math import ceil
from time import time
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from drawcli.dashboard.attempts import Attempts
from drawcli.dashboard.secret import Secret

_log = logging.getLogger(__name__)
HOURS: Final = 12  # of a login
FIELD: Final = "csrf"
FIGURES: Final = "/metrics"  # the one address that a token in the request opens
_OPEN: Final = ("/login", "/static/")
SEE_OTHER: Final = 303


class Entry:
    """What lets a person in, and who is in.

    Parameters
    ----------
    secret
        The password or token; as long as none was stored, everybody on this machine may read.
    """

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self._asked = secret.is_set
        self.attempts = Attempts()
        self._over: set[str] = set()
        self._turn = asyncio.Lock()  # one try at a time: also those made at once are counted

    @property
    def asks(self) -> bool:
        """Whether a login is needed: there is a password, or was one at the start."""
        return self._asked or self.secret.is_set

    def is_in(self, connection: HTTPConnection) -> bool:
        """Tell whether who asks has logged in, or need not."""
        if not self.asks:
            return True
        session = connection.session
        name = session.get("in", "")
        if not name or name in self._over or session["password"] != self.secret.stamp:
            return False
        return bool(session["until"] > time())

    async def tried(self, words: str, address: str) -> float | None:
        """Look at a password, unless an address was wrong so often that it waits.

        Returns
        -------
        None where it is right; else how long to wait before the next try, s.
        """
        async with self._turn:
            if waits := self.attempts.wait_seconds(address):
                return waits
            self.attempts.failed(address)  # a try that is broken off was one
            if await run_in_threadpool(self.secret.fits, words):
                self.attempts.succeeded(address)
                return None
            waits = self.attempts.wait_seconds(address)
            _log.warning("login=refused address=%s wait_seconds=%.0f", address, waits)
            return waits

    def let_in(self, session: dict[str, Any], password: str) -> None:
        """Begin a session by the password of a stamp; nothing of the one before stays."""
        session.clear()
        ends = int(time()) + HOURS * 3600
        session.update({"in": secrets.token_urlsafe(16), "until": ends, "password": password})

    def let_out(self, session: dict[str, Any]) -> None:
        """End a session for good."""
        self._over.add(session.get("in", ""))
        session.clear()


class Doorkeeper:
    """Sends whoever is not in to the login; stands behind the middleware of sessions."""

    def __init__(self, app: ASGIApp, entry: Entry) -> None:
        self._app = app
        self._entry = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with the way to the login."""
        refused = await self._refusal(Request(scope))
        await (refused or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """Return what is said to one who is not in; None to one who is."""
        path, headers = request.scope["path"], request.headers
        if path.startswith(_OPEN) or self._entry.is_in(request):
            return None
        kind, _, words = headers.get("authorization", "").partition(" ")
        if path == FIGURES and kind.lower() == "bearer":
            return await self._unfit(words.strip(), request)
        if request.method == "GET" and headers.get("accept", "").startswith("text/html"):
            return RedirectResponse("/login", SEE_OTHER)
        return PlainTextResponse("drawcli: log in first\n", 401)

    async def _unfit(self, words: str, request: Request) -> Response | None:
        """Return what is said to a program that asks with another token; None where it is ours.

        It is counted by itself: one that was not told of a new password shuts no person out, and
        one that is right makes nobody's wrong ones forgotten.
        """
        waits = await self._entry.tried(words, address_of(request) + FIGURES)
        if waits is None:
            return None
        headers = {"retry-after": str(ceil(waits))} if waits else {"www-authenticate": "Bearer"}
        return PlainTextResponse("drawcli: not the token\n", 429 if waits else 401, headers)


def form_token(request: Request) -> str:
    """Return what proves that a form came from a page of this session."""
    return str(request.session.setdefault(FIELD, secrets.token_urlsafe(24)))


async def own_form(request: Request) -> FormData:
    """Return a form that a person sent; 403 where it did not come from a page of this session."""
    form = await request.form(max_files=0)
    wanted, given = request.session.get(FIELD), form.get(FIELD)
    right = isinstance(wanted, str) and isinstance(given, str)
    if not right or not secrets.compare_digest(str(wanted).encode(), str(given).encode()):
        raise HTTPException(403, "The form is too old, or came from another page. Open it again.")
    return form


async def tried(request: Request, entry: Entry) -> float | None:
    """Look at the password of a form, and let its sender in.

    Returns
    -------
    None where it is right; else how long to wait before the next try, s.
    """
    form = await own_form(request)
    password = entry.secret.stamp  # as it was before: one that comes meanwhile ends this session
    waits = await entry.tried(str(form.get("password", "")), address_of(request))
    if waits is None:
        entry.let_in(request.session, password)
        _log.info("login=good address=%s", address_of(request))
    return waits


def address_of(connection: HTTPConnection) -> str:
    """Return from which machine somebody asks."""
    return connection.client.host if connection.client else ""
