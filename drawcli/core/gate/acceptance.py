"""The facts that the acceptance gate judges, and its findings, which are stored and shown.

A structure set with a blocking finding is never delivered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)
Point = tuple[float, float, float]  # mm, in the patient's coordinates (LPS)
_IN_NUMBERS: Final = b"0123456789+-.eE\\ \0"  # PS3.5 6.2: the characters of a DS
_NOT_IN_NUMBERS: Final = (b",", b"u", b"l", b'"', b"[", b"{", b"\n", b"\r", b"\t")  # but in JSON
_MOST_POINTS: Final = 300_000  # of one contour; all pixels of a slice of 512 x 512 are fewer
_FARTHEST: Final = 1e6  # mm
_TOGETHER: Final = 32_000  # bytes of values read at once: their numbers stay in the cache
_SEPARATOR: Final = ord("\\")
_LONGEST: Final = 16  # bytes of one value of a DS (PS3.5 table 6.2-1)


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

    def coordinates(self) -> "Numbers | None":
        """Return x, y, z of each point, mm; None if they are missing, not numbers, or too many."""
        return _read(self.data)[0]

    def numbers(self) -> list[float] | None:
        """Return the coordinates as a list."""
        values = self.coordinates()
        return None if values is None else values.tolist()

    def states(self, numbers: int) -> bool:
        """Return whether NumberOfContourPoints, if stated, is that of so many coordinates."""
        try:
            stated = float(self.count) if self.count else numbers // 3
        except ValueError:
            return False
        return numbers == 3 * stated

    def points(self) -> list[Point] | None:
        """Return the points, mm; None if they are not the stated number of triples."""
        numbers = self.numbers()
        if numbers is None or not self.states(len(numbers)):
            return None
        coordinates = iter(numbers)
        return list(zip(coordinates, coordinates, coordinates, strict=True))


class Decimals(NamedTuple):
    """The numbers of a DS."""

    values: "Numbers | None"  # None: missing, not numbers, too large or too many
    plain: bool  # whether all are known to be numbers of JSON of at most 16 bytes: a valid DS


def read_decimals(raw: bytes) -> Decimals:
    """Return the numbers of ContourData.

    JSON has the usual forms of decimal numbers, but not 5., .5, +5 and 007: a value with one of
    these is read number by number.
    """
    values, is_json = _read(raw)
    text = raw.rstrip(b" \0")
    return Decimals(values, is_json and not _is_padded_with_nul(raw, text) and _are_short(text))


def _read(raw: bytes) -> tuple["Numbers | None", bool]:
    """Return the numbers, and whether all have a form of JSON."""
    text, most = raw.rstrip(b" \0"), 3 * _MOST_POINTS
    if not text or (len(text) > most and text.count(b"\\") >= most):
        return None, False
    numbers = _of_json(text)
    is_json = numbers is not None
    numbers = numbers if numbers is not None else _one_by_one(text)
    if numbers is None:
        return None, False
    values = _as_array(numbers)
    return values if _are_near(values) else None, is_json


def read_many_decimals(raws: Iterable[bytes]) -> Iterator[Decimals]:
    """Yield the numbers of each value as `read_decimals` does, but of short values together.

    `plain` may be false for values beside one that has a number of more than 16 bytes.
    """
    group, length = list[bytes](), 0
    for raw in raws:
        group.append(raw)
        length += len(raw)
        if length >= _TOGETHER:
            yield from _read_group(group)
            group, length = [], 0
    if group:
        yield from _read_group(group)


def _read_group(raws: Sequence[bytes]) -> Iterable[Decimals]:
    import numpy as np

    texts, most = [raw.rstrip(b" \0") for raw in raws], 3 * _MOST_POINTS
    joined = b"\\".join(texts)
    usual = all(texts) and (len(joined) <= most or joined.count(b"\\") < most)
    numbers = _of_json(joined) if usual else None
    if numbers is None:
        return map(read_decimals, raws)
    values = _as_array(numbers)
    if not _are_near(values):
        return map(read_decimals, raws)
    ends, short = np.frombuffer(joined, np.uint8) == _SEPARATOR, _are_short(joined)
    decimals, begin, first = list[Decimals](), 0, 0
    for raw, text in zip(raws, texts, strict=True):
        count = int(np.count_nonzero(ends[begin : begin + len(text)])) + 1
        plain = short and not _is_padded_with_nul(raw, text)
        decimals.append(Decimals(values[first : first + count], plain))
        begin, first = begin + len(text) + 1, first + count
    return decimals


def _are_near(values: "Numbers") -> bool:
    """Return whether no coordinate is too large, or not a number."""
    return bool(values.min() > -_FARTHEST and values.max() < _FARTHEST)  # False for NaN


def _is_padded_with_nul(raw: bytes, text: bytes) -> bool:
    return b"\0" in raw[len(text) :]  # a DS is padded with a space


def _are_short(text: bytes) -> bool:
    """Return whether each of the values, without padding, has at most 16 bytes."""
    import numpy as np

    inside = np.frombuffer(text, np.uint8) != _SEPARATOR
    width = 1
    while 2 * width <= _LONGEST:  # whether all of the next `width` bytes are of one value
        inside = inside[:-width] & inside[width:] if len(inside) > width else inside[:0]
        width *= 2
    return not (inside[:-1] & inside[1:]).any()


def _of_json(text: bytes) -> list[float] | None:
    import numpy as np

    if any([sign in text for sign in _NOT_IN_NUMBERS]):  # noqa: C419 - a list takes half the time
        return None
    data = np.frombuffer(text, np.uint8)
    between = (data == _SEPARATOR).view(np.uint8) * np.uint8(_SEPARATOR - ord(","))
    try:
        numbers: list[float] = orjson.loads(b"[%b]" % (data - between).tobytes())
    except orjson.JSONDecodeError:
        return None
    return numbers


def _as_array(numbers: Sequence[float]) -> "Numbers":
    """Return numbers as an array; `struct` takes two thirds of the time of `fromiter`."""
    import numpy as np

    return np.frombuffer(pack(f"{len(numbers)}d", *numbers))


def _one_by_one(text: bytes) -> list[float] | None:
    if text.translate(None, _IN_NUMBERS):
        return None
    try:
        return list(map(float, text.split(b"\\")))
    except ValueError:
        return None


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
    is_decodable: bool = True  # whether each character set, at any depth, is a defined term


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
