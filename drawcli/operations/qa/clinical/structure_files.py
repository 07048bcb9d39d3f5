"""Structure sets in files, and what the choice of the clinical one depends on."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.conversion import LARGEST
from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.references import (
    STRUCTURE_SET,
    contoured_images,
    predecessors,
    referenced_frames,
    referenced_images,
    referenced_series,
)
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.qa.candidates import StructureSetFacts
from drawcli.core.qa.structures import lie_on_slices
from drawcli.core.rtstruct.contour_table import CLOSED_KINDS
from drawcli.core.rtstruct.contours import contours_of, names_of
from drawcli.core.series.slice_grid import Grid
from drawcli.errors import BadStructureSet

_MINUTES: Final = len("+HHMM")
_END_OF_DAY: Final = time(23, 59, 59)
# A file without these ends too early: they are of Type 1 (PS3.3 C.8.8.5, C.8.8.6, C.8.8.8).
_WHOLE: Final = (
    tags.StructureSetROISequence,
    tags.ROIContourSequence,
    tags.RTROIObservationsSequence,
)

Key = Callable[[str], str]  # returns the keyed hash of a UID or of a value of the patient


class Unreadable(Exception):
    """A file is gone, is being written, or is no whole structure set."""


@dataclass(frozen=True, slots=True)
class StructureSetBytes:
    """A structure set that was read whole."""

    header: Header
    sha256: str  # of the file
    modified: datetime  # of the file, UTC


@dataclass(frozen=True, slots=True)
class SeriesSent:
    """The series for which a structure set is judged."""

    uid: str
    grid: Grid | None


def read_whole(path: Path) -> StructureSetBytes:
    """Read a structure set in any encoding.

    Raises
    ------
    Unreadable
        If the file is none, is not whole, is too large, or changes meanwhile.
    """
    try:
        before = path.stat()
        data = path.read_bytes() if before.st_size <= LARGEST else b""
        after = path.stat()
    except OSError:
        raise Unreadable from None
    if len(data) != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise Unreadable
    return as_structure_set(data, datetime.fromtimestamp(before.st_mtime, UTC))


def as_structure_set(data: bytes, modified: datetime) -> StructureSetBytes:
    """Return the bytes of a file as a structure set; raise Unreadable if they are none."""
    try:
        header, _ = read_or_convert(BytesIO(data))
    except (NotDicom, Incomplete):
        raise Unreadable from None
    is_whole = all(tag in header.elements for tag in _WHOLE)
    if header.text(tags.SOPClassUID) != STRUCTURE_SET or not is_whole:
        raise Unreadable
    return StructureSetBytes(header, hashlib.sha256(data).hexdigest(), modified)


def facts_of(file: StructureSetBytes, series: SeriesSent, key: Key) -> StructureSetFacts:
    """Return what the choice depends on.

    Parameters
    ----------
    file
        The structure set.
    series
        The series that was sent.
    key
        Makes a keyed hash.

    Raises
    ------
    Unreadable
        If its names or contours cannot be read.
    """
    header = file.header
    named = referenced_series(header)
    reviewed_at = _time(header, tags.ReviewDate, tags.ReviewTime)
    try:
        names = names_of(header)
        contours = list(contours_of(header))
    except BadStructureSet:
        raise Unreadable from None
    return StructureSetFacts(
        digest=file.sha256,
        instance=key(header.text(tags.SOPInstanceUID)),
        contours=_contours_digest(names, contours),
        patient=key(header.text(tags.PatientID)),
        born=_keyed(header.text(tags.PatientBirthDate), key),
        series=frozenset(map(key, named)),
        frames=frozenset(map(key, referenced_frames(header))),
        images=frozenset(map(key, referenced_images(header, series.uid))),
        contoured=frozenset(map(key, contoured_images(header))),
        predecessors=frozenset(map(key, predecessors(header))),
        approval=header.text(tags.ApprovalStatus).upper(),
        reviewed_at=reviewed_at,
        made_at=made_at(header) or _made_otherwise(file, reviewed_at),
        drawn=any(contour.kind in CLOSED_KINDS for contour in contours),
        on_slices=len(named) != 1
        and series.grid is not None
        and lie_on_slices(contours, series.grid),
    )


def _contours_digest(names: Mapping[int, str], contours: Iterable[FileContour]) -> str:
    """Return the SHA-256 of names and contours, in whatever order and with whatever numbers."""
    parts = ((names.get(one.roi, "").encode(), one.data.strip(b" \0")) for one in contours)
    return hashlib.sha256(b"\n".join(b"%b\t%b" % part for part in sorted(parts))).hexdigest()


def made_at(header: Header) -> datetime | None:
    """Return when a structure set was made, UTC; None if it does not say."""
    return _time(header, tags.StructureSetDate, tags.StructureSetTime)


def _made_otherwise(file: StructureSetBytes, reviewed_at: datetime | None) -> datetime | None:
    """Return when a set without a date was made: a copy of an old file has a new file time."""
    created = _time(file.header, tags.InstanceCreationDate, tags.InstanceCreationTime)
    return created or (None if reviewed_at else file.modified)


def _keyed(text: str, key: Key) -> str:
    return key(text) if text else ""


def _time(header: Header, date: int, clock: int) -> datetime | None:
    """Return the time of two elements, UTC; the end of the day without a time of day.

    Times are of the named time zone, else of this machine (PS3.3 C.12.1.1.8).
    """
    day = header.text(date).replace(".", "")
    try:
        at = datetime.combine(datetime.strptime(day, "%Y%m%d"), _clock(header.text(clock)))  # noqa: DTZ007 - below
        zone = header.text(tags.TimezoneOffsetFromUTC)
        if len(zone) == _MINUTES:
            at = datetime.strptime(f"{at.isoformat()}{zone}", "%Y-%m-%dT%H:%M:%S%z")
        return at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _clock(text: str) -> time:
    """Return a TM as a time of day, to the second."""
    digits = text.replace(":", "").partition(".")[0]
    if not digits:
        return _END_OF_DAY
    return datetime.strptime(digits.ljust(6, "0"), "%H%M%S").time()  # noqa: DTZ007 - of no zone
