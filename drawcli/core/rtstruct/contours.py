"""The contours of an RTSTRUCT as the delivered file and the pictures are made of them."""

from collections.abc import Iterator, Sequence
from typing import Final

from drawcli.core.dicom.elements import item_value, parts
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import FileContour
from drawcli.errors import BadStructureSet

_ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
_CONTOURS: Final = 0x30060040  # ContourSequence
_IMAGES: Final = 0x30060016  # ContourImageSequence
_TYPE: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
_REFERENCED_ROI: Final = 0x30060084
_REFERENCED_SOP: Final = 0x00081155
_REFERENCED_FRAME: Final = 0x00081160


def contours_of(header: Header) -> Iterator[FileContour]:
    """Yield every contour of an RTSTRUCT, ROI by ROI in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read to its end.
    """
    try:
        for roi in _items(header, list(header.elements.values()), _ROI_CONTOURS):
            number = int(_text(header, roi, _REFERENCED_ROI) or -1)
            for item in _items(header, roi, _CONTOURS):
                yield _contour(header, item, number)
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


def _contour(header: Header, item: Sequence[Element], number: int) -> FileContour:
    return FileContour(
        roi=number,
        kind=_text(header, item, _TYPE),
        count=_text(header, item, _COUNT),
        images=tuple(
            (_text(header, named, _REFERENCED_SOP), int(frame))
            for named in _items(header, item, _IMAGES)
            for frame in (_text(header, named, _REFERENCED_FRAME) or "1").split("\\")
        ),
        data=item_value(header, item, _DATA) or b"",
    )


def _items(header: Header, elements: Sequence[Element], tag: int) -> Iterator[list[Element]]:
    element = next((one for one in elements if one.tag == tag), None)
    return iter(()) if element is None else parts(header, element)


def _text(header: Header, item: Sequence[Element], tag: int) -> str:
    return ascii_text(item_value(header, item, tag) or b"")
