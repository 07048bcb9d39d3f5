"""Negotiate presentation contexts and answer the request of an association (PS3.8 9.3.3, 9.3.4)."""

import struct
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import Final, NamedTuple

from drawcli import __version__
from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS
from drawcli.core.delivery.commitment import PUSH_MODEL
from drawcli.core.dicom.header import NATIVE
from drawcli.core.dicom.upper_layer import PDU_HEAD, Pdu
from drawcli.core.dicom_service.association_request import (
    APPLICATION_CONTEXT,
    AssociationRequest,
    OfferedContext,
)

VERIFICATION: Final = "1.2.840.10008.1.1"
VERSION_NAME: Final = f"DRAWCLI_{__version__}"[:16]
RELEASED: Final = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_ITEM_HEAD: Final = struct.Struct(">BxH")
_FIXED: Final = struct.Struct(">H2x32s32x")
_VERSION_1: Final = 1


class ContextResult(IntEnum):
    """The results of a presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    NO_SUCH_CLASS = 3
    NO_SUCH_SYNTAX = 4


class Rejection(NamedTuple):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    code: str  # for logs and counters
    result: int  # 1: permanent, 2: transient
    source: int
    reason: int


NO_SUCH_CALLER: Final = Rejection("unknown-caller", 1, 1, 3)
NOT_CALLED_SO: Final = Rejection("wrong-called-title", 1, 1, 7)
NO_SUCH_APPLICATION: Final = Rejection("unknown-application", 1, 1, 2)
NO_SUCH_VERSION: Final = Rejection("unknown-version", 1, 2, 2)
TOO_MANY: Final = Rejection("too-many-associations", 2, 3, 2)


class AbortReason(IntEnum):
    """Reasons of an A-ABORT by the service provider (PS3.8 table 9-26)."""

    NONE = 0
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class Supported(NamedTuple):
    """What a provider takes."""

    storage_classes: AbstractSet[str]
    transfer_syntaxes: AbstractSet[str]
    has_reports: bool = False  # of storage commitment

    def answer(self, offered: OfferedContext) -> "AnsweredContext":
        """Return the answer to a context: its first transfer syntax that is supported."""
        is_echo = offered.sop_class == VERIFICATION
        is_report = self.has_reports and offered.sop_class == PUSH_MODEL
        if not (is_echo or is_report or offered.sop_class in self.storage_classes):
            return AnsweredContext(offered.context, "", "", ContextResult.NO_SUCH_CLASS)
        known = NATIVE if is_echo or is_report else self.transfer_syntaxes
        for syntax in offered.transfer_syntaxes:
            if syntax in known:
                result = ContextResult.ACCEPTED
                return AnsweredContext(offered.context, offered.sop_class, syntax, result)
        return AnsweredContext(offered.context, "", "", ContextResult.NO_SUCH_SYNTAX)


class AnsweredContext(NamedTuple):
    """A presentation context as answered; class and syntax are "" unless it is accepted."""

    context: int
    sop_class: str
    transfer_syntax: str
    result: ContextResult

    @property
    def is_storage(self) -> bool:
        """Whether objects may be stored in it."""
        return self.sop_class not in ("", VERIFICATION, PUSH_MODEL)


def negotiate(
    request: AssociationRequest, supported: Supported
) -> tuple[list[AnsweredContext], Mapping[int, AnsweredContext]]:
    """Return the answer to each presentation context, and the accepted ones by id."""
    answers = [supported.answer(offered) for offered in request.contexts]
    accepted = {one.context: one for one in answers if one.result is ContextResult.ACCEPTED}
    return answers, accepted


def acceptance(
    request: AssociationRequest, answers: Iterable[AnsweredContext], longest_pdu: int
) -> bytes:
    """Return an A-ASSOCIATE-AC; `longest_pdu` is the maximum length of what we receive, bytes."""
    answers = list(answers)
    reports = any(one.sop_class == PUSH_MODEL for one in answers) and PUSH_MODEL in request.provided
    user = b"".join(
        (
            _item(0x51, longest_pdu.to_bytes(4)),
            _item(0x52, IMPLEMENTATION_CLASS.encode("ascii")),
            _ROLE_OF_SENDER * reports,
            _item(0x55, VERSION_NAME.encode("ascii")),
        )
    )
    contexts = b"".join(map(_context, answers))
    body = _FIXED.pack(_VERSION_1, request.titles) + _item(0x10, APPLICATION_CONTEXT)
    return _pdu(Pdu.ACCEPT, body + contexts + _item(0x50, user))


def rejection(why: Rejection) -> bytes:
    """Return an A-ASSOCIATE-RJ."""
    return _pdu(Pdu.REJECT, bytes((0, why.result, why.source, why.reason)))


def abort(reason: AbortReason) -> bytes:
    """Return an A-ABORT by the service provider (PS3.8 9.3.8)."""
    return _pdu(Pdu.ABORT, bytes((0, 0, 2, reason)))


def _context(answer: AnsweredContext) -> bytes:
    syntax = _item(0x40, answer.transfer_syntax.encode("ascii"))
    return _item(0x21, bytes((answer.context, 0, answer.result, 0)) + syntax)


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM_HEAD.pack(kind, len(content)) + content


# PS3.7 D.3.3.4: the sender provides the push model, and is not its user.
_ROLE_OF_SENDER: Final = _item(
    0x54, len(PUSH_MODEL).to_bytes(2) + PUSH_MODEL.encode("ascii") + bytes((0, 1))
)


def _pdu(kind: Pdu, body: bytes) -> bytes:
    return PDU_HEAD.pack(kind, len(body)) + body
