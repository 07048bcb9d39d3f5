"""Receive the data set of one C-STORE request: two blocks in memory, the rest with the store."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from drawcli.adapters.dicom_network.message_stream import MessageStream
from drawcli.adapters.dicom_network.peer_stream import Ended
from drawcli.adapters.dicom_network.service import Service
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.core.dicom_service.object_store import IncomingObject, NotStored
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.system.limits import RECEIVE_FOLDER_SECONDS

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
_BLOCK: Final = 256 << 10  # bytes that are written at once


class Storing:
    """The data set of a request, on its way to the store.

    Parameters
    ----------
    service
        What all associations share.
    messages
        Where the data set comes from.
    refusal
        The answer, if the data set is only to be read to its end.
    """

    def __init__(
        self, service: Service, messages: MessageStream, refusal: StoreOutcome | None = None
    ) -> None:
        self._service = service
        self._messages = messages
        self._refusal = refusal
        self._incoming: IncomingObject | None = None
        self._writing: asyncio.Future[None] | None = None
        self.size = 0  # bytes received

    async def receive(self, context: int, facts: ObjectFacts) -> StoreOutcome:
        """Receive the data set; return the answer.

        Raises
        ------
        BadMessage, Ended
            If it does not arrive whole; then nothing of it is left.
        """
        try:
            await _in_time(self._begin(facts))
            await self._blocks(context)
            await _in_time(self._written())
            incoming = self._incoming
            if incoming is None:
                return self._refusal or StoreOutcome(ServiceStatus.CANNOT_UNDERSTAND, "no-data-set")
            return await _in_time(self._service.in_thread(incoming.finish))
        finally:
            self._discard()

    async def _begin(self, facts: ObjectFacts) -> None:
        if self._refusal is None:
            beginning = self._service.pool.submit(self._service.store.begin, facts)
            try:
                self._incoming = await asyncio.wrap_future(beginning)
            except NotStored as err:
                self._refusal = err.outcome
            except asyncio.CancelledError:
                beginning.add_done_callback(_discarded)
                raise

    async def _blocks(self, context: int) -> None:
        """Read the data set, and write it in blocks."""
        held, is_last = bytearray(), False
        while not is_last:
            content, is_last = await self._messages.data(context)
            self.size += len(content)
            if self.size > self._service.largest:
                raise BadMessage("object-too-large")
            if self._refusal is not None:
                continue
            held += content
            if len(held) >= _BLOCK or is_last:
                await _in_time(self._write(held))
                held = bytearray()

    async def _write(self, block: bytearray) -> None:
        """Let a thread write a block, after the one before."""
        await self._written()
        if self._incoming is not None:
            call = partial(self._incoming.write, block)
            self._writing = asyncio.ensure_future(self._service.in_thread(call))

    async def _written(self) -> None:
        """Wait for the block that is being written; a failure becomes the answer."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            await writing
        except NotStored as err:
            self._refusal = err.outcome
            self._discard()

    def _discard(self) -> None:
        """Remove what is not finished."""
        if self._writing is not None:
            self._writing.add_done_callback(_ignored)
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            self._service.discard(incoming.discard)


async def _in_time(call: Awaitable[_T]) -> _T:
    """Return the result of a call to the store; raise Ended if the folder does not answer."""
    try:
        async with asyncio.timeout(RECEIVE_FOLDER_SECONDS):
            return await call
    except TimeoutError:
        raise Ended("folder-silent") from None


def _discarded(beginning: "Future[IncomingObject]") -> None:
    """Remove an object that nobody waits for."""
    if not beginning.cancelled() and beginning.exception() is None:
        beginning.result().discard()


def _ignored(writing: "asyncio.Future[None]") -> None:
    """Take the error of a block that nobody waits for."""
    with suppress(asyncio.CancelledError):
        writing.exception()
