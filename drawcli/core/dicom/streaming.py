"""Read the header of a file from a stream in few reads, and find the end of its pixels.

The caller opens and closes the stream.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Protocol

from drawcli.core.dicom.conversion import LARGEST, convert_file, may_be_convertible
from drawcli.core.dicom.header import (
    ITEM,
    NO_DICOM,
    PIXEL_DATA,
    SEQUENCE_END,
    Element,
    Header,
    Incomplete,
    NotDicom,
    read_header,
    walk,
)
from drawcli.core.dicom.tags import tag_text

FIRST_READ: Final = 16 << 10  # bytes: more than the header of most slices
LARGEST_HEADER: Final = 64 << 20
_ITEM_HEAD: Final = 8  # bytes: tag and length
_CHUNK: Final = 1 << 20
_MOST_BEHIND: Final = 1 << 20  # bytes after the pixels that are checked
_FIRST_ELEMENT: Final = 0x00080000  # of a data set: zeros are padding


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
        more = stream.read(wanted - len(data)) or b""
        data += more
        ended = not more
        try:
            return read_header(data, complete=ended)
        except Incomplete:
            if ended or wanted > LARGEST_HEADER:
                raise
        wanted *= 4 if len(data) >= wanted else 1


def read_or_convert(stream: ElementStream) -> tuple[Header, bytes | None]:
    """Return the header of a file, converted if the file is irregular.

    Returns
    -------
    tuple
        The header, and all bytes of a converted file or None.

    Raises
    ------
    Incomplete, NotDicom
        As `header_of_stream`.
    """
    try:
        return header_of_stream(stream), None
    except NotDicom as err:
        stream.seek(0)
        if str(err) == NO_DICOM and not may_be_convertible(stream.read(FIRST_READ) or b""):
            raise
    whole = convert_file(_all_of(stream))
    return read_header(whole, complete=True), whole


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
    with suppress(Incomplete):
        for element in _walked(rest, explicit=header.explicit):
            if element.tag <= PIXEL_DATA:
                raise NotDicom(f"{tag_text(element.tag)} is after the pixels")


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
