"""Every connection to the page, from the moment it is accepted: how many, and which has to go.

They are counted before a byte of TLS or HTTP is read, so that one who says nothing counts too. A
newcomer for whom there is no room takes the place of the one that has kept us waiting longest;
what is being answered stays. So requests that never end cost a person nothing, wherever they are
from: a whole request needs milliseconds.
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

from drawcli.dashboard.addresses import Network, is_among, network_of
from drawcli.system.limits import EXCHANGES, PAGE_CONNECTIONS, PAGE_STREAMS
from drawcli.system.platforms import max_open_files

_log = logging.getLogger(__name__)
_TOLD_SECONDS: Final = 60.0
_SWEEP_SECONDS: Final = 0.25
_LEAST: Final = 8
_QUEUE: Final = 1024  # that the system keeps for us until they are accepted


_AT_ONCE: Final = struct.pack("ii", 1, 0)
_SENDING_BYTES: Final = 1 << 17  # of one connection, that the system keeps until they are taken


def room() -> int:
    """Return how many connections the page takes: at most half of the files it may have open."""
    return max(min(PAGE_CONNECTIONS, max_open_files() // 2), _LEAST)


def streams(connections: int) -> int:
    """Return how many of them may be streams: half of what one network may have.

    >>> streams(256), streams(64)
    (64, 16)
    """
    return min(PAGE_STREAMS, connections // 4)


def at_a_time(connections: int) -> int:
    """Return how many are accepted before any is read: few, or they take each other's place."""
    return max(connections // 32, 1)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection: for what we wait, since when and until when; inf: for nothing."""

    stream: Any  # a socket
    number: int  # of its file
    network: str
    close: Callable[[], object]
    late: Callable[[], object]
    since: float = inf  # that it keeps us waiting
    request_by: float = inf  # a request has to be here
    taken_by: float = inf  # what was written has to be taken
    spare: float = 0.0  # seconds of not taking that it has left
    over: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its file is still there."""
        return not self.over and self.stream.fileno() == self.number

    def ask(self, now: float) -> None:
        """Begin to wait for a request."""
        self.since = min(self.since, now)
        self.request_by = now + EXCHANGES["page-request"].seconds

    def has_asked(self) -> None:
        """End to wait for a request: it is here."""
        self.request_by = inf
        if self.taken_by == inf:
            self.since = inf

    def stuck(self, now: float, waiting: int) -> None:
        """Begin to wait for some bytes to be taken.

        Over the whole connection it may use up the seconds of the table, beside the time that the
        bytes take at the slowest rate: who takes a little now and then uses them up too.
        """
        self.since = min(self.since, now)
        self.taken_by = now + self.spare + waiting / EXCHANGES["page-answer"].rate

    def taken(self, now: float) -> None:
        """End to wait for bytes to be taken."""
        if self.taken_by == inf:
            return
        self.spare = min(self.taken_by - now, EXCHANGES["page-answer"].seconds)
        self.taken_by = inf
        if self.request_by == inf:
            self.since = inf

    def forget(self) -> None:
        """Have the system drop what nobody takes: else it goes on to offer it."""
        with suppress(OSError):
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    def end(self) -> None:
        """Close it at once."""
        self.over = True
        self.close()


class Connections:
    """All connections of a page; used by its event loop alone.

    Parameters
    ----------
    most
        How many there may be.
    proxies
        Which may have all of them; any other network has half.
    """

    def __init__(self, most: int, proxies: Sequence[Network] = ()) -> None:
        self._most = most
        self._proxies = proxies
        self._all: dict[int, Connection] = {}
        self._sweeping = False
        self._crowded: Counter[str] = Counter()  # closed for want of room, by network
        self._told = -inf

    def took(self, stream: Any, address: str) -> Connection:
        """Count a connection that was accepted; close it, or another, where there is no room."""
        self._all = {number: one for number, one in self._all.items() if one.is_open}
        known = is_among(address, self._proxies)
        network = network_of(address)
        number = stream.fileno()

        def close() -> None:
            with suppress(OSError):  # it is gone already
                stream.shutdown(socket.SHUT_RDWR)  # the event loop sees its end, and closes it

        made = Connection(stream, number, network, close, close)
        made.spare = EXCHANGES["page-answer"].seconds
        made.ask(monotonic())
        has_room = self._has_room(network, self._most if known else self._most // 2)
        self._all[number] = made
        if not has_room:
            self._crowded[network] += 1
            made.end()
        self._sweep_later()
        return made

    def of(self, transport: asyncio.BaseTransport) -> Connection:
        """Return the connection of a transport; where it was not seen before, it is counted now."""
        stream = transport.get_extra_info("socket")
        known = self._all.get(stream.fileno())
        peer = transport.get_extra_info("peername") or ("",)
        return known or self.took(stream, str(peer[0]))

    def _has_room(self, network: str, most: int) -> bool:
        """Make room for one of a network; False where all that there are are being answered."""
        crowd = [one for one in self._all.values() if one.network == network]
        if len(crowd) < most:
            if len(self._all) < self._most:
                return True
            ((largest, _),) = Counter(one.network for one in self._all.values()).most_common(1)
            crowd = [one for one in self._all.values() if one.network == largest]
        waiting = [one for one in crowd if one.since < inf]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.since)
        longest.end()
        self._crowded[longest.network] += 1
        self._all.pop(longest.number, None)
        return True

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what is over its time."""
        self._sweeping = False
        self._all = {number: one for number, one in self._all.items() if one.is_open}
        now = monotonic()
        self._tell(now)
        for one in list(self._all.values()):
            if one.taken_by <= now:
                one.forget()
                one.end()
            elif one.request_by <= now:
                one.over = True
                one.late()
        if self._all:
            self._sweep_later()

    def _tell(self, now: float) -> None:
        """Say in the log that there is a crowd: a line a minute, however large it is."""
        if self._crowded and now >= self._told + _TOLD_SECONDS:
            ((network, _),) = self._crowded.most_common(1)
            _log.warning("page=crowded closed=%d most=%s", self._crowded.total(), network)
            self._crowded.clear()
            self._told = now


class Listener(socket.socket):
    """A listening socket that counts what it accepts.

    Where the event loop accepts without asking it, as on Windows, a connection is counted once TLS
    is agreed upon.
    """

    connections: Connections | None = None

    def listen(self, backlog: int = 0, /) -> None:
        """Listen; asyncio accepts `backlog` at a time, and many more may wait for it."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING_BYTES)
        super().listen(max(backlog, _QUEUE))

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        stream, address = super().accept()
        if self.connections is not None:
            self.connections.took(stream, str(address[0]))
        return stream, address
