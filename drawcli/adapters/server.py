"""The DRAW server: every request of the protocol, and every way to fail as an error of ours."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from drawcli.answers import (
    ENDPOINT_HINT,
    json_list,
    json_object,
    judged,
    transport_named,
)
from drawcli.connection import connected
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
from drawcli.login import Login

if TYPE_CHECKING:
    from drawcli.sections import Server as Site
    from drawcli.tokenstore import TokenStore

_SHORT_TRIES: Final = 3  # within one run, for requests that are safe to repeat
_CONNECT_SECONDS: Final = 10.0
_SLOWEST_BYTES_PER_SECOND: Final = 250_000  # the patience for an upload grows with its size
_LARGEST_RTSTRUCT: Final = 1 << 30  # bytes
_ONE_WORD: Final = re.compile(r"[\x21-\x7e]{1,8192}")  # what can stand in a header, and in a path
_log = logging.getLogger(__name__)


class DrawServer:
    """The DRAW server, one connection for a whole run."""

    def __init__(
        self, client: httpx.Client, site: "Site", store: "TokenStore", now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._site = site
        self._now = now
        self._login = Login(client, site, store, now)
        self.pause: Callable[[float], None] = time.sleep

    @classmethod
    @contextmanager
    def opened(
        cls, site: "Site", store: "TokenStore", now: Callable[[], datetime]
    ) -> Iterator[Self]:
        """Read the tokens and make a client; nothing is sent yet.

        Raises
        ------
        ConfigError
            Where the URL would send the token in the clear, there is no token, or the proxy or the
            certificates that the environment names cannot be used.
        """
        with connected(site) as client:
            yield cls(client, site, store, now)

    def check_ready(self) -> None:
        """Ask whether uploads are welcome; raise ServerUnavailable where they are not.

        No job is to blame for what is wrong here, so a request that the server will not do is a
        matter of configuration.
        """
        try:
            answer = self._asked("GET", "health")
        except RequestRefused as err:
            raise ConfigError(str(err), code="endpoint", hint=ENDPOINT_HINT) from None
        json_object(answer, "health")  # a page of a proxy says 200, too

    def models(self) -> list[Any]:
        """Return the server's catalogue as its JSON has it: one entry a model."""
        return json_list(self._asked("GET", "models"), "models")

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

        answer = judged(self._with_token(send), "upload")
        plain = json_object(answer, "upload")
        task_id = str(plain.get("task_id") or plain.get("transaction_token") or "").strip()
        if not _ONE_WORD.fullmatch(task_id) or not task_id.strip("."):
            raise ServerUnavailable("the answer to the upload names no task")
        return task_id

    def status(self, task_id: str) -> TaskStatus:
        """Ask how a task fares."""
        answer = self._asked("GET", "status", task_id=task_id, unknown_is_answer=True)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return TaskStatus(TaskState.UNKNOWN)
        return status_of(json_object(answer, "status"))

    def download(self, task_id: str, target: Path) -> str | None:
        """Stream the RTSTRUCT of a task into a file; return its SHA-256.

        None where the server does not know the task. The file appears under its name only when all
        of it is there and agrees with the checksum that the server sent, if it sent one.
        """
        with transport_named("rtstruct"):
            self._refresh_by_the_clock()
            try:
                return self._streamed(task_id, target)
            except ServerRefused:
                self._refresh()
                return self._streamed(task_id, target)

    def confirm(self, task_id: str, *, at: datetime) -> None:
        """Tell the server that the RTSTRUCT is safe here; it then deletes its copy.

        A 404 is success: the server has already deleted it. A page of a proxy is not.
        """
        body = {"task_id": task_id, "status": "received", "timestamp": at.isoformat()}
        answer = self._asked("POST", "confirm", task_id=task_id, unknown_is_answer=True, json=body)
        if answer.is_success and answer.content:
            json_object(answer, "confirm")

    def renew_tokens(self) -> None:
        """Exchange the token pair for a new one, whatever the clock says."""
        self._login.renew(self._tokens)

    def _asked(
        self,
        method: str,
        endpoint: str,
        *,
        task_id: str = "",
        unknown_is_answer: bool = False,
        **content: Any,
    ) -> httpx.Response:
        """Send a request that is safe to repeat, with a few short tries."""
        url = self._url(endpoint, task_id)

        def send(tokens: Tokens) -> httpx.Response:
            headers = _bearer(tokens.access)
            answer = self._client.request(method, url, headers=headers, **content)
            slash_missing = endpoint == "health" and not url.endswith("/")
            if answer.status_code == HTTPStatus.NOT_FOUND and slash_missing:
                return self._client.request(method, url + "/", headers=headers)
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
                if unknown_is_answer and answer.status_code == HTTPStatus.NOT_FOUND:
                    return answer
                return judged(answer, endpoint)
        raise ServerUnavailable(f"{endpoint}: no answer")

    def _streamed(self, task_id: str, target: Path) -> str | None:
        headers = _bearer(self._tokens.access)
        with self._client.stream("GET", self._url("rtstruct", task_id), headers=headers) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return None
            if answer.is_client_error:
                answer.read()  # the server's own words, for the message
            return _stored(judged(answer, "rtstruct"), target)

    def _with_token(self, send: Callable[[Tokens], httpx.Response]) -> httpx.Response:
        """Send with a token that is fresh by the clock; on a 401 refresh once and repeat."""
        with transport_named("server"):
            self._refresh_by_the_clock()
            shown = self._tokens
            answer = send(shown)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self._refresh(shown)
                answer = send(self._tokens)
        return answer

    @property
    def _tokens(self) -> Tokens:
        return self._login.tokens

    def _refresh_by_the_clock(self) -> None:
        self._login.keep_fresh()

    def _refresh(self, refused: Tokens | None = None) -> None:
        """Get a new pair in place of one that the server refuses."""
        self._login.renew(refused or self._tokens)

    def _url(self, endpoint: str, task_id: str = "") -> str:
        path = self._site.path_of(endpoint).replace("{task_id}", quote(task_id, safe=""))
        return self._site.url.rstrip("/") + path


def _stored(answer: httpx.Response, target: Path) -> str:
    """Write a body to a file as it comes; return its SHA-256."""
    if "text/html" in answer.headers.get("content-type", ""):
        raise ServerUnavailable("rtstruct: an answer in HTML; is a proxy in the way?")
    digest, size = hashlib.sha256(), 0
    with fresh_file(target) as stream:
        for piece in answer.iter_bytes(CHUNK):
            digest.update(piece)
            size += len(piece)
            if size > _LARGEST_RTSTRUCT:
                raise BadStructureSet("the download is larger than any structure set")
            stream.write(piece)
        wanted = answer.headers.get("x-file-checksum", "").strip().lower()
        if not size or wanted not in ("", digest.hexdigest()):
            raise ServerUnavailable("the download does not agree with its checksum")
    if not wanted:
        _log.warning("the server sent an RTSTRUCT without checksum; the gate alone judges it")
    return digest.hexdigest()


def _worth_a_short_wait(err: BaseException) -> bool:
    return isinstance(err, ServerUnavailable) and err.wait_seconds is None


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
