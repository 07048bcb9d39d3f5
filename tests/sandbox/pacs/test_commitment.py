from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, Queue
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF

from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import COMMITMENT, COMMITMENT_INSTANCE
from tests.sandbox.pacs.conftest import Shared
from tests.waiting import PATIENCE

ServeArchive = Callable[..., AbstractContextManager[PacsServer]]
Associate = Callable[..., AbstractContextManager[Association]]
Reports = Queue[tuple[int, Dataset]]
MISSING, FAILED = 0x0112, 0x0110


@pytest.fixture
def archive(shared: Shared) -> PacsArchive:
    """Return the archive of the shared server; objects that a test stores have new UIDs."""
    return shared.archive


def request(*headers: Dataset) -> Dataset:
    """Return the action information of a request for storage commitment."""
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = []
    for header in headers:
        item = Dataset()
        item.ReferencedSOPClassUID = header.SOPClassUID
        item.ReferencedSOPInstanceUID = header.SOPInstanceUID
        asked.ReferencedSOPSequence.append(item)
    return asked


def taking(reports: Reports) -> list[tuple[Any, ...]]:
    """Return handlers that take reports; each is passed on once its response is sent.

    An association that is released before could no longer send the response.
    """
    taken: Reports = Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        taken.put((request.EventTypeID, event.event_information))
        return 0x0000, None

    def pass_on(event: evt.Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            with suppress(Empty):
                reports.put(taken.get_nowait())

    return [(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, pass_on)]


@contextmanager
def reported_to(reports: Reports) -> Iterator[int]:
    """Run a node that takes reports; yields its port."""
    ae = AE("CLIENT")
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=taking(reports))
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()


def ask(association: Association, asked: Dataset) -> int:
    status, _ = association.send_n_action(asked, 1, COMMITMENT, COMMITMENT_INSTANCE)
    return int(status.Status)


def uids(items: Any) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in items]


def test_what_is_stored_is_reported_in_the_same_association(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    reports: Reports = Queue()
    asked = request(*archive.headers()[:2])

    with serve_archive() as server, associate(server, *taking(reports)) as association:
        status = ask(association, asked)
        event_type, report = reports.get(timeout=PATIENCE)

    assert (status, event_type) == (0x0000, 1)
    assert report.TransactionUID == asked.TransactionUID
    assert uids(report.ReferencedSOPSequence) == uids(asked.ReferencedSOPSequence)
    assert "FailedSOPSequence" not in report


def test_what_is_not_stored_has_failed(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    reports: Reports = Queue()
    unknown = Dataset()
    unknown.SOPClassUID, unknown.SOPInstanceUID = archive.headers()[0].SOPClassUID, "1.2.3"
    other = Dataset()  # of another class than the stored one
    other.SOPClassUID, other.SOPInstanceUID = "1.2.4", archive.headers()[1].SOPInstanceUID

    with serve_archive() as server, associate(server, *taking(reports)) as association:
        ask(association, request(archive.headers()[0], unknown, other))
        event_type, report = reports.get(timeout=PATIENCE)

    assert event_type == 2
    assert len(report.ReferencedSOPSequence) == 1
    failed, _other = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3", MISSING)


def test_a_known_node_gets_its_report_in_a_later_association(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    reports: Reports = Queue()
    asked = request(archive.headers()[0])

    with (
        reported_to(reports) as port,
        serve_archive(nodes={"CLIENT": ("127.0.0.1", port)}) as server,
    ):
        with associate(server) as association:
            ask(association, asked)
        event_type, report = reports.get(timeout=PATIENCE)

    assert (event_type, report.TransactionUID) == (1, asked.TransactionUID)


@pytest.mark.parametrize("fault", ["fail", "unknown"])
def test_a_report_is_wrong(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive, fault: str
) -> None:
    reports: Reports = Queue()
    asked = request(*archive.headers()[:3])

    with (
        serve_archive(f"commit:{fault}") as server,
        associate(server, *taking(reports)) as association,
    ):
        ask(association, asked)
        event_type, report = reports.get(timeout=PATIENCE)

    if fault == "fail":
        assert event_type == 2
        assert [item.FailureReason for item in report.FailedSOPSequence] == [FAILED, FAILED]
        assert len(report.ReferencedSOPSequence) == 1
    else:
        assert report.TransactionUID != asked.TransactionUID


@pytest.mark.parametrize(("fault", "status"), [("lose", 0x0000), ("0110", 0x0110)])
def test_a_report_does_not_come(
    serve_archive: ServeArchive,
    associate: Associate,
    archive: PacsArchive,
    fault: str,
    status: int,
) -> None:
    reports: Reports = Queue()

    with (
        serve_archive(f"commit:{fault}") as server,
        associate(server, *taking(reports)) as association,
    ):
        answer = ask(association, request(archive.headers()[0]))
        with pytest.raises(Empty):
            reports.get(timeout=0.3)

    assert answer == status
