"""Login, the user of a request, and CSRF tokens of forms.

The id of a session is in a signed cookie, whose key is new at each start.
"""

import logging
import secrets
from asyncio import Lock, sleep
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from drawcli.adapters.identity_provider.id_token import LoginRefused
from drawcli.dashboard.access.addresses import client_of
from drawcli.dashboard.access.devices import Devices
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.rate_limit import (
    LoginCounter,
    LoginLimiter,
    device_counters,
    network_counters,
    user_counters,
)
from drawcli.dashboard.access.rights import Right, Visitor
from drawcli.dashboard.access.sessions import Session, SessionLimits, Sessions
from drawcli.dashboard.access.single_sign_on import SingleSignOnLogin
from drawcli.dashboard.access.users import Users, login_name, rights_of
from drawcli.errors import ConfigError, DrawcliError

_log = logging.getLogger(__name__)
CSRF_FIELD: Final = "csrf"
_SESSION: Final = "in"  # in the cookie: the id of the session
SEE_OTHER: Final = 303
_BUSY: Final = "The password was not checked: too many attempts from this network are waiting."
_SLOW: Final = "After several wrong passwords, the next one is checked in"
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

    def trouble(self, *, named: bool) -> str:
        """Return what the login form says; it never tells whether there is such a user."""
        wrong = "Wrong user or password." if named else "Wrong password."
        said = wrong if self.checked else _BUSY
        return f"{said} {_SLOW} {ceil(self.wait_seconds)} s." if self.wait_seconds else said

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers."""
        return {"retry-after": str(ceil(self.wait_seconds))} if self.wait_seconds else {}


class Authenticator:
    """Checks passwords and sessions.

    Parameters
    ----------
    secret
        The password or token; until there is one, or a user, everybody on this machine can read the
        page.
    users
        Users with a name; if there are any, the password of the page logs nobody in.
    limits
        How long sessions last.
    single_sign_on
        Logins at the identity provider of the site, if it has one.
    """

    def __init__(
        self,
        secret: Secret,
        users: Users,
        limits: SessionLimits,
        single_sign_on: SingleSignOnLogin | None = None,
    ) -> None:
        self.secret = secret
        self.users = users
        self.single_sign_on = single_sign_on
        self._asked = self._has_login
        self.attempts = LoginLimiter()
        self.devices = Devices(lambda: self.users.key if self.asks_name else self.secret.key)
        self.sessions = Sessions(limits)
        self._turn = Lock()  # one attempt at a time, so that parallel ones are counted too

    @property
    def _has_login(self) -> bool:
        return self.secret.is_set or self.asks_name

    @property
    def requires_login(self) -> bool:
        """Whether a login is needed: there is a password or user, or there was one at the start."""
        return self._asked or self._has_login

    @property
    def asks_name(self) -> bool:
        """Whether users have names; the password of the page logs nobody in then."""
        return self.users.exist or self.single_sign_on is not None

    @property
    def takes_passwords(self) -> bool:
        """Whether somebody can log in with a password."""
        return self.users.exist or self.single_sign_on is None

    def session(self, connection: HTTPConnection) -> Session | None:
        """Return the valid session of a request."""
        found = self.sessions.get(str(connection.session.get(_SESSION, "")))
        return found if found is not None and self.is_valid(found) else None

    def is_valid(self, session: Session) -> bool:
        """Return whether the user of a session is still what it was at the login."""
        return session.stamp == self.stamp(session.user, by_file=session.roles is None)

    def stamp(self, user: str, *, by_file: bool = True) -> str | None:
        """Return what changes when the sessions of a user end; None: there is no such user."""
        if not user:
            return None if self.asks_name or not self.secret.is_set else self.secret.stamp
        is_local = self.users.get(user) is not None
        return self.users.session_key(user) if is_local is by_file else None

    def visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Return the user of a request with the present rights; None without a needed login."""
        allowed: frozenset[Right] = connection.app.state.parts.options.rights
        if not self.requires_login:
            return Visitor("", allowed)
        session = self.session(connection)
        if session is None:
            return None
        if not session.user:
            return Visitor("", allowed)
        user, roles = self.users.get(session.user), session.roles
        if roles is None:
            roles = frozenset() if user is None else user.roles
        return Visitor(session.user, allowed & rights_of(roles))

    def is_logged_in(self, connection: HTTPConnection) -> bool:
        """Return whether the session has logged in, or needs no login."""
        return self.visitor(connection) is not None

    async def check_password(
        self, user: str | None, words: str, counted: Sequence[LoginCounter], address: str
    ) -> Refusal | None:
        """Check a password after its wait; return None if it is right.

        Parameters
        ----------
        user
            The name; None: the password of the page is checked.
        words, counted, address
            The password, whose attempts are counted with it, and where it comes from.

        Raises
        ------
        ConfigError
            Where the stored password cannot be trusted; the log has the reason.
        """
        refusal = await self.reserve_attempt(counted)
        if refusal is not None:
            return refusal
        async with self._turn:
            if await run_in_threadpool(self._fits, user, words):
                self.attempts.record_success(counted)
                return None
        wait = self.attempts.wait_seconds(counted)
        _log.warning("login=refused address=%s wait_seconds=%.0f", address, wait)
        return Refusal(wait)

    async def reserve_attempt(self, counted: Sequence[LoginCounter]) -> Refusal | None:
        """Wait for the turn of an attempt, which counts as wrong; a refusal if too many wait."""
        wait = self.attempts.reserve(counted)  # counts even if the client disconnects
        if wait == inf:
            return Refusal(max(self.attempts.wait_seconds(counted), 1.0), checked=False)
        await sleep(wait)
        return None

    def _fits(self, user: str | None, words: str) -> bool:
        try:
            return self.secret.verify(words) if user is None else self.users.verify(user, words)
        except ConfigError as err:
            _log.warning("login=impossible reason=%s hint=%s", err, err.hint)
            raise ConfigError("passwords cannot be checked now", hint=_SEE_LOG) from None

    def start_session(self, request: Request, session: Session) -> None:
        """Start a session with a new id; nothing of an earlier one is kept."""
        request.session.clear()
        request.session[_SESSION] = self.sessions.start(session).id
        who = f"user={session.user} " if session.user else ""
        _log.info("login=good %saddress=%s", who, session.address)

    def remember(self, request: Request, answer: Response) -> None:
        """Mark a browser in which somebody has just logged in with a password."""
        session = self.session(request)
        if session is not None:
            secure = request.app.state.parts.options.over_tls
            self.devices.remember(request, answer, session.user, secure=secure)

    def note_use(self, connection: HTTPConnection) -> None:
        """Note that the user of a request is not away."""
        session = self.session(connection)
        if session is not None:
            self.sessions.use(session)

    def end_session(self, session: dict[str, Any]) -> None:
        """End a session; its cookie is no longer accepted."""
        self.sessions.end(str(session.get(_SESSION, "")))
        session.clear()


