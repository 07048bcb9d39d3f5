"""The sockets of associations, closed also where the peer has reset the connection."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pynetdicom import evt

if TYPE_CHECKING:
    import socket

    from pynetdicom.association import Association
    from pynetdicom.events import Event


class AssociationSockets:
    """Closes the socket of each association.

    pynetdicom closes a socket only after it was shut down, which fails after a reset by the peer.
    """

    def __init__(self) -> None:
        self._open: dict[Association, socket.socket] = {}

    def handlers(self) -> list[Any]:
        """Return event handlers for `start_server` or `associate`."""
        return [(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_CONN_CLOSE, self._closed)]

    def close(self) -> None:
        """Close the sockets of associations that have not ended."""
        for association in list(self._open):
            self._close(association)

    def _opened(self, event: "Event") -> None:
        connection = event.assoc.dul.socket
        if connection is not None and connection.socket is not None:
            self._open[event.assoc] = connection.socket

    def _closed(self, event: "Event") -> None:
        self._close(event.assoc)

    def _close(self, association: "Association") -> None:
        opened = self._open.pop(association, None)
        if opened is not None:
            with suppress(OSError):
                opened.close()
