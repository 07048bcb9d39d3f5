"""A proxy on loopback before PostgreSQL that cuts a connection at a given message."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class CuttingProxy:
    """Passes connections on; at the event `cut_at` it closes the connection at once.

    Each piece of data from the client is two events: before and after the server gets it, so that
    the statement is lost, or its answer. Each piece from the server is one. Events are counted
    over all connections, so that the next one after a cut goes through.
    """

    port_of_server: int
    cut_at: int = -1
    events: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def count_from(self, cut_at: int = -1) -> None:
        """Reset the count, and cut at an event."""
        with self._lock:
            self.events, self.cut_at = 0, cut_at

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port_of_server))
                self._open += [client, server]
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _is_cut(self) -> bool:
        with self._lock:
            self.events += 1
            return self.events - 1 == self.cut_at

    def _pass(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:  # noqa: FBT001
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self._is_cut():
                    break
                target.sendall(data)
                if is_up and self._is_cut():
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
