"""The token pair of a run, renewed when it expires and on a 401, by one thread at a time."""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import httpx

from drawcli.adapters.server.responses import (
    NO_SUCH_ENDPOINT,
    PROXY_ASKS,
    TRY_LATER,
    check_response,
    convert_http2_errors,
    convert_transport_errors,
    plain_json,
)
from drawcli.adapters.server.token_store import TokenStore
from drawcli.adapters.server.transfer import drop_body, read_body
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import RENEWAL, ConfigError, ServerRefused, ServerUnavailable
from drawcli.system.limits import EXCHANGES
from drawcli.system.pacing import Deadline, with_deadline

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site

_OLD_REFRESH: Final = "/auth/refresh"
_SAYS_NOTHING: Final = NO_SUCH_ENDPOINT | TRY_LATER | {PROXY_ASKS}  # of the refresh token
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}")  # valid in a header


class Login:
    """The token pair in use. Thread-safe; several processes may share the pair."""

    def __init__(
        self, client: httpx.Client, site: "Site", store: TokenStore, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._site = site
        self._store = store
        self._now = now
        self._lock = Lock()
        self._failed: ServerUnavailable | None = None  # error of the last refresh
        store.recover()
        self.tokens = store.read()

    def keep_fresh(self) -> None:
        """Renew the pair if the access token has expired."""
        tokens = self.tokens
        if tokens.refresh and self._store.can_renew and tokens.is_stale(self._now()):
            self.renew(tokens)

    def renew(self, refused: Tokens) -> None:
        """Replace a refused pair by a new one, which is on disk before it is used.

        If another thread or process has renewed it, its pair is used. If another thread has failed
        meanwhile, its error is raised again: a second try would take as long.

        Raises
        ------
        ServerRefused
            If the pair cannot be renewed.
        ServerUnavailable
            If it cannot be renewed now.
        """
        failed_before = self._failed
        with self._lock:
            if self._failed is not failed_before and self._failed is not None:
                raise _copy(self._failed)
            with self._store.locked():
                self._renew(refused)

    def _renew(self, refused: Tokens) -> None:
        stored = self._store.read()
        if stored.access == refused.access:
            try:
                with _convert_renewal_errors():
                    stored = self._exchange(stored)
            except ServerUnavailable as err:
                self._failed = err
                raise
            self._store.write(stored)
        self.tokens = stored

    def _exchange(self, old: Tokens) -> Tokens:
        if not old.refresh or not self._store.can_renew:
            raise ServerRefused(
                "the server refuses the access token, and there is no other",
                hint=self._store.no_other,
            )
        unanswered = self._store.pending.begun(old)
        self._store.begin_exchange(old, self._now())
        try:
            answer = self._refresh(old)
        except ServerUnavailable as err:
            if err.code == "server-down" and unanswered is None:  # nothing was sent
                self._store.pending.end()
            raise
        is_unchanged = (
            answer.is_client_error or answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        )
        if is_unchanged and unanswered is None:  # nothing was exchanged
            self._store.pending.end()
        if answer.is_client_error and answer.status_code not in _SAYS_NOTHING:
            raise _refusal(answer.status_code, unanswered)
        new = _pair_in(_plain(check_response(answer, "refresh")), old, self._now())
        if new is None:
            raise ServerUnavailable("the answer to a token refresh holds no token")
        return new

    def _refresh(self, old: Tokens) -> httpx.Response:
        with convert_transport_errors("refresh"):
            answer = self._request(self._site.path_of("refresh"), old)
            if answer.status_code in NO_SUCH_ENDPOINT:
                answer = self._request(_OLD_REFRESH, old)
        return answer

    def _request(self, path: str, old: Tokens) -> httpx.Response:
        body = {"client_id": self._site.client_id} if path == _OLD_REFRESH else None
        request = self._client.build_request("POST", self._site.url.rstrip("/") + path, json=body)

        def send() -> httpx.Response:
            auth = _RefreshAuth(old, self._keep)
            with convert_http2_errors():
                self._client.send(request, auth=auth, stream=True)
            return auth.answer

        deadline = Deadline.of(self._site.timeout_seconds)
        return with_deadline(deadline, send, httpx.Response.close)

    def _keep(self, answer: httpx.Response, old: Tokens) -> None:
        """Write the new pair of a response, if any, to disk.

        Also after the deadline: the pair of a late response is the only valid one.
        """
        new = _pair_in(_plain(answer), old, self._now()) if answer.is_success else None
        if new is not None and self._store.pending.begun(old) is not None:
            self._store.pending.keep(new)


class _RefreshAuth(httpx.Auth):
    """Sends the refresh token; reads and keeps the response before anything else is done."""

    answer: httpx.Response

    def __init__(self, old: Tokens, keep: Callable[[httpx.Response, Tokens], None]) -> None:
        self._old = old
        self._keep = keep

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request once."""
        request.headers["authorization"] = f"Bearer {self._old.refresh}"
        answer = yield request
        most = EXCHANGES["refresh"].largest
        self.answer = read_body(answer, most) if answer.is_success else drop_body(answer)
        self._keep(self.answer, self._old)


def _plain(answer: httpx.Response) -> Any:
    """Return the JSON of a refresh; not strict, so that no pair is lost to a duplicate key."""
    return plain_json(answer.content, strict=False)


@contextmanager
def _convert_renewal_errors() -> Iterator[None]:
    """Mark errors of a refresh, so that they differ from those of the request that needed it."""
    try:
        yield
    except ServerUnavailable as err:
        text = f"the tokens could not be renewed: {err}"
        raise ServerUnavailable(text, code=RENEWAL, wait_seconds=err.wait_seconds) from None
    except ConfigError as err:
        code = RENEWAL if err.code == "endpoint" else err.code
        raise ConfigError(str(err), code=code, hint=err.hint) from None


def _copy(err: ServerUnavailable) -> ServerUnavailable:
    return ServerUnavailable(str(err), code=err.code, wait_seconds=err.wait_seconds)


def _refusal(code: int, unanswered: datetime | None) -> ServerRefused:
    """Return the error: it was never valid, or the pair that replaced it was lost."""
    if unanswered is None:
        return ServerRefused(f"the server refuses to refresh the token: {code}")
    return ServerRefused(
        f"the server refuses to refresh the token: {code}. A refresh that was begun on "
        f"{unanswered:%Y-%m-%d at %H:%M} UTC got no answer: the server has probably exchanged the "
        "tokens, and its answer was lost",
        code="token-lost",
        hint="Ask the DRAW administrator for a new token pair, then run 'drawcli token set'. "
        "The jobs wait meanwhile.",
    )


def _pair_in(plain: Any, old: Tokens, now: datetime) -> Tokens | None:
    """Return the new pair in the JSON of a response; None if there is none."""
    if not isinstance(plain, dict) or not _is_token(plain.get("access_token")):
        return None
    if plain.get("refresh_token") and not _is_token(plain["refresh_token"]):
        return None
    return old.after_refresh(plain, now)


def _is_token(token: object) -> bool:
    return isinstance(token, str) and bool(_TOKEN.fullmatch(token))
