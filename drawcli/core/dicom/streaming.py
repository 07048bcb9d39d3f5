"""The header of a file from a stream, in as few reads as it needs; and where its pixels end.

The stream is somebody else's: nothing is opened or closed here.
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
_MOST_BEHIND: Final = 1 << 20  # bytes behind the pixels that are looked at
_FIRST_ELEMENT: Final = 0x00080000  # of a data set: zeros are padding


class ElementStream(Protocol):
    """What is asked of an open file."""

    def read(self, size: int, /) -> bytes | None:
        """Return so many bytes, or fewer."""

    def seek(self, offset: int, /) -> int:
        """Go to an offset."""


def header_of_stream(stream: ElementStream) -> Header:
    """Read as much of a file as its header needs.

    Raises
    ------
    Incomplete
        Where the file ends inside its header, or the header is larger than any can be.
    NotDicom
        Where it is not a header that can be read.
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
    """Read a header; of a file that lies unusually, that of the bytes into which it is converted.

    Returns
    -------
    tuple
        The header and, where the file was converted, all of it; else None.

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
    """Refuse a file that has an element behind its pixels which belongs before them.

    Other readers would believe it. What else lies there is nobody's value: padding, a signature,
    bytes of an interrupted copy.

    Raises
    ------
    NotDicom
        Where such an element lies there.
    """
    if size - end < _ITEM_HEAD:
        return
    stream.seek(end)
    rest = stream.read(min(size - end, _MOST_BEHIND)) or b""
    with suppress(Incomplete):
        for element in _walked(rest, explicit=header.explicit):
            if element.tag <= PIXEL_DATA:
                raise NotDicom(f"{tag_text(element.tag)} lies behind the pixels")


def _walked(data: bytes, *, explicit: bool) -> Iterator[Element]:
    """Yield elements up to what is none."""
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
    """Return the offset behind encapsulated pixel data that begins at `offset` (PS3.5 A.4).

    Raises
    ------
    Incomplete
        Where the file ends first.
    NotDicom
        Where something else than fragments lies there.
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
            raise NotDicom(f"pixel data hold {tag_text(tag)} where a fragment belongs")
        offset += int.from_bytes(head[4:], "little")


def is_all_zeros(stream: ElementStream, count: int) -> bool:
    """Tell whether so many bytes are there from here on, and all of them zero."""
    while count > 0:
        part = stream.read(min(count, _CHUNK))
        if not part or any(part):
            return False
        count -= len(part)
    return True
