"""Read the request of an association (PS3.8 section 9.3.2) strictly, in one pass.

The sender is unknown: each length is checked before it is used, and every byte is read once for
each of at most three levels of items.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from drawcli.core.dicom_service.identifiers import uid_text

APPLICATION_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
FIXED_PART: Final = 68  # bytes before the items
MOST_CONTEXTS: Final = 128  # odd numbers of one byte
_FIXED: Final = struct.Struct(">H2x16s16s32x")  # version, called and calling AE title
_ITEM_HEAD: Final = struct.Struct(">BxH")
_APPLICATION, _CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX, _MAXIMUM_LENGTH = 0x30, 0x40, 0x51
_CONTEXT_HEAD: Final = 4  # bytes: id, three reserved
_ROLES: Final = 0x54
_ROLE_BYTES: Final = 4  # length of the UID, then the roles of user and provider
_VERSION_1: Final = 1  # a bit; others are ignored (PS3.8 9.3.2)
_LENGTH_OF_LENGTH: Final = 4


class BadMessage(Exception):
    """A message breaks the standard; `code` is a stable word for logs and counters."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OfferedContext(NamedTuple):
    """A presentation context as offered; a UID that is not valid is ""."""

    context: int  # odd
    sop_class: str
    transfer_syntaxes: tuple[str, ...]


class AssociationRequest(NamedTuple):
    """The content of an A-ASSOCIATE-RQ."""

    called: str
    calling: str
    contexts: tuple[OfferedContext, ...]
    longest_pdu: int  # bytes that the sender takes in one P-DATA-TF; 0: any number
    titles: bytes  # the 32 bytes of both AE titles, which the answer repeats
    knows_version: bool
    knows_application: bool
    provided: frozenset[str] = frozenset()  # SOP classes that the sender proposes to provide


def parse_association_request(body: bytes) -> AssociationRequest:
    """Return the content of an A-ASSOCIATE-RQ.

    Parameters
    ----------
    body
        The PDU after its length.

    Raises
    ------
    BadMessage
        If it cannot be read, or has more presentation contexts than the standard allows.
    """
    if len(body) < FIXED_PART:
        raise BadMessage("bad-association-request")
    version, called, calling = _FIXED.unpack_from(body)
    contexts: dict[int, OfferedContext] = {}
    applications, longest, informed = list[bytes](), 0, 0
    provided = frozenset[str]()
    for kind, content in _items(body[FIXED_PART:]):
        if kind == _APPLICATION:
            applications.append(content.rstrip(b"\0 "))
        elif kind == _CONTEXT:
            _add(contexts, _context(content))
        elif kind == _USER_INFORMATION:
            longest, informed = _longest_pdu(content), informed + 1
            provided = frozenset(_provided(content))
    if len(applications) != 1 or informed != 1 or not contexts:
        raise BadMessage("bad-association-request")
    return AssociationRequest(
        called=_title(called),
        calling=_title(calling),
        contexts=tuple(contexts.values()),
        longest_pdu=longest,
        titles=called + calling,
        knows_version=bool(version & _VERSION_1),
        knows_application=applications[0] == APPLICATION_CONTEXT,
        provided=provided,
    )


def _add(contexts: dict[int, OfferedContext], offered: OfferedContext) -> None:
    number = offered.context
    if not number % 2 or number in contexts or len(contexts) >= MOST_CONTEXTS:
        raise BadMessage("bad-presentation-contexts")
    contexts[number] = offered


def _context(content: bytes) -> OfferedContext:
    """Return a presentation context (PS3.8 9.3.2.2)."""
    if len(content) < _CONTEXT_HEAD:
        raise BadMessage("bad-presentation-contexts")
    classes, syntaxes = list[str](), list[str]()
    for kind, value in _items(content[_CONTEXT_HEAD:]):
        if kind == _ABSTRACT_SYNTAX:
            classes.append(uid_text(value))
        elif kind == _TRANSFER_SYNTAX:
            syntaxes.append(uid_text(value))
    if len(classes) != 1 or not syntaxes:
        raise BadMessage("bad-presentation-contexts")
    return OfferedContext(content[0], classes[0], tuple(syntaxes))


def _longest_pdu(content: bytes) -> int:
    """Return the maximum length of the user information (PS3.8 D.1); 0 if it is missing."""
    longest = 0
    for kind, value in _items(content):
        if kind == _MAXIMUM_LENGTH and len(value) == _LENGTH_OF_LENGTH:
            longest = int.from_bytes(value)
    return longest


def _provided(content: bytes) -> Iterator[str]:
    """Yield the SOP classes that the sender proposes to provide itself (PS3.7 D.3.3.4)."""
    for kind, value in _items(content):
        length = int.from_bytes(value[:2])
        if kind == _ROLES and len(value) == length + _ROLE_BYTES and value[-1]:
            yield uid_text(value[2:-2])


def _title(raw: bytes) -> str:
    """Return an AE title; "" if it is not printable ASCII."""
    text = raw.decode("ascii", "replace").strip(" ")
    return text if text.isascii() and text.isprintable() else ""


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each item."""
    offset = 0
    while offset < len(data):
        if offset + _ITEM_HEAD.size > len(data):
            raise BadMessage("bad-association-request")
        kind, length = _ITEM_HEAD.unpack_from(data, offset)
        offset += _ITEM_HEAD.size + length
        if offset > len(data):
            raise BadMessage("bad-association-request")
        yield kind, data[offset - length : offset]
