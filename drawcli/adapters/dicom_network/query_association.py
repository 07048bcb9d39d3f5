"""An association with an archive: C-FIND, C-GET and C-MOVE, each wait and each answer bounded."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from drawcli.adapters.dicom_network.association import Association, Deadlines
from drawcli.adapters.dicom_network.connection import Phase, Wire
from drawcli.adapters.dicom_network.incoming import IncomingMessages, NodeMessage
from drawcli.adapters.dicom_network.requests import association_request
from drawcli.core.dicom.header import IMPLICIT_LITTLE
from drawcli.core.dicom.upper_layer import ABORT, NodeTrouble, ProposedContext
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.core.dicom_service.object_store import ArrivingObject, Take
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.service_request import (
    ServiceRequest,
    ServiceStatus,
    parse_request,
    response,
)
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.core.protocol.dicom_address import Node
from drawcli.core.pull.retrieval import (
    FIND,
    GET,
    MODELS,
    MOVE,
    NAMES,
    QueryResponse,
    check_end,
    is_response_to,
    parse_response,
    query_command,
)
from drawcli.system.network.pull_limits import (
    PULL_ANSWER_BYTES,
    PULL_NEXT_SECONDS,
    PULL_OBJECT_SECONDS,
    PULL_PDU_BYTES,
    PULL_QUERY_SECONDS,
)

if TYPE_CHECKING:
    import ssl

QUERY, RETRIEVE, FIRST_STORAGE = 1, 3, 5  # presentation contexts
_LOOK_SECONDS: Final = 0.5  # between two looks at what has arrived
MOST_CONTEXTS: Final = 126  # of storage
_SUCCESS: Final = StoreOutcome(ServiceStatus.SUCCESS, "")


class QueryAssociation(Association):
    """An association with an archive; requests are made one after the other."""

    def __init__(  # noqa: PLR0913 - as the base, and what is asked
        self,
        node: Node,
        calling: str,
        commands: Sequence[int],
        deadlines: Deadlines,
        tls: "ssl.SSLContext | None" = None,
        *,
        storage: Sequence[tuple[str, str]] = (),
        wire: Wire | None = None,
    ) -> None:
        """Request an association.

        Parameters
        ----------
        node, calling, deadlines, tls, wire
            As for every association.
        commands
            The kinds of requests: FIND, GET, MOVE.
        storage
            SOP classes and transfer syntaxes that are accepted in a C-GET.

        Raises
        ------
        NodeTrouble
            If there is none.
        """
        numbers = {FIND: QUERY, GET: RETRIEVE, MOVE: RETRIEVE}
        asked = [ProposedContext(numbers[c], MODELS[c], IMPLICIT_LITTLE) for c in commands]
        stored = [
            ProposedContext(FIRST_STORAGE + 2 * number, *pair)
            for number, pair in enumerate(storage[: MOST_CONTEXTS - 2])
        ]
        offers = [*asked, *stored]
        request = association_request(
            node,
            calling,
            offers,
            provided=dict.fromkeys(offer.sop_class for offer in stored),
            longest_pdu=PULL_PDU_BYTES,
        )
        super().__init__(node, calling, offers, deadlines, tls, wire=wire, request=request)
        self._title = node.ae_title
        self._asked = dict(zip(commands, asked, strict=True))
        self._stored = {offer.context: offer for offer in stored if self.accepts(offer)}
        self._messages = IncomingMessages(self._wire)
        self._number = 0  # of the last request

    def check_accepted(self, command: int) -> None:
        """Raise NodeTrouble if the node does not accept a kind of request."""
        if not self.accepts(self._asked[command]):
            raise NodeTrouble(f"does not offer {NAMES[command]} of the study root")

    def check_objects(self) -> None:
        """Raise NodeTrouble if the node accepts no context in which it can send objects."""
        if not self._stored:
            raise NodeTrouble("accepts no SOP class and transfer syntax of the series")

    def find(self, identifier: bytes, seconds: float | None = None) -> Iterator[bytes]:
        """Yield the identifier of each answer to a query, which may take so long.

        Raises
        ------
        NodeTrouble
            If it is refused, or not answered in time; QueryRefused has the status.
        """
        whole = Phase("did not finish its answers", seconds or PULL_QUERY_SECONDS)
        number = self._ask(FIND, identifier)
        while True:
            answer = self._response(self._messages.next(self._seconds(whole)), FIND, number)
            if not answer.is_pending:
                break
            if not answer.has_data_set:
                raise NodeTrouble("answers a query without an identifier")
            yield self._identifier(QUERY, whole)
        self._done(answer, FIND)

    def get(self, identifier: bytes, take: Take, largest: int) -> QueryResponse:
        """Retrieve objects in this association; return the last response.

        Parameters
        ----------
        identifier
            Names the objects.
        take
            Called for each object.
        largest
            Bytes of an object.

        Raises
        ------
        NodeTrouble
            If it is refused, or an object does not arrive whole and in time.
        NotStored
            If an object cannot be stored.
        """
        number = self._ask(GET, identifier)
        while True:
            message = self._messages.next(PULL_NEXT_SECONDS)
            if not is_response_to(GET, message.command):
                self._store(message, take, largest)
                continue
            answer = self._response(message, GET, number)
            if answer.has_data_set:  # the list of what has failed
                self._identifier(RETRIEVE, Phase("did not finish its answer", PULL_NEXT_SECONDS))
            if not answer.is_pending:
                return self._done(answer, GET)

    def move(
        self, identifier: bytes, destination: str, arrived: Callable[[], int]
    ) -> QueryResponse:
        """Let the node send objects to an AE title; return the last response.

        Parameters
        ----------
        identifier, destination
            Names the objects and the AE title that they are sent to.
        arrived
            Returns how many are there; called again and again. Not every node reports progress.

        Raises
        ------
        NodeTrouble
            If it is refused, or neither an answer nor an object comes for some time.
        """
        number = self._ask(MOVE, identifier, destination)
        while True:
            self._wait_for_progress(arrived)
            message = self._messages.next(PULL_NEXT_SECONDS)
            answer = self._response(message, MOVE, number)
            if answer.has_data_set:
                self._identifier(RETRIEVE, Phase("did not finish its answer", PULL_NEXT_SECONDS))
            if not answer.is_pending:
                return self._done(answer, MOVE)

    def _wait_for_progress(self, arrived: Callable[[], int]) -> None:
        """Wait for an answer as long as objects arrive."""
        count, patience = arrived(), Phase("sent nothing to our receiver", PULL_NEXT_SECONDS)
        while not self._messages.has_come(min(_LOOK_SECONDS, patience.left())):
            if arrived() != count:
                count = arrived()
                patience = Phase("sent nothing to our receiver", PULL_NEXT_SECONDS)
            elif not patience.left():
                raise patience.late()

    def _ask(self, command: int, identifier: bytes, destination: str = "") -> int:
        """Send a request; return its message id."""
        self.check_accepted(command)
        self._unfinished, self._number = True, self._number % 0xFFFF + 1
        offer, size = self._asked[command], len(identifier)
        phase = Phase(f"did not accept the {NAMES[command]}", self._deadlines.sending(size))
        send = partial(self._sent, offer, phase=phase)
        if send(query_command(command, self._number, destination), of_command=True):
            send(identifier)
        return self._number

    def _response(self, message: NodeMessage, command: int, number: int) -> QueryResponse:
        answer = parse_response(message.command, command, number)
        if message.context != self._asked[command].context:
            raise NodeTrouble("answers on another presentation context")
        return answer

    def _done(self, answer: QueryResponse, command: int) -> QueryResponse:
        """Return the last response of a request; raise QueryRefused if it is a failure."""
        self._unfinished = False
        check_end(answer, command)
        return answer

    def _identifier(self, context: int, phase: Phase) -> bytes:
        pieces = list[bytes]()
        self._messages.data(context, phase, PULL_ANSWER_BYTES, pieces.append)
        return b"".join(pieces)

    def _seconds(self, whole: Phase) -> float:
        if not whole.left():
            raise whole.late()
        return min(whole.left(), PULL_NEXT_SECONDS)

    def _store(self, message: NodeMessage, take: Take, largest: int) -> None:
        """Receive one object, and answer it."""
        offer = self._stored.get(message.context)
        try:
            request = parse_request(message.command)
        except BadMessage:
            raise NodeTrouble("sends a message that cannot be read") from None
        if offer is None or not request.is_store or request.sop_class != offer.sop_class:
            raise NodeTrouble("sends something other than an object, in answer to a C-GET")
        if not (request.has_data_set and request.sop_instance):
            raise NodeTrouble("sends an object without a data set or a valid SOP Instance UID")
        facts = ObjectFacts(
            offer.sop_class, request.sop_instance, offer.transfer_syntax, self._title
        )
        outcome = self._received(message, take(facts), largest)
        self._answer_object(message.context, request, outcome)

    def _received(
        self, message: NodeMessage, taken: "ArrivingObject | StoreOutcome", largest: int
    ) -> StoreOutcome:
        """Receive a data set; return the answer. One that is refused is read to its end."""
        phase = Phase("did not finish an object", PULL_OBJECT_SECONDS)
        if isinstance(taken, StoreOutcome):
            self._messages.data(message.context, phase, largest, _ignored)
            return taken
        try:
            self._messages.data(message.context, phase, largest, taken.write)
            taken.end()
        finally:
            taken.discard()
        return _SUCCESS

    def _answer_object(self, context: int, request: ServiceRequest, outcome: StoreOutcome) -> None:
        phase = Phase("did not accept our answer", self._deadlines.send)
        data = response(context, request, outcome.status, outcome.comment)
        self._wire.answer(data, phase, self._deadlines.stall)

    def _release(self) -> None:
        """Release the association; what an archive says afterwards does not matter."""
        try:
            super()._release()
        except NodeTrouble:
            self._wire.write_at_once(ABORT)


def _ignored(_: bytes) -> None:
    """Take a piece of an object that is refused."""
