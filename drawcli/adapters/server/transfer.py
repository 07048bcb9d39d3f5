"""Requests and their answers, each within a limit to the whole of its time and its size."""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final, cast

import httpx

from drawcli.adapters.server.download import Incoming
from drawcli.adapters.server.responses import oddities_named, pieces_of
from drawcli.adapters.server.tls import CONNECT_SECONDS
from drawcli.errors import ServerSilent, ServerUnavailable
from drawcli.system.limits import REFUSAL_BYTES, SLOWEST_BYTES_PER_SECOND
from drawcli.system.pacing import Deadline, PacedFile, ProgressCallback, TokenBucket, with_deadline

_MOST_ANSWERS: Final = 8  # that one download may be put together of, in one run
_BETWEEN_PARTS_SECONDS: Final = 0.5
_REFUSAL_SECONDS: Final = 5.0  # for the body of an error: its status says enough
_OF_THE_WAY: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def whole(
    answer: httpx.Response, most: int, going_on: Callable[[], None] = lambda: None
) -> httpx.Response:
    """Read an answer to its end, and close it; return it with its body decompressed.

    Parameters
    ----------
    answer
        Its head is here.
    most
        How many bytes its body may have, on the way and decompressed.
    going_on
        Called for each piece; what it raises ends the reading.

    Raises
    ------
    ServerUnavailable
        Where it has more, or is coded in a way that was not asked for.
    """
    got = bytearray()
    with closing(answer):
        for piece in pieces_of(answer, most):
            going_on()
            got += piece
    return _with_body(answer, bytes(got))


def refusal(answer: httpx.Response, deadline: Deadline) -> httpx.Response:
    """Return an error answer with the beginning of its body, as far as it comes in time."""
    got = bytearray()
    short = Deadline(min(max(deadline.left(), 0.0), _REFUSAL_SECONDS))

    def read() -> None:
        with closing(answer):
            for piece in pieces_of(answer, REFUSAL_BYTES):
                short.check()
                got.extend(piece)

    with suppress(ServerUnavailable, httpx.TransportError):
        with_deadline(short, read, lambda _late: None)
    return _with_body(answer, bytes(got))


def headed(answer: httpx.Response) -> httpx.Response:
    """Close an answer; return it without its body."""
    answer.close()
    return _with_body(answer, b"")


def _with_body(answer: httpx.Response, body: bytes) -> httpx.Response:
    headers = [
        (name, value) for name, value in answer.headers.raw if name.lower() not in _OF_THE_WAY
    ]
    return httpx.Response(answer.status_code, headers=headers, content=body, request=answer.request)


class Exchange:
    """What goes over one client's connections. Any number of threads may use it."""

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

    def ask(
        self, method: str, url: str, *, most: int, deadline: Deadline, **content: Any
    ) -> httpx.Response:
        """Send a small request; return its answer, of so many bytes at most."""
        return self._answered(self._client.build_request(method, url, **content), most, deadline)

    def post_file(
        self, url: str, path: Path, name: str, tell: ProgressCallback, *, most: int, **form: Any
    ) -> httpx.Response:
        """Send a form with a zip in it, from disk; return the answer, of so many bytes at most."""
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
            return self._answered(request, most, deadline)

    def receive(self, url: str, incoming: Incoming, headers: Mapping[str, str]) -> str | None:
        """Put a file together of as many answers as it takes, while each brings some of it.

        Returns its SHA-256, or None where the server has no such file.
        """
        deadline = self.deadline()
        for _ in range(_MOST_ANSWERS):
            before = incoming.size
            try:
                digest = self._next_part(url, incoming, headers, deadline)
            except ServerSilent:
                raise
            except (httpx.TransportError, ServerUnavailable):
                if incoming.size <= before:
                    raise
                self._pause(_BETWEEN_PARTS_SECONDS)
                continue
            if digest is None or digest:
                return digest
        raise ServerUnavailable("the connection breaks again and again", code="server-lost")

    def deadline(self) -> Deadline:
        """Return how long a request may take in all; it grows with what moves."""
        return Deadline.of(self._timeout_seconds)

    def _next_part(
        self, url: str, incoming: Incoming, headers: Mapping[str, str], deadline: Deadline
    ) -> str | None:
        """Ask for what is missing of a file; None where the server does not know it."""
        wanted = {**headers, **incoming.asked()}
        request = self._client.build_request("GET", url, headers=wanted)
        answer = self._begun(request, deadline)
        if answer.is_error:
            said = refusal(answer, deadline)
            is_unknown = said.status_code == HTTPStatus.NOT_FOUND
            return None if is_unknown else incoming.take(said, deadline)
        try:
            return incoming.take(answer, deadline)
        finally:
            if not deadline.over:  # else the thread that still reads it closes it
                answer.close()

    def _answered(self, request: httpx.Request, most: int, deadline: Deadline) -> httpx.Response:
        """Send a request; return its whole answer, or of an error the first words."""
        answer = self._begun(request, deadline)
        if not answer.is_success:
            return refusal(answer, deadline)
        return with_deadline(
            deadline, lambda: whole(answer, most, deadline.check), httpx.Response.close
        )

    def _begun(self, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        """Send a request; return its answer as soon as the head of it is here."""

        def send() -> httpx.Response:
            with oddities_named():
                return self._client.send(request, stream=True)

        return with_deadline(deadline, send, httpx.Response.close)
