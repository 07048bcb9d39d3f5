"""Read C-STORE and C-ECHO requests and encode responses (PS3.7 sections 6.3, 9.3.1, 9.3.5)."""

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from drawcli.core.dicom.dimse import ECHO, STORE, command_elements, number_in
from drawcli.core.dicom.upper_layer import NodeTrouble, data_pdu
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.core.dicom_service.identifiers import uid_text

CANCEL: Final = 0x0FFF
_RESPONSE: Final = 0x8000
_NO_DATA_SET: Final = 0x0101
_HEAD: Final = struct.Struct("<HHI")
_SOP_CLASS, _COMMAND, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000
_LONGEST_COMMENT: Final = 64  # characters, VR LO


class ServiceStatus(IntEnum):
    """The statuses of responses (PS3.7 annex C, PS3.4 table B.2-1)."""

    SUCCESS = 0x0000
    DUPLICATE = 0x0111
    NO_SUCH_CLASS = 0x0122
    UNRECOGNIZED = 0x0211
    MISTYPED = 0x0212
    OUT_OF_RESOURCES = 0xA700
    MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class ServiceRequest(NamedTuple):
    """A request; UIDs that are missing or not valid are ""."""

    command: int
    message_id: int
    sop_class: str
    sop_instance: str
    has_data_set: bool

    @property
    def is_store(self) -> bool:
        """Whether it is a C-STORE request."""
        return self.command == STORE

    @property
    def is_echo(self) -> bool:
        """Whether it is a C-ECHO request."""
        return self.command == ECHO


def parse_request(command: bytes) -> ServiceRequest:
    """Return the request of a whole command set.

    Raises
    ------
    BadMessage
        If it cannot be read, lacks what every request has, or is a response.
    """
    try:
        elements = command_elements(command)
    except NodeTrouble:
        raise BadMessage("bad-command") from None
    kind, message_id = number_in(elements, _COMMAND), number_in(elements, _MESSAGE_ID)
    data_set = number_in(elements, _DATA_SET_TYPE)
    if kind == CANCEL:
        message_id = number_in(elements, _ANSWERED_ID)
    if kind is None or message_id is None or data_set is None or kind & _RESPONSE:
        raise BadMessage("bad-command")
    return ServiceRequest(
        command=kind,
        message_id=message_id,
        sop_class=uid_text(elements.get(_SOP_CLASS, b"")),
        sop_instance=uid_text(elements.get(_SOP_INSTANCE, b"")),
        has_data_set=data_set != _NO_DATA_SET,
    )


def response(context: int, request: ServiceRequest, status: int, comment: str = "") -> bytes:
    """Return the P-DATA-TF of a response.

    Parameters
    ----------
    context
        The presentation context of the request.
    request, status
        What is answered, and how.
    comment
        (0000,0902), ASCII; cut to 64 characters.
    """
    elements = b"".join(
        (
            _element(_SOP_CLASS, request.sop_class.encode("ascii")),
            _short(_COMMAND, request.command | _RESPONSE),
            _short(_ANSWERED_ID, request.message_id),
            _short(_DATA_SET_TYPE, _NO_DATA_SET),
            _short(_STATUS, status),
            _element(_COMMENT, comment[:_LONGEST_COMMENT].encode("ascii", "replace"), pad=b" "),
            _element(_SOP_INSTANCE, request.sop_instance.encode("ascii")),
        )
    )
    length = _HEAD.pack(0, 0, 4) + struct.pack("<I", len(elements))
    return data_pdu(context, length + elements, of_command=True, last=True)


def _short(number: int, value: int) -> bytes:
    return _element(number, struct.pack("<H", value))


def _element(number: int, value: bytes, *, pad: bytes = b"\0") -> bytes:
    """Return an element in Implicit VR Little Endian; nothing for an empty value."""
    if not value:
        return b""
    value += pad * (len(value) % 2)
    return _HEAD.pack(0, number, len(value)) + value
