"""The acceptance gate: whether a structure set is the one that was asked for.

Pure: it judges facts that were read from a file, and returns findings that are stored and shown. A
structure set with a finding that blocks is never delivered.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)
Point = tuple[float, float, float]  # mm, in the patient's coordinates (LPS)
_IN_NUMBERS: Final = b"0123456789+-.eE\\ \0"  # PS3.5 6.2: the characters of a DS
_MOST_POINTS: Final = 300_000  # of one contour; all pixels of a slice of 512 x 512 are fewer
_FARTHEST: Final = 1e6  # mm
_LONGEST_NAME: Final = 32  # characters of a name in a sentence


class Severity(StrEnum):
    """What a finding does to the job."""

    BLOCK = "block"  # held; a person looks
    AGAIN = "again"  # the server may still be writing: fetched again later, then held
    WARN = "warn"  # reported, and delivered


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the gate found: a stable code and a sentence without patient values."""

    severity: Severity
    code: str
    text: str

    def as_plain(self) -> dict[str, Any]:
        """Return the finding as JSON can hold it."""
        return {"severity": str(self.severity), "code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """One structure as the file has it."""

    number: int  # ROINumber (3006,0022)
    name: str  # ROIName (3006,0026)
    contours: int  # items of its ContourSequence (3006,0040)


@dataclass(frozen=True, slots=True)
class FileContour:
    """One contour as the file has it (PS3.3 C.8.8.6)."""

    roi: int  # ReferencedROINumber
    kind: str  # ContourGeometricType
    count: str  # NumberOfContourPoints, as written
    images: tuple[tuple[str, int], ...]  # SOP instances that it names, each with a frame from 1
    data: bytes  # ContourData

    @property
    def image(self) -> tuple[str, int] | None:
        """The first image that it names, or None."""
        return self.images[0] if self.images else None

    def numbers(self) -> list[float] | None:
        """Return the coordinates, mm; None if there are none, or other values than coordinates.

        Nor where they are more than any contour has: each takes the memory of fifty bytes of text.
        """
        text = self.data.rstrip(b" \0")
        if text.translate(None, _IN_NUMBERS) or text.count(b"\\") >= 3 * _MOST_POINTS:
            return None
        try:
            numbers = list(map(float, text.split(b"\\")))
        except ValueError:
            return None
        return numbers if -_FARTHEST < min(numbers) <= max(numbers) < _FARTHEST else None

    def points(self) -> list[Point] | None:
        """Return the points, mm; None if they are not as many triples of numbers as stated."""
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
    """What the gate needs to know of an RTSTRUCT."""

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
    frames: frozenset[str] = frozenset()  # every frame of reference that it names
    images: frozenset[tuple[str, int]] = frozenset()  # of the series: SOP instance, frame from 1
    contour_images: frozenset[tuple[str, int]] = frozenset()  # of the contours, likewise
    image_classes: frozenset[str] = frozenset()  # SOP classes of all these
    invalid_colors: frozenset[int] = frozenset()  # ROI numbers
    unlisted: frozenset[str] = frozenset()  # elements that a delivered structure set does not have
    moving: frozenset[str] = frozenset()  # elements that change what the coordinates mean
    persons: frozenset[str] = frozenset()  # values of patient elements in items
    too_long: frozenset[str] = frozenset()  # keywords of values longer than their VR allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a structure set of a job must say: before, or after, its patient was put back."""

    patient_id: str | None  # None: compared elsewhere, byte for byte
    patient_name: str | None
    study_uid: str
    series_uid: str
    frame_uid: str
    study_id: str = ""  # names the package; "": packages of earlier versions are not named
    images: Mapping[str, int]  # SOP instances of the series -> how many frames each has
    image_class: str = ""  # SOP class of these; "": not known
    known: frozenset[str] = frozenset()  # all UIDs of the job
    own: frozenset[str] = frozenset()  # SOP and series instance UID that drawcli gives the file
    structures: tuple[str, ...] = ()  # names that were asked for
    required: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))


def inspect(found: StructureSet, expected: Expected) -> list[Finding]:
    """Return everything that speaks against delivering a structure set."""
    if not found.sop_class:
        return [Finding(Severity.BLOCK, "no-structure-set", "SOPClassUID is missing")]
    if found.sop_class != STRUCTURE_SET or found.has_pixels:
        return [Finding(Severity.BLOCK, "no-structure-set", "the file is not an RT Structure Set")]
    return [
        *check_origin(found, expected),
        *_structures(found, expected),
        *_contents(found),
    ]


