"""Orthanc of Debian on loopback: an archive that receives by C-STORE and STOW-RS, and commits."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, wait_until

ORTHANC = shutil.which("Orthanc", path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin"]))
PLUGIN = next(Path("/usr/lib/orthanc").glob("libOrthancDicomWeb.so*"), None)
needs_orthanc = pytest.mark.skipif(
    ORTHANC is None or PLUGIN is None, reason="Orthanc with its DICOMweb plug-in is not installed"
)


@dataclass
class Orthanc:
    """A running Orthanc."""

    http: int
    dicom: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def get(self, path: str) -> Any:
        answer = httpx.get(f"http://127.0.0.1:{self.http}{path}", timeout=PATIENCE, trust_env=False)
        return answer.raise_for_status()

    def files(self) -> list[bytes]:
        """Return every instance as it is stored."""
        return [
            self.get(f"/instances/{name}/file").content for name in self.get("/instances").json()
        ]


@contextmanager
def orthanc(folder: Path, **modalities: tuple[str, int]) -> Iterator[Orthanc]:
    """Run Orthanc; modalities are those that it knows: AE title and port on loopback."""
    running = Orthanc(free_port(), free_port())
    folder.mkdir(exist_ok=True)
    settings = {
        "Name": "ARCHIVE",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": running.http,
        "DicomPort": running.dicom,
        "DicomAet": "ARCHIVE",
        "DicomCheckCalledAet": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": {
            name: [title, "127.0.0.1", port] for name, (title, port) in modalities.items()
        },
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "HttpVerbose": False,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [str(ORTHANC), "--verbose", str(folder / "orthanc.json")], stdout=log, stderr=log
        ) as process,
    ):
        try:
            _until_open(running, process)
            yield running
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _until_open(running: Orthanc, process: "subprocess.Popen[bytes]") -> None:
    def is_open() -> bool:
        assert process.poll() is None, "Orthanc has ended"
        try:
            running.get("/system")
        except httpx.HTTPError:
            return False
        return True

    wait_until(is_open)
