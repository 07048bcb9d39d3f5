"""uvicorn's HTTP protocol with time limits for a whole request and for reading a response.

uvicorn (0.30 to 0.54) limits only the pause between two requests: an incomplete head or form, or a
response that the client does not read, stays open for ever.
"""

import asyncio
from time import monotonic
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from drawcli.dashboard.access.request_guard import HEADERS
from drawcli.dashboard.connections import Connection, Connections

_MOST_DROPPED: Final = 1 << 18  # bytes received between two responses
_GRACE_SECONDS: Final = 1.0  # to read the last response


class LimitedProtocol(H11Protocol):
    """A connection that is closed at its deadline."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._line: Connection
        self._received = 0  # bytes since the last response

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start after the TLS handshake."""
        super().connection_made(transport)
        self._line = self._connections.of(transport)
        if self._line.is_closed:
            transport.abort()
            return
        self._line.close = transport.abort
        self._line.late = self._give_up

    def data_received(self, data: bytes) -> None:
        """Receive some bytes."""
        self._received += len(data)
        if self._received > _MOST_DROPPED:
            self.transport.abort()
            return
        super().data_received(data)
        self._check_request()

    def on_response_complete(self) -> None:
        """Wait for another request."""
        self._received = 0
        self._line.wait_for_request(monotonic())
        super().on_response_complete()
        self._check_request()

    def pause_writing(self) -> None:
        """Wait for the browser to read the response."""
        super().pause_writing()
        self._line.wait_for_read(monotonic(), self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on after the browser has read."""
        super().resume_writing()
        self._line.read_done(monotonic())

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is invalid or too long."""
        self._refuse(400, "Bad Request", msg)

    def _check_request(self) -> None:
        """Clear the deadline if the request is complete."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._line.request_received()

    def _give_up(self) -> None:
        """Close the connection; answer a request that has begun with 408."""
        if self._received:
            self._refuse(408, "Request Timeout", "The request took too long.")
        else:
            self._close()

    def _refuse(self, status: int, phrase: str, message: str) -> None:
        """Answer in place of the application, unless a response has begun; then close."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            text = f"drawcli: {message}\n".encode("ascii")
            headers = HEADERS | {
                "content-type": "text/plain; charset=utf-8",
                "content-length": str(len(text)),
                "connection": "close",
            }
            lines = (f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {status} {phrase}\r\n{''.join(lines)}\r\n"
            if cycle is not None:
                cycle.disconnected = True  # the application's response is dropped
            self.transport.write(head.encode("ascii") + text)
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(_GRACE_SECONDS, self.transport.abort)
