"""Where the contours of a structure set are, so that its items are walked only once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drawcli.core.gate.rtstruct_table import form_fits
from drawcli.core.gate.strict_reader import DataSet, Elements, Malformed, Span, name_of

REFERENCED_SOP: Final = 0x00081155
_REFERENCED_FRAME: Final = 0x00081160  # ReferencedFrameNumber
IMAGES: Final = 0x30060016  # ContourImageSequence
ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
CONTOURS: Final = 0x30060040  # ContourSequence
_TYPE: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
REFERENCED_ROI: Final = 0x30060084
_LONGEST_FRAMES: Final = 1 << 20  # bytes: numbers of 100,000 frames at least
_LONGEST_KNOWN, _MOST_KNOWN = 1_000, 10_000  # bytes, and number, of remembered values
_MOST_PLACES: Final = 200_000
_NO_DATA: Final = Span(0, 0, explicit=False)

Images = tuple[tuple[str, int], ...]  # referenced SOP instances, each with a frame from 1


class ContourPlace(NamedTuple):
    """A contour without its coordinates."""

    roi: int
    kind: str
    stated: str  # NumberOfContourPoints
    images: Images
    data: Span


@dataclass(slots=True)
class FoundContours:
    """The contours that were met in a file."""

    places: list[ContourPlace] = field(default_factory=list)
    count: int = 0  # of all contours; places of at most `_MOST_PLACES` are kept

    def add(self, place: ContourPlace) -> None:
        """Keep a place, unless there are more than in any structure set."""
        self.count += 1
        if self.count <= _MOST_PLACES:
            self.places.append(place)


@dataclass(slots=True)
class KnownImages:
    """The images that a ContourImageSequence names, by its bytes and their encoding.

    Most contours of one slice have the same bytes.
    """

    images: dict[tuple[bytes, bool], tuple[Images, int]] = field(default_factory=dict)  # and items

    @staticmethod
    def key(file: DataSet, contour: Elements) -> tuple[bytes, bool]:
        """Return the bytes in a contour's item, and whether their VRs are explicit."""
        span = contour.get(IMAGES, _NO_DATA)
        return file.data[span.start : span.end], span.explicit

    def keep(self, key: tuple[bytes, bool], images: Images, items: int) -> None:
        """Keep images, and how many items name them, unless that would take much memory."""
        if len(key[0]) <= _LONGEST_KNOWN and len(self.images) < _MOST_KNOWN:
            self.images[key] = images, items


def place_of(file: DataSet, roi: int, item: Elements, images: Images) -> ContourPlace:
    """Return the place of a contour from its item."""
    data = item.get(_DATA, _NO_DATA)
    return ContourPlace(roi, file.text(item, _TYPE), file.text(item, _COUNT), images, data)


def places_in(file: DataSet) -> Iterator[ContourPlace]:
    """Yield the place of every contour of a file."""
    for roi in file.items(file.elements, ROI_CONTOURS):
        number = integer_of(file, roi, REFERENCED_ROI)
        for item in file.items(roi, CONTOURS):
            images = tuple(
                (file.text(image, REFERENCED_SOP), frame)
                for image in file.items(item, IMAGES)
                for frame in frames_of(file, image)
            )
            yield place_of(file, number, item, images)


def integer_of(file: DataSet, elements: Elements, tag: int) -> int:
    """Return a whole number of 32 bits."""
    raw = file.raw(elements, tag)
    text = (raw or b"").rstrip(b" \0")
    if not text or b"\\" in text or not form_fits("IS", text):
        raise Malformed(f"{name_of(tag)} is missing or not one whole number of 32 bits")
    return int(text)


def frames_of(file: DataSet, image: Elements) -> list[int]:
    """Return the frames named by a reference; the first if it names none."""
    raw = (file.raw(image, _REFERENCED_FRAME) or b"").strip(b" \0")
    if not raw:
        return [1]
    if len(raw) > _LONGEST_FRAMES:
        raise Malformed(f"{name_of(_REFERENCED_FRAME)} has more values than an image has frames")
    if not form_fits("IS", raw):
        raise Malformed(f"{name_of(_REFERENCED_FRAME)} is not a whole number")
    return [int(part) for part in raw.split(b"\\")]
