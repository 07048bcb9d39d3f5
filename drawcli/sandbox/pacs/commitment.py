"""Storage commitment (PS3.4 annex J): the report that follows a request."""

import logging
from collections.abc import Mapping
from contextlib import closing
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import build_context, build_role

from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.options import COMMITMENT, COMMITMENT_INSTANCE
from drawcli.sandbox.pacs.sockets import AssociationSockets

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_ALL_SAFE: Final = 1  # event type IDs
_SOME_FAILED: Final = 2
_NO_SUCH_OBJECT: Final = 0x0112
_PROCESSING_FAILURE: Final = 0x0110
_RESPONSE_SECONDS: Final = 0.1  # the response to the request is sent before the report

log = logging.getLogger(__name__)


class Commitments:
    """Sends reports: to a known node in a new association, to others in that of the request."""

    def __init__(
        self, ae: "AE", archive: PacsArchive, nodes: Mapping[str, tuple[str, int]]
    ) -> None:
        self._ae = ae
        self._archive = archive
        self._nodes = nodes
        self._closed = Signal()
        self._threads: list[Thread] = []

    def close(self) -> None:
        """Send no more reports."""
        self._closed.set()
        for thread in self._threads:
            thread.join(1)

    def report_later(self, event: "Event", fault: str) -> None:
        """Report on a request once it has been answered."""
        report = self.report(event.action_information, fault)
        thread = Thread(
            target=self._send,
            args=(event.assoc, report),
            name="sandbox-commitment",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def report(self, request: Dataset, fault: str = "") -> Dataset:
        """Return the report on a request: what is stored, and what is not."""
        safe, failed = [], []
        for number, wanted in enumerate(request.get("ReferencedSOPSequence") or []):
            item = Dataset()
            item.ReferencedSOPClassUID = wanted.ReferencedSOPClassUID
            item.ReferencedSOPInstanceUID = wanted.ReferencedSOPInstanceUID
            reason = self._failure(wanted, fault, number)
            if reason is None:
                safe.append(item)
            else:
                item.FailureReason = reason
                failed.append(item)
        report = Dataset()
        report.TransactionUID = generate_uid() if fault == "unknown" else request.TransactionUID
        if safe:
            report.ReferencedSOPSequence = safe
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _failure(self, wanted: Dataset, fault: str, number: int) -> int | None:
        if not self._archive.has(wanted.ReferencedSOPClassUID, wanted.ReferencedSOPInstanceUID):
            return _NO_SUCH_OBJECT
        return _PROCESSING_FAILURE if fault == "fail" and number % 2 == 0 else None

    def _send(self, asked_in: "Association", report: Dataset) -> None:
        if self._closed.wait(_RESPONSE_SECONDS):
            return
        node = self._nodes.get(str(asked_in.requestor.ae_title).strip())
        try:
            if node is None:
                _send_in(asked_in, report)
            else:
                self._send_to(node, str(asked_in.requestor.ae_title), report)
        except (RuntimeError, ValueError) as err:  # the association has ended, or lacks a context
            log.warning("the report of a storage commitment could not be sent: %s", err)

    def _send_to(self, node: tuple[str, int], ae_title: str, report: Dataset) -> None:
        role = build_role(COMMITMENT, scu_role=False, scp_role=True)
        contexts: list[Any] = [build_context(COMMITMENT)]
        with closing(AssociationSockets()) as sockets:
            association = self._ae.associate(
                *node,
                contexts=contexts,
                ae_title=ae_title,
                ext_neg=[role],
                evt_handlers=sockets.handlers(),
            )
            if not association.is_established:
                raise RuntimeError("the node accepts no association")
            _send_in(association, report)
            association.release()


def _send_in(association: "Association", report: Dataset) -> None:
    event_type = _SOME_FAILED if "FailedSOPSequence" in report else _ALL_SAFE
    association.send_n_event_report(report, event_type, COMMITMENT, COMMITMENT_INSTANCE)
