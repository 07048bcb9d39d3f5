"""One association with a DICOM node: each phase has a deadline, each answer a limit.

Everything happens in the calling thread, on one socket that never blocks; nothing is left when it
ends. What is sent is encoded with the PDUs and messages of pynetdicom. Its own associations are not
used, because of what pynetdicom 3.0.4 does and no setting changes:

- it takes the timeout off its socket once connected (`AssociationSocket.connect`), and reads in a
  thread that is no daemon: half a PDU, or a node that reads nothing, blocks the process for ever,
  and at its end, too;
- it reads a PDU whole, whatever length it names: up to 4 GB (`DULServiceProvider._read_pdu_data`);
- its timeout for an answer begins before the file is sent;
- it takes any answer for the answer to its request: message id, command, SOP UIDs and presentation
  context are not compared;
- an acceptance of what was not offered ends in a KeyError or ValueError, and so do damaged bytes.

A failure is a NodeTrouble: a predicate for a sentence that begins with the node.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from drawcli.adapters.delivery.dicom_connection import HELD_BACK, Phase, connected
from drawcli.adapters.delivery.dicom_requests import association_request, command_set
from drawcli.core.dicom.dimse import ECHO, STORE, DimseRequest, is_success, status_of
from drawcli.core.dicom.upper_layer import (
    ABORT,
    PDU_HEAD,
    PDV_OVERHEAD,
    RELEASE,
    Acceptance,
    NodeTrouble,
    Pdu,
    ProposedContext,
    data_pdu,
    parse_acceptance,
    parse_fragments,
    rejection_reason,
)
from drawcli.core.protocol.dicom_address import Node
from drawcli.system.limits import (
    NODE_ANSWER_BYTES,
    NODE_BYTES_PER_SECOND,
    NODE_ECHO_SECONDS,
    NODE_SECONDS,
)

STALL_SECONDS: Final = 60.0  # while sending, without a byte taken
EARLY_SECONDS: Final = 0.05  # before the last fragment: an answer that comes now is too early
_LONGEST_SENT: Final = 131_072  # bytes in one P-DATA-TF, where the node takes as many
_LEAST_DATA: Final = 2  # bytes of data in a P-DATA-TF: fragments are of even length


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each phase of an exchange may take, seconds."""

    connect: float = NODE_SECONDS["connect"]
    associate: float = NODE_SECONDS["associate"]
    send: float = NODE_SECONDS["send"]
    stall: float = STALL_SECONDS
    answer: float = NODE_SECONDS["answer"]
    echo: float = NODE_ECHO_SECONDS
    rest: float = NODE_SECONDS["rest"]
    release: float = NODE_SECONDS["release"]
    early: float = EARLY_SECONDS
    slowest: float = NODE_BYTES_PER_SECOND  # the rate of sending

    def sending(self, size: int) -> float:
        """Return how long it may take to send so many bytes."""
        return self.send + self.early + size / self.slowest

    def answering(self, size: int) -> float:
        """Return how long the answer may take to begin; what is held back goes out first."""
        return self.answer + min(size, HELD_BACK) / self.slowest

    @property
    def total_of_echo(self) -> float:
        """How long it takes at most to ask whether a node is there."""
        before = self.connect + self.associate + self.send
        return before + self.echo + self.rest + self.release

    def total(self, size: int) -> float:
        """Return how long it takes at most to store a file of so many bytes, or to fail."""
        before = self.connect + self.associate + self.sending(size)
        return before + self.answering(size) + self.rest + self.release


