"""What an RT Structure Set (PS3.3 C.8.8.5) or an RT Plan (PS3.3 C.8.8.16) refers to."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value, parts
from drawcli.core.dicom.header import Element, Header, Incomplete, NotDicom, ascii_text

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)
_PLANS: Final = frozenset(  # RT Plan Storage, RT Ion Plan Storage
    {"1.2.840.10008.5.1.4.1.1.481.5", "1.2.840.10008.5.1.4.1.1.481.8"}
)
_FRAMES: Final = (tags.ReferencedFrameOfReferenceSequence,)
_SERIES: Final = (*_FRAMES, tags.RTReferencedStudySequence, tags.RTReferencedSeriesSequence)
_CONTOUR_IMAGES: Final = (
    tags.ROIContourSequence,
    tags.ContourSequence,
    tags.ContourImageSequence,
)
_INSTANCE: Final = tags.ReferencedSOPInstanceUID
_STRUCTURE_SETS: Final = (tags.ReferencedStructureSetSequence,)
_MOST: Final = 64  # of a kind; a structure set refers to one series, or a few


def references(header: Header) -> tuple[str, ...]:
    """Return the UIDs that relate a file to others; () for files of other kinds.

    Of a structure set: the series and the frames of reference that it names. Of a plan: its
    structure sets.
    """
    sop_class = header.text(tags.SOPClassUID)
    if sop_class in _PLANS:
        return tuple(_uids(header, _STRUCTURE_SETS, _INSTANCE, _MOST))
    if sop_class != STRUCTURE_SET:
        return ()
    return tuple(dict.fromkeys((*referenced_series(header), *referenced_frames(header))))


def referenced_series(header: Header) -> tuple[str, ...]:
    """Return the SeriesInstanceUIDs that a structure set names."""
    return tuple(_uids(header, _SERIES, tags.SeriesInstanceUID, _MOST))


def referenced_frames(header: Header) -> tuple[str, ...]:
    """Return the FrameOfReferenceUIDs that a structure set names, for itself and for its ROIs."""
    rois = (tags.StructureSetROISequence,)
    own = _uids(header, _FRAMES, tags.FrameOfReferenceUID, _MOST)
    of_rois = _uids(header, rois, tags.ReferencedFrameOfReferenceUID, _MOST)
    return tuple(dict.fromkeys(chain(own, of_rois)))


def referenced_images(header: Header, series: str) -> frozenset[str]:
    """Return the SOPInstanceUIDs of the images of a series that a structure set names.

    Images of contours belong to the series unless they are listed under another one.
    """
    listed, others = set[str](), set[str]()
    try:
        for item in _items(header, list(header.elements.values()), _SERIES):
            uid = ascii_text(item_value(header, item, tags.SeriesInstanceUID) or b"")
            images = _uids(header, (tags.ContourImageSequence,), _INSTANCE, inside=item)
            (listed if uid == series else others).update(images)
    except (NotDicom, Incomplete):
        pass
    return frozenset(listed | (contoured_images(header) - others))


def contoured_images(header: Header) -> frozenset[str]:
    """Return the SOPInstanceUIDs of the images that the contours of a structure set name."""
    return frozenset(_uids(header, _CONTOUR_IMAGES, _INSTANCE))


def predecessors(header: Header) -> frozenset[str]:
    """Return the SOPInstanceUIDs of the structure sets from which a structure set was made."""
    way = (tags.PredecessorStructureSetSequence,)
    return frozenset(_uids(header, way, _INSTANCE))


def _uids(
    header: Header,
    way: tuple[int, ...],
    tag: int,
    most: int | None = None,
    inside: Sequence[Element] | None = None,
) -> Iterator[str]:
    """Return each UID of an element in the items at the end of a way through nested sequences.

    The way begins in the data set or `inside` an item. What was read before a damage counts.
    """
    found: dict[str, None] = {}
    try:
        start = list(header.elements.values()) if inside is None else inside
        for item in islice(_items(header, start, way), most):
            found[ascii_text(item_value(header, item, tag) or b"")] = None
    except (NotDicom, Incomplete):
        pass
    return (uid for uid in found if uid)


def _items(
    header: Header, inside: Sequence[Element], way: tuple[int, ...]
) -> Iterator[Sequence[Element]]:
    """Yield the items at the end of a way through nested sequences."""
    if not way:
        yield inside
        return
    for sequence in (one for one in inside if one.tag == way[0]):
        for item in parts(header, sequence):
            yield from _items(header, item, way[1:])
