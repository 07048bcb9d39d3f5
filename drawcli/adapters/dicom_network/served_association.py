"""One association as a provider: C-ECHO and C-STORE, each bounded in time and bytes.

It is a coroutine of the listener. Nothing that blocks is called here: the object store is called
in threads.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import inf

from drawcli.adapters.dicom_network.message_stream import Command, MessageStream
from drawcli.adapters.dicom_network.peer_stream import Ended, PeerStream
from drawcli.adapters.dicom_network.reporting import report_answer
from drawcli.adapters.dicom_network.service import Service
from drawcli.adapters.dicom_network.storing import Storing
from drawcli.core.delivery.commitment import PUSH_MODEL
from drawcli.core.dicom.upper_layer import Pdu
from drawcli.core.dicom_service.association_answer import (
    RELEASED,
    TOO_MANY,
    AbortReason,
    AnsweredContext,
    abort,
    acceptance,
    negotiate,
    rejection,
)
from drawcli.core.dicom_service.association_request import BadMessage, parse_association_request
from drawcli.core.dicom_service.callers import Address
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.service_request import (
    CANCEL,
    ServiceRequest,
    ServiceStatus,
    parse_request,
    response,
)
from drawcli.core.dicom_service.tally import CONFLICT, REPEATED, STORED, StoreOutcome
from drawcli.system.limits import RECEIVE_PDU_BYTES

_log = logging.getLogger(__name__)


class ServedAssociation:
    """One association, from the accepted connection to its end."""

    def __init__(self, service: Service, peer: PeerStream, address: Address) -> None:
        self._service = service
        self._peer = peer
        self._messages = MessageStream(peer)
        self._contexts: Mapping[int, AnsweredContext] = {}
        self._counts = Counter[str]()  # answers to C-STORE, by code
        self._bytes = 0
        self.address = address
        self.calling = ""  # AE title, once the association is accepted
        self.served = 0  # requests answered
        self.is_stopping = False

    @property
    def is_busy(self) -> bool:
        """Whether it is receiving or answering a request."""
        return self._messages.is_inside

    @property
    def waiting_since(self) -> float:
        """When it sent something last, by the loop's clock, if nothing was ever answered in it.

        inf: it has been used, or it waits for its first answer.
        """
        return inf if self.served or self._messages.is_whole else self._messages.latest

    async def run(self, request_by: float, admit: Callable[[], bool]) -> None:
        """Serve the association until it ends.

        Parameters
        ----------
        request_by
            When its request must be complete, by the loop's clock.
        admit
            Counts the association; returns False if there are too many.
        """
        began, end = time.monotonic(), "stopped"
        try:
            end = await self._serve(request_by, admit)
        except BadMessage as err:
            end = err.code
            self._service.tally.refuse(end)
            self._peer.send_last(abort(_reason(end)))
        except Ended as err:
            end = err.code
            self._peer.send_last(abort(AbortReason.NONE))
        except asyncio.CancelledError:
            self._peer.send_last(abort(AbortReason.NONE))
            raise
        finally:
            self._log(end, time.monotonic() - began)

    async def _serve(self, request_by: float, admit: Callable[[], bool]) -> str:
        """Serve requests; return how the association ended."""
        refused = await self._associate(request_by, admit)
        if refused:
            return refused
        while not self.is_stopping:
            wanted = self._service
            seconds = wanted.idle_seconds if self.served else wanted.first_request_seconds
            command = await self._messages.command(seconds)
            if command is None:
                self._peer.send_last(RELEASED)
                return "released"
            await self._answer(command)
        self._peer.send_last(abort(AbortReason.NONE))
        return "stopped"

    async def _associate(self, request_by: float, admit: Callable[[], bool]) -> str:
        """Answer the request of the association; return why it is rejected, or ""."""
        kind, body = await self._peer.read_pdu(request_by, request_by)
        if kind is not Pdu.REQUEST:
            raise BadMessage("unexpected-pdu")
        request = parse_association_request(body)
        why = self._service.objection(request, self.address)
        if why is None and not admit():
            why = TOO_MANY
        if why is not None:
            self._service.tally.refuse(why.code)
            self._peer.send_last(rejection(why))
            return why.code
        self.calling = request.calling
        answers, self._contexts = negotiate(request, self._service.supported)
        await self._peer.send(acceptance(request, answers, RECEIVE_PDU_BYTES))
        return ""

    async def _answer(self, command: Command) -> None:
        """Serve one request."""
        context = self._contexts.get(command.context)
        if context is None:
            raise BadMessage("wrong-context")
        request = parse_request(command.content)
        if request.command == CANCEL:  # of a request that has been answered
            self._messages.answered()
            return
        if context.sop_class == PUSH_MODEL:
            answer = await report_answer(self._service, self._messages, context, command)
        else:
            outcome = await self._outcome(context, request)
            answer = response(context.context, request, outcome.status, outcome.comment)
        await self._peer.send(answer)
        self.served += 1
        self._messages.answered()

    async def _outcome(self, context: AnsweredContext, request: ServiceRequest) -> StoreOutcome:
        """Return the answer to a request, after its data set."""
        if request.is_echo and not request.has_data_set:
            return StoreOutcome(ServiceStatus.SUCCESS, "echo")
        storing = Storing(self._service, self._messages, _refusal(context, request))
        facts = ObjectFacts(
            context.sop_class, request.sop_instance, context.transfer_syntax, self.calling
        )
        outcome = StoreOutcome(ServiceStatus.MISTYPED, "no-data-set")
        if request.has_data_set:
            outcome = await storing.receive(context.context, facts)
        self._counts[outcome.code] += 1
        self._bytes += storing.size
        self._service.tally.count(outcome, storing.size, time.time())
        return outcome

    def _log(self, end: str, seconds: float) -> None:
        """Log one line for an association; of those that stored nothing, so many a minute."""
        if not self.has_stored and not self._service.budget.allows(time.monotonic()):
            return
        counts = self._counts
        received = (STORED, REPEATED, CONFLICT)
        refused = {code: n for code, n in sorted(counts.items()) if code not in received}
        _log.info(
            "receive=association peer=%s ae=%s end=%s requests=%d %s refused=%s bytes=%d "
            "seconds=%.1f",
            self.address,
            self.calling.replace(" ", "_") or "-",
            end,
            self.served,
            " ".join(f"{code}={counts[code]}" for code in received),
            ",".join(f"{code}:{n}" for code, n in refused.items()) or "0",
            self._bytes,
            seconds,
        )

    @property
    def has_stored(self) -> bool:
        """Whether an object was stored in it."""
        return self._counts[STORED] > 0


def _refusal(context: AnsweredContext, request: ServiceRequest) -> StoreOutcome | None:
    """Return why a request is refused by its command alone."""
    if not request.is_store:
        return StoreOutcome(ServiceStatus.UNRECOGNIZED, "unknown-command")
    if request.sop_class != context.sop_class or not context.is_storage:
        return StoreOutcome(
            ServiceStatus.NO_SUCH_CLASS, "wrong-class", "not the class of the context"
        )
    if not request.sop_instance:
        return StoreOutcome(ServiceStatus.MISTYPED, "bad-uid", "the SOP Instance UID is not a UID")
    return None


def _reason(code: str) -> AbortReason:
    """Return the reason of an abort for a message that breaks the standard."""
    unexpected = code in ("unexpected-pdu", "release-in-message", "unexpected-data-set")
    return AbortReason.UNEXPECTED_PDU if unexpected else AbortReason.INVALID_PARAMETER