class Association:
    """An association with a node; released where the block ends well, else aborted."""

    def __init__(
        self, node: Node, calling: str, offers: Sequence[ProposedContext], deadlines: Deadlines
    ) -> None:
        """Ask a node for an association.

        Raises
        ------
        NodeTrouble
            Where there is none. One that accepts nothing of what is offered is an association.
        """
        self._deadlines = deadlines
        self._unfinished = False  # a request was begun, and not sent whole or not answered
        self._answer = b""  # the last PDU of the answer
        request = association_request(node, calling, offers)
        self._wire = connected(node, deadlines.connect)
        try:
            self._acceptance = self._accepted(request, offers)
            self._fragment = _fragment_length(self._acceptance.longest_pdu)
        except BaseException:
            self._abort()
            raise

    def __enter__(self) -> Self:
        """Return the association."""
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        """Release or abort it; raise NodeTrouble where the node contradicts its answer."""
        if failure is not None or self._unfinished:
            self._abort()
        else:
            self._release()

    def accepts(self, offer: ProposedContext) -> bool:
        """Tell whether the node has accepted a presentation context."""
        return self._acceptance.accepts(offer)

    def echo(self, offer: ProposedContext) -> int:
        """Send a C-ECHO; return the status of its answer.

        Raises
        ------
        NodeTrouble
            Where there is none.
        """
        request = DimseRequest(ECHO, offer.sop_class)
        sending = Phase("did not take the C-ECHO", self._deadlines.send)
        send = partial(self._sent, offer, command_set(request), sending, of_command=True)
        return self._status(offer, request, send, self._deadlines.echo)

    def store(
        self,
        offer: ProposedContext,
        instance: str,
        data: bytes | memoryview,
        before_last: Callable[[], None],
    ) -> int:
        """Send a data set by C-STORE; return the status of its answer.

        Parameters
        ----------
        offer
            An accepted presentation context; the data set is in its transfer syntax.
        instance
            SOP Instance UID of the data set.
        data
            The data set.
        before_last
            Called before the last fragment is sent: until then the node cannot have the data set.

        Raises
        ------
        NodeTrouble
            Where there is no answer, or none to this request.
        """
        request = DimseRequest(STORE, offer.sop_class, instance)
        sending = Phase("did not take the structure set", self._deadlines.sending(len(data)))

        def send() -> bool:
            command = command_set(request)
            return self._sent(offer, command, sending, of_command=True) and self._sent(
                offer, data, sending, before_last=before_last
            )

        return self._status(offer, request, send, self._deadlines.answering(len(data)))

    def _accepted(self, request: bytes, offers: Sequence[ProposedContext]) -> Acceptance:
        """Send an A-ASSOCIATE-RQ; return what the node accepts."""
        phase = Phase("did not answer the association request", self._deadlines.associate)
        whole = self._wire.write(request, phase, self._deadlines.stall)
        kind, body = self._wire.read_pdu(phase, NODE_ANSWER_BYTES)
        if kind is Pdu.REJECT:
            raise NodeTrouble(rejection_reason(body))
        if kind is not Pdu.ACCEPT or not whole:
            raise _unexpected(kind)
        return parse_acceptance(body, {offer.context: offer for offer in offers})

    def _status(
        self,
        offer: ProposedContext,
        request: DimseRequest,
        send: Callable[[], bool],
        seconds: float,
    ) -> int:
        """Send a request; return the status of its answer."""
        self._unfinished = True
        whole = send()
        begins = Phase(f"did not answer the {request.name}", seconds)
        status = status_of(self._command(offer, begins), request)
        if not whole and is_success(status):
            raise NodeTrouble(f"answers the {request.name} before it had all of it")
        self._unfinished = not whole
        return status

    def _sent(
        self,
        offer: ProposedContext,
        content: bytes | memoryview,
        phase: Phase,
        *,
        of_command: bool = False,
        before_last: Callable[[], None] | None = None,
    ) -> bool:
        """Send a command set or a data set; return False where the node interrupts."""
        content = memoryview(content)
        for start in range(0, len(content), self._fragment):
            piece = content[start : start + self._fragment]
            last = start + len(piece) == len(content)
            if last and before_last is not None:
                if self._wire.has_come(self._deadlines.early):
                    return False
                before_last()
            pdu = data_pdu(offer.context, piece, of_command=of_command, last=last)
            if not self._wire.write(pdu, phase, self._deadlines.stall):
                return False
        return True

    def _command(self, offer: ProposedContext, begins: Phase) -> bytes:
        """Return the command set of an answer, which may come in any number of fragments."""
        if not self._wire.has_come(begins.left()):
            raise begins.late()
        rest = Phase("did not finish its answer", self._deadlines.rest)
        command, left, ended = b"", NODE_ANSWER_BYTES, False
        while not ended:
            kind, body = self._wire.read_pdu(rest, left)
            if kind is not Pdu.DATA:
                raise _unexpected(kind)
            left -= PDU_HEAD.size + len(body)
            for fragment in parse_fragments(body):
                if ended:
                    raise NodeTrouble("sends more than one answer")
                if fragment.context != offer.context:
                    raise NodeTrouble("answers on another presentation context")
                if not fragment.of_command:
                    raise NodeTrouble("answers with a data set, where none belongs")
                command, ended = command + fragment.content, fragment.is_last
            self._answer = body
        return command

    def _release(self) -> None:
        """Release the association; what the node does now changes nothing, but another answer."""
        self._wire.write_at_once(RELEASE)
        phase = Phase("", self._deadlines.release)
        kind, body = Pdu.DATA, self._answer
        try:
            with suppress(NodeTrouble):  # it has answered before
                while kind is Pdu.DATA and body == self._answer:
                    kind, body = self._wire.read_pdu(phase, NODE_ANSWER_BYTES)
        finally:
            self._wire.close()
        if kind is Pdu.DATA and body != self._answer:
            raise NodeTrouble("answers one request twice, and not the same")

    def _abort(self) -> None:
        self._wire.write_at_once(ABORT)
        self._wire.close()


def _fragment_length(longest_pdu: int) -> int:
    """Return how many bytes of data go into one P-DATA-TF."""
    longest = min(longest_pdu or _LONGEST_SENT, _LONGEST_SENT) - PDV_OVERHEAD
    if longest < _LEAST_DATA:
        raise NodeTrouble("takes PDUs too short for any data")
    return longest - longest % 2


def _unexpected(kind: Pdu) -> NodeTrouble:
    if kind is Pdu.ABORT:
        return NodeTrouble("aborted the association")
    if kind is Pdu.RELEASE:
        return NodeTrouble("wants to release the association before it has answered")
    return NodeTrouble(f"answers with a PDU that does not belong there (type {kind:02X})")
