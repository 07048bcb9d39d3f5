"""Messages of storage commitment, push model (PS3.4 annex J; PS3.7 10.1.1, 10.1.4).

A requester asks by N-ACTION to keep instances, and is told by N-EVENT-REPORT which are kept, in
the same association or later.
"""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from drawcli.core.dicom.dimse import command_bytes, command_elements, number_in, us_bytes
from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.dicom.header import Element, Incomplete, NotDicom, items, walk
from drawcli.core.dicom.upper_layer import NodeTrouble
from drawcli.core.dicom_service.identifiers import uid_text

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
ACTION, EVENT_REPORT = 0x0130, 0x0100  # command fields
_REQUEST: Final = 1  # action type: request storage commitment
_ALL_KEPT, _SOME_FAILED = 1, 2  # event types
_RESPONSE: Final = 0x8000
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0000
_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
_COMMAND, _MESSAGE_ID, _ANSWERED_ID = 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS = 0x0800, 0x0900
_AFFECTED_CLASS, _REQUESTED_CLASS = 0x0002, 0x0003
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE = 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008
_MOST_ITEMS: Final = 1000  # we ask for one
_NO_REASON: Final = 0x0110  # processing failure: a failure without its reason


class CommitmentReport(NamedTuple):
    """Which instances a node keeps, and the reasons of those that it does not keep."""

    transaction: str
    kept: frozenset[str]  # SOP Instance UIDs
    failed: Mapping[str, int]

    def result_of(self, instance: str) -> int | None:
        """Return 0 if an instance is kept, the reason if not; None if it is not named."""
        if instance in self.failed:
            return self.failed[instance]
        return 0 if instance in self.kept else None


class ReportRequest(NamedTuple):
    """The command set of an N-EVENT-REPORT."""

    message_id: int
    event_type: int


def action_command(message_id: int) -> bytes:
    """Return the command set of an N-ACTION that asks for storage commitment."""
    return command_bytes(
        {
            _REQUESTED_CLASS: _uid(PUSH_MODEL),
            _COMMAND: us_bytes(ACTION),
            _MESSAGE_ID: us_bytes(message_id),
            _DATA_SET_TYPE: us_bytes(_DATA_SET),
            _REQUESTED_INSTANCE: _uid(PUSH_INSTANCE),
            _ACTION_TYPE: us_bytes(_REQUEST),
        }
    )


def action_data(transaction: str, sop_class: str, instance: str) -> bytes:
    """Return the data set of that N-ACTION in Implicit VR Little Endian (PS3.4 table J.3-1)."""
    item = b"".join(
        encode(tag, b"UI", value.encode("ascii"), explicit=False)
        for tag, value in ((_CLASS, sop_class), (_INSTANCE, instance))
    )
    named = encode(_TRANSACTION, b"UI", transaction.encode("ascii"), explicit=False)
    return named + encode(_REFERENCED, b"SQ", encode_item(item), explicit=False)


def parse_report_request(command: bytes) -> ReportRequest:
    """Return the request of a whole command set.

    Raises
    ------
    NodeTrouble
        If it is not an N-EVENT-REPORT about storage commitment.
    """
    fields = command_elements(command)
    message_id, event = number_in(fields, _MESSAGE_ID), number_in(fields, _EVENT_TYPE)
    is_report = number_in(fields, _COMMAND) == EVENT_REPORT and message_id is not None
    named = [uid_text(fields.get(number, b"")) for number in (_AFFECTED_CLASS, _AFFECTED_INSTANCE)]
    has_data = number_in(fields, _DATA_SET_TYPE) not in (None, _NO_DATA_SET)
    if not is_report or named != [PUSH_MODEL, PUSH_INSTANCE] or not has_data:
        raise NodeTrouble("sends another message than a report of storage commitment")
    if event not in (_ALL_KEPT, _SOME_FAILED):
        raise NodeTrouble("reports an unknown event of storage commitment")
    return ReportRequest(message_id or 0, event)


def parse_report(data: bytes, *, explicit: bool, event_type: int) -> CommitmentReport:
    """Return the data set of an N-EVENT-REPORT (PS3.4 table J.3-2).

    Raises
    ------
    NodeTrouble
        If it cannot be read, names an instance twice, or contradicts its event type.
    """
    try:
        elements = {e.tag: e for e in walk(data, 0, len(data), explicit=explicit)}
        transaction = elements.get(_TRANSACTION)
        kept = _listed(data, elements.get(_REFERENCED), explicit=explicit)
        failed = _listed(data, elements.get(_FAILED), explicit=explicit)
    except (NotDicom, Incomplete, struct.error):
        raise _unreadable() from None
    uid = "" if transaction is None else uid_text(data[transaction.value : transaction.end])
    if not uid or kept.keys() & failed.keys() or (event_type == _ALL_KEPT and failed):
        raise _unreadable()
    reasons = {instance: reason or _NO_REASON for instance, reason in failed.items()}
    return CommitmentReport(uid, frozenset(kept), reasons)


def report_response(report: ReportRequest, status: int) -> bytes:
    """Return the command set of an N-EVENT-REPORT response (PS3.7 10.3.1.2)."""
    return command_bytes(
        {
            _AFFECTED_CLASS: _uid(PUSH_MODEL),
            _COMMAND: us_bytes(EVENT_REPORT | _RESPONSE),
            _ANSWERED_ID: us_bytes(report.message_id),
            _DATA_SET_TYPE: us_bytes(_NO_DATA_SET),
            _STATUS: us_bytes(status),
            _AFFECTED_INSTANCE: _uid(PUSH_INSTANCE),
            _EVENT_TYPE: us_bytes(report.event_type),
        }
    )


def _listed(data: bytes, sequence: Element | None, *, explicit: bool) -> dict[str, int]:
    """Return the instances of a sequence, with their failure reasons; 0 for none."""
    found: dict[str, int] = {}
    if sequence is None:
        return found
    for item in items(data, sequence, explicit=explicit):
        values = {element.tag: data[element.value : element.end] for element in item}
        instance = uid_text(values.get(_INSTANCE, b""))
        if not instance or instance in found or len(found) >= _MOST_ITEMS:
            raise _unreadable()
        found[instance] = int.from_bytes(values.get(_REASON, b"")[:2], "little")
    return found


def _uid(text: str) -> bytes:
    return text.encode("ascii")


def _unreadable() -> NodeTrouble:
    return NodeTrouble("sends a report of storage commitment that cannot be read")
