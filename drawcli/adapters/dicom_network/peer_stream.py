"""The connection of a sender, in the event loop: each PDU has a deadline and a limit."""

import asyncio
from contextlib import suppress
from typing import Final

from drawcli.core.dicom.upper_layer import PDU_HEAD, Pdu
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.system.limits import (
    RECEIVE_BYTES_PER_SECOND,
    RECEIVE_PDU_BYTES,
    RECEIVE_STALL_SECONDS,
)

_LENGTH_OF_OTHERS: Final = 4  # bytes of A-RELEASE-RQ, A-ABORT
_CLOSING_SECONDS: Final = 5.0  # until the last answer is read


class Ended(Exception):
    """The sender closed or aborted the connection, or kept us waiting too long; `code` says so."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PeerStream:
    """The connection of a sender."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read_pdu(self, begin_by: float, end_by: float) -> tuple[Pdu, bytes]:
        """Return the next PDU: its type and its content.

        Parameters
        ----------
        begin_by, end_by
            When it must have begun, and when the message must be complete, by the loop's clock.

        Raises
        ------
        Ended
            If it does not arrive in time, or the connection ends.
        BadMessage
            If it is of an unknown type, or longer than it may be.
        """
        kind, length = PDU_HEAD.unpack(await self._read(PDU_HEAD.size, min(begin_by, end_by)))
        if kind not in _LIMITS:
            raise BadMessage("unexpected-pdu")
        if length > _LIMITS[kind]:
            raise BadMessage("pdu-too-long")
        now = asyncio.get_running_loop().time()
        seconds = RECEIVE_STALL_SECONDS + length / RECEIVE_BYTES_PER_SECOND
        return Pdu(kind), await self._read(length, min(now + seconds, end_by))

    async def send(self, data: bytes) -> None:
        """Send a message; raise Ended if the sender does not read it."""
        try:
            self._writer.write(data)
            async with asyncio.timeout(RECEIVE_STALL_SECONDS):
                await self._writer.drain()
        except TimeoutError:
            self.cut()
            raise Ended("reads-nothing") from None
        except OSError:
            raise Ended("connection-lost") from None

    def send_last(self, data: bytes) -> None:
        """Send a message without waiting; errors are ignored."""
        with suppress(OSError, RuntimeError):
            self._writer.write(data)

    async def close(self) -> None:
        """Close the connection, after what was sent has left."""
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            self._writer.close()
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    def cut(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def _read(self, size: int, by: float) -> bytes:
        try:
            async with asyncio.timeout_at(by):
                return await self._reader.readexactly(size)
        except TimeoutError:
            raise Ended("too-slow") from None
        except (asyncio.IncompleteReadError, OSError):
            raise Ended("connection-lost") from None


_LIMITS: Final = {
    Pdu.REQUEST: RECEIVE_PDU_BYTES,
    Pdu.DATA: RECEIVE_PDU_BYTES,
    Pdu.RELEASE: _LENGTH_OF_OTHERS,
    Pdu.ABORT: _LENGTH_OF_OTHERS,
}
