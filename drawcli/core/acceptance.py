"""The gate in front of the planning system lets in the structure set that was asked for.

Pure: it looks at facts read from the file, and returns a report that is stored and shown. Nothing
that blocks is ever delivered.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from drawcli.core.crosswalk import Crosswalk

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)


class Severity(StrEnum):
    """What a finding does to the job."""

    BLOCK = "block"  # held; a person looks
    AGAIN = "again"  # the server may still be writing: fetched again later, then held
    WARN = "warn"  # told, and delivered


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSet:
    """What the gate needs to know of an RTSTRUCT."""

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    has_pixels: bool
    rois: tuple[Roi, ...]
    contoured: tuple[int, ...]  # ReferencedROINumber of each item of ROIContourSequence
    referenced_series: frozenset[str]  # in RTReferencedSeriesSequence (3006,0014)
    frames: frozenset[str]  # every frame of reference that it names
    contour_images: frozenset[str]  # SOP instances named by contours
    uids: frozenset[str]  # every UID at every depth, but for those the standard registers
    observed: tuple[int, ...] = ()  # ReferencedROINumber of each item of RTROIObservationsSequence
    too_long: frozenset[str] = frozenset()  # keywords of values longer than their VR allows
    contour_frames: frozenset[tuple[str, int]] = frozenset()  # and the frames of them, from 1


def inspect(
    found: StructureSet,
    crosswalk: Crosswalk,
    wanted: Sequence[str],
    required: Mapping[str, bool] = MappingProxyType({}),
) -> list[Finding]:
    """Return everything that speaks against delivering a structure set.

    Parameters
    ----------
    found
        The facts of the file as it came, still de-identified.
    crosswalk
        Of the job: the stand-ins that may occur.
    wanted
        The structure names of the template that was sent.
    required
        True: must have contours. False: may be missing. Else: must be listed, and may be empty.
    """
    if found.sop_class != STRUCTURE_SET or found.has_pixels:
        return [Finding(Severity.BLOCK, "no-structure-set", "the file is no RT Structure Set")]
    return [
        *_belonging(found, crosswalk),
        *_structures(found, wanted, required),
        *_lengths(found),
    ]


def _belonging(found: StructureSet, crosswalk: Crosswalk) -> Iterator[Finding]:
    """Yield what says that the file is of another patient, study or series."""
    original = crosswalk.uids
    if found.patient_id != crosswalk.pseudonym:
        yield _block("foreign-patient", "PatientID is not the one that was sent")
    if original.get(found.study_uid) != crosswalk.study_uid:
        yield _block("foreign-study", "StudyInstanceUID is not the one that was sent")
    series = {original.get(uid) for uid in found.referenced_series}
    if series != {crosswalk.series_uid}:
        yield _block("foreign-series", "the referenced series is not the one that was sent")
    own = {found.sop_uid, found.series_uid}
    if {original.get(uid) for uid in found.frames} - {crosswalk.frame_uid}:
        yield _block("foreign-frame", "a frame of reference is not that of the images")
    if own & original.keys() or "" in own:
        yield _block("own-uid", "the file's own UIDs are missing, or those of an image")
    unknown = found.uids - original.keys() - own
    if unknown:
        yield _block("foreign-reference", f"{len(unknown)} references are not of this job")
    yield from _images(found, crosswalk, unknown)


def _images(
    found: StructureSet, crosswalk: Crosswalk, unknown: frozenset[str]
) -> Iterator[Finding]:
    """Yield what says that contours lie elsewhere than on the slices, or frames, of the series."""
    original = crosswalk.uids
    slices = {file.sop_uid: file.frames for file in crosswalk.files}
    elsewhere = {uid for uid in found.contour_images if original.get(uid) not in slices}
    if elsewhere - unknown:
        text = f"{len(elsewhere)} contours lie on images that are no slices of the series"
        yield _block("foreign-image", text)
    known = ((slices.get(original.get(uid, "")), number) for uid, number in found.contour_frames)
    beyond = sum(count is not None and not 1 <= number <= count for count, number in known)
    if beyond:
        yield _block("foreign-frame-number", f"{beyond} frames are named that no image has")


def _structures(
    found: StructureSet, wanted: Sequence[str], required: Mapping[str, bool]
) -> Iterator[Finding]:
    """Yield how the structures differ from those that were asked for."""
    names = Counter(roi.name for roi in found.rois)
    missing = [name for name in wanted if name not in names]
    extra = sorted(names.keys() - set(wanted))
    twice = sorted(name for name, count in names.items() if count > 1)
    for severity, some in _parted(missing, [n for n in missing if required.get(n, True)]):
        yield Finding(severity, "structures-missing", f"missing: {', '.join(some)}")
    if extra:
        yield _block("structures-extra", f"not asked for: {_named(extra)}")
    if twice:
        yield _block("structures-twice", f"more than once: {_named(twice)}")
    numbers = [roi.number for roi in found.rois]
    named = {*found.contoured, *found.observed}
    if len(set(numbers)) < len(numbers) or not named <= set(numbers):
        text = "ROI numbers are not unique, or contours or observations name none of them"
        yield _block("roi-numbers", text)
    empty = [roi.name for roi in found.rois if not roi.contours and roi.name in wanted]
    if empty and len(empty) == len(wanted):
        yield _block("all-empty", "no structure has a contour")
        return
    for severity, some in _parted(empty, [name for name in empty if required.get(name, False)]):
        yield Finding(severity, "structures-empty", f"without contours: {', '.join(some)}")


def _lengths(found: StructureSet) -> Iterator[Finding]:
    if found.too_long:
        text = f"longer than planning systems take: {', '.join(sorted(found.too_long)[:8])}"
        yield Finding(Severity.WARN, "value-too-long", text)


def _parted(names: Sequence[str], needed: Sequence[str]) -> Iterator[tuple[Severity, list[str]]]:
    """Yield the names that are needed, to be asked for again, and the others."""
    for severity, some in (
        (Severity.AGAIN, [name for name in names if name in needed]),
        (Severity.WARN, [name for name in names if name not in needed]),
    ):
        if some:
            yield severity, some


def _named(names: Sequence[str]) -> str:
    """Return names that a server chose, cut to what a line can hold."""
    return ", ".join("".join(c for c in name if c.isprintable())[:32] for name in names[:8])


def _block(code: str, text: str) -> Finding:
    return Finding(Severity.BLOCK, code, text)
