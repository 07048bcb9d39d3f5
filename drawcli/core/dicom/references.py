"""The series that an RT Structure Set references (PS3.3 C.8.8.5)."""

from collections.abc import Iterator, Sequence
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value, parts
from drawcli.core.dicom.header import Element, Header, Incomplete, NotDicom, ascii_text

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage (PS3.4 B.5)
_WAY: Final = (
    tags.ReferencedFrameOfReferenceSequence,
    tags.RTReferencedStudySequence,
    tags.RTReferencedSeriesSequence,
)
_MOST: Final = 64  # series; a structure set references one, or a few


def referenced_series(header: Header) -> tuple[str, ...]:
    """Return the SeriesInstanceUIDs that a structure set references; () for other files."""
    if header.text(tags.SOPClassUID) != STRUCTURE_SET:
        return ()
    found: dict[str, None] = {}
    try:
        for item in _items(header, list(header.elements.values()), _WAY):
            found[ascii_text(item_value(header, item, tags.SeriesInstanceUID) or b"")] = None
            if len(found) > _MOST:
                break
    except (NotDicom, Incomplete):  # what was read before the damage counts
        pass
    return tuple(uid for uid in found if uid)


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
