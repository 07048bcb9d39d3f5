"""A DICOM node in this process: it takes what it is sent, or says what it is told to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    RTStructureSetStorage,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from drawcli.sandbox.pacs.sockets import AssociationSockets


@dataclass
class Peer:
    """A node that takes what it is sent, or says what it is told to."""

    status: int = 0x0000
    port: int = 0
    received: list[bytes] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    asked: int = 0  # associations

    answers: Callable[[evt.Event], int] | None = None

    def stored(self, event: evt.Event) -> int:
        self.received.append(event.request.DataSet.getvalue())  # type: ignore[union-attr]
        return self.status if self.answers is None else self.answers(event)

    def requested(self, event: evt.Event) -> None:
        self.asked += 1
        self.callers.append(event.assoc.requestor.primitive.calling_ae_title)  # type: ignore[union-attr]


# It looks twice a second whether it is to end: a test ends before.
_served = partialmethod(ThreadedAssociationServer.serve_forever, poll_interval=0.02)


@contextmanager
def listening(
    peer: Peer, *, takes: Any = RTStructureSetStorage, coded: Any = None, **facts: Any
) -> Iterator[Peer]:
    ae = AE(ae_title="TPS")
    for name, value in facts.items():
        setattr(ae, name, value)
    ae.add_supported_context(Verification)
    ae.add_supported_context(takes, coded)
    sockets = AssociationSockets()
    handlers: list[Any] = [
        *sockets.handlers(),
        (evt.EVT_C_STORE, peer.stored),
        (evt.EVT_REQUESTED, peer.requested),
    ]
    with patch.object(ThreadedAssociationServer, "serve_forever", _served):
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    peer.port = server.server_address[1]
    try:
        yield peer
    finally:
        server.shutdown()
        sockets.close()


def behind_meta(path: Path) -> bytes:
    """Return the data set of a file, without what stands before it."""
    data = path.read_bytes()
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]
