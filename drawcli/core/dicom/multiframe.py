"""The planes of the frames of a multi-frame image, read from its functional groups.

Values common to all frames are in the shared groups, others in one item for each frame.

References
----------
PS3.3 C.7.6.16 (Multi-frame Functional Groups), C.7.6.16.2.1 to .4 (measures, frame content,
position, orientation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final, NamedTuple

from drawcli.core.dicom import tags
from drawcli.core.dicom.geometry import Triple
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text, items
from drawcli.core.dicom.sop_classes import MULTI_FRAME

UPRIGHT: Final = 1e-2  # tolerance of direction cosines for rounding
_LONGEST_COUNT: Final = 9  # digits of a number of frames
_SHARED: Final = 0x52009229
_PER_FRAME: Final = 0x52009230
_PLANE_POSITION: Final = 0x00209113
_PLANE_ORIENTATION: Final = 0x00209116
_PIXEL_MEASURES: Final = 0x00289110
_FRAME_TYPE: Final = 0x00089007
_FRAME_TYPES: Final = (0x00189226, 0x00189329, 0x00189751)  # of MR, CT, PET
_PIXEL_PRESENTATION: Final = 0x00089205
_CONCATENATION: Final = 0x00209161
SLICE_THICKNESS: Final = 0x00180050

Groups = dict[int, Element]  # of one frame, by tag


class ImagePlane(NamedTuple):
    """The plane of one slice or frame in the patient; None for missing values."""

    position: Triple | None  # ImagePositionPatient, mm, LPS
    orientation: tuple[float, ...] | None  # ImageOrientationPatient, six direction cosines
    spacing: tuple[float, ...] | None  # PixelSpacing: between rows, between columns, mm
    thickness: float | None = None  # SliceThickness, mm: nominal


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The facts of the frames of one file."""

    count: int  # NumberOfFrames (0028,0008)
    planes: tuple[ImagePlane, ...]  # in the order of the frames; empty if the groups are damaged
    kinds: frozenset[str]  # the values of FrameType (0008,9007) of all frames
    coloured: bool  # PixelPresentation (0008,9205): shown through a palette
    concatenated: bool  # the file is a part of a larger image


def frames_of(header: Header) -> Frames | None:
    """Return the frames of an enhanced image; None for any other SOP class."""
    if header.text(tags.SOPClassUID) not in MULTI_FRAME:
        return None
    try:
        reader = _Reader(header)
        planes = tuple(reader.plane(groups) for groups in reader.frames)
    except NotDicom:  # the groups end within an item
        planes, kinds = (), frozenset[str]()
    else:
        kinds = frozenset(reader.kinds)
    return Frames(
        count=number_of_frames(header),
        planes=planes,
        kinds=kinds,
        coloured=header.text(_PIXEL_PRESENTATION).upper() not in ("", "MONOCHROME"),
        concatenated=bool(header.text(_CONCATENATION)),
    )


def number_of_frames(header: Header) -> int:
    """Return NumberOfFrames (0028,0008); 1 if it is missing or not valid."""
    text = header.text(tags.NumberOfFrames)
    return int(text) if text.isdigit() and len(text) <= _LONGEST_COUNT else 1


def functional_groups(header: Header) -> tuple[Groups, list[Groups]]:
    """Return the groups shared by all frames, and those of each frame.

    Raises
    ------
    NotDicom
        If a group ends within an item.
    """
    shared, frames = (
        [{element.tag: element for element in item} for item in items_in(header, groups)]
        for groups in (header.elements.get(_SHARED), header.elements.get(_PER_FRAME))
    )
    return (shared[0] if shared else {}), frames


def items_in(header: Header, sequence: Element | None) -> Sequence[list[Element]]:
    """Return the elements of each item of a sequence; nothing if it is missing."""
    if sequence is None:
        return ()
    # UN contains implicit VR (PS3.5 6.2.2), whose elements have no VR.
    explicit = header.explicit and sequence.vr not in (b"UN", b"")
    return list(items(header.data, sequence, explicit=explicit))


class _Reader:
    """Reads the functional groups of one file; equal values of frames are parsed once."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._parsed: dict[tuple[bytes, int], tuple[float, ...] | None] = {}
        self._common: dict[int, dict[int, bytes]] = {}  # values of the shared groups
        self.kinds: set[str] = set()
        self._shared, self.frames = functional_groups(header)

    def plane(self, groups: Groups) -> ImagePlane:
        """Return the plane of a frame, and record its frame type."""
        for tag in _FRAME_TYPES:
            self.kinds |= _words(self._value(groups, tag, _FRAME_TYPE))
        position = self._numbers(groups, _PLANE_POSITION, tags.ImagePositionPatient, 3)
        orientation = self._numbers(groups, _PLANE_ORIENTATION, tags.ImageOrientationPatient, 6)
        thickness = self._numbers(groups, _PIXEL_MEASURES, SLICE_THICKNESS, 1)
        return ImagePlane(
            position=None if position is None else (position[0], position[1], position[2]),
            orientation=orientation if orientation and is_orthonormal(orientation) else None,
            spacing=self._numbers(groups, _PIXEL_MEASURES, tags.PixelSpacing, 2),
            thickness=None if thickness is None else thickness[0],
        )

    def _numbers(
        self, groups: Groups, group: int, tag: int, count: int
    ) -> tuple[float, ...] | None:
        raw = self._value(groups, group, tag)
        if (raw, count) not in self._parsed:
            self._parsed[raw, count] = numbers_in(ascii_text(raw), count)
        return self._parsed[raw, count]

    def _value(self, groups: Groups, group: int, tag: int) -> bytes:
        """Return a value of a group of the frame, or of the shared group; b"" if missing."""
        sequence = groups.get(group)
        if sequence is None:  # read once, not for each frame
            if group not in self._common:
                self._common[group] = self._first_item(self._shared.get(group))
            return self._common[group].get(tag, b"")
        return self._first_item(sequence).get(tag, b"")

    def _first_item(self, sequence: Element | None) -> dict[int, bytes]:
        """Return the values of the first item of a sequence."""
        data = self._header.data
        first = next(iter(items_in(self._header, sequence)), [])
        return {one.tag: data[one.value : one.end] for one in first}


@lru_cache(maxsize=1024)
def numbers_in(text: str, count: int) -> tuple[float, ...] | None:
    """Return the values of a DS if they are `count` finite numbers, else None."""
    try:
        numbers = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(map(isfinite, numbers)) else None


@lru_cache(maxsize=1024)
def is_orthonormal(orientation: tuple[float, ...]) -> bool:
    """Return whether direction cosines are two orthogonal unit vectors (PS3.3 C.7.6.2.1.1)."""
    row, column = orientation[:3], orientation[3:]
    pairs = ((row, row, 1), (column, column, 1), (row, column, 0))
    return all(
        abs(sum(a * b for a, b in zip(left, right, strict=True)) - wanted) < UPRIGHT
        for left, right, wanted in pairs
    )


def _words(raw: bytes) -> set[str]:
    return {word.strip() for word in ascii_text(raw).upper().split("\\")} - {""}
