"""The sockets of associations, closed also where the peer has reset the connection."""

import socket
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from pynetdicom import evt

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_IDLE, _BEFORE_REQUEST = "Sta1", "Sta2"  # states of PS3.8, 9.2
_LONGEST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.005


def end_before_request(association: "Association") -> None:
    """End a connection on which no association was requested; leave another as it is.

    pynetdicom aborts it, which its state machine refuses before a request: with an exception in the
    thread of the connection.
    """
    upper_layer: Any = association.dul
    machine = upper_layer.state_machine
    if machine.current_state not in (_IDLE, _BEFORE_REQUEST):
        return
    with suppress(OSError, AttributeError):  # it is closed already
        upper_layer.socket.socket.shutdown(socket.SHUT_RDWR)
    end = monotonic() + _LONGEST_SECONDS
    while machine.current_state == _BEFORE_REQUEST and monotonic() < end:
        sleep(_LOOK_SECONDS)
    if machine.current_state == _IDLE:
        association.kill()
        upper_layer.to_user_queue.put(None)  # its thread waits for a request


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
