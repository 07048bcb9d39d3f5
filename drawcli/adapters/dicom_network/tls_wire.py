"""A connection to a DICOM node by TLS (PS3.15 B.12: TLS 1.2 or later).

The bytes of TLS itself, such as session tickets, make the socket readable and are no answer: what
arrives is decrypted before it counts as one.
"""

import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from functools import partial
from selectors import EVENT_READ
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from drawcli.adapters.dicom_network.connection import Phase, Wire
from drawcli.core.dicom.upper_layer import NodeTrouble
from drawcli.system.failures import in_words
from drawcli.system.network.client_tls import TlsFailure, expiry_of, tls_failure

_T = TypeVar("_T")
_LEAST_SECONDS: Final = 0.01  # 0 would not wait
_RECORD: Final = 16_384  # bytes of a TLS record, at most
_HINT: Final = (
    "Compare 'tls' of the target with what the administrator of the node gave you; tls.ca_file "
    "names the authority that has signed the certificate of the node."
)


class Secured(NamedTuple):
    """What secures a connection."""

    protocol: str  # such as TLSv1.3
    certificate_until: datetime | None  # of the other side


class TlsWire(Wire):
    """A connection to a node, encrypted."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        super().__init__(connection)
        self._secure = connection
        self._early = b""  # decrypted and not read yet
        self._ended = False

    @property
    def secured(self) -> Secured:
        """What secures the connection."""
        return Secured(str(self._secure.version()), expiry_of(self._secure.getpeercert()))

    def _received(self, size: int) -> bytes | None:
        """Return up to `size` decrypted bytes; b"" at the end, None if there are none now."""
        if not self._has_data():
            return None
        piece, self._early = self._early[:size], self._early[size:]
        return piece

    def _has_data(self) -> bool:
        """Return whether decrypted data, or the end, has arrived."""
        if not (self._early or self._ended):
            piece = self._tried(partial(self._secure.recv, _RECORD))
            self._early, self._ended = piece or b"", piece == b""
        return bool(self._early) or self._ended

    @staticmethod
    def _tried(call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as err:
            failure = tls_failure(err)  # with TLS 1.3 a refused certificate is reported here
            if failure is not None:
                raise NodeTrouble(failure.in_words(), _HINT) from None
            raise NodeTrouble(f"broke the connection: {in_words(err)}") from None

    def _wait(self, events: int, seconds: float) -> int:
        """Return the events that happened; what TLS says for itself is no event."""
        end = monotonic() + seconds
        while True:
            if events & EVENT_READ and self._has_data():
                return EVENT_READ
            ready = super()._wait(events, max(0.0, end - monotonic()))
            if not ready & EVENT_READ or self._has_data():
                return ready
            if ready & ~EVENT_READ:
                return ready & ~EVENT_READ


def secured(connection: socket.socket, host: str, tls: ssl.SSLContext, phase: Phase) -> TlsWire:
    """Do the TLS handshake on a connection; close it if that fails.

    Raises
    ------
    NodeTrouble
        If the certificate is not accepted, or the handshake fails or takes too long.
    """
    try:
        connection.settimeout(max(phase.left(), _LEAST_SECONDS))  # of the whole handshake
        return TlsWire(tls.wrap_socket(connection, server_hostname=host))
    except TimeoutError:
        connection.close()
        raise phase.late() from None
    except (OSError, ValueError) as err:  # a ValueError: a host that is no name
        connection.close()
        raise NodeTrouble(_in_words(err), _HINT) from None
    except BaseException:
        connection.close()
        raise


def _in_words(err: Exception) -> str:
    if isinstance(err, ssl.SSLError):
        return (tls_failure(err) or TlsFailure()).in_words()
    if isinstance(err, ConnectionError):
        return "closed the connection during the TLS handshake"
    return f"cannot be reached by TLS: {in_words(err)}"
