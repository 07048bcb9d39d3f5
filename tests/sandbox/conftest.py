"""Tiny phantoms, templates and zips for the tests of the sandbox."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from zipfile import ZipFile, ZipInfo

import httpx
import pytest
from pydicom import dcmread

from drawcli.sandbox.phantom import PEOPLE
from drawcli.sandbox.segmentation.volume import PhantomSlice, volume
from drawcli.sandbox.server import Running, running
from tests.phantoms.planning import write_planning_ct

TEMPLATE = """\
name: Prostate_OAR
protocol: DRAW
models:
  720:
    name: TSPrime
    config: 3d_fullres
    map: {1: Bladder, 2: Rectum, 10: Body}
    trainer_name: nnUNetTrainerNoMirroring
    postprocess: null
"""


@pytest.fixture(scope="session")
def template() -> str:
    return TEMPLATE


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """One small planning CT of each person, by site: 30 slices, 10 mm apart."""
    folder = tmp_path_factory.mktemp("scans")
    return {
        person.site: write_planning_ct(folder / person.site, person, slices=30, size=128)
        for person in PEOPLE
    }


@pytest.fixture(scope="session")
def volumes(scans: dict[str, list[Path]]) -> dict[str, list[PhantomSlice]]:
    return {site: volume(dcmread(path) for path in paths) for site, paths in scans.items()}


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return four slices of 32 x 32: the smallest scan that is worth the name."""
    folder = tmp_path_factory.mktemp("few")
    return write_planning_ct(folder, PEOPLE[0], slices=4, size=32)


@pytest.fixture
def zipped(tmp_path: Path, slices: list[Path]) -> Callable[..., Path]:
    """Return a function that zips the four slices; what it is told replaces or adds a member."""

    def pack(members: dict[str, bytes] | None = None, *, template: str | None = TEMPLATE) -> Path:
        content = {f"1.2.{number}.dcm": path.read_bytes() for number, path in enumerate(slices)}
        if template is not None:
            content["template.yml"] = template.encode()
        path = tmp_path / "site_1.2.3.zip"
        with ZipFile(path, "w") as archive:
            for name, data in (content | (members or {})).items():
                archive.writestr(ZipInfo(name), data)  # no time: the same zip each time
        return path

    return pack


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a sandbox on loopback that many tests share; each brings uploads of its own."""
    with running(tmp_path_factory.mktemp("served") / "sandbox") as sandbox:
        yield sandbox


@pytest.fixture
def connect() -> Callable[..., AbstractContextManager[httpx.Client]]:
    """Return a function that opens an account at a sandbox, and a client that shows its token."""

    @contextmanager
    def opened(sandbox: Running, client_id: str = "site") -> Iterator[httpx.Client]:
        token = sandbox.sandbox.new_pair(client_id).access_token
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
            yield client

    return opened


@pytest.fixture
def client(
    served: Running,
    connect: Callable[..., AbstractContextManager[httpx.Client]],
    request: pytest.FixtureRequest,
) -> Iterator[httpx.Client]:
    """Return a client with an account of its own at the shared sandbox."""
    with connect(served, request.node.name) as opened:
        yield opened


@pytest.fixture
def upload(zipped: Callable[..., Path]) -> Callable[..., httpx.Response]:
    """Return a function that uploads the four slices."""

    def send(client: httpx.Client, *, checksum: str | None = None, **more: Any) -> httpx.Response:
        data = zipped(**more).read_bytes()
        form = {"checksum": checksum or hashlib.sha256(data).hexdigest(), "client_id": "site"}
        files = {"file": ("site_1.2.3.zip", data, "application/zip")}
        headers = {"Idempotency-Key": hashlib.sha256(data).hexdigest()}
        return client.post("/api/upload/", files=files, data=form, headers=headers)

    return send


@pytest.fixture
def ended() -> Callable[[httpx.Client, str], dict[str, str]]:
    """Return a function that asks for the status of a task until it has ended."""

    def wait(client: httpx.Client, task_id: str) -> dict[str, str]:
        deadline = monotonic() + 60
        while monotonic() < deadline:
            answer: dict[str, str] = client.get(f"/api/upload/{task_id}/status/").json()
            if answer["status"] not in ("PENDING", "PROCESSING"):
                return answer
            sleep(0.01)
        raise AssertionError("the task has not ended")

    return wait
