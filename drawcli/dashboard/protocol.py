"""HTTP as uvicorn speaks it, with a time for each whole request and for the taking of answers.

uvicorn (0.30 to 0.54) bounds the pause between two requests alone: a head or a form that does not
end, and an answer that nobody reads, stay open for ever.
"""

import asyncio
from time import monotonic
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from drawcli.dashboard.connections import Connection, Connections
from drawcli.dashboard.request_guard import HEADERS

_MOST_DROPPED: Final = 1 << 18  # bytes of a request that come after its answer, or before it
_GRACE_SECONDS: Final = 1.0  # in which a last answer is taken


class Bounded(H11Protocol):
    """One connection, that is given up where it keeps us waiting for too long."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._line: Connection
        self._took = 0  # bytes since the last answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, where TLS is agreed upon."""
        super().connection_made(transport)
        self._line = self._connections.of(transport)
        if self._line.over:
            transport.abort()
            return
        self._line.close = transport.abort
        self._line.late = self._give_up

    def data_received(self, data: bytes) -> None:
        """Take some bytes."""
        self._took += len(data)
        if self._took > _MOST_DROPPED:
            self.transport.abort()
            return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for another request."""
        self._took = 0
        self._line.ask(monotonic())
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Wait for the browser to take what was written."""
        super().pause_writing()
        self._line.stuck(monotonic(), self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on: it was taken."""
        super().resume_writing()
        self._line.taken(monotonic())

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or too long."""
        self._say(400, "Bad Request", msg)

    def _look(self) -> None:
        """See whether a whole request is here."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._line.has_asked()

    def _give_up(self) -> None:
        """Say to whoever began a request that it took too long."""
        if self._took:
            self._say(408, "Request Timeout", "The request took too long.")
        else:
            self._leave()

    def _say(self, status: int, phrase: str, words: str) -> None:
        """Answer in place of the application, where no other answer has begun."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            text = f"drawcli: {words}\n".encode("ascii")
            headers = HEADERS | {
                "content-type": "text/plain; charset=utf-8",
                "content-length": str(len(text)),
                "connection": "close",
            }
            lines = (f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {status} {phrase}\r\n{''.join(lines)}\r\n"
            if cycle is not None:
                cycle.disconnected = True  # what the application still says is not heard
            self.transport.write(head.encode("ascii") + text)
        self._leave()

    def _leave(self) -> None:
        self.transport.close()
        self.loop.call_later(_GRACE_SECONDS, self.transport.abort)
