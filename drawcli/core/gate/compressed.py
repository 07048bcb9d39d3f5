"""Split compressed frames into the bytes of the picture and all other bytes.

For the privacy gate, which shares no code with the de-identifier. RLE frames are decoded; frames of
the JPEG family are split into segments.

References
----------
PS3.5 A.4, Annex G; ITU-T T.81 B.1, T.87 C, T.800 A.
"""

import re
from collections.abc import Iterator
from typing import Final

NATIVE: Final = frozenset({"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
_RLE: Final = "1.2.840.10008.1.2.5"
_LS: Final = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_HEADER: Final = 64  # bytes of an RLE frame
_MARGINS: Final = frozenset({*range(0xE0, 0xF0), 0xFE})  # APPn and COM
_MARGINS_2000: Final = frozenset({0x57, 0x58, 0x64})  # PLM, PLT: lengths of packets; COM
# The end of entropy-coded bytes: FF and a byte that is neither stuffed nor a restart.
_SCAN_END: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
_SCAN_END_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)

Part = tuple[bytes, bool]  # bytes of a frame, and whether they are part of the picture


def split_picture(
    value: bytes, transfer_syntax: str, pixels: int
) -> tuple[list[bytes], list[bytes]]:
    """Return the parts of encapsulated pixel data that are picture, and the other parts.

    Parameters
    ----------
    value
        The items of the pixel data, without the delimiter.
    transfer_syntax
        A compressed one.
    pixels
        Rows x Columns: the decoded length of an RLE segment, bytes.

    Raises
    ------
    ValueError
        If the bytes cannot be split.
    """
    picture: list[bytes] = []
    rest: list[bytes] = []
    for frame in _frames(value, transfer_syntax):
        for part, is_picture in _parts(frame, transfer_syntax, pixels):
            (picture if is_picture else rest).append(part)
    return picture, rest


def has_content(rest: list[bytes], transfer_syntax: str) -> bool:
    """Return whether bytes outside the picture are more than padding."""
    filling = b"\0\x80" if transfer_syntax == _RLE else b"\0"
    return any(part.strip(filling) for part in rest)


def _frames(value: bytes, transfer_syntax: str) -> list[bytes]:
    """Return the frames: fragments are joined up to the next start of a frame."""
    fragments = list(_items(value))[1:]  # the first is the offset table
    if transfer_syntax == _RLE:
        return fragments
    frames: list[bytes] = []
    for fragment in fragments:
        if fragment[:2] in (b"\xff\xd8", b"\xff\x4f") or not frames:
            frames.append(fragment)
        else:
            frames[-1] += fragment
    return frames


def _items(value: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(value) and value[at : at + 4] != b"\xfe\xff\xdd\xe0":
        if value[at : at + 4] != b"\xfe\xff\x00\xe0":
            raise ValueError("no item")
        length = int.from_bytes(value[at + 4 : at + 8], "little")
        if at + 8 + length > len(value):
            raise ValueError("an item is cut off")
        yield value[at + 8 : at + 8 + length]
        at += 8 + length


def _parts(frame: bytes, transfer_syntax: str, pixels: int) -> Iterator[Part]:
    if transfer_syntax == _RLE:
        return _parts_of_rle(frame, pixels)
    if frame[:2] == b"\xff\xd8":
        return _parts_of_jpeg(frame, _SCAN_END_LS if transfer_syntax in _LS else _SCAN_END)
    if frame[:2] == b"\xff\x4f":
        return _parts_of_2000(frame)
    raise ValueError("no frame")


def _parts_of_jpeg(frame: bytes, scan_end: re.Pattern[bytes]) -> Iterator[Part]:
    """Yield the segments of a frame and the entropy-coded bytes between them."""
    at = 2
    while frame[at : at + 1] == b"\xff":
        marker = frame[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
            continue
        if marker == 0xD9:  # noqa: PLR2004 - EOI
            yield frame[at + 2 :], False
            return
        end = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        yield frame[at : at + 4], True
        yield frame[at + 4 : end], marker not in _MARGINS
        at = end
        if marker == 0xDA:  # noqa: PLR2004 - SOS
            end_of_scan = scan_end.search(frame, at)
            if end_of_scan is None:
                raise ValueError("no end")
            yield frame[at : end_of_scan.start()], True
            at = end_of_scan.start()
    raise ValueError("no marker")


def _parts_of_2000(frame: bytes) -> Iterator[Part]:
    """Yield the segments of a codestream and the bodies of its tile-parts."""
    at, tile_end, marker = 2, len(frame), 0
    while frame[at : at + 1] == b"\xff":
        before, marker = marker, frame[at + 1]
        if marker == 0xD9:  # noqa: PLR2004 - EOC
            yield frame[at + 2 :], False
            return
        if marker == 0x93:  # noqa: PLR2004 - SOD
            yield frame[at:tile_end], True
            at = tile_end
            continue
        end = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0x90:  # noqa: PLR2004 - SOT
            if before == marker:
                raise ValueError("a tile without data")
            whole = int.from_bytes(frame[at + 6 : at + 10], "big")
            tile_end = at + whole if whole else frame.index(b"\xff\xd9", at)
        is_picture = marker not in _MARGINS_2000
        yield (frame[at:end] if is_picture else frame[at + 4 : end]), is_picture
        at = end
    raise ValueError("no marker")


def _parts_of_rle(frame: bytes, pixels: int) -> Iterator[Part]:
    """Yield the header and the decoded segments of a frame, and the bytes between them."""
    count = int.from_bytes(frame[:4], "little")
    if not 1 <= count <= 15:  # noqa: PLR2004 - the most that a header has room for
        raise ValueError("no RLE header")
    starts = [int.from_bytes(frame[4 + 4 * n : 8 + 4 * n], "little") for n in range(count)]
    if starts[0] != _HEADER or starts != sorted(starts):
        raise ValueError("no RLE header")
    yield frame[: 4 + 4 * count], True
    yield frame[4 + 4 * count : _HEADER], False
    for start, stop in zip(starts, [*starts[1:], len(frame)], strict=True):
        have, used = 0, start
        for decoded, end in _runs(frame[start:stop]):
            if have >= pixels:
                break
            have, used = have + len(decoded), start + end
            yield decoded, True
        yield frame[used:stop], False


def _runs(segment: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the decoded bytes of each run of a segment, and its end."""
    at = 0
    while at + 1 < len(segment):
        control = segment[at]
        if control < 128:  # noqa: PLR2004 - literal bytes
            end = at + 2 + control
            if end > len(segment):
                return
            yield segment[at + 1 : end], end
        elif control > 128:  # noqa: PLR2004 - a repeated byte
            end = at + 2
            yield segment[at + 1 : end] * (257 - control), end
        else:
            end = at + 1
        at = end
