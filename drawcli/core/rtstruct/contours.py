"""Read the names and contours of an RTSTRUCT, for the delivered file and for pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import decode_text, item_value, parts
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import FileContour
from drawcli.errors import BadStructureSet
from drawcli.system.failures import in_words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_USUAL_MM = 1e5  # coordinates of a usual contour are smaller


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


def points_of(contour: FileContour) -> "npt.NDArray[np.float64]":
    """Return the points of a contour (n x 3, mm): those of `FileContour.points`, or none.

    The usual form is read at once, in half the time; every other one by `points`.
    """
    import numpy as np

    text = contour.data.rstrip(b" \0")
    count = int(contour.count) if contour.count.isdecimal() else 0
    if count and text.count(b"\\") == 3 * count - 1:
        try:
            numbers = np.fromstring(text, sep="\\")
        except (ValueError, DeprecationWarning):  # it ends where a number is not understood
            numbers = np.empty(0)
        if numbers.size == 3 * count and np.abs(numbers).max() < _USUAL_MM:
            return numbers.reshape(-1, 3)
    return np.array(contour.points() or np.empty((0, 3)), float).reshape(-1, 3)


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
