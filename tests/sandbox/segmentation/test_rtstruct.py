import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset, config, dcmread
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from drawcli.sandbox.phantom import PEOPLE
from drawcli.sandbox.segmentation.rtstruct import DrawnStructure, file_bytes, structure_set
from drawcli.sandbox.segmentation.segmenter import Segmenter
from drawcli.sandbox.segmentation.volume import PhantomSlice, volume
from tests.phantoms.planning import write_planning_ct

AT = datetime(2026, 11, 22, 8, 30, 1, tzinfo=UTC)
NAMES = ("Body", "Bladder", "Femur_Head_L", "Lung_L")  # no lung in a pelvis
# What the real form gets wrong, and we with it.
KNOWN_ERRORS = (
    "ReferringPhysicianName",
    "AccessionNumber",
    "OperatorsName",
    "FrameOfReferenceUID(0020,0052)> - Missing",
    "PositionReferenceIndicator",
    "ContourSequence(3006,0040)> - Bad",
)


def drawn(slices: list[PhantomSlice], *, long_coordinates: bool = True) -> bytes:
    segmenter = Segmenter(slices)
    structures = [DrawnStructure(name, segmenter.contours(name)) for name in NAMES]
    return file_bytes(structure_set(slices, structures, at=AT, long_coordinates=long_coordinates))


@pytest.fixture(scope="module")
def result(volumes: dict[str, list[PhantomSlice]]) -> Dataset:
    return dcmread(BytesIO(drawn(volumes["pelvis"])))


def lengths(raw: bytes) -> list[int]:
    """Return how many bytes each coordinate has."""
    dataset = dcmread(BytesIO(raw))
    return [
        len(text.strip())
        for roi in dataset.ROIContourSequence
        for contour in roi.ContourSequence
        for text in raw_text(contour).split("\\")
    ]


def test_it_is_implicit_vr_with_an_empty_preamble(result: Dataset) -> None:
    assert result.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert result.preamble == bytes(128)
    assert result.SOPClassUID == RTStructureSetStorage
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID


def test_a_frame_of_reference_is_invented_where_the_series_has_none(
    slices: list[Path],
) -> None:
    images = [dcmread(path) for path in slices]
    for image in images:
        del image.FrameOfReferenceUID

    result = dcmread(BytesIO(drawn(volume(images))))

    (frame,) = result.ReferencedFrameOfReferenceSequence
    rois = {roi.ReferencedFrameOfReferenceUID for roi in result.StructureSetROISequence}
    assert rois == {frame.FrameOfReferenceUID}
    assert frame.FrameOfReferenceUID.is_valid


def test_the_head_is_that_of_the_real_server(result: Dataset) -> None:
    assert result.SpecificCharacterSet == "ISO_IR 100"
    assert result.Manufacturer == result.InstitutionName == "Qurit"
    assert result.StructureSetLabel == "RTstruct"
    assert (result.StructureSetDate, result.StructureSetTime) == ("20261122", "083001.000000")
    assert result.ApprovalStatus == "UNAPPROVED"
    assert "FrameOfReferenceUID" not in result
    assert "AccessionNumber" not in result
    assert "ReferringPhysicianName" not in result


def test_patient_and_study_are_those_of_the_first_slice(
    result: Dataset, volumes: dict[str, list[PhantomSlice]]
) -> None:
    first = volumes["pelvis"][0].header

    for keyword in ("StudyInstanceUID", "PatientID", "StudyID", "StudyDate", "PatientBirthDate"):
        assert result[keyword].value == first[keyword].value
    assert result.SeriesInstanceUID != first.SeriesInstanceUID


def test_a_second_file_of_the_same_series_has_fresh_uids(
    result: Dataset, volumes: dict[str, list[PhantomSlice]]
) -> None:
    again = structure_set(volumes["pelvis"], [], at=AT)

    assert again.SOPInstanceUID != result.SOPInstanceUID
    assert again.SeriesInstanceUID != result.SeriesInstanceUID