def check_origin(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield what says that the file is of another patient, study, series or package."""
    persons = {expected.patient_id, expected.patient_name, ""}
    if expected.patient_id is not None:
        if found.patient_id != expected.patient_id:
            what = "not the one that was sent" if found.patient_id else "missing"
            yield _block("foreign-patient", f"PatientID is {what}")
        elif found.patient_name.rstrip("^") not in persons:
            yield _block("foreign-patient", "PatientName is not the one that was sent")
    if found.persons - persons:
        yield _block("foreign-patient", "an item names another patient")
    yield from _of_study(found, expected)
    yield from _of_package(found, expected)
    yield from _of_series(found, expected)
    if found.frames - {expected.frame_uid}:
        yield _block("foreign-frame", "a frame of reference is not that of the images")
    own = {found.sop_uid, found.series_uid}
    if (expected.own and own != expected.own) or own & expected.known:
        yield _block("own-uid", "the UIDs of the file are not its own")
    yield from _images(found, expected)


def _of_study(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield what says that the file is of another study."""
    if not found.study_uid:
        yield _block("foreign-study", "StudyInstanceUID is missing")
    elif found.study_uid != expected.study_uid or found.studies - {expected.study_uid}:
        yield _block("foreign-study", "the study is not the one that was sent")


def _of_package(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield what says that the structure set was made of another package."""
    if not expected.study_id or found.study_id == expected.study_id:
        return
    if found.study_id:
        text = (
            "StudyID is not the one that was sent: the structure set was made of another package, "
            "for another template or before the images changed"
        )
        yield _block("foreign-package", text)
    else:
        text = "StudyID, by which the package is recognised, is missing"
        yield _block("package-unknown", text)


def _of_series(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield what says that the file was drawn on another series, or does not say on which."""
    if found.referenced_series - {expected.series_uid}:
        yield _block("foreign-series", "the referenced series is not the one that was sent")
    elif not found.referenced_series and not found.contour_images:
        yield _block("no-reference", "neither the file nor its contours reference the series")


def _images(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield what says that contours lie elsewhere than on the slices, or frames, of the series."""
    named = {uid for uid, _ in found.contour_images | found.images}
    if "" in named:
        yield _block("foreign-reference", "a reference to an image has no ReferencedSOPInstanceUID")
    foreign = named - expected.known - {""}
    if foreign:
        yield _block("foreign-reference", f"{len(foreign)} references are not of this job")
    elsewhere = named - expected.images.keys() - foreign - {""}
    if elsewhere:
        text = f"{len(elsewhere)} references name images that are no slices of the series"
        yield _block("foreign-image", text)
    counts = ((expected.images.get(uid), number) for uid, number in found.contour_images)
    beyond = sum(count is not None and not 1 <= number <= count for count, number in counts)
    if beyond:
        yield _block("foreign-frame-number", f"{beyond} references name frames that no image has")
    if expected.image_class and found.image_classes - {expected.image_class}:
        yield _block("foreign-class", "the images are referenced under another SOP class")


def _structures(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield how the structures differ from those that were asked for."""
    names = Counter(roi.name for roi in found.rois)
    required = expected.required
    missing = [name for name in expected.structures if name not in names]
    extra = sorted(names.keys() - set(expected.structures))
    twice = sorted(name for name, count in names.items() if count > 1)
    for severity, some in _parted(missing, [n for n in missing if required.get(n, True)]):
        yield Finding(severity, "structures-missing", f"missing: {', '.join(some)}")
    if extra:
        yield _block("structures-extra", f"not asked for: {_named(extra)}")
    if twice:
        yield _block("structures-twice", f"more than once: {_named(twice)}")
    yield from _numbers(found)
    empty = [roi.name for roi in found.rois if not roi.contours and roi.name in expected.structures]
    if empty and len(empty) == len(expected.structures):
        yield _block("all-empty", "no structure has a contour")
        return
    for severity, some in _parted(empty, [name for name in empty if required.get(name, False)]):
        yield Finding(severity, "structures-empty", f"without contours: {', '.join(some)}")


def _numbers(found: StructureSet) -> Iterator[Finding]:
    """Yield what makes it ambiguous which contours are of which structure."""
    numbers = Counter(roi.number for roi in found.rois)
    contoured = Counter(found.contoured)
    twice = [*_repeated(numbers), *_repeated(contoured)]
    unknown = sorted((contoured.keys() | set(found.observed)) - numbers.keys())
    if twice:
        text = (
            f"ROI numbers that are used for two structures or lists of contours: {_listed(twice)}"
        )
        yield _block("roi-numbers", text)
    if unknown:
        text = f"contours or observations of ROI numbers that no structure has: {_listed(unknown)}"
        yield _block("roi-numbers", text)


def _contents(found: StructureSet) -> Iterator[Finding]:
    """Yield what the file says besides: elements that are not delivered, colours, long values."""
    if found.moving:
        text = f"elements that change what the coordinates mean: {_named(sorted(found.moving))}"
        yield _block("contours-moved", text)
    if found.unlisted:
        text = f"elements that are not delivered: {_named(sorted(found.unlisted))}"
        yield Finding(Severity.WARN, "elements-removed", text)
    if found.invalid_colors:
        named = [roi.name for roi in found.rois if roi.number in found.invalid_colors]
        text = f"colours that are not three whole numbers from 0 to 255: {_named(named)}"
        yield Finding(Severity.WARN, "color-invalid", text)
    if found.too_long:
        text = f"longer than planning systems accept: {', '.join(sorted(found.too_long)[:8])}"
        yield Finding(Severity.WARN, "value-too-long", text)


def _parted(names: Sequence[str], needed: Sequence[str]) -> Iterator[tuple[Severity, list[str]]]:
    """Yield the names that are needed, to be asked for again, and the others."""
    for severity, some in (
        (Severity.AGAIN, [name for name in names if name in needed]),
        (Severity.WARN, [name for name in names if name not in needed]),
    ):
        if some:
            yield severity, some


def _repeated(counts: Counter[int]) -> list[int]:
    return [number for number, count in counts.items() if count > 1]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))[:8]))


def _named(names: Sequence[str]) -> str:
    r"""Return names that a server chose, cut to what a line can hold.

    Characters that a line does not show are written out: `Bladder\x01` is not `Bladder`.
    """
    return ", ".join(_shown(name)[:_LONGEST_NAME] or "(no name)" for name in names[:8])


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _block(code: str, text: str) -> Finding:
    return Finding(Severity.BLOCK, code, text)
