"""Read the header of a file from a stream in few reads, and find the end of its pixels.

The caller opens and closes the stream.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Protocol

from drawcli.core.dicom.conversion import LARGEST, convert_file, may_be_convertible
from drawcli.core.dicom.header import (
    ITEM,
    LONG_VRS,
    NO_DICOM,
    PIXEL_DATA,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    Header,
    Incomplete,
    NotDicom,
    read_header,
    walk,
)
from drawcli.core.dicom.layout_reader import MOST_PARTS
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.dicom.tags import SOPClassUID, tag_text

FIRST_READ: Final = 16 << 10  # bytes: more than the header of most slices
LARGEST_HEADER: Final = 64 << 20
_ITEM_HEAD: Final = 8  # bytes: tag and length
_CHUNK: Final = 1 << 20
_MOST_BEHIND: Final = 1 << 20  # bytes after the pixels that are checked
_FIRST_ELEMENT: Final = 0x00080000  # of a data set: zeros are padding
_ITEM_BEGIN: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"
_ENDS: Final = frozenset({_SEQUENCE_END, b"\xfe\xff\x0d\xe0"})  # and that of an item


class ElementStream(Protocol):
    """The methods used of an open file."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most `size` bytes."""

    def seek(self, offset: int, /) -> int:
        """Set the offset of the next read."""


def header_of_stream(stream: ElementStream) -> Header:
    """Return the header of a file, reading only as much as needed.

    Raises
    ------
    Incomplete
        If the file ends inside its header, or the header is too large.
    NotDicom
        If the header cannot be read.
    """
    wanted, data = FIRST_READ, b""
    while True:
        data += _read_up_to(stream, wanted - len(data))
        ended = len(data) < wanted
        try:
            return read_header(data, complete=ended)
        except Incomplete:
            if ended or wanted >= LARGEST_HEADER:
                raise
        wanted *= 4


def _read_up_to(stream: ElementStream, size: int) -> bytes:
    """Return the next `size` bytes, fewer only at the end; one read may return fewer."""
    data = stream.read(size) or b""
    if not data or len(data) == size:
        return data
    pieces, left = [data], size - len(data)
    while left and (more := stream.read(left)):
        pieces.append(more)
        left -= len(more)
    return b"".join(pieces)


def read_or_convert(stream: ElementStream) -> tuple[Header, bytes | None]:
    """Return the header of a file, converted if the file is irregular.

    Returns
    -------
    tuple
        The header, and all bytes of a converted file or None.

    Raises
    ------
    Incomplete, NotDicom
        As `header_of_stream`; NotDicom also if an image has too many elements and items.
    """
    try:
        header, whole = header_of_stream(stream), None
    except NotDicom as err:
        stream.seek(0)
        if str(err) == NO_DICOM and not may_be_convertible(stream.read(FIRST_READ) or b""):
            raise
        whole = convert_file(_all_of(stream))
        header = read_header(whole, complete=True)
    _check_parts(header)
    return header, whole


def _check_parts(header: Header) -> None:
    """Raise NotDicom if an image has more elements and items, at all depths, than MOST_PARTS.

    Readers of sequences keep an object for each. Structure sets have bounds of their own.
    """
    data, sop_class = header.data, header.text(SOPClassUID)
    if len(data) <= MOST_PARTS * _ITEM_HEAD or (sop_class and sop_class not in IMAGE_CLASSES):
        return  # none is shorter than 8 bytes
    count = 0
    for element in header.elements.values():
        count += 1
        if _has_items(data, element.vr, element.value, undefined=element.undefined):
            explicit = header.explicit and element.vr != b"UN"
            for _ in _parts_in(data, element.value, element.end, explicit=explicit):
                count += 1
                if count > MOST_PARTS:
                    break
        if count > MOST_PARTS:
            raise NotDicom(f"more than {MOST_PARTS:,} elements and items")


