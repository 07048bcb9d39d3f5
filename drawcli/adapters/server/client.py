"""The DRAW server: every request of the protocol, and every way to fail as an error of ours."""

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
    checked_response,
    json_list,
    json_object,
    transport_named,
)
from drawcli.adapters.server.tls import connected
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
            self._asked("GET", "health")
        except RequestRefused as err:
            raise ConfigError(str(err), code="endpoint", hint=ENDPOINT_HINT) from None

    def check_token(self) -> None:
        """Raise ServerRefused where the server refuses our token: of a task that nobody has."""
        with suppress(RequestRefused):
            self.status("none")

    def models(self) -> list[Any]:
        """Return the server's catalogue as its JSON has it: one entry a model."""
        found: list[Any] = self._asked("GET", "models", read=json_list)
        return found

    def upload(
        self, package: Path, *, name: str, sha256: str, tell: ProgressCallback = ignore_progress
    ) -> str:
        """Send a package from disk; return the server's task id.

        Not repeated by itself: if the answer is lost, the caller has recorded the attempt. Once a
        first answer was here, as a 401, an error says so: whatever came after, bytes have left.
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
            checked_response(answer, "upload")
        except DrawcliError as err:
            raise err.replaced(answered=bool(answers)) from err
        task_id = task_id_of(json_object(answer, "upload"))
        if not task_id:
            raise ServerUnavailable("the answer to the upload names no task")
        return task_id

    def status(self, task_id: str) -> TaskStatus:
        """Ask how a task fares."""
        plain = self._asked("GET", "status", task_id=task_id, unknown_is_answer=True)
        return TaskStatus(TaskState.UNKNOWN) if plain is None else status_of(plain)

    def download(
        self,
        task_id: str,
        target: Path,
        *,
        room: Callable[[int], None] = lambda _size: None,
        tell: ProgressCallback = ignore_progress,
    ) -> str | None:
        """Stream the RTSTRUCT of a task into a file; return its SHA-256.

        None where the server does not know the task. The file appears under its name only when all
        of it is there and agrees with the checksum that the server sent, if it sent one. `room`
        raises where the disk has no space for so many bytes.
        """
        incoming = Incoming(target, room, tell)
        with transport_named("rtstruct"):
            self._login.keep_fresh()
            shown = self._tokens
            try:
                return self._streamed(task_id, incoming, shown)
            except ServerRefused:
                self._login.renew(shown)
                return self._streamed(task_id, incoming, self._tokens)

    def confirm(self, task_id: str, *, at: datetime) -> None:
        """Tell the server that the RTSTRUCT is safe here; it then deletes its copy.

        A 404 is success: the server has already deleted it. A page of a proxy is not.
        """
        body = {"task_id": task_id, "status": "received", "timestamp": at.isoformat()}
        what: dict[str, Any] = {"task_id": task_id, "unknown_is_answer": True, "json": body}
        self._asked("POST", "confirm", read=check_empty_or_object, **what)

    def renew_tokens(self) -> None:
        """Exchange the token pair for a new one, whatever the clock says."""
        self._login.renew(self._tokens)

    def _asked(
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
            answer = self._exchange.ask(method, url, headers=headers, **content)
            slash_missing = endpoint == "health" and not url.endswith("/")
            if answer.status_code == HTTPStatus.NOT_FOUND and slash_missing:
                return self._exchange.ask(method, url + "/", headers=headers, **content)
            return answer

        def pause(seconds: float) -> None:
            deadline.extend(seconds)
            self.pause(seconds)

        for attempt in Retrying(
            stop=stop_after_attempt(_SHORT_TRIES),
            wait=wait_exponential(multiplier=0.2, max=2) + wait_random(0, 0.2),
            retry=retry_if_exception(_worth_a_short_wait),
            sleep=pause,
            reraise=True,
        ):
            with attempt, _late_named(deadline, self._site.timeout_seconds):
                answer = self._with_token(send, deadline)
                if unknown_is_answer and answer.status_code == HTTPStatus.NOT_FOUND:
                    return None
                return read(checked_response(answer, endpoint), endpoint)
        raise ServerUnavailable(f"{endpoint}: no answer")

    def _streamed(self, task_id: str, incoming: Incoming, tokens: Tokens) -> str | None:
        """Bring a file home; None where the server does not know the task."""
        headers = bearer(tokens.access)
        digest = self._exchange.receive(self._url("rtstruct", task_id), incoming, headers)
        if digest and not incoming.checksum:
            _log.warning("the server sent an RTSTRUCT without checksum; the gate alone judges it")
        return digest

    def _wait(self, seconds: float) -> None:
        self.pause(seconds)  # as it is now, not as it was when the exchange was made

    def _bandwidth(self) -> float | None:
        """Return how many bytes a second packages may take now, by the local time of day."""
        limits = self._site.bwlimit
        return limits.at(self._now().astimezone().time()) if limits.since else None

    def _with_token(
        self, send: Callable[[Tokens], httpx.Response], deadline: Deadline | None = None
    ) -> httpx.Response:
        """Send with a token that is fresh by the clock; on a 401 refresh once and repeat.

        The repeated request has the same time as the first one.
        """
        with transport_named("server"):
            self._login.keep_fresh()
            shown = self._tokens
            answer = send(shown)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self._login.renew(shown)
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


def _worth_a_short_wait(err: BaseException) -> bool:
    """Tell whether a request may fare better in a moment.

    Not where all the time that it is given has been waited, or more came than can be an answer; a
    refresh is asked for once.
    """
    if isinstance(err, ServerSilent | TooLong) or not isinstance(err, ServerUnavailable):
        return False
    return err.wait_seconds is None and err.code != RENEWAL


@contextmanager
def _late_named(deadline: Deadline, seconds: float) -> Iterator[None]:
    """Treat a useless answer as none if less than so many seconds are left."""
    try:
        yield
    except ServerUnavailable as err:
        says_more = err.wait_seconds is not None or err.code in SERVER_TOOK_NOTHING
        if says_more or deadline.left() >= seconds:
            raise
        raise ServerSilent(str(err)) from None


def _too_large(package: Path) -> RequestRefused:
    size = package.stat().st_size / 1e6
    return RequestRefused(
        f"upload: 413: the server, or a proxy on the way, takes no package of {size:,.1f} MB",
        hint="Ask the administrator to allow larger uploads (nginx: client_max_body_size), then "
        "'drawcli release' sends it again.",
    )
