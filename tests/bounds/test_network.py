"""Messages of a sender by DICOM, and requests to the web page, within their bounds and beyond."""

import asyncio
import struct
from typing import Any

import pytest

from drawcli.adapters.dicom_network.message_stream import MessageStream
from drawcli.adapters.dicom_network.peer_stream import PeerStream
from drawcli.core.dicom.header import NotDicom
from drawcli.core.dicom.upper_layer import Pdu
from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.core.frames import fragments
from drawcli.dashboard.access import request_guard
from drawcli.system.limits import (
    RECEIVE_COMMAND_BYTES,
    RECEIVE_PDU_BYTES,
    RECEIVE_SMALL_FRAGMENTS,
)
from tests.bounds.pixel_items import Items
from tests.scripted_peer import fragment, pdu

LAST, COMMAND = 2, 1


class Silent:
    """A connection to which nothing is written."""

    def is_closing(self) -> bool:
        return False


def messages(*pdus: bytes) -> MessageStream:
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(pdus))
    reader.feed_eof()
    writer: Any = Silent()
    return MessageStream(PeerStream(reader, writer))


@pytest.mark.anyio
@pytest.mark.parametrize("beyond", [0, 2])
async def test_command_set_of_a_request(beyond: int) -> None:
    content = bytes(RECEIVE_COMMAND_BYTES + beyond)
    stream = messages(pdu("data", fragment(1, content, COMMAND | LAST)))

    if beyond:
        with pytest.raises(BadMessage, match="command-too-long"):
            await stream.command(5)
    else:
        command = await stream.command(5)
        assert command is not None
        assert command.content == content


@pytest.mark.anyio
@pytest.mark.parametrize("beyond", [0, 1])
async def test_small_fragments_of_a_message(beyond: int) -> None:
    small = fragment(1, b"", COMMAND) * (RECEIVE_SMALL_FRAGMENTS + beyond)
    stream = messages(pdu("data", small), pdu("data", fragment(1, bytes(70), COMMAND | LAST)))

    if beyond:
        with pytest.raises(BadMessage, match="small-fragments"):
            await stream.command(5)
    else:
        assert await stream.command(5)


@pytest.mark.anyio
@pytest.mark.parametrize("beyond", [0, 1])
async def test_length_of_a_pdu(beyond: int) -> None:
    reader = asyncio.StreamReader()
    body = bytes(RECEIVE_PDU_BYTES + beyond)
    reader.feed_data(struct.pack(">BBI", 4, 0, len(body)) + body)
    writer: Any = Silent()
    peer = PeerStream(reader, writer)
    now = asyncio.get_running_loop().time()

    if beyond:
        with pytest.raises(Exception, match="pdu-too-long"):
            await peer.read_pdu(now + 5, now + 5)
    else:
        kind, read = await peer.read_pdu(now + 5, now + 5)
        assert (kind, len(read)) == (Pdu.DATA, RECEIVE_PDU_BYTES)


@pytest.mark.parametrize("beyond", [0, 1])
def test_address_of_a_request(beyond: int) -> None:
    def is_valid(path: int, query: int) -> bool:
        text = "/" + "a" * (path - 1)
        scope = {"path": text, "raw_path": text.encode(), "query_string": b"a" * query}
        return request_guard._is_valid_address(scope)

    assert is_valid(request_guard._LONGEST_PATH + beyond, 0) is not bool(beyond)
    assert is_valid(1, request_guard._LONGEST_QUERY + beyond) is not bool(beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_fragments_of_pixels(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "_MOST_FRAGMENTS", 1000)

    if beyond:
        with pytest.raises(NotDicom, match="other than fragments"):
            fragments._items(Items(1001), 0)
    else:
        assert len(fragments._items(Items(1000), 0)) == 1000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