def test_every_slice_is_referenced_once_with_its_class(
    result: Dataset, volumes: dict[str, list[PhantomSlice]]
) -> None:
    (frame,) = result.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence

    headers = [each.header for each in volumes["pelvis"]]
    expected = [(header.SOPClassUID, header.SOPInstanceUID) for header in headers]
    images = series.ContourImageSequence
    assert [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in images] == expected
    assert frame.FrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == headers[0].StudyInstanceUID
    assert series.SeriesInstanceUID == headers[0].SeriesInstanceUID


def test_rois_keep_order_number_and_name_in_all_three_sequences(result: Dataset) -> None:
    rois = result.StructureSetROISequence

    assert [(roi.ROINumber, roi.ROIName) for roi in rois] == list(enumerate(NAMES, start=1))
    assert {roi.ROIGenerationAlgorithm for roi in rois} == {"AUTOMATIC"}
    numbers = [roi.ReferencedROINumber for roi in result.ROIContourSequence]
    assert numbers == [each.ReferencedROINumber for each in result.RTROIObservationsSequence]
    assert numbers == [1, 2, 3, 4]
    assert {each.RTROIInterpretedType for each in result.RTROIObservationsSequence} == {""}


def test_a_structure_that_was_not_found_is_a_roi_without_contours(result: Dataset) -> None:
    counts = [len(roi.ContourSequence) for roi in result.ROIContourSequence]

    assert counts[NAMES.index("Lung_L")] == 0
    assert min(counts[:3]) > 0


def test_each_contour_references_the_slice_it_lies_on(
    result: Dataset, volumes: dict[str, list[PhantomSlice]]
) -> None:
    levels = {each.header.SOPInstanceUID: each.origin[2] for each in volumes["pelvis"]}

    for roi in result.ROIContourSequence:
        for contour in roi.ContourSequence:
            (image,) = contour.ContourImageSequence
            data = np.fromstring(raw_text(contour), sep="\\").reshape(-1, 3)
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            assert contour.NumberOfContourPoints == len(data) >= 3
            assert set(data[:, 2]) == {levels[image.ReferencedSOPInstanceUID]}


def test_coordinates_are_longer_than_a_ds_may_be_unless_told_otherwise(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    long = lengths(drawn(volumes["pelvis"]))
    short = lengths(drawn(volumes["pelvis"], long_coordinates=False))

    assert sum(length > 16 for length in long) > 5000
    assert max(short) <= 16
    assert len(short) == len(long)


def test_it_says_what_it_is_where_dicom_has_room(result: Dataset) -> None:
    assert "not for clinical use" in result.StructureSetDescription
    assert "not for clinical use" in result.SeriesDescription
    assert "sandbox" in result.ManufacturerModelName
    for roi in result.StructureSetROISequence:
        assert "not for clinical use" in roi.ROIGenerationDescription


def test_a_name_that_latin_1_cannot_write_is_written_with_question_marks(result: Dataset) -> None:
    assert result.PatientName == "Kulkarnee^Ashok=????????^????"


def test_values_no_validator_lets_pass_are_copied_as_they_are(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    head = volumes["thorax"][0].header.copy()
    head["PatientAge"] = DataElement("PatientAge", "AS", "0Y", validation_mode=config.IGNORE)
    odd = [replace(each, header=head) for each in volumes["thorax"][:1]]

    raw = file_bytes(structure_set(odd, [], at=AT))

    item = dcmread(BytesIO(raw)).get_item("PatientAge")
    assert item is not None
    assert item.value == b"0Y"


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_an_independent_validator_finds_only_the_errors_of_the_real_form(tmp_path: Path) -> None:
    paths = write_planning_ct(tmp_path, PEOPLE[0], slices=4, size=64)
    slices = volume(dcmread(path) for path in paths)
    path = tmp_path / "rtstruct.dcm"
    path.write_bytes(drawn(slices, long_coordinates=False))

    found = subprocess.run(
        ["dciodvfy", "-new", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    errors = [line for line in (found.stderr + found.stdout).splitlines() if "Error" in line]
    assert [line for line in errors if not any(known in line for known in KNOWN_ERRORS)] == []


def raw_text(contour: Dataset) -> str:
    """Return the coordinates without pydicom's opinion of their length."""
    raw = contour.get_item("ContourData")
    assert raw is not None
    return bytes(raw.value).decode("ascii")
