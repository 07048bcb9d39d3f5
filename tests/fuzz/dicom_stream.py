"""All bytes of a connection to `receive`: what a stranger sends, without a socket and a disk."""

import asyncio
from ipaddress import ip_address
from typing import Any, Final, cast

from drawcli.adapters.dicom_network import message_stream, peer_stream
from drawcli.adapters.dicom_network.peer_stream import PeerStream
from drawcli.adapters.dicom_network.served_association import ServedAssociation
from drawcli.adapters.dicom_network.service import Service
from drawcli.adapters.receive_folder import incoming_file
from drawcli.core.delivery.commitment import CommitmentReport
from drawcli.core.dicom.header import Incomplete, NotDicom
from drawcli.core.dicom.upper_layer import Pdu
from drawcli.core.dicom_service.callers import parse_caller
from drawcli.core.dicom_service.received_object import ObjectFacts, ObjectUids, read_uids
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import STORED, StoreOutcome
from tests.fuzz.dicom_messages import SUPPORTED, is_uid
from tests.fuzz.in_line import InLine
from tests.fuzz.targets import UNITS, Units, target

# The limits are lower than those of `receive`, so that short inputs reach them.
LARGEST: Final = 3000  # bytes of an object
COMMAND: Final = 400
PDU: Final = 5000
SMALL: Final = 20
_LOWER: Final[list[tuple[Any, str, Any]]] = [
    (message_stream, "RECEIVE_COMMAND_BYTES", COMMAND),
    (message_stream, "RECEIVE_SMALL_FRAGMENTS", SMALL),
    (peer_stream, "_LIMITS", {Pdu.REQUEST: PDU, Pdu.DATA: PDU, Pdu.RELEASE: 4, Pdu.ABORT: 4}),
]
_LOOP: Final = asyncio.new_event_loop()


class Incoming:
    """An object in memory."""

    def __init__(self, facts: ObjectFacts) -> None:
        assert is_uid(facts.sop_instance)
        assert facts.sop_class in SUPPORTED.storage_classes
        self.facts, self.data = facts, b""

    def write(self, data: bytes | bytearray) -> None:
        self.data += data
        assert len(self.data) <= LARGEST

    def finish(self) -> StoreOutcome:
        try:
            uids = read_uids(self.data, self.facts.transfer_syntax, complete=True)
        except (NotDicom, Incomplete):
            uids = ObjectUids("", "", "")
        refused = incoming_file._refused(uids, self.facts, "")
        if refused is not None:
            return refused
        assert is_uid(uids.series)
        assert uids.sop_instance == self.facts.sop_instance
        return StoreOutcome(ServiceStatus.SUCCESS, STORED)

    def discard(self) -> None:
        self.data = b""


class Store:
    """Begins objects."""

    begin = staticmethod(Incoming)

    def association_ended(self) -> None:
        """Nothing follows."""


class Reports:
    """Knows no transaction."""

    def store(self, report: CommitmentReport) -> bool:
        assert is_uid(report.transaction)
        return False


class Writer:
    """What is answered."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        assert int.from_bytes(data[2:6]) == len(data) - 6
        self.sent += data

    async def drain(self) -> None:
        """Nothing waits."""


SERVICE: Final = Service(
    ae_title="DRAWCLI",
    callers=[parse_caller("CT1@127.0.0.0/8")],
    supported=SUPPORTED,
    store=Store(),
    pool=InLine(),
    first_request_seconds=60.0,
    idle_seconds=60.0,
    largest=LARGEST,
    reports=cast("Any", Reports()),
)


def pdus(data: bytes) -> list[bytes]:
    """Return the PDUs of a stream, and of data each fragment as one."""
    found = []
    while data:
        size = 6 + int.from_bytes(data[2:6])
        whole, data = data[:size], data[size:]
        inner = whole[6:]
        if whole[0] != Pdu.DATA:
            found.append(whole)
        while whole[0] == Pdu.DATA and inner:
            length = 4 + int.from_bytes(inner[:4])
            found.append(whole[:6] + inner[:length])
            inner = inner[length:]
    return found


def stream(messages: list[bytes]) -> bytes:
    """Return the stream of some PDUs, the length of each as it is."""
    whole = b""
    for message in messages:
        body = message[6:]
        if message[:1] == b"\x04" and len(body) > 4:
            body = (len(body) - 4).to_bytes(4) + body[4:]
        whole += message[:2] + len(body).to_bytes(4) + body
    return whole


UNITS["association"] = Units(pdus, stream)


@target
def association(data: bytes) -> None:
    """Everything that a sender sends, from its request for an association on."""
    usual = [(module, name, getattr(module, name)) for module, name, _ in _LOWER]
    try:
        for module, name, value in _LOWER:
            setattr(module, name, value)
        _LOOP.run_until_complete(_served(data))
    finally:
        for module, name, value in usual:
            setattr(module, name, value)


async def _served(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=1 << 16)
    reader.feed_data(data)
    reader.feed_eof()
    writer = Writer()
    one = ServedAssociation(
        SERVICE, PeerStream(reader, cast("Any", writer)), ip_address("127.0.0.1")
    )
    parse = message_stream.MessageStream.command

    async def command(self: Any, seconds: float) -> Any:
        found = await parse(self, seconds)
        assert found is None or len(found.content) <= COMMAND
        return found

    message_stream.MessageStream.command = command  # type: ignore[method-assign]
    try:
        await one.run(_LOOP.time() + 60, lambda: True)
    finally:
        message_stream.MessageStream.command = parse  # type: ignore[method-assign]
    assert one.served <= len(data) // 10
