"""What structure sets and plans refer to."""

from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian

from drawcli.core.dicom.header import Header, read_header
from drawcli.core.dicom.references import predecessors, referenced_images, references
from tests.operations.qa.clinical.synthetic import Patient, dataset, file_bytes, without_series

PATIENT = Patient(1)


def header_of(made: Dataset) -> Header:
    return read_header(file_bytes(made), complete=True)


def test_a_structure_set_names_its_series_and_its_frame() -> None:
    assert references(header_of(dataset(PATIENT))) == (PATIENT.series, PATIENT.frame)


def test_a_structure_set_without_a_series_names_the_frame_of_its_rois() -> None:
    made = without_series(dataset(PATIENT))
    made.ReferencedFrameOfReferenceSequence = []
    assert references(header_of(made)) == (PATIENT.frame,)


@pytest.mark.parametrize("last", ["5", "8"])
def test_a_plan_names_its_structure_sets(last: str) -> None:
    plan, item = Dataset(), Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    plan.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.481.{last}"
    plan.SOPInstanceUID, plan.FrameOfReferenceUID = "1.2.3", PATIENT.frame
    item.ReferencedSOPInstanceUID = "1.2.4"
    plan.ReferencedStructureSetSequence = [item]
    assert references(header_of(plan)) == ("1.2.4",)


def test_other_files_refer_to_nothing() -> None:
    made = dataset(PATIENT)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    assert references(header_of(made)) == ()


def on_another_series(made: Dataset) -> None:
    """List the image of a contour under a second series."""
    study = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    other, image = Dataset(), Dataset()
    image.ReferencedSOPInstanceUID = "1.2.9"
    other.SeriesInstanceUID, other.ContourImageSequence = "1.2.8", [image]
    study.RTReferencedSeriesSequence.append(other)
    on_an_unlisted_image(made)


def on_an_unlisted_image(made: Dataset) -> None:
    contour = made.ROIContourSequence[0].ContourSequence[0]
    contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.9"


@pytest.mark.parametrize(
    ("change", "more"), [(on_another_series, set()), (on_an_unlisted_image, {"1.2.9"})]
)
def test_images_of_contours_belong_to_the_series_unless_another_lists_them(
    change: Callable[[Dataset], None], more: set[str]
) -> None:
    made = dataset(PATIENT)
    change(made)
    found = referenced_images(header_of(made), PATIENT.series)
    assert found == {*PATIENT.images, *more}


def test_predecessors_are_named() -> None:
    made, item = dataset(PATIENT), Dataset()
    item.ReferencedSOPInstanceUID = "1.2.7"
    made.PredecessorStructureSetSequence = [item]
    assert predecessors(header_of(made)) == {"1.2.7"}


def test_what_stands_before_a_damage_counts() -> None:
    whole = file_bytes(dataset(PATIENT))
    at = whole.index(PATIENT.images[1].encode())
    spoilt = whole[: at - 30] + b"\xff" * 4 + whole[at - 26 :]  # inside the images of the series
    header = read_header(whole, complete=True)
    damaged = Header(spoilt, header.transfer_syntax, header.explicit, header.elements, None)
    assert PATIENT.series in references(damaged)
