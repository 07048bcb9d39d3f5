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

_LONGEST_KNOWN, _MOST_KNOWN = 1_000, 10_000  # bytes, and number, of remembered values
Images = tuple[tuple[str, int], ...]  # referenced SOP instances, each with a frame from 1
KnownImages = dict[tuple[bytes, bytes], Images]  # by bytes and VR of a ContourImageSequence


def contours_of(header: Header) -> Iterator[FileContour]:
    """Yield every contour of an RTSTRUCT, ROI by ROI in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read completely.
    """
    try:
        known: KnownImages = {}
        for number, roi in contour_lists(header):
            yield from contours_in(header, number, roi, known)
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None


def contour_lists(header: Header) -> Iterator[tuple[int, list[Element]]]:
    """Yield each item of ROIContourSequence with its ROI number."""
    for roi in items_of(header, tags.ROIContourSequence):
        yield int(_text(header, roi, tags.ReferencedROINumber) or -1), roi


def contours_in(
    header: Header, number: int, roi: Sequence[Element], known: KnownImages
) -> Iterator[FileContour]:
    """Yield the contours of an item of ROIContourSequence; `known` is that of the whole file."""
    for item in items_of(header, tags.ContourSequence, roi):
        yield _contour(header, item, number, known)


def _contour(
    header: Header, item: Sequence[Element], number: int, known: KnownImages
) -> FileContour:
    places = {element.tag: element for element in item}

    def value(tag: int) -> bytes:
        element = places.get(tag)
        return b"" if element is None else header.data[element.value : element.end]

    return FileContour(
        roi=number,
        kind=ascii_text(value(tags.ContourGeometricType)),
        count=ascii_text(value(tags.NumberOfContourPoints)),
        images=_images(header, places.get(tags.ContourImageSequence), known),
        data=value(tags.ContourData),
    )


def _images(header: Header, sequence: Element | None, known: KnownImages) -> Images:
    """Return the images of a ContourImageSequence; equal bytes are read once."""
    if sequence is None:
        return ()
    key = header.data[sequence.value : sequence.end], sequence.vr
    if (images := known.get(key)) is not None:
        return images
    images = tuple(
        (_text(header, named, tags.ReferencedSOPInstanceUID), int(frame))
        for named in parts(header, sequence)
        for frame in (_text(header, named, tags.ReferencedFrameNumber) or "1").split("\\")
    )
    if len(key[0]) <= _LONGEST_KNOWN and len(known) < _MOST_KNOWN:
        known[key] = images
    return images


def points_of(contour: FileContour) -> "npt.NDArray[np.float64]":
    """Return the points of a contour (n x 3, mm): those of `FileContour.points`, or none."""
    import numpy as np

    values = contour.coordinates()
    if values is None or not contour.states(values.size):
        return np.empty((0, 3))
    return values.reshape(-1, 3)


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
    if not numbers:
        return contour
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
    why = str(err) if isinstance(err, NotDicom) else ""  # it names no value
    return BadStructureSet(f"the RTSTRUCT cannot be read: {why or in_words(err)}")
