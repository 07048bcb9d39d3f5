"""The DRAW server: every request of the protocol, and every way to fail as an error of ours."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import quote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from drawcli import __version__
from drawcli.core.task import TaskState, TaskStatus, status_of
from drawcli.core.tokens import Tokens
from drawcli.errors import (
    BadStructureSet,
    ConfigError,
    RequestRefused,
    ServerRefused,
    ServerUnavailable,
)
from drawcli.files import CHUNK, fresh_file

_TRY_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_SUCH_ENDPOINT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
_SHORT_TRIES: Final = 3  # within one run, for requests that are safe to repeat
_CONNECT_SECONDS: Final = 10.0
_SLOWEST_BYTES_PER_SECOND: Final = 250_000  # the patience for an upload grows with its size
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_RTSTRUCT: Final = 1 << 30  # bytes
_OLD_REFRESH: Final = "/auth/refresh"
_LONGEST_WORDS: Final = 200


class Site(Protocol):
    """What the settings say of the server."""

    @property
    def url(self) -> str:
        """The base of every path."""

    @property
    def client_id(self) -> str:
        """The site's name, or ""."""

    @property
    def timeout_seconds(self) -> float:
        """For one request, without the time that its body takes."""

    @property
    def allow_http(self) -> bool:
        """Whether the token may travel in the clear to another machine."""

    def path_of(self, endpoint: str) -> str:
        """Return the path of an endpoint."""


class TokenStore(Protocol):
    """Where the token pair lies."""

    def read(self) -> Tokens:
        """Return the pair."""

    def write(self, tokens: Tokens) -> None:
        """Replace the pair; durable when this returns."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from refreshing at the same time."""


