"""The contours of an RTSTRUCT as the delivered file and the pictures are made of them."""

from collections.abc import Iterator, Sequence

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value, parts
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import FileContour
from drawcli.errors import BadStructureSet


def contours_of(header: Header) -> Iterator[FileContour]:
    """Yield every contour of an RTSTRUCT, ROI by ROI in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read to its end.
    """
    try:
        for roi in _items(header, list(header.elements.values()), tags.ROIContourSequence):
            number = int(_text(header, roi, tags.ReferencedROINumber) or -1)
            for item in _items(header, roi, tags.ContourSequence):
                yield _contour(header, item, number)
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


def _contour(header: Header, item: Sequence[Element], number: int) -> FileContour:
    return FileContour(
        roi=number,
        kind=_text(header, item, tags.ContourGeometricType),
        count=_text(header, item, tags.NumberOfContourPoints),
        images=tuple(
            (_text(header, named, tags.ReferencedSOPInstanceUID), int(frame))
            for named in _items(header, item, tags.ContourImageSequence)
            for frame in (_text(header, named, tags.ReferencedFrameNumber) or "1").split("\\")
        ),
        data=item_value(header, item, tags.ContourData) or b"",
    )


def _items(header: Header, elements: Sequence[Element], tag: int) -> Iterator[list[Element]]:
    element = next((one for one in elements if one.tag == tag), None)
    return iter(()) if element is None else parts(header, element)


def _text(header: Header, item: Sequence[Element], tag: int) -> str:
    return ascii_text(item_value(header, item, tag) or b"")