def _parts_in(data: bytes, at: int, end: int, *, explicit: bool) -> Iterator[None]:
    """Yield once for each item and element in a sequence, without an object for any.

    Items and sequences are entered where they begin. Where an element reaches beyond the sequence
    around it, the count goes on after the sequence; other readers refuse it.
    """
    around = [(end, explicit, False)]  # of each sequence: end, encoding around it, delimited
    while around:
        stop, before, delimited = around[-1]
        tag = data[at : at + 4]
        if at + _ITEM_HEAD > stop or (delimited and tag == _SEQUENCE_END):
            at, explicit = min(at + _ITEM_HEAD, stop), before
            around.pop()
        elif tag in _ENDS:
            at += _ITEM_HEAD
        elif tag == _ITEM_BEGIN:
            at += _ITEM_HEAD
            yield
        else:
            yield
            vr, at, size = _value_at(data, at, explicit)
            undefined = size == UNDEFINED
            if _has_items(data, vr, at, undefined=undefined):
                around.append((stop if undefined else min(at + size, stop), explicit, undefined))
                explicit = explicit and vr != b"UN"  # PS3.5 6.2.2: UN contains implicit VR
            else:
                at += size


def _value_at(data: bytes, at: int, explicit: bool) -> tuple[bytes, int, int]:  # noqa: FBT001 - called per element
    """Return VR, offset and length of the value of an element at an offset."""
    vr, size = data[at + 4 : at + 6] if explicit else b"", data[at + 4 : at + 8]
    if vr in LONG_VRS:
        return vr, at + 12, int.from_bytes(data[at + 8 : at + 12], "little")
    return vr, at + 8, int.from_bytes(size[2:] if explicit else size, "little")


def _has_items(data: bytes, vr: bytes, at: int, *, undefined: bool) -> bool:
    """Return whether a value is the items of a sequence; implicit VR and UN do not say it."""
    return undefined or vr == b"SQ" or (vr in (b"", b"UN") and data.startswith(_ITEM_BEGIN, at))


def _all_of(stream: ElementStream) -> bytes:
    stream.seek(0)
    data = bytearray()
    while more := stream.read(LARGEST + 1 - len(data)):
        data += more
    if len(data) > LARGEST:
        raise NotDicom("too large to be converted")
    return bytes(data)


def check_trailing_elements(stream: ElementStream, header: Header, end: int, size: int) -> None:
    """Refuse a file with an element after its pixels that belongs before them.

    Other readers would use it. Other bytes there are harmless: padding, a signature, an interrupted
    copy.

    Raises
    ------
    NotDicom
        If there is such an element.
    """
    if size - end < _ITEM_HEAD:
        return
    stream.seek(end)
    rest = stream.read(min(size - end, _MOST_BEHIND)) or b""
    for explicit in (header.explicit, not header.explicit):  # some readers try both encodings
        with suppress(Incomplete):
            for element in _walked(rest, explicit=explicit):
                if element.tag <= PIXEL_DATA:
                    raise NotDicom(f"{tag_text(element.tag)} is after the pixels")
                if explicit != header.explicit:
                    break  # what follows an element is not one of the other encoding


def _walked(data: bytes, *, explicit: bool) -> Iterator[Element]:
    """Yield elements up to the first bytes that are not an element."""
    elements = walk(data, 0, len(data), explicit=explicit)
    while True:
        try:
            element = next(elements, None)
        except NotDicom:
            return
        if element is None or element.tag < _FIRST_ELEMENT:
            return
        yield element


def end_of_fragments(stream: ElementStream, offset: int) -> int:
    """Return the offset after encapsulated pixel data that starts at `offset` (PS3.5 A.4).

    Raises
    ------
    Incomplete
        If the file ends first.
    NotDicom
        If there is something other than fragments.
    """
    while True:
        stream.seek(offset)
        head = stream.read(_ITEM_HEAD) or b""
        if len(head) < _ITEM_HEAD:
            raise Incomplete
        tag = int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little")
        offset += _ITEM_HEAD
        if tag == SEQUENCE_END:
            return offset
        if tag != ITEM:
            raise NotDicom(f"pixel data hold {tag_text(tag)} in place of a fragment")
        offset += int.from_bytes(head[4:], "little")


def is_all_zeros(stream: ElementStream, count: int) -> bool:
    """Return whether the next `count` bytes exist and are all zero."""
    while count > 0:
        part = stream.read(min(count, _CHUNK))
        if not part or any(part):
            return False
        count -= len(part)
    return True
