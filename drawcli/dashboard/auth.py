"""Who may come in: the login, the session in a signed cookie, the tokens of forms and programs.

The cookie's key is made anew at each start: a restart ends all sessions. So does a new password. A
session that was logged out is remembered as over, for the cookie itself would still be good.
"""

import logging
import secrets
from asyncio import Lock, sleep
from collections.abc import Sequence
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

from drawcli.dashboard.addresses import client_of
from drawcli.dashboard.devices import Devices
from drawcli.dashboard.password import Secret
from drawcli.dashboard.rate_limit import Attempts, LoginCounter, by_device, by_network
from drawcli.errors import ConfigError

_log = logging.getLogger(__name__)
HOURS: Final = 12  # of a login
FIELD: Final = "csrf"
FIGURES: Final = "/metrics"  # the one address that a token in the request opens
_OPEN: Final = ("/login", "/static/")
SEE_OTHER: Final = 303
_LOOK: Final = "The log of drawcli, on the machine of the page, says why and what to do."


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a password lets nobody in."""

    wait_seconds: float  # of the next one
    looked_at: bool = True  # else too many were waiting for their turn

    @property
    def status(self) -> int:
        """The status of the answer."""
        return 429 if self.wait_seconds else 401

    @property
    def headers(self) -> dict[str, str]:
        """What a program is told."""
        return {"retry-after": str(ceil(self.wait_seconds))} if self.wait_seconds else {}


class Authenticator:
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
        self.devices = Devices(secret)
        self._over: set[str] = set()
        self._turn = Lock()  # one try at a time: also those made at once are counted

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

    async def tried(
        self, words: str, counted: Sequence[LoginCounter], address: str
    ) -> Refusal | None:
        """Look at a password when it has its turn; None where it is right.

        Raises
        ------
        ConfigError
            Where the stored password cannot be trusted; what is wrong is in the log.
        """
        wait = self.attempts.turn(counted)  # counted at once, also where it is broken off
        if wait == inf:
            return Refusal(max(self.attempts.wait_seconds(counted), 1.0), looked_at=False)
        await sleep(wait)
        async with self._turn:
            if await run_in_threadpool(self._fits, words):
                self.attempts.was_right(counted)
                return None
        wait = self.attempts.wait_seconds(counted)
        _log.warning("login=refused address=%s wait_seconds=%.0f", address, wait)
        return Refusal(wait)

    def _fits(self, words: str) -> bool:
        try:
            return self.secret.fits(words)
        except ConfigError as err:
            _log.warning("login=impossible reason=%s hint=%s", err, err.hint)
            raise ConfigError("no password can be looked at now", hint=_LOOK) from None

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

    def __init__(self, app: ASGIApp, entry: Authenticator) -> None:
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

        It is counted by itself: one that was not told of a new password slows no person down, and
        one that is right makes nobody's wrong ones forgotten.
        """
        address = address_of(request)
        refusal = await self._entry.tried(words, by_network(address, "program "), address)
        if refusal is None:
            return None
        headers = refusal.headers or {"www-authenticate": "Bearer"}
        return PlainTextResponse("drawcli: not the token\n", refusal.status, headers)


def form_token(request: Request) -> str:
    """Return what proves that a form came from a page of this session."""
    return str(request.session.setdefault(FIELD, secrets.token_urlsafe(24)))


async def own_form(request: Request) -> FormData:
    """Return a form that a person sent; 403 where it did not come from a page of this session."""
    try:
        form = await request.form(max_files=0)
        "".join(f"{name}{value}" for name, value in form.multi_items()).encode("utf-8")
    except ClientDisconnect:
        raise HTTPException(408, "The form did not come to its end.") from None
    except (ValueError, LookupError):  # no text: an odd charset, half of a character
        raise HTTPException(400, "The form cannot be read.") from None
    wanted, given = request.session.get(FIELD), form.get(FIELD)
    right = isinstance(wanted, str) and isinstance(given, str)
    if not right or not secrets.compare_digest(str(wanted).encode(), str(given).encode()):
        raise HTTPException(403, "The form is too old, or came from another page. Open it again.")
    return form


async def tried(request: Request, entry: Authenticator) -> Refusal | None:
    """Look at the password of a form, and let its sender in; None where it is right."""
    form = await own_form(request)
    address = address_of(request)
    password = entry.secret.stamp  # as it was before: one that comes meanwhile ends this session
    device = entry.devices.known(request)
    counted = by_device(device) if device else by_network(address)
    refusal = await entry.tried(str(form.get("password", "")), counted, address)
    if refusal is None:
        entry.let_in(request.session, password)
        _log.info("login=good address=%s", address)
    return refusal


def address_of(connection: HTTPConnection) -> str:
    """Return from which machine somebody asks."""
    return client_of(connection.scope, connection.app.state.parts.options.proxies)
