"""The messages that a node sends in an association: commands, and data sets in pieces."""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from drawcli.adapters.dicom_network.connection import Phase, Wire
from drawcli.core.dicom.upper_layer import PDU_HEAD, Fragment, NodeTrouble, Pdu, parse_fragments
from drawcli.system.limits import (
    RECEIVE_COMMAND_BYTES,
    RECEIVE_SMALL_BYTES,
    RECEIVE_SMALL_FRAGMENTS,
)
from drawcli.system.network.pull_limits import PULL_BYTES_PER_SECOND, PULL_PDU_BYTES

_LONGEST: Final = PULL_PDU_BYTES + PDU_HEAD.size


class NodeMessage(NamedTuple):
    """A command set, and the presentation context that it came in."""

    context: int
    command: bytes


class IncomingMessages:
    """What a node sends, one message after the other; nothing of it is kept."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._fragments = deque[Fragment]()
        self._small = 0  # fragments of little data in the message

    def has_come(self, seconds: float) -> bool:
        """Return whether something arrives, or the connection ends, within some seconds."""
        return bool(self._fragments) or self._wire.has_come(seconds)

    def next(self, seconds: float) -> NodeMessage:
        """Return the next command set, which must be complete within some seconds.

        Raises
        ------
        NodeTrouble
            If something else arrives, or nothing.
        """
        phase = Phase("did not continue", seconds)
        command, context, self._small = b"", -1, 0
        while True:
            fragment = self._next(phase)
            if not fragment.of_command or context not in (-1, fragment.context):
                raise NodeTrouble("sends a data set without a command")
            command, context = command + fragment.content, fragment.context
            if len(command) > RECEIVE_COMMAND_BYTES:
                raise NodeTrouble("sends a command that is too long")
            if fragment.is_last:
                return NodeMessage(context, command)

    def data(self, context: int, phase: Phase, largest: int, write: Callable[[bytes], None]) -> int:
        """Pass a data set on, piece by piece; return its length in bytes.

        Parameters
        ----------
        context
            The presentation context of its command.
        phase, largest
            Its limits; each piece extends the time.
        write
            Gets each piece.

        Raises
        ------
        NodeTrouble
            If it does not arrive whole, in time and within its limit.
        """
        size = 0
        while True:
            fragment = self._next(phase)
            if fragment.of_command or fragment.context != context:
                raise NodeTrouble("sends another message within a data set")
            size += len(fragment.content)
            if size > largest:
                raise NodeTrouble(f"sends a data set of more than {largest:,} bytes")
            phase.extend(len(fragment.content) / PULL_BYTES_PER_SECOND)
            write(fragment.content)
            if fragment.is_last:
                return size

    def _next(self, phase: Phase) -> Fragment:
        """Return the next fragment; one of little data costs us more than it brings."""
        while not self._fragments:
            kind, body = self._wire.read_pdu(phase, _LONGEST)
            if kind is not Pdu.DATA:
                raise NodeTrouble(_ENDINGS.get(kind, "sends an unexpected PDU"))
            self._count_small(body)
            self._fragments.extend(parse_fragments(body))
        fragment = self._fragments.popleft()
        self._count_small(fragment.content)
        return fragment

    def _count_small(self, data: bytes) -> None:
        self._small += len(data) < RECEIVE_SMALL_BYTES
        if self._small > RECEIVE_SMALL_FRAGMENTS:
            raise NodeTrouble("sends its data in too many pieces")


_ENDINGS: Final = {
    Pdu.ABORT: "aborted the association",
    Pdu.RELEASE: "asks to release the association before it has answered",
}
