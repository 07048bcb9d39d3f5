"""Login at the identity provider of the site: authorization code with PKCE, state and nonce.

The session cookie is not sent when a browser comes back from another site (SameSite=Strict). So a
login under way has a cookie of its own, SameSite=Lax, for ten minutes, with one random value, from
which state, nonce and verifier are derived with a key of this process: nothing is stored until
somebody has logged in, and nobody can make a value with its state. Each serves once.
"""

import hashlib
import hmac
import re
import secrets
from asyncio import Semaphore
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.identity_provider.id_token import LoginRefused
from drawcli.adapters.identity_provider.provider import IdentityProvider, LoginRequest, SignedOn
from drawcli.adapters.state.page_users import user_name
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from drawcli.config.sections_login import SingleSignOn

START_PATH: Final = "/login/start"
ANSWER_PATH: Final = "/login/answer"
_COOKIE: Final = "drawcli-login-"  # and the port
_SECONDS: Final = 600
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{22}\.([0-9]{1,12})")
_ERROR: Final = re.compile(r"[a-z_]{1,40}")
_LONGEST_CODE: Final = 3072
_MOST_USED: Final = 5000
_AT_ONCE: Final = 3  # requests that keep a thread of the page


class Entrant(NamedTuple):
    """Somebody whom the provider has logged in."""

    name: str
    roles: frozenset[str]


class SingleSignOnLogin:
    """The logins at the identity provider that are under way."""

    def __init__(self, settings: "SingleSignOn") -> None:
        self.settings = settings
        self.provider = IdentityProvider(settings)
        self._key = secrets.token_bytes(32)
        self.turn = Semaphore(_AT_ONCE)  # for who waits for the provider
        self._lock = Lock()
        self._used: OrderedDict[str, None] = OrderedDict()

    def start(self, request: Request) -> tuple[str, str]:
        """Return the address at the provider, and the value of the cookie."""
        head = f"{secrets.token_urlsafe(16)}.{int(time())}"
        return self.provider.address(self._login(request, head)), head

    def set_cookie(self, request: Request, answer: Response, value: str) -> None:
        """Set the cookie of a login under way; an empty value ends it."""
        answer.set_cookie(
            _cookie_of(request),
            value,
            max_age=_SECONDS if value else 0,
            path="/login",
            secure=request.app.state.parts.options.over_tls,
            httponly=True,
            samesite="lax",
        )

    def check(self, request: Request) -> str:
        """Return the id of the login that an answer belongs to, which it uses up.

        Raises
        ------
        LoginRefused
            If it belongs to none of this browser, or to one that is over.
        """
        head = request.cookies.get(_cookie_of(request), "")
        match = _VALUE.fullmatch(head)
        if match is None:
            raise LoginRefused("this login was not begun in this browser, or is over")
        given = request.query_params.get("state", "")
        if not hmac.compare_digest(self._derived("state", head).encode(), given.encode()):
            raise LoginRefused("the answer belongs to another login")
        if not 0 <= time() - int(match[1]) <= _SECONDS:
            raise LoginRefused("the login took longer than ten minutes")
        with self._lock:
            if head in self._used:
                raise LoginRefused("this answer has been used already")
            self._used[head] = None
            while len(self._used) > _MOST_USED:
                self._used.popitem(last=False)
        return head

    def entrant(self, request: Request, head: str) -> Entrant:
        """Return who has logged in, by the code of an answer.

        Raises
        ------
        LoginRefused
            If the provider has let nobody in, or somebody without a role here.
        OutOfReach, ConfigError
            If the provider cannot be used.
        """
        query = request.query_params
        self.provider.check_issuer(query.get("iss"))
        error, code = query.get("error"), query.get("code", "")
        if error is not None:
            said = error if _ERROR.fullmatch(error) else "an error"
            raise LoginRefused(f"the identity provider refused the login ({said})")
        if not code or len(code) > _LONGEST_CODE:
            raise LoginRefused("the answer has no code")
        signed_on = self.provider.user_of(code, self._login(request, head), datetime.now(UTC))
        return Entrant(_name(signed_on), self._roles(signed_on.groups))

    def _roles(self, groups: Iterable[str]) -> frozenset[str]:
        found = {role for group in groups for role in self.settings.roles.get(group, ())}
        if not found:
            raise LoginRefused(
                "none of the groups of your account has a role here",
                hint="oidc.roles maps groups to roles; the administrator of drawcli can add yours.",
            )
        return frozenset(found | {"view"})

    def _login(self, request: Request, head: str) -> LoginRequest:
        options = request.app.state.parts.options
        by_tls = request.headers.get("x-forwarded-proto", "").strip().lower() == "https"
        scheme = "https" if options.over_tls or by_tls else "http"
        verifier = self._derived("verifier", head)
        return LoginRequest(
            redirect_uri=f"{scheme}://{request.headers['host']}{ANSWER_PATH}",
            state=self._derived("state", head),
            nonce=self._derived("nonce", head),
            verifier=verifier,
            challenge=_base64(hashlib.sha256(verifier.encode()).digest()),
        )

    def _derived(self, what: str, head: str) -> str:
        return _base64(hmac.new(self._key, f"{what} {head}".encode(), "sha256").digest())


def _name(signed_on: SignedOn) -> str:
    try:
        return user_name(signed_on.name)
    except UsageError as err:
        raise LoginRefused(f"your name at the identity provider cannot be used: {err}") from None


def _cookie_of(request: Request) -> str:
    return f"{_COOKIE}{request.app.state.parts.options.port}"


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