class DrawServer:
    """The DRAW server, one connection for a whole run."""

    def __init__(
        self, client: httpx.Client, site: Site, store: TokenStore, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._site = site
        self._store = store
        self._now = now
        self._tokens = store.read()
        self.pause: Callable[[float], None] = time.sleep

    @classmethod
    @contextmanager
    def opened(cls, site: Site, store: TokenStore, now: Callable[[], datetime]) -> Iterator[Self]:
        """Read the tokens and make a client; nothing is sent yet.

        Raises
        ------
        ConfigError
            Where the URL would send the token in the clear, or there is no token.
        """
        parts = urlsplit(site.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("server.url is no http or https address")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not site.allow_http:
            raise ConfigError(
                "server.url is plain http: the token would travel in the clear",
                hint="Use https, or set server.allow_http: true if the way is safe otherwise.",
            )
        timeout = httpx.Timeout(
            site.timeout_seconds, connect=min(_CONNECT_SECONDS, site.timeout_seconds)
        )
        agent = {"user-agent": f"drawcli/{__version__}"}
        with httpx.Client(timeout=timeout, headers=agent) as client:
            yield cls(client, site, store, now)

    def check_ready(self) -> None:
        """Ask whether uploads are welcome; raise ServerUnavailable where they are not."""
        self._asked("GET", "health", old_path=self._site.path_of("health").rstrip("/") + "/")

    def upload(self, package: Path, *, name: str, sha256: str) -> str:
        """Send a package from disk; return the server's task id.

        Not repeated by itself: if the answer is lost, the caller has recorded the attempt.
        """
        size = package.stat().st_size
        patience = self._site.timeout_seconds + size / _SLOWEST_BYTES_PER_SECOND
        fields = {"checksum": sha256}
        if self._site.client_id:
            fields["client_id"] = self._site.client_id

        def send(tokens: Tokens) -> httpx.Response:
            with package.open("rb") as stream:
                return self._client.post(
                    self._url("upload"),
                    headers=_bearer(tokens.access) | {"idempotency-key": sha256},
                    files={"file": (name, stream, "application/zip")},
                    data=fields,
                    timeout=httpx.Timeout(patience, connect=_CONNECT_SECONDS),
                )

        answer = _judged(self._with_token(send), "upload")
        plain = _json_object(answer, "upload")
        task_id = plain.get("task_id") or plain.get("transaction_token")
        if not isinstance(task_id, str | int) or not str(task_id).strip():
            raise ServerUnavailable("the answer to the upload names no task")
        return str(task_id).strip()

    def status(self, task_id: str) -> TaskStatus:
        """Ask how a task fares."""
        answer = self._asked("GET", "status", task_id=task_id, unknown_is_answer=True)
        if answer.status_code in _NO_SUCH_ENDPOINT:
            return TaskStatus(TaskState.UNKNOWN)
        return status_of(_json_object(answer, "status"))

    def download(self, task_id: str, target: Path) -> str | None:
        """Stream the RTSTRUCT of a task into a file; return its SHA-256.

        None where the server does not know the task. The file appears under its name only when all
        of it is there and agrees with the checksum that the server sent, if it sent one.
        """
        for fresh in (False, True):
            if fresh:
                self._refresh()
            with ExitStack() as opened:
                answer = opened.enter_context(self._streamed("rtstruct", task_id))
                if answer.status_code == HTTPStatus.UNAUTHORIZED:
                    continue
                if answer.status_code in _NO_SUCH_ENDPOINT:
                    return None
                if not answer.is_success:
                    answer.read()
                return _stored(_judged(answer, "rtstruct"), target)
        raise ServerRefused("rtstruct: 401")

    def confirm(self, task_id: str, *, at: datetime) -> None:
        """Tell the server that the RTSTRUCT is safe here; it then deletes its copy.

        A 404 is success: the server has already deleted it.
        """
        body = {"task_id": task_id, "status": "received", "timestamp": at.isoformat()}
        self._asked("POST", "confirm", task_id=task_id, unknown_is_answer=True, json=body)

    def _asked(
        self,
        method: str,
        endpoint: str,
        *,
        task_id: str = "",
        unknown_is_answer: bool = False,
        old_path: str = "",
        **content: Any,
    ) -> httpx.Response:
        """Send a request that is safe to repeat, with a few short tries."""
        url = self._url(endpoint, task_id)

        def send(tokens: Tokens) -> httpx.Response:
            answer = self._client.request(method, url, headers=_bearer(tokens.access), **content)
            if answer.status_code == HTTPStatus.NOT_FOUND and old_path:
                again = self._site.url.rstrip("/") + old_path
                return self._client.request(method, again, headers=_bearer(tokens.access))
            return answer

        for attempt in Retrying(
            stop=stop_after_attempt(_SHORT_TRIES),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception(_worth_a_short_wait),
            sleep=self.pause,
            reraise=True,
        ):
            with attempt:
                answer = self._with_token(send)
                if unknown_is_answer and answer.status_code in _NO_SUCH_ENDPOINT:
                    return answer
                return _judged(answer, endpoint)
        raise ServerUnavailable(f"{endpoint}: no answer")

    @contextmanager
    def _streamed(self, endpoint: str, task_id: str) -> Iterator[httpx.Response]:
        if self._tokens.stale(self._now()):
            self._refresh()
        headers = _bearer(self._tokens.access)
        with (
            _transport_named(endpoint),
            self._client.stream("GET", self._url(endpoint, task_id), headers=headers) as answer,
        ):
            yield answer

    def _with_token(self, send: Callable[[Tokens], httpx.Response]) -> httpx.Response:
        """Send with a token that is fresh by the clock; on a 401 refresh once and repeat."""
        with _transport_named("server"):
            if self._tokens.stale(self._now()):
                self._refresh()
            answer = send(self._tokens)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self._refresh()
                answer = send(self._tokens)
        return answer

    def _refresh(self) -> None:
        """Get a new pair and have it on disk before it is used.

        Another process may have done it: then its pair is taken.
        """
        with self._store.locked():
            stored = self._store.read()
            if stored.access == self._tokens.access:
                stored = self._renewed(stored)
                self._store.write(stored)
            self._tokens = stored

    def _renewed(self, tokens: Tokens) -> Tokens:
        if not tokens.refresh:
            raise ServerRefused("the server refuses the access token, and there is no other")
        bearer = _bearer(tokens.refresh)
        answer = self._client.post(self._url("refresh"), headers=bearer)
        if answer.status_code in _NO_SUCH_ENDPOINT:
            older = self._site.url.rstrip("/") + _OLD_REFRESH
            body = {"client_id": self._site.client_id}
            answer = self._client.post(older, headers=bearer, json=body)
        if answer.is_client_error and answer.status_code not in _TRY_LATER:
            raise ServerRefused(f"the server refuses to refresh the token: {answer.status_code}")
        plain = _json_object(_judged(answer, "refresh"), "refresh")
        if not isinstance(plain.get("access_token"), str):
            raise ServerUnavailable("the answer to a token refresh holds no token")
        return tokens.renewed(plain, self._now())

    def _url(self, endpoint: str, task_id: str = "") -> str:
        path = self._site.path_of(endpoint).replace("{task_id}", quote(task_id, safe=""))
        return self._site.url.rstrip("/") + path


def _judged(answer: httpx.Response, endpoint: str) -> httpx.Response:
    """Return a good answer; turn any other into one of our errors."""
    code = answer.status_code
    what = f"{endpoint}: {code}"
    if answer.is_success:
        return answer
    if code == HTTPStatus.UNAUTHORIZED:
        raise ServerRefused(what)
    if code in _TRY_LATER or answer.is_server_error:
        busy = code == HTTPStatus.SERVICE_UNAVAILABLE
        raise ServerUnavailable(
            what, code="server-busy" if busy else None, wait_seconds=_retry_after(answer)
        )
    if answer.is_redirect or code == HTTPStatus.FORBIDDEN or code in _NO_SUCH_ENDPOINT:
        raise ConfigError(
            f"the server answers {code} at {answer.request.url.path}",
            code="endpoint",
            hint="Compare server.url and server.endpoints with what the administrator gave you.",
        )
    raise RequestRefused(f"{what}: {safe_words(answer)}")


def _stored(answer: httpx.Response, target: Path) -> str:
    """Write a body to a file as it comes; return its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with fresh_file(target) as stream:
        for piece in answer.iter_bytes(CHUNK):
            digest.update(piece)
            size += len(piece)
            if size > _LARGEST_RTSTRUCT:
                raise BadStructureSet("the download is larger than any structure set")
            stream.write(piece)
        wanted = answer.headers.get("x-file-checksum", "").strip().lower()
        if wanted and wanted != digest.hexdigest():
            raise ServerUnavailable("the download does not agree with its checksum")
    return digest.hexdigest()


def safe_words(answer: httpx.Response) -> str:
    """Return the server's own words: one line, printable, cut to a safe length."""
    words = " ".join(answer.text.split())
    return "".join(char for char in words if char.isprintable())[:_LONGEST_WORDS]


def _json_object(answer: httpx.Response, endpoint: str) -> dict[str, Any]:
    try:
        plain = answer.json()
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        raise ServerUnavailable(f"{endpoint}: an answer without JSON; is a proxy in the way?")
    return plain


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _worth_a_short_wait(err: BaseException) -> bool:
    return isinstance(err, ServerUnavailable) and err.wait_seconds is None


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@contextmanager
def _transport_named(endpoint: str) -> Iterator[None]:
    """Turn what the network does into one of our errors; its text may hold addresses."""
    try:
        yield
    except httpx.TransportError as err:
        down = isinstance(err, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
        code = "server-down" if down else "server-lost"
        raise ServerUnavailable(f"{endpoint}: {type(err).__name__}", code=code) from None
    except httpx.HTTPError as err:
        raise ServerUnavailable(f"{endpoint}: {type(err).__name__}") from None
