"""Listen for reports of storage commitment while a run waits for one, without `drawcli receive`."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from drawcli.adapters.dicom_network.admission import Admission
from drawcli.adapters.dicom_network.commitments import CommitmentFolder
from drawcli.adapters.dicom_network.listener import DicomListener, bound_socket
from drawcli.adapters.dicom_network.service import Service
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import IncomingObject, NotStored
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.errors import ConfigError
from drawcli.system.limits import RECEIVE_STOP_SECONDS
from drawcli.system.threads import DaemonPool

if TYPE_CHECKING:
    import socket
    import ssl

    from drawcli.config.sections_network import Receive

_log = logging.getLogger(__name__)
_WAITING, _MOST = 16, 4  # connections without an association, associations
_START_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ReportListener:
    """A node that takes reports and C-ECHO, and stores no object."""

    settings: "Receive"
    reports: CommitmentFolder

    @contextmanager
    def listening(self) -> Iterator[bool]:
        """Listen on `receive.listen` until the block ends.

        Yields whether it does: not while another process has the address.
        """
        try:
            tls = self._tls()
            waiting = bound_socket(*self.settings.address)
        except ConfigError as err:
            _log.warning("commitment=listen outcome=%s", err.code)
            yield False
            return
        with waiting:
            pool, ready = DaemonPool(1), Event()
            listener = self._listener(pool, tls)
            thread = Thread(target=_run, args=(listener, waiting, ready), daemon=True)
            thread.start()
            ready.wait(_START_SECONDS)
            try:
                yield True
            finally:
                listener.stop()
                thread.join(2 * RECEIVE_STOP_SECONDS)
                pool.drain(RECEIVE_STOP_SECONDS)

    def _tls(self) -> "ssl.SSLContext | None":
        from drawcli.adapters.dicom_network.tls import server_tls

        wanted = self.settings
        if wanted.tls_cert is None:
            return None
        return server_tls(wanted.tls_cert, wanted.tls_key, wanted.tls_ca)

    def _listener(self, pool: DaemonPool, tls: "ssl.SSLContext | None") -> DicomListener:
        service = Service(
            ae_title=self.settings.ae_title,
            callers=self.settings.known_callers,
            supported=Supported(frozenset(), frozenset(), has_reports=True),
            store=_NoStore(),
            pool=pool,
            first_request_seconds=self.settings.first_request_seconds,
            idle_seconds=self.settings.idle_seconds,
            largest=0,
            reports=self.reports,
        )
        return DicomListener(service, Admission(_WAITING, _MOST, _MOST), tls)


class _NoStore:
    """No presentation context for objects is accepted; should one come, it is not stored."""

    def begin(self, _: ObjectFacts) -> IncomingObject:
        """Refuse every object."""
        raise NotStored(StoreOutcome(ServiceStatus.NO_SUCH_CLASS, "wrong-class"))

    def association_ended(self) -> None:
        """Nothing was stored."""


def _run(listener: DicomListener, waiting: "socket.socket", ready: Event) -> None:
    asyncio.run(listener.run(waiting, ready.set))