def form_token(request: Request) -> str:
    """Return the CSRF token of this session."""
    return str(request.session.setdefault(CSRF_FIELD, secrets.token_urlsafe(24)))


async def verified_form(request: Request, most_fields: int = 1000) -> FormData:
    """Return the form of a request; 403 without the CSRF token of this session."""
    try:
        form = await request.form(max_files=0, max_fields=most_fields)
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
    named = entry.asks_name
    user = login_name(str(form.get("user", ""))) if named else ""
    stamp = entry.stamp(user)  # before the check: a new password meanwhile ends this session
    device = entry.devices.number_of(request, user)
    network = (*network_counters(address), *user_counters(user))
    refusal = await entry.check_password(
        user if named else None,
        str(form.get("password", "")),
        device_counters(device) if device else network,
        address,
    )
    if refusal is None:
        entry.start_session(request, Session(user=user, stamp=stamp or "", address=address))
    return refusal


async def sign_on(request: Request, entry: Authenticator, login: SingleSignOnLogin) -> str:
    """Start the session of who comes back from the identity provider; return the name.

    Raises
    ------
    LoginRefused
        If nobody is let in; the log has the reason.
    """
    address = address_of(request)
    counted = network_counters(address, "sign-on ")
    try:
        head = login.check(request)
        refusal = await entry.reserve_attempt(counted)
        if refusal is not None:
            raise LoginRefused(refusal.trouble(named=True))
        async with login.turn:
            entrant = await run_in_threadpool(login.entrant, request, head)
        stamp = entry.stamp(entrant.name, by_file=False)
        if stamp is None:
            raise LoginRefused("your name is also that of a user with a password here")
    except DrawcliError as err:
        _log.warning("login=refused address=%s reason=%s", address, err)
        raise
    entry.attempts.record_success(counted)
    session = Session(user=entrant.name, stamp=stamp, roles=entrant.roles, address=address)
    entry.start_session(request, session)
    return entrant.name


def address_of(connection: HTTPConnection) -> str:
    """Return the address of the client."""
    return client_of(connection.scope, connection.app.state.parts.options.proxies)
