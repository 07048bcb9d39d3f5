"""Structure sets made with pydicom alone, in the form that the DRAW server returns."""

import io
from collections.abc import Callable, Sequence

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management SOP Class, retired


def structure_set(
    slices: Sequence[Dataset],
    structures: Sequence[str],
    *,
    change: Callable[[Dataset], None] | None = None,
) -> bytes:
    """Return an RTSTRUCT with one square of each structure on every slice.

    `change` may spoil the data set before it is written.
    """
    first = slices[0]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = RT_STRUCTURE_SET
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "RTSTRUCT"
    dataset.Manufacturer = "Qurit"
    for keyword in ("StudyDate", "StudyTime", "StudyID", "StudyInstanceUID"):
        setattr(dataset, keyword, first[keyword].value)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(dataset, keyword, first[keyword].value)
    dataset.SeriesDate = first.StudyDate
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StructureSetLabel = "RTstruct"
    dataset.StructureSetDate = "20261114"
    dataset.StructureSetTime = "120000"
    dataset.ReferencedFrameOfReferenceSequence = [_frame(slices)]
    dataset.StructureSetROISequence = [
        _roi(number, name, first) for number, name in enumerate(structures, 1)
    ]
    dataset.ROIContourSequence = [
        _contours(number, slices) for number in range(1, len(structures) + 1)
    ]
    dataset.RTROIObservationsSequence = [_observation(n) for n in range(1, len(structures) + 1)]
    dataset.ApprovalStatus = "UNAPPROVED"
    if change is not None:
        change(dataset)
    return written(dataset)


def written(dataset: Dataset) -> bytes:
    """Return a data set as a file."""
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _frame(slices: Sequence[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = slices[0].SeriesInstanceUID
    series.ContourImageSequence = [_image(one) for one in slices]
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = slices[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(one: Dataset) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = one.SOPClassUID
    image.ReferencedSOPInstanceUID = one.SOPInstanceUID
    return image


def _roi(number: int, name: str, first: Dataset) -> Dataset:
    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
    roi.ROIName = name
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    return roi


def _contours(number: int, slices: Sequence[Dataset]) -> Dataset:
    roi = Dataset()
    roi.ROIDisplayColor = [255, 0, number]
    roi.ContourSequence = [_square(one) for one in slices]
    roi.ReferencedROINumber = number
    return roi


def _square(one: Dataset) -> Dataset:
    x, y, z = (float(value) for value in one.ImagePositionPatient)
    contour = Dataset()
    contour.ContourImageSequence = [_image(one)]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = 4
    corners = ((10, 10), (40, 10), (40, 40), (10, 40))
    contour.ContourData = [f"{v:.10g}" for dx, dy in corners for v in (x + dx, y + dy, z)]
    return contour


def _observation(number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = number
    observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = ""
    observation.ROIInterpreter = ""
    return observation
