"""Limits on the connections to the page, from the moment that they are accepted.

They are counted before a byte of TLS or HTTP is read, so that silent ones count too. Above the
limit a new connection replaces the one that has kept the server waiting longest; a connection
whose request is being answered stays. So endless requests do not lock users out: a complete
request takes milliseconds.
"""

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Final

from drawcli.dashboard.access.addresses import Network, is_among, network_of
from drawcli.system.limits import EXCHANGES, PAGE_CONNECTIONS, PAGE_STREAMS
from drawcli.system.network.closed_connections import ClosedConnections
from drawcli.system.platforms import max_open_files

_log = logging.getLogger(__name__)
_LOG_SECONDS: Final = 60.0
_SWEEP_SECONDS: Final = 0.25
_LEAST: Final = 8
_QUEUE: Final = 1024  # connections that the system holds until they are accepted


_NO_LINGER: Final = struct.pack("ii", 1, 0)
_SENDING_BYTES: Final = 1 << 17  # the send buffer of a connection


def max_connections() -> int:
    """Return the largest number of connections: at most half of the open files allowed."""
    return max(min(PAGE_CONNECTIONS, max_open_files() // 2), _LEAST)


def max_streams(connections: int) -> int:
    """Return the largest number of event streams: half of the connections of one network.

    >>> max_streams(256), max_streams(64)
    (64, 16)
    """
    return min(PAGE_STREAMS, connections // 4)


def accept_batch(connections: int) -> int:
    """Return how many are accepted before any is read; too many would replace each other."""
    return max(connections // 32, 1)


@dataclass(slots=True, eq=False)
class Connection:
    """A connection and its deadlines, by the monotonic clock; inf: none."""

    stream: Any  # a socket
    number: int  # its file descriptor
    network: str
    close: Callable[[], object]
    late: Callable[[], object]
    since: float = inf  # when the server began to wait
    request_by: float = inf  # the request must be complete
    taken_by: float = inf  # the client must have read the response
    spare: float = 0.0  # seconds of not reading that are left
    is_closed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its file descriptor is still valid."""
        return not self.is_closed and self.stream.fileno() == self.number

    def wait_for_request(self, now: float) -> None:
        """Start the deadline of a request."""
        self.since = min(self.since, now)
        self.request_by = now + EXCHANGES["page-request"].seconds

    def request_received(self) -> None:
        """Clear the deadline of the request: it is complete."""
        self.request_by = inf
        if self.taken_by == inf:
            self.since = inf

    def wait_for_read(self, now: float, waiting: int) -> None:
        """Start the deadline for the client to read `waiting` bytes.

        Each connection has the seconds of the table once, in addition to the time of the bytes at
        the slowest rate: a client that reads a little now and then uses them up too.
        """
        self.since = min(self.since, now)
        self.taken_by = now + self.spare + waiting / EXCHANGES["page-answer"].rate

    def read_done(self, now: float) -> None:
        """Clear the deadline for reading, and keep the seconds left."""
        if self.taken_by == inf:
            return
        self.spare = min(self.taken_by - now, EXCHANGES["page-answer"].seconds)
        self.taken_by = inf
        if self.request_by == inf:
            self.since = inf

    def discard_unsent(self) -> None:
        """Make the system drop unsent bytes on close."""
        with suppress(OSError):
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)

    def close_now(self) -> None:
        """Close it at once."""
        self.is_closed = True
        self.close()


class Connections:
    """All connections of a page; only its event loop uses this.

    Parameters
    ----------
    most
        The largest number of connections.
    proxies
        Networks that may have all of them; any other network has half.
    """

    def __init__(self, most: int, proxies: Sequence[Network] = ()) -> None:
        self._most = most
        self._proxies = proxies
        self._all: dict[int, Connection] = {}
        self._sweeping = False
        self._crowded: Counter[str] = Counter()  # closed because of the limit, by network
        self._logged = -inf
        self._earlier = ClosedConnections()

    def add(self, stream: Any, address: str) -> Connection:
        """Count an accepted connection; above the limit close it or another."""
        self._all = {number: one for number, one in self._all.items() if one.is_open}
        self._earlier.add()
        known = is_among(address, self._proxies)
        network = network_of(address)
        number = stream.fileno()

        def close() -> None:
            with suppress(OSError):  # already closed
                stream.shutdown(socket.SHUT_RDWR)  # the event loop then closes it

        connection = Connection(stream, number, network, close, close)
        connection.spare = EXCHANGES["page-answer"].seconds
        connection.wait_for_request(monotonic())
        has_room = self._make_room(network, self._most if known else self._most // 2)
        self._all[number] = connection
        if not has_room:
            self._crowded[network] += 1
            connection.close_now()
        self._sweep_later()
        return connection

    def of(self, transport: asyncio.BaseTransport) -> Connection:
        """Return the connection of a transport; a new one is counted now."""
        stream = transport.get_extra_info("socket")
        known = self._all.get(stream.fileno())
        peer = transport.get_extra_info("peername") or ("",)
        return known or self.add(stream, str(peer[0]))

    def _make_room(self, network: str, most: int) -> bool:
        """Close a connection if the limit is reached; False if all are being answered."""
        every = list(self._all.values())
        crowd = [other for other in every if other.network == network]
        if len(crowd) < most:
            if len(every) < self._most:
                return True
            ((largest, _),) = Counter(other.network for other in every).most_common(1)
            crowd = [other for other in every if other.network == largest]
        waiting = [other for other in crowd if other.since < inf]
        if not waiting:
            return False
        longest = min(waiting, key=lambda other: other.since)
        longest.close_now()
        self._crowded[longest.network] += 1
        self._all.pop(longest.number, None)
        return True

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close the connections past their deadline."""
        self._sweeping = False
        self._all = {number: one for number, one in self._all.items() if one.is_open}
        now = monotonic()
        self._log_crowd(now)
        for connection in list(self._all.values()):
            if connection.taken_by <= now:
                connection.discard_unsent()
                connection.close_now()
            elif connection.request_by <= now:
                connection.is_closed = True
                connection.late()
        if self._all:
            self._sweep_later()

    def _log_crowd(self, now: float) -> None:
        """Log the connections closed because of the limit, at most once a minute."""
        if self._crowded and now >= self._logged + _LOG_SECONDS:
            ((network, _),) = self._crowded.most_common(1)
            _log.warning("page=crowded closed=%d most=%s", self._crowded.total(), network)
            self._crowded.clear()
            self._logged = now


class Listener(socket.socket):
    """A listening socket that counts the connections it accepts.

    On Windows the event loop does not call `accept`; there a connection is counted after its TLS
    handshake.
    """

    connections: Connections | None = None

    def listen(self, backlog: int = 0, /) -> None:
        """Listen; asyncio accepts `backlog` at a time, and more may wait in the queue."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING_BYTES)
        super().listen(max(backlog, _QUEUE))

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        stream, address = super().accept()
        if self.connections is not None:
            self.connections.add(stream, str(address[0]))
        return stream, address
