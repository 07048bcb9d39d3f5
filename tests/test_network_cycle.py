"""The whole cycle by the network: three scans come by three ways, their contours go home by two.

One scan is pulled from Orthanc by C-GET, one by WADO-RS, one is pushed by storescu of DCMTK; each
structure set goes to one Orthanc by C-STORE and to another by STOW-RS.
"""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, drawcli, poll_until
from tests.conftest import HEAD_NECK, PELVIS, SLICES, THORAX, Site
from tests.orthanc import Orthanc, needs_orthanc, orthanc
from tests.phantoms.planning import write_planning_ct
from tests.pipeline.pull.test_move import receiving
from tests.test_receive_peers import call

__all__ = ["drawcli"]
pytestmark = [
    pytest.mark.sweep,
    needs_orthanc,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed"),
]
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
WAYS = (PELVIS, HEAD_NECK, THORAX)  # by C-GET, by WADO-RS, pushed


@pytest.fixture
def scans(tmp_path: Path) -> dict[str, list[Path]]:
    """Return the planning scan of each patient, by Patient ID."""
    return {
        person.patient_id: write_planning_ct(
            tmp_path / "scanner" / person.site, person, slices=SLICES, size=32, seed=number
        )
        for number, person in enumerate(WAYS)
    }


@pytest.fixture
def archives(tmp_path: Path, scans: dict[str, list[Path]]) -> Iterator[tuple[Orthanc, Orthanc]]:
    """Run two archives that have all scans."""
    with (
        orthanc(tmp_path / "one", us=("DRAWCLI", 11112)) as one,
        orthanc(tmp_path / "two") as two,
    ):
        for archive in (one, two):
            for path in (path for paths in scans.values() for path in paths):
                url = f"http://127.0.0.1:{archive.http}/instances"
                httpx.post(url, content=path.read_bytes(), trust_env=False).raise_for_status()
        yield one, two


def test_three_scans_come_and_go_by_the_network(
    drawcli: Run,
    site: Site,
    archives: tuple[Orthanc, Orthanc],
    scans: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    one, two = archives
    write_settings(site, one, two)
    with (
        running(tmp_path / "sandbox") as sandbox,
        receiving(site) as port,
    ):
        at_sandbox(site, sandbox.url, sandbox.token_file)
        pushed = tuple(map(str, scans[THORAX.patient_id]))
        code, said = call("storescu", port, "-aec", "DRAWCLI", files=pushed)
        assert code == 0, said
        first = drawcli("run-once", "--json")
        assert first.answer["data"]["pull"]["counts"] == {"pulled": 2}
        poll_until(drawcli, "segmented")
        last = drawcli("run-once", "--json")
        jobs = drawcli("status", "--json").answer["data"]["jobs"]
        again = drawcli("pull", "--json")

    assert (first.code, last.code) == (0, 0), last.err
    assert [job["state"] for job in jobs] == ["done"] * len(WAYS)
    assert again.answer["data"]["counts"] == {"complete": 2}
    for archive in archives:
        check_archive(archive, scans)


def write_settings(site: Site, one: Orthanc, two: Orthanc) -> None:
    common = "folder: store/pulled, keys: {Modality: CT, PatientID: "
    site.add_line(
        "receive: {listen: '127.0.0.1:0', keep_free_gib: 0, folder: store/in, "
        "callers: [STORESCU@127.0.0.1]}\n"
        "pull:\n  sources:\n"
        f"  - {{node: 'ARCHIVE@127.0.0.1:{one.dicom}', {common}'{PELVIS.patient_id}'}}}}\n"
        f"  - {{dicomweb: '{two.url}', {common}'{HEAD_NECK.patient_id}'}}}}\n"
        "deliver:\n  targets:\n"
        f"  - {{node: 'ARCHIVE@127.0.0.1:{one.dicom}'}}\n"
        f"  - {{stow: '{two.url}'}}"
    )


def check_archive(archive: Orthanc, scans: dict[str, list[Path]]) -> None:
    """Each scan has one structure set, and all that it refers to is in the archive."""
    datasets = [dcmread(BytesIO(data)) for data in archive.files()]
    images = [one for one in datasets if one.SOPClassUID != RTSTRUCT]
    structure_sets = {str(one.PatientID): one for one in datasets if one.SOPClassUID == RTSTRUCT}
    assert len(datasets) == len(images) + len(scans)
    assert structure_sets.keys() == scans.keys()
    for patient, structure_set in structure_sets.items():
        check_references(structure_set, [one for one in images if one.PatientID == patient])


def check_references(structure_set: Dataset, images: list[Dataset]) -> None:
    (series,) = {str(one.SeriesInstanceUID) for one in images}
    (study,) = {str(one.StudyInstanceUID) for one in images}
    (frame,) = {str(one.FrameOfReferenceUID) for one in images}
    there = {str(one.SOPInstanceUID) for one in images}
    (of_frame,) = structure_set.ReferencedFrameOfReferenceSequence
    (of_study,) = of_frame.RTReferencedStudySequence
    (of_series,) = of_study.RTReferencedSeriesSequence
    contours = [
        contour
        for roi in structure_set.ROIContourSequence
        for contour in roi.get("ContourSequence", ())  # six slices do not meet every organ
    ]
    referred = {
        str(image.ReferencedSOPInstanceUID)
        for contour in contours
        for image in contour.ContourImageSequence
    }

    assert structure_set.StudyInstanceUID == of_study.ReferencedSOPInstanceUID == study
    assert of_series.SeriesInstanceUID == series
    assert of_frame.FrameOfReferenceUID == frame
    assert {roi.ReferencedFrameOfReferenceUID for roi in structure_set.StructureSetROISequence} == {
        frame
    }
    assert contours
    assert referred <= there
    assert {str(one.ReferencedSOPInstanceUID) for one in of_series.ContourImageSequence} == there
