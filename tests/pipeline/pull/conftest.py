"""An archive of the sandbox with small scans, and a site that pulls from it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from starlette.applications import Starlette
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.pipeline.context import Context
from drawcli.pipeline.pull.outcome import PulledSource, PullReport
from drawcli.pipeline.pull.pull import pull
from drawcli.pipeline.pull.source import PullOptions
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.faults import Fault, Panel, read_faults
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dicomweb import dicomweb_routes
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from tests import tls
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct


class SwitchPanel(Panel):
    """Faults that a test sets, at a server that many tests share."""

    def __init__(self) -> None:
        super().__init__(())
        self.current = Panel(())
        self.asked: list[str] = []
        self.meanwhile: dict[str, Callable[[], None]] = {}  # done once, at an operation

    def next(self, endpoint: str) -> list[Fault]:
        self.asked.append(endpoint)
        self.meanwhile.pop(endpoint, lambda: None)()
        return self.current.next(endpoint)


class SwitchArchive(PacsArchive):
    """An archive whose content a test sets."""

    def show(self, folder: Path) -> None:
        self._folder, self._objects = folder, PacsArchive(folder)._objects


@dataclass
class Pacs:
    """A running archive, as a test sees it."""

    archive: SwitchArchive
    panel: SwitchPanel
    port: int
    folder: Path = Path()
    nodes: dict[str, tuple[str, int]] = field(default_factory=dict)  # where it sends by C-MOVE

    def faults(self, text: str) -> None:
        self.panel.current = Panel(read_faults(text))

    def add(self, *paths: Path) -> None:
        for path in paths:
            self.archive.store(path.read_bytes())

    @property
    def asked(self) -> list[str]:
        """What was asked since the last look."""
        asked, self.panel.asked = self.panel.asked, []
        return asked


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    archive, panel = SwitchArchive(tmp_path_factory.mktemp("none")), SwitchPanel()
    with closing(PacsServer(archive, PacsOptions(), panel)) as running:
        yield Pacs(archive, panel, running.port)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Return two planning scans, by the site of the body."""
    folder = tmp_path_factory.mktemp("scans")
    return {
        person.site: write_planning_ct(folder / person.site, person, slices=SLICES, size=32, seed=n)
        for n, person in enumerate((PELVIS, HEAD_NECK))
    }


@pytest.fixture
def pacs(server: Pacs, tmp_path: Path) -> Pacs:
    """Return an archive without objects and faults."""
    (tmp_path / "pacs").mkdir()
    server.archive.show(tmp_path / "pacs")
    server.faults("")
    server.folder, _ = tmp_path / "pacs", server.asked
    return server


@pytest.fixture
def pelvic(pacs: Pacs, scans: dict[str, list[Path]]) -> list[Path]:
    """Put a planning CT of the pelvis into the archive."""
    pacs.add(*scans["pelvis"])
    return scans["pelvis"]


@pytest.fixture
def pulling_site(site: Site, pacs: Pacs) -> Site:
    """Return a site that pulls CT from the archive, with a quiet time that no test waits for."""
    text = site.config.read_text().replace("quiet_minutes: 0", "quiet_minutes: 60")
    site.config.write_text(text)
    site.add_line(
        "receive: {keep_free_gib: 0}\n"
        f"pull: {{sources: [{{node: 'SANDBOX@127.0.0.1:{pacs.port}', folder: store/pulled, "
        "keys: {Modality: CT}}]}"
    )
    return site


@dataclass
class Hospital:
    """A site with its archive."""

    site: Site
    pacs: Pacs
    ctx: Context
    clock: Clock
    scans: dict[str, list[Path]]

    def pull(self, **options: object) -> PulledSource:
        """Pull; return the outcome of the archive."""
        report: PullReport = pull(self.ctx, PullOptions(**options))  # type: ignore[arg-type] # any
        (source,) = report.sources
        return source

    def scan(self) -> Job:
        """Scan the datastore; return the only job."""
        run_step("scan", self.ctx, Selection())
        return only_job(self.ctx)

    def change(self, old: str, new: str) -> None:
        """Change the settings."""
        text = self.site.config.read_text()
        assert old in text
        self.site.config.write_text(text.replace(old, new))
        self.ctx = replace(self.ctx, settings=self.site.settings())

    @property
    def stored(self) -> dict[str, Path]:
        """The files in the folder of the pulls, by SOP Instance UID."""
        return {path.stem: path for path in (self.site.store / "pulled").glob("1*/*.dcm")}


@pytest.fixture
def hospital(
    pulling_site: Site,
    pacs: Pacs,
    draw: FakeDraw,
    clock: Clock,
    scans: dict[str, list[Path]],
) -> Iterator[Hospital]:
    with opened(pulling_site, draw, clock) as ctx:
        yield Hospital(pulling_site, pacs, ctx, clock, scans)


@contextmanager
def dicomweb(hospital: Hospital) -> Iterator[int]:
    """Let a hospital pull from its archive by DICOMweb; yield the port."""
    routes = dicomweb_routes(hospital.pacs.archive, hospital.pacs.panel)
    with TestClient(Starlette(routes=routes)) as client:

        def answered(request: httpx.Request) -> httpx.Response:
            path, headers = request.url.raw_path.decode(), dict(request.headers)
            got = client.get(path, headers=headers)
            return httpx.Response(got.status_code, headers=got.headers, content=got.content)

        with tls.serving(answered, None) as port:
            node = f"node: 'SANDBOX@127.0.0.1:{hospital.pacs.port}'"
            hospital.change(node, f"dicomweb: 'http://127.0.0.1:{port}/dicom-web'")
            yield port


def uids(paths: list[Path]) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths}
