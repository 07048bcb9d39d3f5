"""An association with a DICOM node: every phase has a deadline, every answer a size limit.

It runs in the calling thread, on one non-blocking socket that is closed at the end. Requests are
encoded with the PDUs and messages of pynetdicom. The associations of pynetdicom 3.0.4 are not used,
because no setting changes the following:

- it removes the timeout of its socket after connecting (`AssociationSocket.connect`) and reads in a
  thread that is not a daemon: half a PDU, or a node that does not read, blocks the process forever,
  even at exit;
- it reads a PDU of any announced length, up to 4 GB (`DULServiceProvider._read_pdu_data`);
- its timeout for an answer begins before the file is sent;
- it accepts any answer: message id, command, SOP UIDs and presentation context are not compared
  with the request;
- accepted contexts that were not offered, and damaged bytes, raise a KeyError or ValueError.

A failure raises NodeTrouble, with a predicate for a sentence that begins with the node.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from drawcli.adapters.dicom_network.connection import HELD_BACK, Phase, Wire, connected
from drawcli.adapters.dicom_network.requests import association_request, command_set
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

if TYPE_CHECKING:
    import ssl

STALL_SECONDS: Final = 60.0  # while sending, without progress
EARLY_SECONDS: Final = 0.05  # wait before the last fragment; an answer in it is too early
_LONGEST_SENT: Final = 131_072  # bytes in one P-DATA-TF, if the node accepts that
_LEAST_DATA: Final = 2  # bytes of data in a P-DATA-TF: fragments are of even length


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The time limits of the phases of an exchange, in seconds."""

    connect: float = NODE_SECONDS["connect"]
    associate: float = NODE_SECONDS["associate"]
    send: float = NODE_SECONDS["send"]
    stall: float = STALL_SECONDS
    answer: float = NODE_SECONDS["answer"]
    echo: float = NODE_ECHO_SECONDS
    rest: float = NODE_SECONDS["rest"]
    release: float = NODE_SECONDS["release"]
    early: float = EARLY_SECONDS
    slowest: float = NODE_BYTES_PER_SECOND  # bytes per second while sending

    def sending(self, size: int) -> float:
        """Return the limit for sending `size` bytes."""
        return self.send + self.early + size / self.slowest

    def answering(self, size: int) -> float:
        """Return the limit until the answer begins, including the bytes in the send buffer."""
        return self.answer + min(size, HELD_BACK) / self.slowest

    @property
    def total_of_echo(self) -> float:
        """The limit of a whole C-ECHO."""
        before = self.connect + self.associate + self.send
        return before + self.echo + self.rest + self.release

    def total(self, size: int) -> float:
        """Return the limit of a whole C-STORE of `size` bytes."""
        before = self.connect + self.associate + self.sending(size)
        return before + self.answering(size) + self.rest + self.release


class Association:
    """An association with a node; released when the block ends, aborted after an exception."""

    def __init__(  # noqa: PLR0913 - two ends, a connection and its limits
        self,
        node: Node,
        calling: str,
        offers: Sequence[ProposedContext],
        deadlines: Deadlines,
        tls: "ssl.SSLContext | None" = None,
        *,
        wire: Wire | None = None,
        request: bytes | None = None,
    ) -> None:
        """Request an association, on a new connection or on `wire`, perhaps by another request.

        Raises
        ------
        NodeTrouble
            If there is none. An association without an accepted context is not an error.
        """
        self._deadlines = deadlines
        self._unfinished = False  # a request was not sent completely, or not answered
        self._answer = b""  # the last PDU of the answer
        request = request or association_request(node, calling, offers)
        self._wire = wire or connected(node, deadlines.connect, tls)
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
        """Release or abort it; raise NodeTrouble if the node contradicts its answer."""
        if failure is not None or self._unfinished:
            self._abort()
        else:
            self._release()

    def accepts(self, offer: ProposedContext) -> bool:
        """Return whether the node has accepted a presentation context."""
        return self._acceptance.accepts(offer)

    def echo(self, offer: ProposedContext) -> int:
        """Send a C-ECHO; return the status of the answer.

        Raises
        ------
        NodeTrouble
            If there is no answer to this request.
        """
        request = DimseRequest(ECHO, offer.sop_class)
        sending = Phase("did not accept the C-ECHO", self._deadlines.send)
        send = partial(self._sent, offer, command_set(request), sending, of_command=True)
        return self._status(offer, request, send, self._deadlines.echo)

    def store(
        self,
        offer: ProposedContext,
        instance: str,
        data: bytes | memoryview,
        before_last: Callable[[], None],
    ) -> int:
        """Send a data set by C-STORE; return the status of the answer.

        Parameters
        ----------
        offer
            An accepted presentation context; the data set is in its transfer syntax.
        instance
            SOP Instance UID of the data set.
        data
            The encoded data set.
        before_last
            Called before the last fragment is sent; the node cannot have the data set before.

        Raises
        ------
        NodeTrouble
            If there is no answer to this request.
        """
        request = DimseRequest(STORE, offer.sop_class, instance)
        sending = Phase("did not accept the structure set", self._deadlines.sending(len(data)))

        def send() -> bool:
            command = command_set(request)
            return self._sent(offer, command, sending, of_command=True) and self._sent(
                offer, data, sending, before_last=before_last
            )

        return self._status(offer, request, send, self._deadlines.answering(len(data)))

    def _accepted(self, request: bytes, offers: Sequence[ProposedContext]) -> Acceptance:
        """Send an A-ASSOCIATE-RQ; return the acceptance of the node."""
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
        """Send a request; return the status of the answer."""
        self._unfinished = True
        whole = send()
        begins = Phase(f"did not answer the {request.name}", seconds)
        status = status_of(self._command(offer, begins), request)
        if not whole and is_success(status):
            raise NodeTrouble(f"answers the {request.name} before it was sent completely")
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
        """Send a command set or a data set; return False if the node answers before the end."""
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
        """Return the command set of the answer, which can have any number of fragments."""
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
                    raise NodeTrouble("answers with an unexpected data set")
                command, ended = command + fragment.content, fragment.is_last
            self._answer = body
        return command

    def _release(self) -> None:
        """Release the association; errors are ignored, except for a second, different answer."""
        self._wire.write_at_once(RELEASE)
        phase = Phase("", self._deadlines.release)
        kind, body = Pdu.DATA, self._answer
        try:
            with suppress(NodeTrouble):  # the answer was received before
                while kind is Pdu.DATA and body == self._answer:
                    kind, body = self._wire.read_pdu(phase, NODE_ANSWER_BYTES)
        finally:
            self._wire.close()
        if kind is Pdu.DATA and body != self._answer:
            raise NodeTrouble("answers one request twice, with different answers")

    def _abort(self) -> None:
        self._wire.write_at_once(ABORT)
        self._wire.close()


def _fragment_length(longest_pdu: int) -> int:
    """Return the number of data bytes in one P-DATA-TF."""
    longest = min(longest_pdu or _LONGEST_SENT, _LONGEST_SENT) - PDV_OVERHEAD
    if longest < _LEAST_DATA:
        raise NodeTrouble("accepts only PDUs that are too short for data")
    return longest - longest % 2


def _unexpected(kind: Pdu) -> NodeTrouble:
    if kind is Pdu.ABORT:
        return NodeTrouble("aborted the association")
    if kind is Pdu.RELEASE:
        return NodeTrouble("asks to release the association before it answers")
    return NodeTrouble(f"answers with an unexpected PDU (type {kind:02X})")
