"""Pulling from archives that others wrote: Orthanc and dcmqrscp of DCMTK."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from drawcli.core.jobs.job import State
from drawcli.pipeline.pull.pull import pull
from drawcli.pipeline.pull.source import PullOptions
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import PELVIS, Clock, Site, only_job, opened
from tests.dicom_tls import tls_before
from tests.fake_draw import FakeDraw
from tests.orthanc import Orthanc, needs_orthanc, orthanc
from tests.phantoms.planning import write_planning_ct
from tests.pipeline.pull.conftest import uids
from tests.pipeline.pull.test_move import receiving
from tests.ports import free_port
from tests.tls import Authority, context
from tests.waiting import wait_for_port

# A socket that a peer has closed may be collected in a test of another archive.
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmqrscp") is None, reason="DCMTK is not installed")
SLICES = 40


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return write_planning_ct(tmp_path / "ct", PELVIS, slices=SLICES, size=64, seed=3)


def pull_and_scan(site: Site, draw: FakeDraw, clock: Clock, source: str) -> list[Path]:
    """Pull from an archive, and scan; return the files of the folder."""
    text = site.config.read_text().replace("quiet_minutes: 0", "quiet_minutes: 60")
    site.config.write_text(text)
    site.add_line(f"receive: {{keep_free_gib: 0}}\npull: {{sources: [{{{source}}}]}}")
    with opened(site, draw, clock) as ctx:
        first, again = (pull(ctx, PullOptions()).sources[0] for _ in range(2))
        run_step("scan", ctx, Selection())

        assert (first.error, dict(first.counts)) == (None, {"pulled": 1}), first.series
        assert (again.error, dict(again.counts)) == (None, {"complete": 1})
        assert only_job(ctx).state is State.FOUND
    return list((site.store / "pulled").glob("1*/*.dcm"))


def put(archive: Orthanc, paths: list[Path]) -> None:
    for path in paths:
        url = f"http://127.0.0.1:{archive.http}/instances"
        httpx.post(url, content=path.read_bytes(), trust_env=False).raise_for_status()


@needs_orthanc
@pytest.mark.parametrize("web", [False, True])
def test_a_series_comes_from_orthanc(
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    images: list[Path],
    web: bool,  # noqa: FBT001 - a table
) -> None:
    with orthanc(site.folder / "orthanc", DRAWCLI=("DRAWCLI", 11112)) as archive:
        put(archive, images)
        node = f"dicomweb: '{archive.url}'" if web else f"node: 'ARCHIVE@127.0.0.1:{archive.dicom}'"
        keys = "folder: store/pulled, keys: {Modality: CT, StudyDate: '1990-01-01..'}"
        stored = pull_and_scan(site, draw, clock, f"{node}, {keys}")

    assert uids(stored) == uids(images)


@needs_orthanc
def test_a_series_comes_from_orthanc_by_c_move(
    site: Site, draw: FakeDraw, clock: Clock, images: list[Path]
) -> None:
    site.add_line(
        "receive: {listen: '127.0.0.1:0', keep_free_gib: 0, folder: store/in, "
        "callers: [ARCHIVE@127.0.0.1]}"
    )
    text = site.config.read_text().replace("quiet_minutes: 0", "quiet_minutes: 60")
    site.config.write_text(text)
    with (
        receiving(site) as port,
        orthanc(site.folder / "orthanc", us=("DRAWCLI", port)) as archive,
    ):
        put(archive, images)
        site.add_line(
            f"pull: {{sources: [{{node: 'ARCHIVE@127.0.0.1:{archive.dicom}', by: move, "
            "keys: {Modality: CT}}]}"
        )
        with opened(site, draw, clock) as ctx:
            (source,) = pull(ctx, PullOptions()).sources
            run_step("scan", ctx, Selection())

            assert (source.error, dict(source.counts)) == (None, {"pulled": 1})
            assert only_job(ctx).state is State.FOUND
    assert uids(list((site.store / "in").glob("1*/*.dcm"))) == uids(images)


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[int]:
    """Run an archive of DCMTK; yield its port."""
    port = free_port()
    (folder / "db").mkdir(parents=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            ["dcmqrscp", "-c", str(config)],
            env=os.environ | {"TCP_NODELAY": "1"},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_for_port(port)
            yield port
        finally:
            process.terminate()


@needs_dcmtk
def test_a_series_comes_from_dcmqrscp(
    site: Site, draw: FakeDraw, clock: Clock, images: list[Path]
) -> None:
    with dcmqrscp(site.folder / "dcmtk") as port:
        subprocess.run(
            ["storescu", "-aec", "ARCHIVE", "127.0.0.1", str(port), *map(str, images)],
            check=True,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        node = f"node: 'ARCHIVE@127.0.0.1:{port}', folder: store/pulled, keys: {{Modality: CT}}"
        stored = pull_and_scan(site, draw, clock, node)

    assert uids(stored) == uids(images)


@needs_orthanc
def test_a_series_comes_from_dicomweb_by_https(
    site: Site, draw: FakeDraw, clock: Clock, images: list[Path]
) -> None:
    authority = Authority(site.folder)
    server = context(authority.certificate("127.0.0.1"))
    with orthanc(site.folder / "orthanc") as archive, tls_before(archive.http, server) as port:
        put(archive, images)
        web = (
            f"dicomweb: 'https://127.0.0.1:{port}/dicom-web', tls: {{ca_file: '{authority.file}'}}"
        )
        stored = pull_and_scan(
            site, draw, clock, f"{web}, folder: store/pulled, keys: {{Modality: CT}}"
        )

    assert uids(stored) == uids(images)
