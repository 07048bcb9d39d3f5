"""Client of the DRAW server: one method per request; failures are raised as drawcli errors."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from drawcli.adapters.server.download import Incoming
from drawcli.adapters.server.login import Login
from drawcli.adapters.server.responses import (
    ENDPOINT_HINT,
    TooLong,
    bearer,
    check_empty_or_object,
    check_response,
    convert_transport_errors,
    json_list,
    json_object,
)
from drawcli.adapters.server.tls import open_client
from drawcli.adapters.server.transfer import Exchange
from drawcli.core.protocol.task_status import TaskState, TaskStatus, status_of, task_id_of
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import (
    RENEWAL,
    SERVER_TOOK_NOTHING,
    ConfigError,
    DrawcliError,
    RequestRefused,
    ServerRefused,
    ServerSilent,
    ServerUnavailable,
)
from drawcli.system.limits import EXCHANGES
from drawcli.system.pacing import Deadline, ProgressCallback, ignore_progress

if TYPE_CHECKING:
    from drawcli.adapters.server.token_store import TokenStore
    from drawcli.config.sections import ServerSettings as Site

_SHORT_TRIES: Final = 3  # within one run, for requests that are safe to repeat
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
        self._exchange = Exchange(client, site.timeout_seconds, self._bandwidth, self._wait)

    @classmethod
    @contextmanager
    def opened(
        cls, site: "Site", store: "TokenStore", now: Callable[[], datetime]
    ) -> Iterator[Self]:
        """Read the tokens and make a client; nothing is sent yet.

        Raises
        ------
        ConfigError
            If the URL would send the token in plain text, there is no token, or the proxy or the
            certificates that the environment names cannot be used.
        """
        with open_client(site) as client:
            yield cls(client, site, store, now)

    def check_ready(self) -> None:
        """Raise ServerUnavailable if the server takes no uploads now.

        A refused health request concerns no job, so it is raised as ConfigError.
        """
        try:
            self._request("GET", "health")
        except RequestRefused as err:
            raise ConfigError(str(err), code="endpoint", hint=ENDPOINT_HINT) from None

    def check_token(self) -> None:
        """Raise ServerRefused if the server refuses the token; asks for a task of no one."""
        with suppress(RequestRefused):
            self.status("none")

    def models(self) -> list[Any]:
        """Return the server's catalogue as parsed JSON: one entry per model."""
        models: list[Any] = self._request("GET", "models", read=json_list)
        return models

    def upload(
        self, package: Path, *, name: str, sha256: str, tell: ProgressCallback = ignore_progress
    ) -> str:
        """Send a package from disk; return the server's task id.

        Never retried here: if the answer is lost, the caller has recorded the attempt. An error
        has `answered` set if the server answered at all (a 401, say): then bytes have left.
        """
        fields = {"checksum": sha256}
        if self._site.client_id:
            fields["client_id"] = self._site.client_id
        answers: list[httpx.Response] = []

        def send(tokens: Tokens) -> httpx.Response:
            headers = bearer(tokens.access) | {"idempotency-key": sha256}
            form: dict[str, Any] = {"headers": headers, "data": fields}
            form["most"] = EXCHANGES["upload"].largest
            url = self._url("upload")
            answers.append(self._exchange.post_file(url, package, name, tell, **form))
            return answers[-1]

        try:
            answer = self._with_token(send)
            if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise _too_large(package)
            check_response(answer, "upload")
        except DrawcliError as err:
            raise err.replaced(answered=bool(answers)) from err
        task_id = task_id_of(json_object(answer, "upload"))
        if not task_id:
            raise ServerUnavailable("the answer to the upload names no task id")
        return task_id

    def status(self, task_id: str) -> TaskStatus:
        """Return the status of a task."""
        plain = self._request("GET", "status", task_id=task_id, unknown_is_answer=True)
        return TaskStatus(TaskState.UNKNOWN) if plain is None else status_of(plain)

    def download(
        self,
        task_id: str,
        target: Path,
        *,
        check_space: Callable[[int], None] = lambda _size: None,
        tell: ProgressCallback = ignore_progress,
    ) -> str | None:
        """Stream the RTSTRUCT of a task into a file; return its SHA-256.

        None if the server does not know the task. The file gets its name only when it is complete
        and matches the checksum that the server sent, if any. `check_space` raises if the disk
        has no space for that many bytes.
        """
        incoming = Incoming(target, check_space, tell)
        with convert_transport_errors("rtstruct"):
            self._login.keep_fresh()
            used = self._tokens
            try:
                return self._download(task_id, incoming, used)
            except ServerRefused:
                self._login.renew(used)
                return self._download(task_id, incoming, self._tokens)

    def confirm(self, task_id: str, *, at: datetime) -> None:
        """Confirm that the RTSTRUCT is stored here; the server then deletes its copy.

        A 404 is success: the server has already deleted it. An HTML page of a proxy is not.
        """
        body = {"task_id": task_id, "status": "received", "timestamp": at.isoformat()}
        content: dict[str, Any] = {"task_id": task_id, "unknown_is_answer": True, "json": body}
        self._request("POST", "confirm", read=check_empty_or_object, **content)

    def renew_tokens(self) -> None:
        """Exchange the token pair for a new one, even if it has not expired."""
        self._login.renew(self._tokens)

    def _request(
        self,
        method: str,
        endpoint: str,
        *,
        task_id: str = "",
        read: Callable[[httpx.Response, str], Any] = json_object,
        unknown_is_answer: bool = False,
        **content: Any,
    ) -> Any:
        """Send a request that is safe to repeat, with a few short tries; return what was read.

        None where the server does not know the task, and may say so. A page of a proxy says 200,
        too: it is no answer.

        A useless answer that has taken half of the time is as good as none: the next request would
        cost as much.
        """
        url, deadline = self._url(endpoint, task_id), self._exchange.deadline()
        content |= {"most": EXCHANGES[endpoint].largest, "deadline": deadline}

        def send(tokens: Tokens) -> httpx.Response:
            headers = bearer(tokens.access)
            answer = self._exchange.request(method, url, headers=headers, **content)
            slash_missing = endpoint == "health" and not url.endswith("/")
            if answer.status_code == HTTPStatus.NOT_FOUND and slash_missing:
                return self._exchange.request(method, url + "/", headers=headers, **content)
            return answer

        def pause(seconds: float) -> None:
            deadline.extend(seconds)
            self.pause(seconds)

        for attempt in Retrying(
            stop=stop_after_attempt(_SHORT_TRIES),
            wait=wait_exponential(multiplier=0.2, max=2) + wait_random(0, 0.2),
            retry=retry_if_exception(_is_worth_retrying),
            sleep=pause,
            reraise=True,
        ):
            with attempt, _silent_if_late(deadline, self._site.timeout_seconds):
                answer = self._with_token(send, deadline)
                if unknown_is_answer and answer.status_code == HTTPStatus.NOT_FOUND:
                    return None
                return read(check_response(answer, endpoint), endpoint)
        raise ServerUnavailable(f"{endpoint}: no answer")

    def _download(self, task_id: str, incoming: Incoming, tokens: Tokens) -> str | None:
        headers = bearer(tokens.access)
        digest = self._exchange.download(self._url("rtstruct", task_id), incoming, headers)
        if digest and not incoming.checksum:
            _log.warning("the server sent an RTSTRUCT without checksum; only the gate checks it")
        return digest

    def _wait(self, seconds: float) -> None:
        self.pause(seconds)  # looked up at each call: `pause` may be replaced

    def _bandwidth(self) -> float | None:
        """Return the limit for uploads at this time of day, bytes/s; None: no limit."""
        limits = self._site.bwlimit
        return limits.at(self._now().astimezone().time()) if limits.since else None

    def _with_token(
        self, send: Callable[[Tokens], httpx.Response], deadline: Deadline | None = None
    ) -> httpx.Response:
        """Send with a token that has not expired; on a 401 refresh once and repeat.

        The repeated request gets the full time again.
        """
        with convert_transport_errors("server"):
            self._login.keep_fresh()
            used = self._tokens
            answer = send(used)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self._login.renew(used)
                if deadline is not None:
                    deadline.restart()
                answer = send(self._tokens)
        return answer

    @property
    def _tokens(self) -> Tokens:
        return self._login.tokens

    def _url(self, endpoint: str, task_id: str = "") -> str:
        path = self._site.path_of(endpoint).replace("{task_id}", quote(task_id, safe=""))
        return self._site.url.rstrip("/") + path


def _is_worth_retrying(err: BaseException) -> bool:
    """Return whether a request may succeed in a moment: not after a timeout or a failed refresh."""
    if isinstance(err, ServerSilent | TooLong) or not isinstance(err, ServerUnavailable):
        return False
    return err.wait_seconds is None and err.code != RENEWAL


@contextmanager
def _silent_if_late(deadline: Deadline, seconds: float) -> Iterator[None]:
    """Raise ServerSilent for a useless answer if less than `seconds` are left."""
    try:
        yield
    except ServerUnavailable as err:
        is_specific = err.wait_seconds is not None or err.code in SERVER_TOOK_NOTHING
        if is_specific or deadline.left() >= seconds:
            raise
        raise ServerSilent(str(err)) from None


def _too_large(package: Path) -> RequestRefused:
    size = package.stat().st_size / 1e6
    return RequestRefused(
        f"upload: 413: the server, or a proxy before it, refuses a package of {size:,.1f} MB",
        hint="Ask the administrator to allow larger uploads (nginx: client_max_body_size), then "
        "send it again with 'drawcli release'.",
    )
