"""A peer on loopback that misbehaves on purpose: it drips, it floods, or it lies.

It speaks over raw sockets: what it does, no library of a server would do.
"""

import gzip
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

import httpx

Manner = Callable[["Line"], None]
PAUSE = 0.01  # seconds between two drops
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_EMPTY_BLOCK = b"\0\0\0\xff\xff"  # of deflate: stored, of no bytes, not the last (RFC 1951, 3.2.4)
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


@dataclass
class Line:
    """A connection, and the request that came over it."""

    stream: socket.socket
    closing: threading.Event
    head: bytes = b""  # of the request
    body: bytes = b""
    sent: int = 0  # bytes

    @property
    def asked(self) -> str:
        """Method and path of the request."""
        return " ".join(self.head.decode("latin-1").split(" ")[:2])

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self.stream.sendall(data)
        self.sent += len(data)

    def drip(self, drop: bytes) -> None:
        """Send a drop now and then, for ever."""
        while not self.closing.wait(PAUSE):
            self.send(drop)

    def flood(self, piece: bytes) -> None:
        """Send as much as goes, for ever."""
        while not self.closing.is_set():
            self.send(piece)


def says_nothing(line: Line) -> None:
    """Take the request and keep the connection open."""
    line.closing.wait()


def sips(line: Line) -> None:
    """Take some bytes now and then, and say nothing."""
    while not line.closing.wait(PAUSE) and line.stream.recv(1 << 16):
        pass


def drips_in_head(line: Line) -> None:
    """Send a header that does not end, byte by byte."""
    line.send(_HEAD + b"x-drop: ")
    line.drip(b"a")


def drips_in_body(line: Line) -> None:
    """Send a body byte by byte."""
    line.send(_HEAD + b"content-length: 100000\r\n\r\n")
    line.drip(b" ")


def drips_in_framing(line: Line) -> None:
    """Send a chunk whose first line does not end: not one byte of the body."""
    line.send(_HEAD + b"transfer-encoding: chunked\r\n\r\n5;x=")
    line.drip(b"a")


def drips_in_coding(line: Line) -> None:
    """Send compressed blocks with nothing in them: they make not one byte of the body."""
    line.send(_HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10])
    line.drip(_EMPTY_BLOCK)


def informs(line: Line) -> None:
    """Announce an answer again and again."""
    line.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def floods_head(line: Line) -> None:
    """Send headers without end."""
    line.send(b"HTTP/1.1 200 OK\r\n")
    line.flood(b"x-more: " + b"a" * 1000 + b"\r\n")


def floods_body(line: Line) -> None:
    """Send a body without end."""
    line.send(_HEAD + b"\r\n")
    line.flood(bytes(1 << 16))


def floods_length(line: Line) -> None:
    """Announce a body that no disk has room for, and send it."""
    line.send(_HEAD + b"content-length: 999999999999999\r\n\r\n")
    line.flood(bytes(1 << 16))


def floods_coded(line: Line) -> None:
    """Send a small body that unpacks to a large one."""
    body = bomb()
    line.send(_HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


@cache
def bomb() -> bytes:
    """Return 40 kB that unpack to 40 MB."""
    return gzip.compress(bytes(40 << 20))


def saying(body: bytes, status: str = "200 OK", *headers: bytes) -> Manner:
    """Return a manner: one answer, with these bytes in it."""

    def say(line: Line) -> None:
        head = [b"HTTP/1.1 " + status.encode("ascii"), b"content-length: %d" % len(body)]
        line.send(b"\r\n".join([*head, b"connection: close", *headers, b"", body]))

    return say


def as_drawn(draw: Callable[[httpx.Request], httpx.Response]) -> Manner:
    """Return a manner: well, as a server in memory answers."""

    def answer(line: Line) -> None:
        first, *fields = line.head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = [
            (name, value.strip()) for name, _, value in (one.partition(":") for one in fields)
        ]
        request = httpx.Request(method, f"http://draw{path}", headers=headers, content=line.body)
        drawn = draw(request)
        more = [b": ".join(one) for one in drawn.headers.raw if one[0].startswith(b"x-")]
        saying(drawn.content, f"{drawn.status_code} So", *more)(line)

    return answer


@dataclass
class Peer:
    """A server that treats each request in the manner that is set for its path."""

    manner: Manner = says_nothing
    by_path: dict[str, Manner] = field(default_factory=dict)  # a part of the path
    reads: bool = True  # else it takes connections, and not one byte ...
    sips: bool = False  # ... or a little now and then
    lines: list[Line] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def sent(self) -> int:
        """How many bytes it got rid of."""
        return sum(line.sent for line in self.lines)

    def paths(self) -> list[str]:
        return [line.asked for line in self.lines]

    def serve(self, stream: socket.socket) -> None:
        """Treat one connection."""
        with stream, suppress(OSError, ValueError):  # the other side has had enough
            line = Line(stream, self.closing, *(_read_request(stream) if self.reads else ()))
            self.lines.append(line)
            manners = (one for part, one in self.by_path.items() if part in line.asked)
            manner = next(manners, self.manner) if self.reads else says_nothing
            (sips if self.sips else manner)(line)


def _read_request(stream: socket.socket) -> tuple[bytes, bytes]:
    """Return the head and the body of a request."""
    whole = b""
    while b"\r\n\r\n" not in whole:
        whole += (piece := stream.recv(1 << 16))
        if not piece:
            raise ValueError("no request")
    head, _, body = whole.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    while len(body) < length and (piece := stream.recv(1 << 16)):
        body += piece
    return head, body


@contextmanager
def listening(manner: Manner = says_nothing, *, reads: bool = True) -> Iterator[Peer]:
    """Serve until the block ends."""
    peer = Peer(manner, reads=reads)
    threads: list[threading.Thread] = []
    streams: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            streams.append(stream)
            threads.append(threading.Thread(target=peer.serve, args=(stream,)))
            threads[-1].start()

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        peer.port = listener.getsockname()[1]
        taking = threading.Thread(target=accept, args=(listener,))
        taking.start()
        try:
            yield peer
        finally:
            peer.closing.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            taking.join()  # no connection is taken any more
            for stream in streams:
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
