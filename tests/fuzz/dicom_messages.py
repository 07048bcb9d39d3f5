"""Messages of the DICOM network: association requests and answers, command sets, data sets."""

from contextlib import suppress
from io import BytesIO
from struct import pack
from warnings import catch_warnings, simplefilter

from pydicom.filereader import read_dataset

from drawcli.core.delivery.commitment import parse_report, parse_report_request
from drawcli.core.dicom.dimse import DimseRequest, command_elements, status_of
from drawcli.core.dicom.header import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Incomplete, NotDicom
from drawcli.core.dicom.upper_layer import (
    NodeTrouble,
    ProposedContext,
    parse_acceptance,
    parse_fragments,
    rejection_reason,
)
from drawcli.core.dicom_service.association_answer import Supported, acceptance, negotiate
from drawcli.core.dicom_service.association_request import (
    MOST_CONTEXTS,
    BadMessage,
    parse_association_request,
)
from drawcli.core.dicom_service.received_object import ObjectFacts, file_head, read_uids
from drawcli.core.dicom_service.service_request import parse_request, response
from tests.fuzz.targets import UNITS, Units, target

CT = "1.2.840.10008.5.1.4.1.1.2"
OFFERS = {
    1: ProposedContext(1, "1.2.840.10008.5.1.4.1.1.481.3", EXPLICIT_LITTLE),
    3: ProposedContext(3, "1.2.840.10008.5.1.4.1.1.481.3", IMPLICIT_LITTLE),
}
SUPPORTED = Supported(
    frozenset({CT}), frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE}), has_reports=True
)


def is_uid(text: str) -> bool:
    """Return whether a text is a UID, so that it can be a part of a path."""
    parts = text.split(".")
    return len(text) <= 64 and all(part.isascii() and part.isdigit() for part in parts)


