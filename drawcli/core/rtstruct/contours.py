"""Read the names and contours of an RTSTRUCT, for the delivered file and for pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import decode_text, item_value, parts
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import FileContour
from drawcli.errors import BadStructureSet
from drawcli.system.failures import in_words


def contours_of(header: Header) -> Iterator[FileContour]:
    """Yield every contour of an RTSTRUCT, ROI by ROI in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read completely.
    """
    try:
        for roi in items_of(header, tags.ROIContourSequence):
            number = int(_text(header, roi, tags.ReferencedROINumber) or -1)
            for item in items_of(header, tags.ContourSequence, roi):
                yield _contour(header, item, number)
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None


def _contour(header: Header, item: Sequence[Element], number: int) -> FileContour:
    return FileContour(
        roi=number,
        kind=_text(header, item, tags.ContourGeometricType),
        count=_text(header, item, tags.NumberOfContourPoints),
        images=tuple(
            (_text(header, named, tags.ReferencedSOPInstanceUID), int(frame))
            for named in items_of(header, tags.ContourImageSequence, item)
            for frame in (_text(header, named, tags.ReferencedFrameNumber) or "1").split("\\")
        ),
        data=item_value(header, item, tags.ContourData) or b"",
    )


def _text(header: Header, item: Sequence[Element], tag: int) -> str:
    return ascii_text(item_value(header, item, tag) or b"")


def in_frames(contour: FileContour, numbers: Mapping[str, int]) -> FileContour:
    """Return a contour whose references to images that were frames have the frame's number.

    Parameters
    ----------
    contour
        As received; its images are unchanged if they were no frames.
    numbers
        Number of the frame by the SOPInstanceUID that it was sent with.
    """
    images = tuple((uid, numbers.get(uid, frame)) for uid, frame in contour.images)
    return contour if images == contour.images else replace(contour, images=images)


def names_of(header: Header) -> dict[int, str]:
    """Return the names of the structures by ROI number.

    Raises
    ------
    BadStructureSet
        If a number or a name cannot be read, or two structures have the same number.
    """
    character_set = header.raw(tags.SpecificCharacterSet) or b""
    names = dict[int, str]()
    try:
        for roi in items_of(header, tags.StructureSetROISequence):
            name = decode_text(item_value(header, roi, tags.ROIName) or b"", character_set)
            number = int(_text(header, roi, tags.ROINumber))
            if number in names:
                raise BadStructureSet(f"two structures of the RTSTRUCT have the number {number}")
            names[number] = name.strip(" \0")
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None
    return names


def items_of(
    header: Header, tag: int, inside: Sequence[Element] | None = None
) -> Iterator[list[Element]]:
    """Yield the items of a sequence in the data set or in an item; none if it is missing."""
    if inside is None:
        element = header.elements.get(tag)
    else:
        element = next((one for one in inside if one.tag == tag), None)
    return iter(()) if element is None else parts(header, element)


def unreadable(err: Exception) -> BadStructureSet:
    """Return a reading error as BadStructureSet, without values from the file."""
    return BadStructureSet(f"the RTSTRUCT cannot be read: {in_words(err)}")
