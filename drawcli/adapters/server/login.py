"""The login of a run: its token pair, renewed by the clock and on a 401, by one at a time."""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import httpx

from drawcli.adapters.server.responses import (
    NO_SUCH_ENDPOINT,
    PROXY_ASKS,
    TRY_LATER,
    checked_response,
    oddities_named,
    plain_json,
    transport_named,
)
from drawcli.adapters.server.token_store import TokenStore
from drawcli.adapters.server.transfer import headed, whole
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import RENEWAL, ConfigError, ServerRefused, ServerUnavailable
from drawcli.system.limits import EXCHANGES
from drawcli.system.pacing import Deadline, with_deadline

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site

_OLD_REFRESH: Final = "/auth/refresh"
_SAYS_NOTHING: Final = NO_SUCH_ENDPOINT | TRY_LATER | {PROXY_ASKS}  # of the refresh token
_ONE_WORD: Final = re.compile(r"[\x21-\x7e]{1,65536}")  # what can stand in a header


class Login:
    """The token pair in use; several threads of a run, and several processes, may share it."""

    def __init__(
        self, client: httpx.Client, site: "Site", store: TokenStore, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._site = site
        self._store = store
        self._now = now
        self._one_at_a_time = Lock()
        self._failed: ServerUnavailable | None = None  # the last refresh
        store.settle()
        self.tokens = store.read()

    def keep_fresh(self) -> None:
        """Renew the pair where the clock says that it is time."""
        tokens = self.tokens
        if tokens.refresh and self._store.can_renew and tokens.is_stale(self._now()):
            self.renew(tokens)

    def renew(self, refused: Tokens) -> None:
        """Get a new pair in place of one, and have it on disk before it is used.

        Another thread or process may have done it: then its pair is taken. Where another thread has
        tried meanwhile, and got no pair, this one would wait as long for nothing.

        Raises
        ------
        ServerRefused
            Where there is no way to another pair.
        ServerUnavailable
            Where there is none now: whatever needed the token was not taken.
        """
        failed_before = self._failed
        with self._one_at_a_time:
            if self._failed is not failed_before and self._failed is not None:
                raise _again(self._failed)
            with self._store.locked():
                self._renew(refused)

    def _renew(self, refused: Tokens) -> None:
        stored = self._store.read()
        if stored.access == refused.access:
            try:
                with _renewal_named():
                    stored = self._exchanged(stored)
            except ServerUnavailable as err:
                self._failed = err
                raise
            self._store.write(stored)
        self.tokens = stored

    def _exchanged(self, old: Tokens) -> Tokens:
        if not old.refresh or not self._store.can_renew:
            raise ServerRefused(
                "the server refuses the access token, and there is no other",
                hint=self._store.no_other,
            )
        unanswered = self._store.exchanging.begun(old)
        self._store.begin_exchange(old, self._now())
        try:
            answer = self._answer_to(old)
        except ServerUnavailable as err:
            if err.code == "server-down" and unanswered is None:  # nothing has left this machine
                self._store.exchanging.end()
            raise
        if answer.is_client_error and unanswered is None:  # nothing was exchanged
            self._store.exchanging.end()
        if answer.is_client_error and answer.status_code not in _SAYS_NOTHING:
            raise _refusal(answer.status_code, unanswered)
        new = _pair_in(_plain(checked_response(answer, "refresh")), old, self._now())
        if new is None:
            raise ServerUnavailable("the answer to a token refresh holds no token")
        return new

    def _answer_to(self, old: Tokens) -> httpx.Response:
        with transport_named("refresh"):
            answer = self._ask(self._site.path_of("refresh"), old)
            if answer.status_code in NO_SUCH_ENDPOINT:
                answer = self._ask(_OLD_REFRESH, old)
        return answer

    def _ask(self, path: str, old: Tokens) -> httpx.Response:
        body = {"client_id": self._site.client_id} if path == _OLD_REFRESH else None
        request = self._client.build_request("POST", self._site.url.rstrip("/") + path, json=body)

        def ask() -> httpx.Response:
            kept = _Kept(old, self._keep)
            with oddities_named():
                self._client.send(request, auth=kept, stream=True)
            return kept.answer

        deadline = Deadline.of(self._site.timeout_seconds)
        return with_deadline(deadline, ask, httpx.Response.close)

    def _keep(self, answer: httpx.Response, old: Tokens) -> None:
        """Put the new pair on disk if an answer holds one; any other is judged later.

        An answer may come when nobody waits for it any more: its pair is the only good one.
        """
        new = _pair_in(_plain(answer), old, self._now()) if answer.is_success else None
        if new is not None and self._store.exchanging.begun(old) is not None:
            self._store.exchanging.keep(new)


class _Kept(httpx.Auth):
    """Shows the refresh token, and has the answer read and kept before anything else is done."""

    answer: httpx.Response

    def __init__(self, old: Tokens, keep: Callable[[httpx.Response, Tokens], None]) -> None:
        self._old = old
        self._keep = keep

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send once."""
        request.headers["authorization"] = f"Bearer {self._old.refresh}"
        answer = yield request
        most = EXCHANGES["refresh"].largest
        self.answer = whole(answer, most) if answer.is_success else headed(answer)
        self._keep(self.answer, self._old)


def _plain(answer: httpx.Response) -> Any:
    """Return what an answer to a refresh holds; a pair must not be lost over a key said twice."""
    return plain_json(answer.content, strict=False)


@contextmanager
def _renewal_named() -> Iterator[None]:
    """Tell trouble with a refresh from trouble with the request that needed it."""
    try:
        yield
    except ServerUnavailable as err:
        text = f"the tokens could not be renewed: {err}"
        raise ServerUnavailable(text, code=RENEWAL, wait_seconds=err.wait_seconds) from None
    except ConfigError as err:
        code = RENEWAL if err.code == "endpoint" else err.code
        raise ConfigError(str(err), code=code, hint=err.hint) from None


def _again(err: ServerUnavailable) -> ServerUnavailable:
    return ServerUnavailable(str(err), code=err.code, wait_seconds=err.wait_seconds)


def _refusal(code: int, unanswered: datetime | None) -> ServerRefused:
    """Return what a refused refresh token means: it was never good, or its heir was lost."""
    if unanswered is None:
        return ServerRefused(f"the server refuses to refresh the token: {code}")
    return ServerRefused(
        f"the server refuses to refresh the token: {code}. A refresh that was begun on "
        f"{unanswered:%Y-%m-%d at %H:%M} UTC got no answer: most likely the server exchanged the "
        "tokens then, and the new ones were lost on the way",
        code="token-lost",
        hint="Ask the DRAW administrator for a new token pair, then run 'drawcli token set'. "
        "Every job waits, untouched.",
    )


def _pair_in(plain: Any, old: Tokens, now: datetime) -> Tokens | None:
    """Return the new pair that an answer holds, None where it holds none."""
    if not isinstance(plain, dict) or not _is_word(plain.get("access_token")):
        return None
    if plain.get("refresh_token") and not _is_word(plain["refresh_token"]):
        return None
    return old.after_refresh(plain, now)


def _is_word(token: object) -> bool:
    return isinstance(token, str) and bool(_ONE_WORD.fullmatch(token))
