import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from drawcli.errors import UsageError
from drawcli.sandbox.faults import Panel
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import (
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    PacsOptions,
)
from tests.sandbox.pacs.conftest import Shared, of_patient, query
from tests.waiting import PATIENCE, wait_until

ServeArchive = Callable[..., AbstractContextManager[PacsServer]]
Associate = Callable[..., AbstractContextManager[Association]]
CT = "1.2.840.10008.5.1.4.1.1.2"
SUCCESS, FULL, NO_DESTINATION, BAD_IDENTIFIER = 0x0000, 0xA700, 0xA801, 0xA900
PENDING, PENDING_KEYS_IGNORED = 0xFF00, 0xFF01


@pytest.fixture
def archive(shared: Shared) -> PacsArchive:
    """Return the archive of the shared server; objects that a test stores have new UIDs."""
    return shared.archive


@contextmanager
def receiving(statuses: list[int] | None = None) -> Iterator[tuple[int, list[Dataset]]]:
    """Run a node that stores; yields its port and what it received."""
    received: list[Dataset] = []

    def store(event: evt.Event) -> int:
        received.append(event.dataset)
        return statuses.pop(0) if statuses else SUCCESS

    ae = AE("DEST")
    ae.add_supported_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    try:
        yield server.server_address[1], received
    finally:
        ae.shutdown()


def answers(association: Association, asked: Dataset) -> list[tuple[int, Dataset | None]]:
    return [
        (status.Status if status else -1, found)
        for status, found in association.send_c_find(asked, STUDY_ROOT_FIND)
    ]


def get(server: PacsServer, associate: Associate, asked: Dataset) -> tuple[Any, list[Dataset]]:
    """Retrieve by C-GET; return the last status and the received objects."""
    received: list[Dataset] = []

    def store(event: evt.Event) -> int:
        received.append(event.dataset)
        return SUCCESS

    with associate(server, (evt.EVT_C_STORE, store)) as association:
        statuses = [status for status, _ in association.send_c_get(asked, STUDY_ROOT_GET)]
    return statuses[-1], received


def move(
    server: PacsServer, associate: Associate, asked: Dataset, destination: str = "DEST"
) -> list[Any]:
    with associate(server) as association:
        return [
            status for status, _ in association.send_c_move(asked, destination, STUDY_ROOT_MOVE)
        ]


def test_it_answers_an_echo(serve_archive: ServeArchive, associate: Associate) -> None:
    with serve_archive() as server, associate(server) as association:
        assert association.send_c_echo().Status == SUCCESS


