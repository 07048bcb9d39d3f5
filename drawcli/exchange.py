"""Requests and their answers, each within a limit to the whole of its time."""

from collections.abc import Callable, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final, cast

import httpx

from drawcli.connection import CONNECT_SECONDS
from drawcli.errors import ServerUnavailable
from drawcli.pacing import Bucket, Outgoing, Patience, Tell, within
from drawcli.receiving import Incoming

_MOST_ANSWERS: Final = 8  # that one download may be put together of, in one run
_BETWEEN_PARTS_SECONDS: Final = 0.5


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
        self._bucket = Bucket(bandwidth)
        self._pause = pause

    def ask(self, method: str, url: str, **content: Any) -> httpx.Response:
        """Send a small request; return its answer."""
        return self._sent(self._client.build_request(method, url, **content), self._patience())

    def post_file(self, url: str, path: Path, name: str, tell: Tell, **form: Any) -> httpx.Response:
        """Send a form with a zip in it, from disk; return the answer."""
        size = path.stat().st_size
        patience = self._patience(size)
        timeout = httpx.Timeout(
            self._timeout_seconds, read=patience.left(), connect=CONNECT_SECONDS
        )
        with path.open("rb") as stream:
            paced = Outgoing(stream, size, self._bucket, patience, tell)
            files = {"file": (name, cast("IO[bytes]", paced), "application/zip")}
            request = self._client.build_request("POST", url, files=files, timeout=timeout, **form)
            return self._sent(request, patience)

    def receive(self, url: str, incoming: Incoming, headers: Mapping[str, str]) -> str | None:
        """Put a file together of as many answers as it takes, while each brings some of it.

        Returns its SHA-256, or None where the server has no such file.
        """
        for _ in range(_MOST_ANSWERS):
            before = incoming.size
            try:
                digest = self._next_part(url, incoming, headers)
            except (httpx.TransportError, ServerUnavailable):
                if incoming.size <= before:
                    raise
                self._pause(_BETWEEN_PARTS_SECONDS)
                continue
            if digest is None or digest:
                return digest
        raise ServerUnavailable("the connection breaks again and again", code="server-lost")

    def _next_part(self, url: str, incoming: Incoming, headers: Mapping[str, str]) -> str | None:
        """Ask for what is missing of a file; None where the server does not know it."""
        wanted = {**headers, **incoming.asked()}
        patience = self._patience()
        request = self._client.build_request("GET", url, headers=wanted)
        with closing(self._sent(request, patience, stream=True)) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return None
            if answer.is_client_error:
                within(patience, answer.read, len)  # the server's own words, for the message
            return incoming.take(answer, patience)

    def _sent(
        self, request: httpx.Request, patience: Patience, *, stream: bool = False
    ) -> httpx.Response:
        """Send a request; its answer is here, or begins, while there is patience."""
        return within(
            patience, lambda: self._client.send(request, stream=stream), httpx.Response.close
        )

    def _patience(self, size: int = 0) -> Patience:
        """Return how long a request of so many bytes may take in all."""
        patience = Patience.of(self._timeout_seconds)
        patience.grow(size)
        return patience
