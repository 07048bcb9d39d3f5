"""TLS before a DICOM node of the tests: what it decrypts goes to a port on loopback, and back."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SECONDS = 120.0


@contextmanager
def tls_before(port: int, tls: ssl.SSLContext) -> Iterator[int]:
    """Listen by TLS; pass each connection on to a port; yield the port that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_pass_on, args=(line, port, tls), daemon=True).start()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        serving.join(_SECONDS)


def _pass_on(line: socket.socket, port: int, tls: ssl.SSLContext) -> None:
    line.settimeout(_SECONDS)
    try:
        outside = tls.wrap_socket(line, server_side=True)
    except OSError:
        line.close()
        return
    with outside, socket.create_connection(("127.0.0.1", port), _SECONDS) as inside:
        back = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
        back.start()
        _copy(outside, inside)
        back.join(_SECONDS)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
