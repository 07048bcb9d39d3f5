"""The header of a file from a stream, in as few reads as it needs; and where its pixels end.

The stream is somebody else's: nothing is opened or closed here.
"""

from typing import Final, Protocol

from drawcli.core.dicom import (
    ITEM,
    SEQUENCE_END,
    Header,
    Incomplete,
    NotDicom,
    read_header,
    tag_text,
)

FIRST_READ: Final = 16 << 10  # bytes: more than the header of most slices
LARGEST_HEADER: Final = 64 << 20
_ITEM_HEAD: Final = 8  # bytes: tag and length
_CHUNK: Final = 1 << 20


class Stream(Protocol):
    """What is asked of an open file."""

    def read(self, size: int, /) -> bytes | None:
        """Return so many bytes, or fewer."""

    def seek(self, offset: int, /) -> int:
        """Go to an offset."""


def header_from(stream: Stream) -> Header:
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


def behind_fragments(stream: Stream, offset: int) -> int:
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


def only_zeros(stream: Stream, count: int) -> bool:
    """Tell whether so many bytes are there from here on, and all of them zero."""
    while count > 0:
        part = stream.read(min(count, _CHUNK))
        if not part or any(part):
            return False
        count -= len(part)
    return True
