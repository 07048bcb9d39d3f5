"""An RTSTRUCT as the real server returns it, including its flaws, for tests of clients.

Coordinates are longer than a DS allows (PS3.5 table 6.2-1: 16 bytes), and the frame of reference at
the top level and the accession number are missing.
"""

import colorsys
from collections.abc import Sequence as Several
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Final

from pydicom import Dataset, FileMetaDataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from drawcli import __version__
from drawcli.sandbox import NOTICE
from drawcli.sandbox.segmentation.segmenter import DrawnContour
from drawcli.sandbox.segmentation.volume import Floats, PhantomSlice

_DETACHED_STUDY: Final = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management SOP Class, retired
_OBSERVATION: Final = (
    "Type:Soft,Range:*/*,Fill:0,Opacity:0.0,Thickness:1,LineThickness:2,read-only:false"
)
_COPIED: Final = (
    "StudyDate",
    "SeriesDate",
    "StudyTime",
    "SeriesTime",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyID",
)


@dataclass(frozen=True, slots=True)
class DrawnStructure:
    """A structure and its contours, which may be none."""

    name: str
    contours: Several[DrawnContour]


def structure_set(
    slices: Several[PhantomSlice],
    structures: Several[DrawnStructure],
    *,
    at: datetime,
    long_coordinates: bool = True,
) -> Dataset:
    """Return the structure set of a series.

    Parameters
    ----------
    slices
        The series, in order; patient and study are copied from the first.
    structures
        The structures; `DrawnContour.slice_index` is an index in `slices`.
    at
        The time of creation.
    long_coordinates
        Write coordinates with all digits, as the real server does, though a DS may have at most
        16 bytes. False rounds to 0.0001 mm.
    """
    result = _head(slices[0].header, at)
    frame = str(slices[0].header.get("FrameOfReferenceUID") or generate_uid())
    result.ReferencedFrameOfReferenceSequence = Sequence([_referenced_frame(slices, frame)])
    result.StructureSetROISequence = Sequence(
        _roi(number, each, frame) for number, each in enumerate(structures, start=1)
    )
    result.ROIContourSequence = Sequence(
        _roi_contour(number, each, slices, long_coordinates=long_coordinates)
        for number, each in enumerate(structures, start=1)
    )
    result.RTROIObservationsSequence = Sequence(
        _observation(number) for number in range(1, len(structures) + 1)
    )
    result.ApprovalStatus = "UNAPPROVED"
    return result


def file_bytes(dataset: Dataset) -> bytes:
    """Return a structure set as a DICOM file: implicit VR little endian, an empty preamble."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    meta.ImplementationVersionName = "DRAWCLI_SANDBOX"
    dataset.file_meta = meta
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _head(first: Dataset, at: datetime) -> Dataset:
    """Return the elements without the sequences."""
    head = Dataset()
    head.SpecificCharacterSet = "ISO_IR 100"
    for keyword in _COPIED:
        head.add_new(keyword, "OB", _as_latin_1(first, keyword))
    head.StudyInstanceUID = first.StudyInstanceUID
    head.InstanceCreationDate = head.StructureSetDate = at.strftime("%Y%m%d")
    head.InstanceCreationTime = head.StructureSetTime = at.strftime("%H%M%S.%f")
    head.SOPClassUID = RTStructureSetStorage
    head.SOPInstanceUID = generate_uid()
    head.SeriesInstanceUID = generate_uid()
    head.Modality = "RTSTRUCT"
    head.Manufacturer = head.InstitutionName = "Qurit"
    head.ManufacturerModelName = "drawcli sandbox"
    head.SoftwareVersions = __version__
    head.SeriesDescription = "SANDBOX for training, not for clinical use"
    head.SeriesNumber = 1
    head.StructureSetLabel = "RTstruct"
    head.StructureSetDescription = NOTICE
    return head


def _as_latin_1(header: Dataset, keyword: str) -> bytes:
    """Return a value as unvalidated bytes in ISO_IR 100; b"" if missing.

    Real headers have invalid ages, dates and numbers. Implicit VR writes no VR, so as OB the bytes
    are written unchanged.
    """
    value: object = getattr(header.get_item(keyword), "value", None)
    if isinstance(value, bytes):  # not decoded yet
        value = decode_bytes(value, convert_encodings(header.get("SpecificCharacterSet")), set())
    text = "" if value is None else str(value).strip(" \0")
    return _even(text.encode("latin-1", "replace"))


def _referenced_frame(slices: Several[PhantomSlice], frame_uid: str) -> Dataset:
    """Return frame, study, series and every slice, nested as in PS3.3 C.8.8.5."""
    header = slices[0].header
    series = Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    headers = {str(each.header.SOPInstanceUID): each.header for each in slices}
    series.ContourImageSequence = Sequence(_reference(header) for header in headers.values())
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = header.StudyInstanceUID
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = frame_uid
    frame.RTReferencedStudySequence = Sequence([study])
    return frame


def _reference(header: Dataset, frame: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def _roi(number: int, structure: DrawnStructure, frame: str) -> Dataset:
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = frame
    item.ROIName = structure.name
    item.ROIDescription = NOTICE
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = "drawcli sandbox, not for clinical use"
    return item


def _roi_contour(
    number: int, structure: DrawnStructure, slices: Several[PhantomSlice], *, long_coordinates: bool
) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = _colour(number)
    item.ContourSequence = Sequence(
        _contour(each, slices[each.slice_index], long_coordinates=long_coordinates)
        for each in structure.contours
    )
    item.ReferencedROINumber = number
    return item


def _contour(contour: DrawnContour, on: PhantomSlice, *, long_coordinates: bool) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = Sequence([_reference(on.header, on.frame)])
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(contour.points)
    # As OB: no length check, and no object for each of some hundred thousand numbers.
    item.add_new("ContourData", "OB", _coordinates(contour.points, long=long_coordinates))
    return item


def _coordinates(points: Floats, *, long: bool) -> bytes:
    r"""Return points as the text of a DS with many values, of even length.

    >>> import numpy as np
    >>> _coordinates(np.array([[0.1 + 0.2, -7.0, 1234.56789]]), long=True)
    b'0.30000000000000004\\-7.0\\1234.56789 '
    >>> _coordinates(np.array([[0.1 + 0.2, -7.0, 1234.56789]]), long=False)
    b'0.3\\-7.0\\1234.5679'
    """
    numbers = points if long else points.round(4)
    text = "\\".join(map(repr, numbers.ravel().tolist()))
    return _even(text.encode("ascii"))


def _even(text: bytes) -> bytes:
    return text + b" " * (len(text) % 2)


def _observation(number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.ROIObservationDescription = _OBSERVATION
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    return item


def _colour(number: int) -> list[int]:
    """Return a colour; consecutive ones differ by the golden ratio in hue."""
    red, green, blue = colorsys.hsv_to_rgb((number * 0.618034) % 1, 0.9, 1.0)
    return [round(255 * part) for part in (red, green, blue)]
