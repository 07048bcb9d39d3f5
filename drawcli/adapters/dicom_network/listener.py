"""A DICOM listener in one event loop: no thread for a connection, every queue bounded.

Connections are counted before a byte of TLS is read.
"""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from drawcli.adapters.dicom_network.admission import Admission, PeerConnection
from drawcli.adapters.dicom_network.peer_stream import PeerStream
from drawcli.adapters.dicom_network.served_association import ServedAssociation
from drawcli.adapters.dicom_network.service import Service
from drawcli.core.dicom_service.callers import Address, address_of, is_in_networks
from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.limits import RECEIVE_REQUEST_SECONDS, RECEIVE_STOP_SECONDS
from drawcli.system.network.closed_connections import ClosedConnections
from drawcli.system.platforms import system

_log = logging.getLogger(__name__)
_QUEUE: Final = 1024  # connections that the system holds until they are accepted
_READ_BYTES: Final = 64 << 10  # of a connection, before it is paused
_SENT_BYTES: Final = 16 << 10  # that the system holds for a sender; answers have a hundred
_SHORTAGE_SECONDS: Final = 0.2  # until a connection is accepted again, without file descriptors
_TICK_SECONDS: Final = 2.0
_TIDY_SECONDS: Final = 60.0


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; raise ConfigError if that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if system() == "windows":
            exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE")  # noqa: B009 - of Windows only
            listening.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_QUEUE)
    except OSError as err:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {in_words(err)}",
            code="receive-port",
            hint="Check receive.listen: the address must be of this machine, the port free.",
        ) from None
    listening.settimeout(0)
    return listening


class DicomListener:
    """Accepts connections and serves each as an association.

    Parameters
    ----------
    service
        What all associations share.
    admission
        Counts connections.
    tls
        None: unencrypted.
    tick
        Called every two seconds, and at the end; must not block.
    """

    def __init__(
        self,
        service: Service,
        admission: Admission,
        tls: ssl.SSLContext | None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._admission = admission
        self._tls = tls
        self._tick = tick
        self._tasks: dict[asyncio.Task[None], ServedAssociation | None] = {}
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused_addresses = 0
        self._closed = ClosedConnections()

    async def run(self, listening: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; then end every association."""
        self._loop = asyncio.get_running_loop()
        _on_signals(self.stop)
        ticking = asyncio.create_task(self._ticks())
        ready()
        await self._accept(listening)
        listening.close()
        await self._end_all()
        ticking.cancel()
        self._tick()

    def stop(self) -> None:
        """End: nothing more is accepted, objects that arrive are finished or removed.

        Any thread may call this, more than once.
        """
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _accept(self, listening: socket.socket) -> None:
        """Accept connections until the end; none is lost between being accepted and served."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.ensure_future(self._stop.wait())
        while not stopping.done():
            accepting = asyncio.ensure_future(loop.sock_accept(listening))
            await asyncio.wait({accepting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                accepting.cancel()
                await asyncio.wait({accepting})
            elif accepting.exception() is not None:  # the sender has gone, or no file is left
                await asyncio.sleep(_SHORTAGE_SECONDS)
            else:
                connection, peer = accepting.result()
                self._take(connection, address_of(str(peer[0])))
                await asyncio.sleep(0)  # lets the others go on, however many wait

    def _take(self, connection: socket.socket, address: Address) -> None:
        """Serve a connection, or close it if nobody may call from its address."""
        if not is_in_networks(address, self._service.callers):
            self._refused_addresses += 1
            self._service.tally.refuse("unknown-address")
            connection.close()
            return
        serving = asyncio.create_task(self._serve(connection, address))
        self._tasks[serving] = None
        serving.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Forget a connection; a bug has ended this one, and not the listener."""
        self._tasks.pop(task, None)
        self._closed.add()
        if not task.cancelled() and (err := task.exception()) is not None:
            self._service.tally.refuse("bug")
            _log.error("receive=association outcome=bug", exc_info=err)

    async def _serve(self, connection: socket.socket, address: Address) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it runs in one
        request_by = asyncio.get_running_loop().time() + RECEIVE_REQUEST_SECONDS
        served: list[ServedAssociation] = []
        counted = PeerConnection(address, task.cancel, lambda: served[0].waiting_since)
        self._admission.add(counted)
        try:
            peer = await self._stream(connection, request_by)
            if peer is None:
                return
            association = ServedAssociation(self._service, peer, address)
            served.append(association)
            self._tasks[task] = association
            await self._associated(association, counted, peer, request_by)
        finally:
            self._admission.remove(counted)

    async def _associated(
        self,
        association: ServedAssociation,
        counted: PeerConnection,
        peer: PeerStream,
        request_by: float,
    ) -> None:
        def admit() -> bool:
            if not self._admission.admit(counted):
                return False
            self._service.tally.opened(+1)
            return True

        try:
            await association.run(request_by, admit)
            await peer.close()
        finally:
            peer.cut()
            if counted.is_association:
                self._service.tally.opened(-1)
            if association.has_stored:
                self._service.discard(self._service.store.association_ended)

    async def _stream(self, connection: socket.socket, request_by: float) -> PeerStream | None:
        """Return the stream of a connection after its TLS handshake; None if that fails."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_READ_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        more: dict[str, Any] = {}
        if self._tls is not None:
            more = {"ssl": self._tls, "ssl_handshake_timeout": request_by - loop.time()}
        try:
            connection.settimeout(0)
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_BYTES)
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, **more)
        except (OSError, asyncio.CancelledError) as err:
            connection.close()
            if isinstance(err, asyncio.CancelledError):
                raise
            self._service.tally.refuse("tls" if self._tls else "connection-lost")
            return None
        return PeerStream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def _end_all(self) -> None:
        """End every association: at once if it is idle, else after its object."""
        await asyncio.sleep(0)  # each task has begun, and closes its connection
        for task, association in list(self._tasks.items()):
            if association is None or not association.is_busy:
                task.cancel()
            else:
                association.is_stopping = True
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=RECEIVE_STOP_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=RECEIVE_STOP_SECONDS)

    async def _ticks(self) -> None:
        last = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._tick()
            if loop.time() >= last + _TIDY_SECONDS:
                last = loop.time()
                self._log_crowd()

    def _log_crowd(self) -> None:
        """Log what has no line of its own, at most once a minute."""
        crowded, self._admission.crowded = self._admission.crowded, 0
        refused, self._refused_addresses = self._refused_addresses, 0
        budget = self._service.budget
        unlogged, budget.suppressed = budget.suppressed, 0
        if crowded or refused or unlogged:
            text = "receive=crowded closed=%d unknown_address=%d not_logged=%d"
            _log.warning(text, crowded, refused, unlogged)


def _on_signals(stop: Callable[[], None]) -> None:
    """Call a function on SIGTERM and SIGINT, in the event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            with suppress(ValueError):
                signal.signal(number, lambda *_: stop())
