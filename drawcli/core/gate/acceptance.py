"""The facts that the acceptance gate judges, and its findings, which are stored and shown.

A structure set with a blocking finding is never delivered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)
Point = tuple[float, float, float]  # mm, in the patient's coordinates (LPS)
_IN_NUMBERS: Final = b"0123456789+-.eE\\ \0"  # PS3.5 6.2: the characters of a DS
_MOST_POINTS: Final = 300_000  # of one contour; all pixels of a slice of 512 x 512 are fewer
_FARTHEST: Final = 1e6  # mm


class Severity(StrEnum):
    """What a finding does to the job."""

    BLOCK = "block"  # the job is held for review
    AGAIN = "again"  # the server may still be writing: fetched again, then held
    WARN = "warn"  # reported, and delivered


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: a stable code and a sentence without patient values."""

    severity: Severity
    code: str
    text: str

    def as_plain(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {"severity": str(self.severity), "code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """One structure of the file."""

    number: int  # ROINumber (3006,0022)
    name: str  # ROIName (3006,0026)
    contours: int  # items of its ContourSequence (3006,0040)


@dataclass(frozen=True, slots=True)
class FileContour:
    """One contour of the file (PS3.3 C.8.8.6)."""

    roi: int  # ReferencedROINumber
    kind: str  # ContourGeometricType
    count: str  # NumberOfContourPoints, as written
    images: tuple[tuple[str, int], ...]  # referenced SOP instances, each with a frame from 1
    data: bytes  # ContourData

    @property
    def image(self) -> tuple[str, int] | None:
        """The first referenced image, or None."""
        return self.images[0] if self.images else None

    def numbers(self) -> list[float] | None:
        """Return the coordinates, mm; None if they are missing, not numbers, or too many."""
        text = self.data.rstrip(b" \0")
        if text.translate(None, _IN_NUMBERS) or text.count(b"\\") >= 3 * _MOST_POINTS:
            return None
        try:
            numbers = list(map(float, text.split(b"\\")))
        except ValueError:
            return None
        return numbers if -_FARTHEST < min(numbers) <= max(numbers) < _FARTHEST else None

    def points(self) -> list[Point] | None:
        """Return the points, mm; None if they are not the stated number of triples."""
        numbers = self.numbers()
        if numbers is None:
            return None
        try:
            stated = float(self.count) if self.count else len(numbers) // 3
        except ValueError:
            return None
        if len(numbers) != 3 * stated:
            return None
        coordinates = iter(numbers)
        return list(zip(coordinates, coordinates, coordinates, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSet:
    """The facts of an RTSTRUCT that the gate checks."""

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    patient_name: str = ""
    study_id: str = ""
    has_pixels: bool = False
    rois: tuple[Roi, ...]
    contoured: tuple[int, ...]  # ReferencedROINumber of each item of ROIContourSequence
    observed: tuple[int, ...] = ()  # ReferencedROINumber of each item of RTROIObservationsSequence
    studies: frozenset[str] = frozenset()  # in RTReferencedStudySequence (3006,0012)
    referenced_series: frozenset[str] = frozenset()  # in RTReferencedSeriesSequence (3006,0014)
    frames: frozenset[str] = frozenset()  # every referenced frame of reference
    images: frozenset[tuple[str, int]] = frozenset()  # of the series: SOP instance, frame from 1
    contour_images: frozenset[tuple[str, int]] = frozenset()  # of the contours, likewise
    image_classes: frozenset[str] = frozenset()  # SOP classes of all these
    invalid_colors: frozenset[int] = frozenset()  # ROI numbers
    unlisted: frozenset[str] = frozenset()  # elements that are not delivered
    moving: frozenset[str] = frozenset()  # elements that change what the coordinates mean
    persons: frozenset[str] = frozenset()  # values of patient elements in items
    too_long: frozenset[str] = frozenset()  # keywords of values longer than their VR allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected facts of a structure set of a job, before or after re-identification."""

    patient_id: str | None  # None: compared elsewhere, byte for byte
    patient_name: str | None
    study_uid: str
    series_uid: str
    frame_uid: str
    study_id: str = ""  # identifies the package; "" for packages of earlier versions
    images: Mapping[str, int]  # SOP instances of the series -> number of frames
    image_class: str = ""  # SOP class of these; "": unknown
    known: frozenset[str] = frozenset()  # all UIDs of the job
    own: frozenset[str] = frozenset()  # SOP and series instance UID that drawcli gives the file
    structures: tuple[str, ...] = ()  # requested names
    empty: frozenset[str] = frozenset()  # names of further structures, without contours
    required: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
