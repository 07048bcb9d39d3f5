"""The contours of an RTSTRUCT, read one after the other from its bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drawcli.core.dicom import Element, Header, NotDicom, ascii_text
from drawcli.core.frames import Triple
from drawcli.core.walk import item_value, parts
from drawcli.errors import BadStructureSet

_ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
_CONTOURS: Final = 0x30060040  # ContourSequence
_IMAGES: Final = 0x30060016  # ContourImageSequence
_TYPE: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
_REFERENCED_ROI: Final = 0x30060084
_REFERENCED_CLASS: Final = 0x00081150
_REFERENCED_SOP: Final = 0x00081155
_REFERENCED_FRAME: Final = 0x00081160
_IN_NUMBERS: Final = b"0123456789+-.eE\\ \0"  # PS3.5 6.2: what a DS consists of
_FARTHEST: Final = 1e6  # mm


@dataclass(frozen=True, slots=True)
class Contour:
    """One outline as the file has it (PS3.3 C.8.8.6)."""

    roi: int  # ReferencedROINumber
    kind: str  # ContourGeometricType
    count: str  # NumberOfContourPoints, as written
    image: tuple[str, int] | None  # SOP instance as it is named, and frame; of the first one named
    data: bytes  # ContourData

    def points(self) -> list[Triple] | None:
        """Return the points, mm; None where they are not so many triples of numbers as said."""
        text = self.data.rstrip(b" \0")
        if text.translate(None, _IN_NUMBERS):
            return None
        try:
            numbers = list(map(float, text.split(b"\\"))) if text else []
            stated = int(self.count)
        except ValueError:
            return None
        if len(numbers) != 3 * stated:
            return None
        if numbers and not -_FARTHEST < min(numbers) <= max(numbers) < _FARTHEST:
            return None
        coordinates = iter(numbers)
        return list(zip(coordinates, coordinates, coordinates, strict=True))


def contours_of(header: Header) -> Iterator[Contour]:
    """Yield every contour of an RTSTRUCT, ROI by ROI as the file has them.

    Raises
    ------
    BadStructureSet
        Where the file cannot be read to its end.
    """
    try:
        for roi in _items(header, list(header.elements.values()), _ROI_CONTOURS):
            number = int(_text(header, roi, _REFERENCED_ROI) or -1)
            for item in _items(header, roi, _CONTOURS):
                yield _contour(header, item, number)
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


def image_class(header: Header) -> str:
    """Return the SOP class of the images that contours lie on; "" where none says so."""
    for roi in _items(header, list(header.elements.values()), _ROI_CONTOURS):
        for item in _items(header, roi, _CONTOURS):
            for named in _items(header, item, _IMAGES):
                return _text(header, named, _REFERENCED_CLASS)
    return ""


def _contour(header: Header, item: Sequence[Element], number: int) -> Contour:
    image: tuple[str, int] | None = None
    for named in _items(header, item, _IMAGES):
        frame = _text(header, named, _REFERENCED_FRAME).partition("\\")[0] or "1"
        uid = _text(header, named, _REFERENCED_SOP)
        image = (uid, int(frame)) if uid else None
        break
    return Contour(
        roi=number,
        kind=_text(header, item, _TYPE),
        count=_text(header, item, _COUNT),
        image=image,
        data=item_value(header, item, _DATA) or b"",
    )


def _items(header: Header, elements: Sequence[Element], tag: int) -> Iterator[list[Element]]:
    element = next((one for one in elements if one.tag == tag), None)
    return iter(()) if element is None else parts(header, element)


def _text(header: Header, item: Sequence[Element], tag: int) -> str:
    return ascii_text(item_value(header, item, tag) or b"")
