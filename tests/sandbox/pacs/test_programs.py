"""The archive with the programs of DCMTK, and as a process; the slow tests are of the sweep."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from drawcli.sandbox.server import running
from tests.ports import free_port
from tests.sandbox.pacs.conftest import Shared, of_patient
from tests.waiting import PATIENCE

ServeArchive = Callable[..., AbstractContextManager[PacsServer]]
with_dcmtk = pytest.mark.skipif(not shutil.which("findscu"), reason="needs the programs of DCMTK")


@pytest.fixture
def archive(shared: Shared) -> PacsArchive:
    return shared.archive


def dcmtk(program: str, server: PacsServer, *words: str) -> str:
    """Run a program of DCMTK; return what it says."""
    done = subprocess.run(
        [program, "-v", *words[:-1], "127.0.0.1", str(server.port), *words[-1:]]
        if program == "storescu"
        else [program, "-v", *words, "127.0.0.1", str(server.port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout + done.stderr


@with_dcmtk
def test_dcmtk_asks_finds_and_retrieves(
    serve_archive: ServeArchive, archive: PacsArchive, tmp_path: Path
) -> None:
    study = of_patient(archive, "Kulk").StudyInstanceUID
    with serve_archive() as server:
        echo = dcmtk("echoscu", server)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDate=20260301-20260331")
        found = dcmtk("findscu", server, "-S", *keys, "-k", "StudyInstanceUID")
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
        dcmtk("getscu", server, "-S", *keys, "-od", str(tmp_path))

    assert "Received Echo Response (Success)" in echo
    assert re.findall(r"\(0020,000d\) UI \[([\d.]+)", found) == [study]
    got = [dcmread(path) for path in tmp_path.iterdir()]
    assert len(got) == 4
    assert all(each == archive.dataset(each) for each in got)


@with_dcmtk
@pytest.mark.sweep
def test_dcmtk_moves_and_stores(
    serve_archive: ServeArchive, archive: PacsArchive, tmp_path: Path
) -> None:
    study, port = of_patient(archive, "Kulk").StudyInstanceUID, free_port()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    with serve_archive(nodes={"MOVESCU": ("127.0.0.1", port)}) as server:
        to = ("-aem", "MOVESCU", "+P", str(port), "-od", str(tmp_path))
        moved = dcmtk("movescu", server, "-S", *to, *keys)
        stored = dcmtk("storescu", server, str(next(tmp_path.iterdir())))

    assert "Received Final Move Response (Success)" in moved
    assert len(list(tmp_path.iterdir())) == 4
    assert "Received Store Response (Success)" in stored


def test_the_sandbox_serves_its_archive_by_dicom_and_by_web(tmp_path: Path) -> None:
    faults = read_faults("qido:lose")
    options = SandboxOptions(pacs=PacsOptions(slices=4, size=32), faults=faults)
    with (
        running(tmp_path / "box", options=options) as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as client,
    ):
        counts = [len(client.get("/dicom-web/studies").json()) for _ in range(2)]
        first = next(path for path in (tmp_path / "box").rglob("*.dcm"))
        head = b"--limit\r\nContent-Type: application/dicom\r\n\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=limit'
        client.post(
            "/dicom-web/studies",
            content=head + first.read_bytes() + b"\r\n--limit--",
            headers={"Content-Type": kind},
        )
        assert sandbox.pacs is not None
        with socket.create_connection(("127.0.0.1", sandbox.pacs.port), PATIENCE):
            pass

    assert counts == [2, 3]
    assert sandbox.requests == {"qido": 2, "stow": 1}
    with running(tmp_path / "box", options=options) as again:
        assert again.sandbox.archive is not None
        assert len(again.sandbox.archive) == 14


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.sweep
def test_the_command_serves_what_is_in_its_folder_until_it_is_interrupted(
    phantoms: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantoms, tmp_path / "box" / "pacs")
    port = free_port()
    words = ("sandbox", "--dir", str(tmp_path / "box"), "--port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "drawcli", *words, "--pacs", f"PACS@127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(9)]
        web = next(line.split()[1] for line in said if line.startswith("DICOMweb"))
        answer = httpx.get(f"{web}/studies", trust_env=False)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)

    assert f"archive     PACS@127.0.0.1:{port}\n" in said
    assert len(answer.json()) == 3
    assert (process.returncode, errors) == (0, "")
