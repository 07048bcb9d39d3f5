"""The demo's own files, read by strangers: what went out names nobody, what came home is right.

Nothing of drawcli is used to judge: pydicom, zipfile and dciodvfy read what three patients' cycle
left on the disk.
"""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from drawcli.sandbox.patients import PEOPLE, identifying_values
from tests.validator import errors_of, needs_validator

SHORTEST = 4  # characters: shorter values stand in every header by chance


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Run the demo once, small, and keep what it leaves."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    words = ["demo", "--json", "--slices", "12", "--size", "96", "--keep", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "drawcli", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)["data"]


@pytest.fixture
def folder(demo: tuple[Path, dict[str, Any]]) -> Path:
    return demo[0]


def packages(folder: Path) -> list[Path]:
    return sorted((folder / "site" / "state" / "work").glob("*/package.zip"))


def structure_sets(folder: Path) -> list[Path]:
    return sorted((folder / "store").rglob("RS.*.dcm"))


def slices_beside(path: Path) -> list[Dataset]:
    datasets = (dcmread(one) for one in sorted(path.parent.glob("*.dcm")) if one != path)
    return [one for one in datasets if one.SOPClassUID.name == "CT Image Storage" and planning(one)]


def planning(one: Dataset) -> bool:
    return "LOCALIZER" not in one.ImageType


def every(dataset: Dataset) -> Iterator[Any]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from every(item)


def test_the_demo_says_that_all_went_well(demo: tuple[Path, dict[str, Any]]) -> None:
    _, data = demo

    assert len(data["structure_sets"]) == len(PEOPLE)
    assert data["last_run_silent"]
    assert all(one["references"] and not one["dangling"] for one in data["structure_sets"])


def test_every_uid_of_a_delivered_file_is_of_its_own_series(folder: Path) -> None:
    for path in structure_sets(folder):
        home, slices = dcmread(path), slices_beside(path)
        there = {str(e.value) for one in slices for e in every(one) if e.VR == "UI"}
        own = {str(home.SOPInstanceUID), str(home.SeriesInstanceUID)}

        named = {str(e.value) for e in every(home) if e.VR == "UI"}

        foreign = {uid for uid in named - there - own if not uid.startswith("1.2.840.10008.")}
        assert foreign == set()
        assert {str(one.SOPInstanceUID) for one in slices} <= named


def test_the_patient_is_the_patient_byte_for_byte(folder: Path) -> None:
    for path in structure_sets(folder):
        home, source = dcmread(path), slices_beside(path)[0]

        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"):
            assert home[keyword].value == source[keyword].value
        for keyword in ("AccessionNumber", "ReferringPhysicianName", "StudyID", "StudyInstanceUID"):
            assert home[keyword].value == source[keyword].value
        as_written = dcmread(str(source.filename)).get_item("PatientName").value
        assert dcmread(path).get_item("PatientName").value == as_written
        assert home.ApprovalStatus == "UNAPPROVED"


def test_every_contour_lies_on_the_slice_it_names(folder: Path) -> None:
    counted = 0
    for path in structure_sets(folder):
        heights = {
            str(one.SOPInstanceUID): float(one.ImagePositionPatient[2])
            for one in slices_beside(path)
        }
        for roi in dcmread(path).ROIContourSequence:
            for contour in roi.get("ContourSequence", []):
                uid = str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
                for z in contour.ContourData[2::3]:
                    assert abs(float(z) - heights[uid]) < 0.01
                    counted += 1
    assert counted > 1000


def test_no_coordinate_is_longer_than_a_planning_system_takes(folder: Path) -> None:
    overlong = Counter[str]()
    for path in [*structure_sets(folder), *(folder / "site").rglob("received.dcm")]:
        for element in every(dcmread(path)):
            if element.keyword == "ContourData":
                longest = max(len(str(value)) for value in element.value)
                overlong[path.name.partition(".")[0]] += longest > 16

    assert overlong["received"] > 0  # the server wrote them so
    assert overlong["RS"] == 0


def test_nothing_that_left_names_anybody(folder: Path) -> None:
    for package in packages(folder):
        with zipfile.ZipFile(package) as archive:
            texts = [name.encode() for name in archive.namelist()]
            texts += [archive.read(name) for name in archive.namelist()]
        for person in PEOPLE:
            for value in identifying_values(person):
                needle = value.encode("utf-8")
                if len(needle) >= SHORTEST:
                    assert not any(needle in text for text in texts), value


def test_no_original_uid_left(folder: Path) -> None:
    sources = [dcmread(path) for path in (folder / "store").rglob("*.dcm")]
    originals = {
        str(e.value)
        for one in sources
        for e in every(one)
        if e.VR == "UI" and not str(e.value).startswith("1.2.840.10008.")
    }
    for package in packages(folder):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                text = archive.read(name)
                assert not any(uid.encode() in text for uid in originals)


def test_pixels_left_as_they_were(folder: Path) -> None:
    before = {
        hashlib.sha256(one.PixelData).digest()
        for path in structure_sets(folder)
        for one in slices_beside(path)
    }
    after = set()
    for package in packages(folder):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.endswith(".dcm"):
                    sent = dcmread(io.BytesIO(archive.read(name)))
                    after.add(hashlib.sha256(sent.PixelData).digest())

    assert after == before


@needs_validator
def test_de_identified_slices_have_no_error_that_the_sources_had_not(
    folder: Path, tmp_path: Path
) -> None:
    allowed: set[str] = set()
    for path in structure_sets(folder):
        allowed |= errors_of(Path(str(slices_beside(path)[0].filename)))
    for package in packages(folder):
        with zipfile.ZipFile(package) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dcm"))
            sent = Path(archive.extract(name, tmp_path))

        assert errors_of(sent) - allowed == set()


@needs_validator
def test_delivered_files_have_no_error_that_the_received_had_not(folder: Path) -> None:
    received = set[str]()
    for path in (folder / "site").rglob("received.dcm"):
        received |= errors_of(path)

    delivered = set[str]()
    for path in structure_sets(folder):
        delivered |= errors_of(path)

    assert delivered <= received
    assert any("ContourData" in error for error in received - delivered)