def items(data: bytes) -> list[tuple[int, bytes]] | None:
    """Return the items of PS3.8; None if they do not fill the data."""
    found = []
    while data:
        size = int.from_bytes(data[2:4])
        if len(data) < 4 + size:
            return None
        found.append((data[0], data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def items_of(data: bytes) -> list[bytes]:
    """Return the fixed part of an association request or answer, and each item."""
    found, rest = [data[:FIXED]], data[FIXED:]
    while rest:
        end = 4 + int.from_bytes(rest[2:4])
        found.append(rest[:end])
        rest = rest[end:]
    return found


def with_items(messages: list[bytes]) -> bytes:
    """Return a message of these items, the length of each as it is."""
    fixed, *given = messages or [b""]
    whole = (one for one in given if len(one) >= 4)
    return fixed + b"".join(one[:2] + (len(one) - 4).to_bytes(2) + one[4:] for one in whole)


FIXED = 68  # bytes before the items (PS3.8 9.3.2)
UNITS["association_request"] = UNITS["association_answer"] = Units(items_of, with_items)


@target
def association_request(data: bytes) -> None:
    """An A-ASSOCIATE-RQ, and our answer to it."""
    try:
        request = parse_association_request(data)
    except BadMessage:
        return
    read = items(data[68:])
    assert read is not None
    offered = [content for kind, content in read if kind == 0x20]
    assert [one.context for one in request.contexts] == [content[0] for content in offered]
    assert len({one.context for one in request.contexts}) == len(offered) <= MOST_CONTEXTS
    for one, content in zip(request.contexts, offered, strict=True):
        inner = items(content[4:])
        assert inner is not None
        named = [value.rstrip(b"\0 ") for kind, value in inner if kind == 0x40]
        assert len(one.transfer_syntaxes) == len(named)
        for uid, raw in zip(one.transfer_syntaxes, named, strict=True):
            assert uid == "" or (is_uid(uid) and uid.encode() == raw)
        assert one.sop_class == "" or is_uid(one.sop_class)
    assert request.titles == data[4:36]
    assert (request.called + request.calling).isprintable()
    answers, accepted = negotiate(request, SUPPORTED)
    answer = acceptance(request, answers, 1 << 17)
    assert int.from_bytes(answer[2:6]) == len(answer) - 6
    contexts = [one for kind, one in items(answer[74:]) or [] if kind == 0x21]
    assert [one[0] for one in contexts] == [one.context for one in request.contexts]
    assert all(one.transfer_syntax in SUPPORTED.transfer_syntaxes for one in accepted.values())


@target
def association_answer(data: bytes) -> None:
    """An A-ASSOCIATE-AC of a node."""
    rejection_reason(data[:4])
    try:
        answer = parse_acceptance(data, OFFERS)
    except NodeTrouble:
        return
    read = items(data[68:])
    assert read is not None
    answered = [content for kind, content in read if kind == 0x21]
    assert [*answer.results.items()] == [(one[0], one[2]) for one in answered]
    for one in answered:
        if one[2] == 0:
            inner = items(one[4:])
            syntax = OFFERS[one[0]].transfer_syntax.encode()
            assert inner is not None
            assert [value.rstrip(b"\0 ") for _, value in inner] == [syntax]


@target
def fragments(data: bytes) -> None:
    """The presentation data values of a P-DATA-TF."""
    try:
        found = list(parse_fragments(data))
    except NodeTrouble:
        return
    rest = data
    for one in found:  # a control header has other bits, which are ignored
        size = int.from_bytes(rest[:4])
        assert 4 + size <= len(rest)
        assert (one.context, one.content) == (rest[4], rest[6 : 4 + size])
        assert (one.of_command, one.is_last) == (bool(rest[5] & 1), bool(rest[5] & 2))
        rest = rest[4 + size :]
    assert rest == b""


@target
def command_set(data: bytes) -> None:
    """A command set, as a request, as an answer, and as a report of commitment."""
    with suppress(NodeTrouble):
        elements = command_elements(data)
        again = b"".join(
            pack("<HHI", 0, number, len(value)) + value for number, value in elements.items()
        )
        assert again == data  # nothing is lost: no element is read twice, and none in part
        assert [*elements] == sorted(elements)
    with suppress(NodeTrouble):
        assert 0 <= status_of(data, DimseRequest(1, CT, "1.2.3")) <= 0xFFFF
    with suppress(NodeTrouble):
        assert parse_report_request(data).event_type in (1, 2)
    try:
        request = parse_request(data)
    except BadMessage:
        return
    assert request.sop_class == "" or is_uid(request.sop_class)
    assert request.sop_instance == "" or is_uid(request.sop_instance)
    answer = response(1, request, 0, "x" * 100)
    (fragment,) = parse_fragments(answer[6:])
    assert command_elements(fragment.content)[0x0120] == pack("<H", request.message_id)


@target
def data_set(data: bytes) -> None:
    """The beginning of a received data set."""
    for syntax in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        for complete in (False, True):
            with suppress(NotDicom, Incomplete):
                uids = read_uids(data, syntax, complete=complete)
                assert all(one == "" or is_uid(one) for one in uids)
                assert all(one.encode() in data for one in uids)
                if all(uids):
                    facts = ObjectFacts(uids.sop_class, uids.sop_instance, syntax, "CT1")
                    assert file_head(facts)[128:132] == b"DICM"


@target
def commitment_report(data: bytes) -> None:
    """The data set of an N-EVENT-REPORT."""
    for explicit in (False, True):
        for event in (1, 2):
            with suppress(NodeTrouble):
                report = parse_report(data, explicit=explicit, event_type=event)
                assert is_uid(report.transaction)
                assert all(map(is_uid, [*report.kept, *report.failed]))
                assert not report.kept & report.failed.keys()
                assert event == 2 or not report.failed
                assert all(0 < reason <= 0xFFFF for reason in report.failed.values())
                instances = read_by_pydicom(data, explicit=explicit)
                assert len(instances) == len(set(instances))


def read_by_pydicom(data: bytes, *, explicit: bool) -> list[str]:
    """Return the instances of a report as pydicom reads it; none of what it cannot read."""
    with suppress(Exception), catch_warnings():
        simplefilter("ignore")
        whole = read_dataset(BytesIO(data), is_implicit_VR=not explicit, is_little_endian=True)
        named = [*whole.get("ReferencedSOPSequence", []), *whole.get("FailedSOPSequence", [])]
        return [str(one.get("ReferencedSOPInstanceUID", "")) for one in named]
    return []
