"""Parse messages of a DICOM node on the upper layer (PS3.8 section 9.3) strictly.

Every length, order and value is checked: a message that breaks the standard, or does not fit the
request, raises NodeTrouble. Its text is a predicate ("closed the connection") for a sentence that
starts with the node, and quotes only numbers of what the node sent.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

PDU_HEAD: Final = struct.Struct(">BxI")  # type, length of what follows
PDV_HEAD: Final = struct.Struct(">IBB")  # length of what follows, presentation context, control
PDV_OVERHEAD: Final = PDV_HEAD.size  # bytes of a P-DATA-TF before the data
ABORT: Final = bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))  # by the user
RELEASE: Final = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_ITEM_HEAD: Final = struct.Struct(">BxH")
_FIXED_PART: Final = 68  # bytes of an A-ASSOCIATE-AC before its items; no value of it is tested
_LEAST_PDV: Final = 2  # bytes: context and control
_CONTEXT_HEAD: Final = 4  # bytes: id, reserved, result, reserved
_COMMAND, _LAST = 1, 2  # bits of the control header; others are ignored (PS3.8 E.2)
_CONTEXT, _TRANSFER_SYNTAX, _USER_INFORMATION, _MAXIMUM_LENGTH = 0x21, 0x40, 0x50, 0x51
_ACCEPTED: Final = 0
_LENGTH_OF_LENGTH: Final = 4

# PS3.8 table 9-21: by source and reason.
_REASONS: Final = {
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
_NO_REASON: Final = frozenset({(1, 1), (2, 1)})
_TRANSIENT: Final = 2
_LENGTH_OF_REJECTION: Final = 4


class NodeTrouble(Exception):
    """An exchange with a DICOM node failed; the text is a predicate, the hint may be ""."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class Pdu(IntEnum):
    """The types of PDUs."""

    REQUEST = 1
    ACCEPT = 2
    REJECT = 3
    DATA = 4
    RELEASE = 5
    RELEASED = 6
    ABORT = 7


class ProposedContext(NamedTuple):
    """One proposed presentation context with one transfer syntax."""

    context: int  # odd
    sop_class: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The answer of a node to an association request."""

    results: Mapping[int, int] = field(default_factory=dict)  # by presentation context
    longest_pdu: int = 0  # bytes accepted in one P-DATA-TF; 0: any number

    def accepts(self, offer: ProposedContext) -> bool:
        """Return whether a presentation context was accepted."""
        return self.results.get(offer.context) == _ACCEPTED


class Fragment(NamedTuple):
    """A presentation data value."""

    context: int
    of_command: bool
    is_last: bool
    content: bytes


def parse_acceptance(body: bytes, offers: Mapping[int, ProposedContext]) -> Acceptance:
    """Return the content of an A-ASSOCIATE-AC (PS3.8 9.3.3), checked against the offers.

    Parameters
    ----------
    body
        The PDU after its length.
    offers
        The proposed contexts by id.

    Raises
    ------
    NodeTrouble
        If it cannot be read, or accepts something that was not offered.
    """
    results: dict[int, int] = {}
    longest = 0
    for kind, content in _items(body[_FIXED_PART:], whole=len(body) >= _FIXED_PART):
        if kind == _CONTEXT:
            context, result = _answered(content, offers)
            if context in results:
                raise NodeTrouble("answers one presentation context twice")
            results[context] = result
        elif kind == _USER_INFORMATION:
            for inner, value in _items(content):
                if inner == _MAXIMUM_LENGTH and len(value) == _LENGTH_OF_LENGTH:
                    longest = int.from_bytes(value)
    return Acceptance(results, longest)


def rejection_reason(body: bytes) -> str:
    """Return the reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4), as a predicate.

    >>> rejection_reason(bytes((0, 1, 1, 7)))
    'rejects the association: called AE title not recognised'
    >>> rejection_reason(bytes((0, 2, 3, 2)))
    'rejects the association for now: local limit exceeded'
    """
    if len(body) != _LENGTH_OF_REJECTION:
        return "rejects the association, with an invalid message"
    _, result, source, reason = body
    why = "no reason given" if (source, reason) in _NO_REASON else _REASONS.get((source, reason))
    now = " for now" if result == _TRANSIENT else ""
    unknown = f"an unknown reason (source {source}, reason {reason})"
    return f"rejects the association{now}: {why or unknown}"


def parse_fragments(body: bytes) -> Iterator[Fragment]:
    """Yield the presentation data values of a P-DATA-TF (PS3.8 9.3.5).

    Raises
    ------
    NodeTrouble
        If one is not whole.
    """
    offset = 0
    while offset < len(body):
        if offset + PDV_HEAD.size > len(body):
            raise NodeTrouble("answers with a fragment that is cut off")
        length, context, control = PDV_HEAD.unpack_from(body, offset)
        start, end = offset + PDV_HEAD.size, offset + 4 + length
        if length < _LEAST_PDV or end > len(body):
            raise NodeTrouble("answers with a fragment of an invalid length")
        yield Fragment(context, bool(control & _COMMAND), bool(control & _LAST), body[start:end])
        offset = end


def data_pdu(context: int, content: bytes | memoryview, *, of_command: bool, last: bool) -> bytes:
    """Return a P-DATA-TF with one fragment."""
    control = of_command * _COMMAND | last * _LAST
    head = PDV_HEAD.pack(len(content) + _LEAST_PDV, context, control)
    return b"".join((PDU_HEAD.pack(Pdu.DATA, len(head) + len(content)), head, content))


def _answered(content: bytes, offers: Mapping[int, ProposedContext]) -> tuple[int, int]:
    """Return the id of a presentation context and its result, 0 for accepted."""
    if len(content) < _CONTEXT_HEAD:
        raise NodeTrouble("answers with an A-ASSOCIATE-AC that cannot be read")
    context, result = content[0], content[2]
    offer = offers.get(context)
    if offer is None:
        raise NodeTrouble("answers a presentation context that was not offered")
    if result == _ACCEPTED:  # otherwise the transfer syntax is not significant (PS3.8 9.3.3.2)
        named = [value for kind, value in _items(content[_CONTEXT_HEAD:])]
        if [value.rstrip(b"\0 ") for value in named] != [offer.transfer_syntax.encode("ascii")]:
            raise NodeTrouble("accepts a transfer syntax that was not offered")
    return context, result


def _items(data: bytes, *, whole: bool = True) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each item."""
    offset = 0
    while whole and offset < len(data):
        if offset + _ITEM_HEAD.size > len(data):
            break
        kind, length = _ITEM_HEAD.unpack_from(data, offset)
        offset += _ITEM_HEAD.size + length
        if offset > len(data):
            break
        yield kind, data[offset - length : offset]
    if not whole or offset != len(data):
        raise NodeTrouble("answers with an A-ASSOCIATE-AC that cannot be read")
