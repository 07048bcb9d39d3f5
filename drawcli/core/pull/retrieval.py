"""Messages of C-FIND, C-GET and C-MOVE of the study root (PS3.7 9.1.2 to 9.1.4, PS3.4 C.4)."""

from typing import Final, NamedTuple

from drawcli.core.dicom.dimse import (
    command_bytes,
    command_elements,
    is_success,
    number_in,
    us_bytes,
)
from drawcli.core.dicom.upper_layer import NodeTrouble

FIND, GET, MOVE = 0x0020, 0x0010, 0x0021  # command fields
MODELS: Final = {  # SOP classes of the study root
    FIND: "1.2.840.10008.5.1.4.1.2.2.1",
    MOVE: "1.2.840.10008.5.1.4.1.2.2.2",
    GET: "1.2.840.10008.5.1.4.1.2.2.3",
}
NAMES: Final = {FIND: "C-FIND", GET: "C-GET", MOVE: "C-MOVE"}
_RESPONSE: Final = 0x8000
_PENDING: Final = (0xFF00, 0xFF01)
_DATA_SET, _NO_DATA_SET = 0x0000, 0x0101
_CLASS, _COMMAND, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DESTINATION, _PRIORITY, _DATA_SET_TYPE, _STATUS = 0x0600, 0x0700, 0x0800, 0x0900
_FAILED: Final = 0x1022  # sub-operations
_OUT_OF_RESOURCES: Final = 0xA7  # the first byte
_REASONS: Final = {
    0x0122: "the SOP class is not supported",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA701: "out of resources: it cannot count the matches",
    0xA702: "out of resources: it cannot send the instances",
    0xA801: "it does not know our AE title as a destination",
    0xA900: "the identifier does not match the SOP class",
    0xC000: "unable to process",
    0xFE00: "cancelled",
}


class QueryRefused(NodeTrouble):
    """A node ends a query or retrieval with a status that is no success."""

    def __init__(self, command: int, status: int) -> None:
        why = _REASONS.get(status)
        text = f"refuses the {NAMES[command]} (status {status:04X}{f': {why}' if why else ''})"
        super().__init__(text)
        self.status = status

    @property
    def is_final(self) -> bool:
        """Whether the same request will be refused again; out of resources may pass."""
        return self.status >> 8 != _OUT_OF_RESOURCES


class QueryResponse(NamedTuple):
    """A response to a query or retrieval."""

    status: int
    has_data_set: bool
    failed: int = 0  # sub-operations

    @property
    def is_pending(self) -> bool:
        """Whether more responses follow."""
        return self.status in _PENDING


def query_command(command: int, message_id: int, destination: str = "") -> bytes:
    """Return the command set of a request; `destination` is the AE title of a C-MOVE."""
    fields = {
        _CLASS: MODELS[command].encode("ascii"),
        _COMMAND: us_bytes(command),
        _MESSAGE_ID: us_bytes(message_id),
    }
    if destination:
        fields[_DESTINATION] = destination.encode("ascii").ljust(len(destination) + 1 & ~1)
    fields |= {_PRIORITY: us_bytes(0), _DATA_SET_TYPE: us_bytes(_DATA_SET)}
    return command_bytes(fields)


def command_of(message: bytes) -> int:
    """Return the command field of a whole command set; raise NodeTrouble if there is none."""
    found = number_in(command_elements(message), _COMMAND)
    if found is None:
        raise NodeTrouble("sends a message without a command")
    return found


def is_response_to(command: int, message: bytes) -> bool:
    """Return whether a whole command set is a response to a kind of request."""
    return command_of(message) == command | _RESPONSE


def parse_response(message: bytes, command: int, message_id: int) -> QueryResponse:
    """Return the response of a whole command set.

    Raises
    ------
    NodeTrouble
        If it is not a response to that request.
    """
    fields = command_elements(message)
    if number_in(fields, _COMMAND) != command | _RESPONSE:
        raise NodeTrouble(f"answers a {NAMES[command]} with another command")
    if number_in(fields, _ANSWERED_ID) != message_id:
        raise NodeTrouble("answers another message than the one it was sent")
    named = fields.get(_CLASS)
    if named is not None and named.rstrip(b"\0 ") != MODELS[command].encode("ascii"):
        raise NodeTrouble("answers for another SOP class than the one it was sent")
    status = number_in(fields, _STATUS)
    if status is None:
        raise NodeTrouble("answers without a status")
    return QueryResponse(
        status=status,
        has_data_set=number_in(fields, _DATA_SET_TYPE) not in (None, _NO_DATA_SET),
        failed=number_in(fields, _FAILED) or 0,
    )


def check_end(response: QueryResponse, command: int) -> None:
    """Raise QueryRefused if the last response is neither a success nor a warning."""
    if not is_success(response.status):
        raise QueryRefused(command, response.status)
