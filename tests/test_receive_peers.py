"""`receive` with other software: storescu with many options, C-MOVE from an archive and Orthanc."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.sandbox.demo import scan_patients
from drawcli.sandbox.faults import Panel, read_faults
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from tests.conftest import PELVIS
from tests.dicom_sender import Receiving, receiving
from tests.orthanc import needs_orthanc, orthanc
from tests.phantoms.planning import write_planning_ct

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed"),
]
SLICES = 3
CALLERS = [f"{name}@127.0.0.1" for name in ("STORESCU", "MOVESCU", "ARCHIVE", "SANDBOX")]
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("site"), CALLERS) as listener:
        yield listener


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path / "fresh", CALLERS) as listener:
        yield listener


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_planning_ct(tmp_path_factory.mktemp("scanner"), PELVIS, slices=SLICES, size=32)


def call(program: str, port: int, *words: str, files: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run a program of DCMTK; return its exit code and what it says."""
    done = subprocess.run(
        [program, "-v", *words, "127.0.0.1", str(port), *files],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def stored(running: Receiving, before: set[Path]) -> list[Dataset]:
    """Return what was stored since, read."""
    return [dcmread(path) for path in running.stored() if path not in before]


def push(running: Receiving, *words: str, files: list[Path]) -> tuple[int, str, list[Dataset]]:
    before = set(running.stored())
    aec = [] if "-aec" in words else ["-aec", "DRAWCLI"]
    code, said = call("storescu", running.port, *aec, *words, files=tuple(map(str, files)))
    return code, said, stored(running, before)


def pixels(datasets: list[Dataset]) -> list[bytes]:
    return sorted(np.ascontiguousarray(one.pixel_array).tobytes() for one in datasets)


@pytest.mark.parametrize(
    ("options", "syntax"),
    [
        ("-x=", EXPLICIT),
        ("-xi", IMPLICIT),
        ("-xb", EXPLICIT),  # big endian is not accepted, and storescu falls back
        ("-xd", EXPLICIT),  # nor is deflated
        ("-xs", None),
        ("-R", None),
        ("-pdu 4096 --max-send-pdu 4096", None),
        ("-pdu 131072 --max-send-pdu 131072", None),
        ("-usr physicist -pwd secret", None),  # not negotiated, and ignored
        ("--repeat 3", None),
        ("--abort", None),
    ],
)
def test_storescu_with_its_options(
    running: Receiving, scanner: list[Path], options: str, syntax: str | None
) -> None:
    code, said, got = push(running, "+II", *options.split(), files=scanner)

    assert code == 0, said
    assert len(got) % SLICES == 0
    assert pixels(got)[:: len(got) // SLICES] == pixels([dcmread(path) for path in scanner])
    if syntax is not None:
        assert {one.file_meta.TransferSyntaxUID for one in got} == {syntax}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("-aec OTHER", "Called AE Title Not Recognized"),
        ("-aet OTHER", "Calling AE Title Not Recognized"),
    ],
)
def test_storescu_with_options_that_do_not_fit_gets_the_reason(
    running: Receiving, scanner: list[Path], options: str, said: str
) -> None:
    code, text, got = push(running, "+II", *options.split(), files=scanner)

    assert code != 0
    assert said in text
    assert got == []


@pytest.mark.parametrize(
    ("programs", "syntax"),
    [
        ("dcmcrle -xr", "1.2.840.10008.1.2.5"),
        ("dcmcjpls -xt", "1.2.840.10008.1.2.4.80"),
        ("dcmcjpeg -xs", "1.2.840.10008.1.2.4.70"),
    ],
)
def test_compressed_images_are_stored_as_they_are(
    running: Receiving, scanner: list[Path], tmp_path: Path, programs: str, syntax: str
) -> None:
    coder, option = programs.split()
    coded = [tmp_path / path.name for path in scanner]
    for path, to in zip(scanner, coded, strict=True):
        subprocess.run([coder, str(path), str(to)], check=True, capture_output=True)

    code, said, got = push(running, "+II", option, files=coded)

    assert code == 0, said
    assert {one.file_meta.TransferSyntaxUID for one in got} == {syntax}
    assert sorted(one.PixelData for one in got) == sorted(dcmread(one).PixelData for one in coded)


def test_what_the_archive_of_the_sandbox_moves_arrives(fresh: Receiving, tmp_path: Path) -> None:
    scan_patients(tmp_path / "pacs", SLICES, 32, lambda _line: None)
    archive = PacsArchive(tmp_path / "pacs")
    studies = {str(one.StudyInstanceUID): one for one in archive.headers()}
    options = PacsOptions(nodes={"DRAWCLI": ("127.0.0.1", fresh.port)})
    faults = Panel(read_faults("move:lose"))  # the first study: every second image is missing
    with closing(PacsServer(archive, options, faults)) as server:
        for study in studies:
            for _ in range(2):
                _, said = move(server.port, study)  # other classes in it are not accepted
                assert "Received Final Move Response" in said

    got = stored(fresh, set())
    wanted = {str(one.SOPInstanceUID) for one in archive.headers() if is_image(one)}
    assert {str(one.SOPInstanceUID) for one in got} == wanted
    assert len(got) == len(wanted)
    assert all(one == archive.dataset(one) for one in got)


def is_image(header: Dataset) -> bool:
    return header.SOPClassUID in IMAGE_CLASSES


def move(port: int, study: str, called: str = "SANDBOX") -> tuple[int, str]:
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    return call("movescu", port, "-S", "-aec", called, "-aem", "DRAWCLI", *keys)


@needs_orthanc
def test_what_orthanc_moves_arrives(fresh: Receiving, tmp_path: Path) -> None:
    images = write_planning_ct(tmp_path / "ct", PELVIS, slices=SLICES, size=32, seed=9)
    with orthanc(
        tmp_path / "orthanc", drawcli=("DRAWCLI", fresh.port), caller=("MOVESCU", 104)
    ) as archive:
        files = tuple(map(str, images))
        assert call("storescu", archive.dicom, "-aec", "ARCHIVE", files=files)[0] == 0
        study = str(dcmread(images[0]).StudyInstanceUID)
        for _ in range(2):
            code, said = move(archive.dicom, study, "ARCHIVE")
            assert code == 0, said

    got = stored(fresh, set())
    assert sorted(got, key=place) == sorted((dcmread(path) for path in images), key=place)


def place(one: Dataset) -> str:
    return str(one.SOPInstanceUID)
