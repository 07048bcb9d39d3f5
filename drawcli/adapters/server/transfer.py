"""HTTP requests with a limit to their total time and to the size of the response."""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final, cast

import httpx

from drawcli.adapters.server.download import Incoming
from drawcli.adapters.server.responses import convert_http2_errors, iter_body
from drawcli.adapters.server.tls import CONNECT_SECONDS
from drawcli.errors import ServerSilent, ServerUnavailable
from drawcli.system.limits import REFUSAL_BYTES
from drawcli.system.network.limit import SLOWEST_BYTES_PER_SECOND
from drawcli.system.pacing import Deadline, PacedFile, ProgressCallback, TokenBucket, with_deadline

_MOST_ANSWERS: Final = 8  # responses of one download, in one run
_BETWEEN_PARTS_SECONDS: Final = 0.5
_REFUSAL_SECONDS: Final = 5.0  # for the body of an error response
_OF_THE_WAY: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def read_body(
    answer: httpx.Response, most: int, on_piece: Callable[[], None] = lambda: None
) -> httpx.Response:
    """Read a streamed response and close it; return it with its body decompressed.

    `most` and the errors are those of `iter_body`; `on_piece` is called before each piece and may
    raise to stop.
    """
    body = bytearray()
    with closing(answer):
        for piece in iter_body(answer, most):
            on_piece()
            body += piece
    return _with_body(answer, bytes(body))


def read_error(answer: httpx.Response, deadline: Deadline) -> httpx.Response:
    """Return an error response with the beginning of its body, as far as it arrives in time."""
    body = bytearray()
    short = Deadline(min(max(deadline.left(), 0.0), _REFUSAL_SECONDS))

    def read() -> None:
        with closing(answer):
            for piece in iter_body(answer, REFUSAL_BYTES):
                short.check()
                body.extend(piece)

    with suppress(ServerUnavailable, httpx.TransportError):
        with_deadline(short, read, lambda _late: None)
    return _with_body(answer, bytes(body))


def drop_body(answer: httpx.Response) -> httpx.Response:
    """Close a response; return it without its body."""
    answer.close()
    return _with_body(answer, b"")


def _with_body(answer: httpx.Response, body: bytes) -> httpx.Response:
    headers = [
        (name, value) for name, value in answer.headers.raw if name.lower() not in _OF_THE_WAY
    ]
    return httpx.Response(answer.status_code, headers=headers, content=body, request=answer.request)


class Exchange:
    """Sends requests over one client's connections. Thread-safe."""

    def __init__(
        self,
        client: httpx.Client,
        timeout_seconds: float,
        bandwidth: Callable[[], float | None],
        pause: Callable[[float], None],
    ) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._bucket = TokenBucket(bandwidth)
        self._pause = pause

    def request(
        self, method: str, url: str, *, most: int, deadline: Deadline, **content: Any
    ) -> httpx.Response:
        """Send a small request; return its response, of at most `most` bytes."""
        return self._send(self._client.build_request(method, url, **content), most, deadline)

    def post_file(
        self, url: str, path: Path, name: str, tell: ProgressCallback, *, most: int, **form: Any
    ) -> httpx.Response:
        """Send a form with a zip from disk; return the response, of at most `most` bytes."""
        size = path.stat().st_size
        deadline = self.deadline()
        timeout = httpx.Timeout(
            self._timeout_seconds,
            read=deadline.left() + size / SLOWEST_BYTES_PER_SECOND,
            connect=min(CONNECT_SECONDS, self._timeout_seconds),
        )
        with path.open("rb") as stream:
            paced = PacedFile(stream, size, self._bucket, deadline, tell)
            files = {"file": (name, cast("IO[bytes]", paced), "application/zip")}
            request = self._client.build_request("POST", url, files=files, timeout=timeout, **form)
            return self._send(request, most, deadline)

    def download(self, url: str, incoming: Incoming, headers: Mapping[str, str]) -> str | None:
        """Download a file, resuming after lost connections while each response adds to it.

        Returns its SHA-256, or None if the server has no such file.
        """
        deadline = self.deadline()
        for _ in range(_MOST_ANSWERS):
            before = incoming.size
            try:
                digest = self._download_part(url, incoming, headers, deadline)
            except ServerSilent:
                raise
            except (httpx.TransportError, ServerUnavailable):
                if incoming.size <= before:
                    raise
                self._pause(_BETWEEN_PARTS_SECONDS)
                continue
            if digest is None or digest:
                return digest
        raise ServerUnavailable("the connection was lost repeatedly", code="server-lost")

    def deadline(self) -> Deadline:
        """Return a new deadline for one request; transfers extend it."""
        return Deadline.of(self._timeout_seconds)

    def _download_part(
        self, url: str, incoming: Incoming, headers: Mapping[str, str], deadline: Deadline
    ) -> str | None:
        """Request the missing rest of a file; None if the server does not know it."""
        all_headers = {**headers, **incoming.request_headers()}
        request = self._client.build_request("GET", url, headers=all_headers)
        answer = self._begin(request, deadline)
        if answer.is_error:
            error = read_error(answer, deadline)
            is_unknown = error.status_code == HTTPStatus.NOT_FOUND
            return None if is_unknown else incoming.add(error, deadline)
        try:
            return incoming.add(answer, deadline)
        finally:
            if not deadline.over:  # else the thread that still reads it closes it
                answer.close()

    def _send(self, request: httpx.Request, most: int, deadline: Deadline) -> httpx.Response:
        """Send a request; return its whole response, or the beginning of an error response."""
        answer = self._begin(request, deadline)
        if not answer.is_success:
            return read_error(answer, deadline)
        return with_deadline(
            deadline, lambda: read_body(answer, most, deadline.check), httpx.Response.close
        )

    def _begin(self, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        """Send a request; return its response as soon as the headers have arrived."""

        def send() -> httpx.Response:
            with convert_http2_errors():
                return self._client.send(request, stream=True)

        return with_deadline(deadline, send, httpx.Response.close)
