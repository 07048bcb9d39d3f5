"""An archive of small phantoms, its node, its web server, and clients of pynetdicom."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]
from starlette.applications import Starlette
from starlette.testclient import TestClient

from drawcli.sandbox.demo import scan_patients
from drawcli.sandbox.faults import Fault, Panel, read_faults
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dicomweb import dicomweb_routes
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import (
    COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    PacsOptions,
)
from drawcli.sandbox.pacs.sockets import AssociationSockets
from tests.waiting import PATIENCE

ServeArchive = Callable[..., AbstractContextManager[PacsServer]]
Associate = Callable[..., AbstractContextManager[Association]]
SERVICES = (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET, COMMITMENT)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a visit of each invented patient, four slices each."""
    folder = tmp_path_factory.mktemp("phantoms") / "pacs"
    scan_patients(folder, 4, 32, lambda _line: None)
    return folder


@pytest.fixture(scope="session")
def phantom_archive(phantoms: Path) -> PacsArchive:
    """Return an archive that no test stores into."""
    return PacsArchive(phantoms)


@pytest.fixture
def archive(phantoms: Path, tmp_path: Path) -> PacsArchive:
    """Return an archive of its own for a test."""
    return PacsArchive(Path(shutil.copytree(phantoms, tmp_path / "pacs")))


class SwitchPanel(Panel):
    """Faults that a test sets, at a server that many tests share."""

    def __init__(self) -> None:
        super().__init__(())
        self.current = Panel(())

    def next(self, endpoint: str) -> list[Fault]:
        return self.current.next(endpoint)


@dataclass
class Shared:
    """A server that many tests share: to start and end one takes half a second."""

    archive: PacsArchive
    panel: SwitchPanel
    server: PacsServer


@pytest.fixture(scope="session")
def shared(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = shutil.copytree(phantoms, tmp_path_factory.mktemp("shared") / "pacs")
    archive, panel = PacsArchive(Path(folder)), SwitchPanel()
    with closing(PacsServer(archive, PacsOptions(), panel)) as server:
        yield Shared(archive, panel, server)


@pytest.fixture
def serve_archive(shared: Shared) -> ServeArchive:
    """Return a function that serves the shared archive with faults, or for nodes that it knows."""

    @contextmanager
    def served(faults: str = "", **options: Any) -> Iterator[PacsServer]:
        panel = Panel(read_faults(faults))
        if not any(options.values()):
            shared.panel.current = panel
            yield shared.server
            return
        with closing(PacsServer(shared.archive, PacsOptions(**options), panel)) as server:
            yield server

    return served


@pytest.fixture
def associate() -> Associate:
    """Return a function that opens an association with the archive, also for C-GET."""

    @contextmanager
    def associated(server: PacsServer, *handlers: Any) -> Iterator[Association]:
        ae = AE("CLIENT")
        ae.dimse_timeout = ae.acse_timeout = ae.network_timeout = PATIENCE
        contexts = [build_context(service) for service in SERVICES]
        contexts.append(build_context(CTImageStorage, ["1.2.840.10008.1.2.1"]))
        sockets = AssociationSockets()
        association = ae.associate(
            "127.0.0.1",
            server.port,
            contexts=contexts,
            ae_title="SANDBOX",
            evt_handlers=[*sockets.handlers(), *handlers],
            ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
        )
        try:
            yield association
        finally:
            if association.is_established:
                association.release()
            sockets.close()

    return associated


@pytest.fixture
def web(archive: PacsArchive) -> Callable[..., TestClient]:
    """Return a function that makes a client of the archive's web server, with faults."""

    def client(faults: str = "") -> TestClient:
        return TestClient(Starlette(routes=dicomweb_routes(archive, Panel(read_faults(faults)))))

    return client


def query(level: str, **keys: Any) -> Dataset:
    """Return an identifier of a query."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def of_patient(archive: PacsArchive, surname: str) -> Dataset:
    """Return the header of the first CT slice of a patient."""
    return next(
        header
        for header in archive.headers()
        if str(header.PatientName).startswith(surname) and header.SOPClassUID == CTImageStorage
    )
