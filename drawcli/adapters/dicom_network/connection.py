"""A TCP connection on which no wait is longer than its phase allows.

A wait ends with data, a failure of the connection or the end of the phase; the last two raise
NodeTrouble. The socket never blocks, so a timeout needs no thread.
"""

import selectors
import socket
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from drawcli.core.dicom.upper_layer import PDU_HEAD, NodeTrouble, Pdu
from drawcli.core.protocol.dicom_address import Node
from drawcli.errors import ServerSilent
from drawcli.system.failures import in_words
from drawcli.system.pacing import Deadline, with_deadline
from drawcli.system.threads import LISTEN_SECONDS

if TYPE_CHECKING:
    import ssl

SEND_BUFFER: Final = 131_072  # bytes; Linux doubles it
HELD_BACK: Final = 2 * SEND_BUFFER  # bytes that the system has buffered and not sent yet
_LEAST_SECONDS: Final = 0.01  # for connecting; 0 would not wait
_LARGEST_PIECE: Final = 65_536  # bytes for one recv
_T = TypeVar("_T")
_TYPING_ERROR: Final = "Check deliver.node for a typing error, and whether the name has changed."


class Phase:
    """A part of an exchange, with its deadline."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds, at least 0."""
        return max(0.0, self._end - monotonic())

    def extend(self, seconds: float) -> None:
        """Allow some seconds more, for data that came."""
        self._seconds += seconds
        self._end += seconds

    def late(self) -> NodeTrouble:
        """Return the error for a missed deadline."""
        return NodeTrouble(f"{self._what} within {self._seconds:.0f} seconds")


class Wire:
    """A connection to a node."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, EVENT_READ)

    def close(self) -> None:
        """Close the connection; the system sends the bytes that it has buffered."""
        self._selector.close()
        self._socket.close()

    def has_come(self, seconds: float) -> bool:
        """Return whether data arrives, or the connection ends, within some seconds."""
        return bool(self._wait(EVENT_READ, seconds))

    def read_pdu(self, phase: Phase, limit: int) -> tuple[Pdu, bytes]:
        """Return the next PDU: its type and its content.

        Raises
        ------
        NodeTrouble
            If none arrives, or it is longer than `limit`, in bytes with its header.
        """
        kind, length = PDU_HEAD.unpack(self._read(PDU_HEAD.size, phase))
        try:
            pdu = Pdu(kind)
        except ValueError:
            raise NodeTrouble("does not answer like a DICOM node") from None
        if PDU_HEAD.size + length > limit:
            raise NodeTrouble(f"sends a PDU of {length:,} bytes, more than an answer can have")
        return pdu, self._read(length, phase)

    def write(self, data: bytes, phase: Phase, stall: float) -> bool:
        """Send data; stop and return False as soon as anything is received.

        Raises
        ------
        NodeTrouble
            If it is not sent in time, or nothing is sent for `stall` seconds.
        """
        return self._written(data, phase, stall, EVENT_READ | EVENT_WRITE)

    def answer(self, data: bytes, phase: Phase, stall: float) -> None:
        """Send data, also while something is received; raise NodeTrouble as `write` does."""
        self._written(data, phase, stall, EVENT_WRITE)

    def _written(self, data: bytes, phase: Phase, stall: float, waited_for: int) -> bool:
        """Send data; return False at an event other than that data can be sent."""
        rest = memoryview(data)
        while rest:
            left = phase.left()
            events = self._wait(waited_for, min(stall, left)) if left else 0
            if events & EVENT_READ:
                return False
            if not events:
                raise _stalled(stall) if phase.left() else phase.late()
            rest = rest[self._tried(partial(self._socket.send, rest)) or 0 :]
        return True

    def write_at_once(self, data: bytes) -> None:
        """Send as much as possible without waiting; ignore errors."""
        try:
            self._socket.send(data)
        except OSError:
            return

    def _read(self, size: int, phase: Phase) -> bytes:
        read = bytearray()
        while len(read) < size:
            left = phase.left()
            if not (left and self._wait(EVENT_READ, left)):
                raise phase.late()
            wanted = min(size - len(read), _LARGEST_PIECE)
            piece = self._received(wanted)
            if piece == b"":
                raise NodeTrouble("closed the connection before it answered")
            read += piece or b""
        return bytes(read)

    def _received(self, size: int) -> bytes | None:
        """Return up to `size` bytes; b"" at the end, None if there are none now."""
        return self._tried(partial(self._socket.recv, size))

    @staticmethod
    def _tried(call: Callable[[], _T]) -> _T | None:
        """Return the result of a call on the socket; None if it would block."""
        try:
            return call()
        except BlockingIOError:
            return None
        except OSError as err:
            raise NodeTrouble(f"broke the connection: {in_words(err)}") from None

    def _wait(self, events: int, seconds: float) -> int:
        """Return the events that happened; 0 if none did within some seconds."""
        self._selector.modify(self._socket, events)
        end = monotonic() + seconds
        while True:
            left = max(0.0, end - monotonic())
            if ready := self._selector.select(min(left, LISTEN_SECONDS)):
                return ready[0][1]
            if not left:
                return 0


def connected(node: Node, seconds: float, tls: "ssl.SSLContext | None" = None) -> Wire:
    """Resolve the name of a node and connect to the first address that answers.

    With `tls` the handshake is part of connecting, and within the same time.

    Raises
    ------
    NodeTrouble
        If the name has no address, no address accepts the connection, or TLS fails.
    """
    phase = Phase("did not finish the TLS handshake", seconds)
    addresses = _addresses(node, phase)
    why = "no answer in time"
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            share = phase.left() / (len(addresses) - number)
            connection.settimeout(max(share, _LEAST_SECONDS))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
        except OSError as err:
            connection.close()
            why = err.strerror or why
        except BaseException:
            connection.close()
            raise
        else:
            return Wire(connection) if tls is None else _secured(connection, node, tls, phase)
    raise NodeTrouble(f"cannot be reached: {why}")


def _secured(connection: socket.socket, node: Node, tls: "ssl.SSLContext", phase: Phase) -> Wire:
    from drawcli.adapters.dicom_network.tls_wire import secured

    return secured(connection, node.host, tls, phase)


def _addresses(node: Node, phase: Phase) -> list[tuple[Any, ...]]:
    """Return the addresses of a node as `getaddrinfo` does; names are resolved in a thread."""
    look = partial(socket.getaddrinfo, node.host, node.port, type=socket.SOCK_STREAM)
    try:
        try:
            return look(flags=socket.AI_NUMERICHOST)
        except socket.gaierror:  # a name
            return with_deadline(Deadline(phase.left()), look, len)
    except ServerSilent:
        raise NodeTrouble("cannot be reached: the name service did not answer in time") from None
    except UnicodeError:
        raise NodeTrouble(
            "cannot be reached: its host is not a valid name", _TYPING_ERROR
        ) from None
    except socket.gaierror as err:
        if err.errno == socket.EAI_AGAIN:
            raise NodeTrouble("cannot be reached: the name service does not answer") from None
        raise NodeTrouble(
            "cannot be reached: the name service does not know its host", _TYPING_ERROR
        ) from None


def _stalled(seconds: float) -> NodeTrouble:
    return NodeTrouble(f"accepted no data for {seconds:.0f} seconds")