def test_an_object_is_stored_and_found(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    new = archive.dataset(of_patient(archive, "Okon"))
    new.SOPInstanceUID = new.file_meta.MediaStorageSOPInstanceUID = generate_uid()

    with serve_archive() as server, associate(server) as association:
        status = association.send_c_store(new)
        found = answers(
            association,
            query(
                "IMAGE",
                StudyInstanceUID=new.StudyInstanceUID,
                SeriesInstanceUID=new.SeriesInstanceUID,
                SOPInstanceUID=new.SOPInstanceUID,
            ),
        )

    assert status.Status == SUCCESS
    assert [code for code, _ in found] == [PENDING, SUCCESS]
    assert archive.dataset(new) == new


def test_a_query_is_answered_at_each_level(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    header = of_patient(archive, "Kulk")
    with serve_archive() as server, associate(server) as association:
        studies = answers(association, query("STUDY", PatientName="KULK*", StudyInstanceUID=""))
        series = answers(
            association, query("SERIES", StudyInstanceUID=header.StudyInstanceUID, Modality="CT")
        )
        images = answers(
            association,
            query(
                "IMAGE",
                StudyInstanceUID=header.StudyInstanceUID,
                SeriesInstanceUID=header.SeriesInstanceUID,
                SOPInstanceUID="",
            ),
        )

    study = studies[0][1]
    assert study is not None
    assert study.StudyInstanceUID == header.StudyInstanceUID
    assert study.PatientName == header.PatientName  # in Devanagari
    assert (study.QueryRetrieveLevel, study.RetrieveAETitle) == ("STUDY", "SANDBOX")
    assert [len(found) - 1 for found in (studies, series, images)] == [1, 1, 4]


def test_ignored_keys_are_said(serve_archive: ServeArchive, associate: Associate) -> None:
    with serve_archive() as server, associate(server) as association:
        found = answers(association, query("STUDY", PatientName="Kulk*", Modality="CT"))

    assert [code for code, _ in found] == [PENDING_KEYS_IGNORED, SUCCESS]


def test_a_query_without_the_upper_levels_is_refused(
    serve_archive: ServeArchive, associate: Associate
) -> None:
    with serve_archive() as server, associate(server) as association:
        found = answers(association, query("SERIES", SeriesInstanceUID=""))

    assert [code for code, _ in found] == [BAD_IDENTIFIER]


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_series_is_retrieved(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive, how: str
) -> None:
    header = of_patient(archive, "Kulk")
    asked = query(
        "SERIES",
        StudyInstanceUID=header.StudyInstanceUID,
        SeriesInstanceUID=header.SeriesInstanceUID,
    )
    with receiving() as (port, moved):
        nodes = {"DEST": ("127.0.0.1", port)} if how == "move" else {}
        with serve_archive(nodes=nodes) as server:
            if how == "get":
                last, got = get(server, associate, asked)
            else:
                last, got = move(server, associate, asked)[-1], moved

    assert last.Status == SUCCESS
    assert last.NumberOfCompletedSuboperations == 4
    assert len({each.SOPInstanceUID for each in got}) == 4
    assert all(each == archive.dataset(each) for each in got)


def test_an_object_that_the_destination_refuses_is_reported(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    asked = query("STUDY", StudyInstanceUID=of_patient(archive, "Kulk").StudyInstanceUID)
    with (
        receiving([SUCCESS, FULL]) as (port, _received),
        serve_archive(nodes={"DEST": ("127.0.0.1", port)}) as server,
    ):
        last = move(server, associate, asked)[-1]

    assert last.Status == 0xB000
    assert last.NumberOfFailedSuboperations == 1
    assert last.NumberOfCompletedSuboperations == 3


def test_an_unknown_destination_is_refused(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    asked = query("STUDY", StudyInstanceUID=of_patient(archive, "Kulk").StudyInstanceUID)
    with serve_archive() as server:
        statuses = move(server, associate, asked, "NOBODY")

    assert [status.Status for status in statuses] == [NO_DESTINATION]


def test_nothing_that_matches_is_a_success_without_objects(
    serve_archive: ServeArchive, associate: Associate
) -> None:
    with serve_archive() as server:
        last, received = get(server, associate, query("STUDY", StudyInstanceUID="1.2.3"))

    assert (last.Status, last.NumberOfCompletedSuboperations, received) == (SUCCESS, 0, [])


def test_a_bad_retrieval_is_refused(serve_archive: ServeArchive, associate: Associate) -> None:
    with serve_archive() as server:
        last, _ = get(server, associate, query("SERIES", SeriesInstanceUID="1.2.3"))

    assert last.Status == BAD_IDENTIFIER


def test_what_is_stored_without_a_study_is_refused(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    new = archive.dataset(of_patient(archive, "Okon"))
    del new.StudyInstanceUID
    count = len(archive)

    with serve_archive() as server, associate(server) as association:
        status = association.send_c_store(new)

    assert status.Status == 0xC000
    assert len(archive) == count


def test_a_port_that_is_taken_is_said(serve_archive: ServeArchive) -> None:
    with (
        serve_archive() as server,
        pytest.raises(UsageError, match=f"port {server.port} cannot be opened"),
        serve_archive(port=server.port),
    ):
        pass


@pytest.mark.parametrize(
    "options", [{"host": "192.0.2.7"}, {"nodes": {"FAR": ("pacs.example.org", 104)}}]
)
def test_it_listens_and_sends_on_loopback_only(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="loopback only"):
        PacsOptions(**options)


def test_stored_bytes_are_those_that_were_sent(
    serve_archive: ServeArchive, associate: Associate, archive: PacsArchive
) -> None:
    header = of_patient(archive, "Okon")
    before = archive.content(header)

    with serve_archive() as server, associate(server) as association:
        association.send_c_store(archive.dataset(header))

    after = archive.content(header)
    start = b"\x08\x00\x05\x00CS"  # the first element behind the file meta information
    assert after[after.index(start) :] == before[before.index(start) :]
    assert after != before  # its meta information is that of the archive


def test_a_connection_that_was_reset_is_closed(
    phantom_archive: PacsArchive, associate: Associate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After a reset `shutdown` fails, and pynetdicom does not call `close`.
    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", lambda _self: None)
    with (
        closing(PacsServer(phantom_archive, PacsOptions(), Panel(()))) as server,
        associate(server) as association,
    ):
        association.send_c_echo()
    gc.collect()  # an open socket without an owner is an error


def test_it_ends_beside_connections_that_request_nothing(
    phantom_archive: PacsArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    server = PacsServer(phantom_archive, PacsOptions(), Panel(()))
    address = ("127.0.0.1", server.port)
    with closing(socket.create_connection(address, PATIENCE)) as silent:
        socket.create_connection(address, PATIENCE).close()
        wait_until(lambda: len(server._ae.active_associations) == 2)

        server.close()
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""

    wait_until(lambda: server._ae.active_associations == [])
    assert failed == []
