"""A network that cuts, ends, loses or delays: a proxy with a trouble for each connection.

with faulty(port, Trouble("sent", 5000, "cut")) as proxy: ...  # then connect to proxy.port
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Final

_NO_LINGER: Final = struct.pack("ii", 1, 0)  # close sends a reset
_PIECE: Final = 4096
_LONGEST_TEST_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Trouble:
    """What happens to one connection.

    cut: both ends get a reset. end: both see the end of the stream. lose: what follows is lost, the
    connection stays open for a while, and is then cut. "": it is only slow.
    """

    direction: str = "sent"  # by the client; or "answered"
    after: int = 0  # bytes in that direction, which arrive
    what: str = ""
    delay: float = 0.0  # seconds before each piece
    silence: float = 0.3  # seconds until a connection that loses is cut


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    server: int  # where it connects to
    troubles: list[Trouble]  # of the next connections; then there are none
    connections: int = 0
    passed: dict[str, int] = field(default_factory=lambda: {"sent": 0, "answered": 0})  # bytes

    def follow(self, client: socket.socket) -> None:
        """Serve one connection."""
        self.connections += 1
        trouble = self.troubles.pop(0) if self.troubles else Trouble()
        try:
            server = socket.create_connection(("127.0.0.1", self.server), _LONGEST_TEST_SECONDS)
        except OSError:
            client.close()
            return
        with client, server:
            client.settimeout(_LONGEST_TEST_SECONDS)
            ended = Event()
            ways = (("sent", client, server), ("answered", server, client))
            pumps = [
                Thread(target=self._pump, args=(*way, trouble, ended), daemon=True) for way in ways
            ]
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join(_LONGEST_TEST_SECONDS)

    def _pump(
        self,
        direction: str,
        source: socket.socket,
        sink: socket.socket,
        trouble: Trouble,
        ended: Event,
    ) -> None:
        """Pass the bytes of one direction on until it ends, or its trouble comes."""
        is_troubled = bool(trouble.what) and trouble.direction == direction
        left = trouble.after if is_troubled else 1 << 60
        with suppress(OSError):
            while left and (piece := source.recv(min(_PIECE, left))):
                ended.wait(trouble.delay)
                sink.sendall(piece)
                left -= len(piece)
                self.passed[direction] += len(piece)
        if not is_troubled or left:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
            return
        if trouble.what == "lose":
            ended.wait(trouble.silence)
        if trouble.what != "end":
            for line in (source, sink):
                with suppress(OSError):
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        for line in (source, sink):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        ended.set()


@contextmanager
def faulty(server: int, *troubles: Trouble) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(listening.getsockname()[1], server, [*troubles])

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    Thread(target=proxy.follow, args=(client,), daemon=True).start()

        serving = Thread(target=serve, daemon=True)
        serving.start()
        yield proxy
        listening.shutdown(socket.SHUT_RDWR)
        serving.join(_LONGEST_TEST_SECONDS)
