"""Where each frame of compressed pixel data lies, to read one without those before it.

References
----------
PS3.5 A.4 (encapsulation: offset table, fragments).
"""

from itertools import pairwise
from typing import Final, NamedTuple

from drawcli.core.dicom.codestream import RLE, FrameLayout, clean_pixel_data
from drawcli.core.dicom.header import ITEM, SEQUENCE_END, NotDicom
from drawcli.core.dicom.streaming import ElementStream

_HEAD: Final = 8  # bytes: tag and length
_BEGINNINGS: Final = (b"\xff\xd8", b"\xff\x4f")  # of a frame: SOI, SOC
_EMPTY_TABLE: Final = bytes.fromhex("FEFF00E000000000")
_END: Final = bytes.fromhex("FEFFDDE000000000")
_MOST_FRAGMENTS: Final = 1_000_000


class PixelItem(NamedTuple):
    """An item of the pixel data, with its head."""

    start: int  # offset in the file
    end: int
    begins: bool  # whether its first bytes are the start of a frame


def index_frames(
    stream: ElementStream, start: int, count: int, transfer_syntax: str, extended: bytes = b""
) -> list[tuple[int, int]]:
    """Return the range of the fragments of each frame in a file.

    Parameters
    ----------
    stream
        The file.
    start
        Offset of the pixel data's value.
    count
        Number of frames.
    transfer_syntax
        A compressed one.
    extended
        Of the header: ExtendedOffsetTable (7FE0,0001), for a file whose own table is empty.

    Raises
    ------
    NotDicom
        If the fragments cannot be assigned to frames.
    """
    table, *fragments = _items(stream, start)
    if not fragments:
        raise NotDicom("the pixel data have no fragment")
    stream.seek(table.start + _HEAD)
    raw = stream.read(table.end - table.start - _HEAD) or b""
    offsets = _numbers(raw, 4) or _numbers(extended, 8)
    if offsets:
        starts = [table.end + offset for offset in offsets]
    elif len(fragments) == count or transfer_syntax == RLE:
        starts = [fragment.start for fragment in fragments]
    else:
        starts = [fragment.start for fragment in fragments if fragment.begins]
    known = {fragment.start for fragment in fragments}
    if len(starts) != count or not known.issuperset(starts) or starts[0] != fragments[0].start:
        raise NotDicom("the fragments of the pixel data cannot be assigned to frames")
    if starts != sorted(set(starts)):
        raise NotDicom("the offset table of the pixel data is not in order")
    return list(pairwise([*starts, fragments[-1].end]))


def _numbers(raw: bytes, size: int) -> list[int]:
    return [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]


def _items(stream: ElementStream, at: int) -> list[PixelItem]:
    """Return every item of the pixel data; the first is the offset table."""
    found: list[PixelItem] = []
    while len(found) <= _MOST_FRAGMENTS:
        stream.seek(at)
        head = stream.read(_HEAD + 2) or b""
        tag = int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little")
        if tag == SEQUENCE_END and found:
            return found
        if tag != ITEM or len(head) < _HEAD:
            break
        end = at + _HEAD + int.from_bytes(head[4:8], "little")
        found.append(PixelItem(at, end, head[_HEAD:] in _BEGINNINGS))
        at = end
    raise NotDicom("the pixel data hold something other than fragments")


def clean_frame(fragments: bytes, transfer_syntax: str, layout: FrameLayout) -> list[bytes]:
    """Return one frame as encapsulated pixel data of a single-frame image, cleaned.

    Raises
    ------
    NotDicom
        As `clean_pixel_data`.
    """
    whole = _EMPTY_TABLE + fragments + _END
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        at += size
        return whole[at - size : at]

    return list(clean_pixel_data(read, transfer_syntax, layout._replace(frames=1)))


def codestream_of(pieces: list[bytes]) -> bytes:
    """Return the codestream in the pieces of `clean_frame`, fragments joined."""
    return b"".join(pieces[5:-1:3])  # after the table, a fragment is item, length and value
