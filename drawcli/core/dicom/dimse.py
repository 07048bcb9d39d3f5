"""Check the response of a DICOM node to one request (PS3.7 sections 6.3 and 9.3).

The status counts only if every field of the response matches the request. Any other or unreadable
response raises NodeTrouble.
"""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from drawcli.core.dicom.encoding import encode
from drawcli.core.dicom.upper_layer import NodeTrouble

MESSAGE_ID: Final = 1  # each association carries one request
STORE, ECHO = 0x0001, 0x0030  # command fields
_HEAD: Final = struct.Struct("<HHI")  # group, element, length: Implicit VR Little Endian
_RESPONSE: Final = 0x8000  # set in the command field of a response
_NO_DATA_SET: Final = 0x0101
_US_LENGTH, _UL_LENGTH = 2, 4
_GROUP_LENGTH: Final = 0x0000
_SOP_CLASS: Final = 0x0002
_COMMAND: Final = 0x0100
_ANSWERED_ID: Final = 0x0120
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_SOP_INSTANCE: Final = 0x1000
_WARNINGS: Final = 0xB  # the first digit
_OTHER_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})
_NAMES: Final = {0x8001: "C-STORE", 0x8010: "C-GET", 0x8020: "C-FIND", 0x8021: "C-MOVE"} | {
    0x8030: "C-ECHO",
    0x8100: "N-EVENT-REPORT",
    0x8130: "N-ACTION",
}


class DimseRequest(NamedTuple):
    """A request; each association carries one."""

    command: int  # command field (0000,0100)
    sop_class: str
    sop_instance: str = ""  # "" for C-ECHO

    @property
    def name(self) -> str:
        """The name of the command in the standard."""
        return _NAMES[self.command | _RESPONSE]


def status_of(answer: bytes, request: DimseRequest) -> int:
    """Return the status (0000,0900) of the response to a request.

    Parameters
    ----------
    answer
        A whole command set.
    request
        The request sent.

    Raises
    ------
    NodeTrouble
        If it is not the response to that request, or cannot be read.
    """
    fields = command_elements(answer)
    command = number_in(fields, _COMMAND)
    if command != request.command | _RESPONSE:
        other = _NAMES.get(command or 0, "another command")
        raise NodeTrouble(f"answers a {request.name} with a response to {other}")
    if number_in(fields, _ANSWERED_ID) != MESSAGE_ID:
        raise NodeTrouble("answers another message than the one it was sent")
    for element, sent, name in (
        (_SOP_CLASS, request.sop_class, "SOP class"),
        (_SOP_INSTANCE, request.sop_instance, "SOP instance"),
    ):
        named = fields.get(element)  # not every node repeats them (PS3.7 9.1.1.1, "U")
        if named is not None and named.rstrip(b"\0 ") != sent.encode("ascii"):
            raise NodeTrouble(f"answers for another {name} than the one it was sent")
    if number_in(fields, _DATA_SET_TYPE) != _NO_DATA_SET:
        raise NodeTrouble("announces a data set with its answer")
    status = number_in(fields, _STATUS)
    if status is None:
        raise NodeTrouble("answers without a status")
    return status


def is_success(status: int) -> bool:
    """Return whether a status means success, warnings included (PS3.7 annex C)."""
    return status == 0 or status >> 12 == _WARNINGS or status in _OTHER_WARNINGS


def number_in(fields: dict[int, bytes], element: int) -> int | None:
    """Return an element of VR US; None if it is missing or of another length."""
    value = fields.get(element)
    return None if value is None or len(value) != _US_LENGTH else int.from_bytes(value, "little")


def command_elements(answer: bytes) -> dict[int, bytes]:
    """Return the elements of a command set, by their number in group 0000.

    Raises
    ------
    NodeTrouble
        If they are not whole, not in order, or not of the length that the first one states.
    """
    fields: dict[int, bytes] = {}
    offset, latest = 0, -1
    while offset < len(answer):
        if offset + _HEAD.size > len(answer):
            raise _unreadable()
        group, element, length = _HEAD.unpack_from(answer, offset)
        offset += _HEAD.size + length
        if group or element <= latest or offset > len(answer):
            raise _unreadable()  # PS3.7 6.3.1: group 0000, in increasing order
        fields[element], latest = answer[offset - length : offset], element
    length_of_rest = len(answer) - _HEAD.size - _UL_LENGTH
    if fields.get(_GROUP_LENGTH) != length_of_rest.to_bytes(_UL_LENGTH, "little", signed=True):
        raise _unreadable()
    return fields


def command_bytes(fields: Mapping[int, bytes]) -> bytes:
    """Return a command set: group 0000 in Implicit VR Little Endian, with its length."""
    whole = b"".join(
        encode(number, b"UI", value, explicit=False) for number, value in fields.items()
    )
    return encode(0, b"UL", struct.pack("<I", len(whole)), explicit=False) + whole


def us_bytes(value: int) -> bytes:
    """Return a value of VR US (unsigned, 16 bits) in little endian."""
    return struct.pack("<H", value)


def _unreadable() -> NodeTrouble:
    return NodeTrouble("sends an answer that cannot be read")
