"""Faults of the archive, each as a client of pynetdicom meets it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Thread
from time import monotonic, sleep

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom.association import Association

from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import STUDY_ROOT_GET
from tests.sandbox.pacs.conftest import Shared, of_patient, query
from tests.sandbox.pacs.test_dimse import SUCCESS, answers, get, move, receiving
from tests.waiting import PATIENCE

ServeArchive = Callable[..., AbstractContextManager[PacsServer]]
Associate = Callable[..., AbstractContextManager[Association]]
STUDIES = query("STUDY", StudyInstanceUID="")


@pytest.fixture
def archive(shared: Shared) -> PacsArchive:
    """Return the archive of the shared server; objects that a test stores have new UIDs."""
    return shared.archive


@pytest.fixture
def new(archive: PacsArchive) -> Dataset:
    """Return an object that the archive does not have."""
    dataset = archive.dataset(of_patient(archive, "Okon"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return dataset


@pytest.fixture
def study(archive: PacsArchive) -> Dataset:
    """Return the identifier of a study with four images."""
    return query("STUDY", StudyInstanceUID=of_patient(archive, "Kulk").StudyInstanceUID)


@pytest.mark.parametrize(("fault", "status"), [("full", 0xA700), ("0122", 0x0122)])
def test_an_object_is_refused_once(
    serve_archive: ServeArchive, associate: Associate, new: Dataset, fault: str, status: int
) -> None:
    with serve_archive(f"store:{fault}") as server, associate(server) as association:
        statuses = [association.send_c_store(new).Status for _ in range(2)]

    assert statuses == [status, SUCCESS]


@pytest.mark.parametrize("fault", ["lose", "lost", "abort"])
def test_what_the_sender_hears_is_not_what_the_archive_has(
    serve_archive: ServeArchive,
    associate: Associate,
    archive: PacsArchive,
    new: Dataset,
    fault: str,
) -> None:
    with serve_archive(f"store:{fault}") as server, associate(server) as association:
        status = association.send_c_store(new)

    assert (status.get("Status") == SUCCESS) is (fault == "lose")
    assert archive.has(new.SOPClassUID, new.SOPInstanceUID) is (fault == "lost")


def test_a_slow_archive_takes_its_time(
    serve_archive: ServeArchive, associate: Associate, new: Dataset
) -> None:
    with serve_archive("store:slow:20k/s") as server, associate(server) as association:
        begin = monotonic()
        association.send_c_store(new)

    assert monotonic() - begin > 0.15  # some 4 kB


@pytest.mark.parametrize("operation", ["echo", "find"])
def test_a_stalled_archive_is_given_up(
    serve_archive: ServeArchive, associate: Associate, operation: str
) -> None:
    with serve_archive(f"{operation}:stall") as server:
        with associate(server) as association:
            association.dimse_timeout = 0.2
            if operation == "echo":
                assert not association.send_c_echo()
            else:
                assert answers(association, STUDIES) == [(-1, None)]
        with associate(server) as association:
            assert association.send_c_echo().Status == SUCCESS


@pytest.mark.parametrize("fault", ["reject", "abort"])
def test_an_association_is_refused_once(
    serve_archive: ServeArchive, associate: Associate, fault: str
) -> None:
    with serve_archive(f"associate:{fault}") as server:
        with associate(server) as first:
            states = first.is_rejected, first.is_established
        with associate(server) as second:
            assert second.send_c_echo().Status == SUCCESS

    assert states == (fault == "reject", False)


def test_results_are_missing_from_a_query(
    serve_archive: ServeArchive, associate: Associate
) -> None:
    with serve_archive("find:lose") as server, associate(server) as association:
        counts = [len(answers(association, STUDIES)) - 1 for _ in range(2)]

    assert counts == [2, 3]


def test_a_query_is_aborted_in_the_middle(
    serve_archive: ServeArchive, associate: Associate
) -> None:
    with serve_archive("find:abort") as server, associate(server) as association:
        found = answers(association, STUDIES)

    assert [code for code, _ in found] == [0xFF00, -1]


def test_keys_are_ignored(serve_archive: ServeArchive, associate: Associate) -> None:
    asked = query("STUDY", PatientName="Kulk*")
    with serve_archive("find:ignore-keys") as server, associate(server) as association:
        counts = [len(answers(association, asked)) - 1 for _ in range(2)]

    assert counts == [3, 1]


@pytest.mark.parametrize("how", ["get", "move"])
@pytest.mark.parametrize(
    "fault_and_outcome",  # the last status, completed sub-operations, received objects
    [
        ("lose", (SUCCESS, 2, 2)),
        ("count", (SUCCESS, 5, 4)),
        ("other", (SUCCESS, 5, 5)),
        ("abort", (None, None, 2)),
        ("A701", (0xA701, 0, 0)),
        ("C001", (0xC001, 0, 0)),
    ],
    ids=lambda pair: pair[0],
)
def test_a_retrieval_goes_wrong(
    serve_archive: ServeArchive,
    associate: Associate,
    study: Dataset,
    how: str,
    fault_and_outcome: tuple[str, tuple[int | None, int | None, int]],
) -> None:
    fault, outcome = fault_and_outcome
    if how == "get":
        with serve_archive(f"get:{fault}") as server:
            status, arrived = get(server, associate, study)
    else:
        with receiving() as (port, arrived):
            nodes = {"DEST": ("127.0.0.1", port)}
            with serve_archive(f"move:{fault}", nodes=nodes) as server:
                status = move(server, associate, study)[-1]

    completed = status.get("NumberOfCompletedSuboperations")
    assert (status.get("Status"), completed, len(arrived)) == outcome
    if fault == "other":
        assert {each.StudyInstanceUID for each in arrived} > {study.StudyInstanceUID}


def test_a_stalled_archive_can_be_closed(serve_archive: ServeArchive, associate: Associate) -> None:
    with serve_archive("echo:stall", ae_title="OTHER") as server, associate(server) as association:
        asking = Thread(target=association.send_c_echo)
        asking.start()
        sleep(0.1)
        server.close()
        asking.join(PATIENCE / 2)  # it would wait for PATIENCE

    assert not asking.is_alive()


def test_a_refused_retrieval_changes_no_later_one(
    serve_archive: ServeArchive, associate: Associate
) -> None:
    asked = query("STUDY", StudyInstanceUID="1.2.3")
    with serve_archive("get:A701") as server, associate(server) as association:
        statuses = [
            status.Status
            for _ in range(2)
            for status, _found in association.send_c_get(asked, STUDY_ROOT_GET)
        ]

    assert statuses == [0xA701, SUCCESS]
