"""The messages of an association: fragments of commands and data sets, in order and in time."""

import asyncio
from math import inf
from typing import NamedTuple

from drawcli.adapters.dicom_network.peer_stream import Ended, PeerStream
from drawcli.core.dicom.upper_layer import Fragment, NodeTrouble, Pdu, parse_fragments
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.system.limits import (
    RECEIVE_BYTES_PER_SECOND,
    RECEIVE_COMMAND_BYTES,
    RECEIVE_OBJECT_SECONDS,
    RECEIVE_SMALL_BYTES,
    RECEIVE_SMALL_FRAGMENTS,
)


class Command(NamedTuple):
    """A command set and its presentation context."""

    context: int
    content: bytes


class MessageStream:
    """The messages of one association."""

    def __init__(self, peer: PeerStream) -> None:
        self._peer = peer
        self._fragments = parse_fragments(b"")
        self._begin_by = inf  # of the next PDU
        self._began = 0.0  # of the message
        self._received = 0  # bytes of data in it
        self._small = 0  # fragments of little data in it
        self.is_inside = False  # whether a message has begun and is not answered
        self.is_whole = False  # whether the message in progress has arrived whole
        self.latest = asyncio.get_running_loop().time()  # when the sender sent something last

    async def command(self, seconds: float) -> Command | None:
        """Return the next command set; None if the sender asks for the release.

        Parameters
        ----------
        seconds
            For it to begin.
        """
        self._begin_by = asyncio.get_running_loop().time() + seconds
        content, context = b"", -1
        while True:
            fragment = await self._next()
            if fragment is None:
                return None
            if not fragment.of_command or context not in (-1, fragment.context):
                raise BadMessage("unexpected-data-set")
            content, context = content + fragment.content, fragment.context
            if len(content) > RECEIVE_COMMAND_BYTES:
                raise BadMessage("command-too-long")
            if fragment.is_last:
                return Command(context, content)

    async def data(self, context: int) -> tuple[bytes, bool]:
        """Return the next bytes of the data set, and whether they are the last."""
        fragment = await self._next()
        if fragment is None:
            raise BadMessage("release-in-message")
        if fragment.of_command or fragment.context != context:
            raise BadMessage("wrong-context")
        self.is_whole = fragment.is_last
        return fragment.content, fragment.is_last

    def answered(self) -> None:
        """Note that the message has been answered."""
        self.is_inside = self.is_whole = False

    async def _next(self) -> Fragment | None:
        while (fragment := self._parsed()) is None:
            kind, body = await self._peer.read_pdu(self._begin_by, self._end_by())
            self.latest = asyncio.get_running_loop().time()
            if kind is Pdu.RELEASE and not self.is_inside:
                return None
            if kind is not Pdu.DATA:
                raise _unexpected(kind)
            self._begin()
            self._count_small(body)
            self._fragments = parse_fragments(body)
        self._begin()
        self._received += len(fragment.content)
        self._count_small(fragment.content)
        return fragment

    def _parsed(self) -> Fragment | None:
        """Return the next fragment of the latest PDU."""
        try:
            return next(self._fragments, None)
        except NodeTrouble:
            raise BadMessage("bad-fragment") from None

    def _begin(self) -> None:
        """Note that a message has begun."""
        if not self.is_inside:
            self.is_inside, self._received, self._small = True, 0, 0
            self._began, self._begin_by = asyncio.get_running_loop().time(), inf

    def _end_by(self) -> float:
        """Return when the message must be complete, as far as it is known."""
        if not self.is_inside:
            return inf
        seconds = RECEIVE_OBJECT_SECONDS + self._received / RECEIVE_BYTES_PER_SECOND
        return self._began + seconds

    def _count_small(self, data: bytes) -> None:
        """Count data that cost us more than they bring."""
        self._small += len(data) < RECEIVE_SMALL_BYTES
        if self._small > RECEIVE_SMALL_FRAGMENTS:
            raise BadMessage("small-fragments")


def _unexpected(kind: Pdu) -> Exception:
    if kind is Pdu.ABORT:
        return Ended("aborted")
    if kind is Pdu.RELEASE:
        return BadMessage("release-in-message")
    return BadMessage("unexpected-pdu")
