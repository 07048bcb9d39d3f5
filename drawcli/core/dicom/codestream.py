"""Clean compressed frames: overwrite comments, application data and bytes after the picture.

A frame keeps its length and every byte of the picture; bytes that could hold a text become zeros.
Unknown segments are refused.

References
----------
PS3.5 A.4 (encapsulation), Annex G (RLE); ITU-T T.81 B.1 (JPEG), T.87 C (JPEG-LS), T.800 A (JPEG
2000), T.814 A (High-Throughput JPEG 2000).
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import Struct
from struct import error as out_of_bytes
from typing import Final, NamedTuple

from drawcli.core.dicom.header import NotDicom
from drawcli.core.dicom.jpeg_2000 import body_of, clean_jpeg_2000, marker_at, overwrite

RLE: Final = "1.2.840.10008.1.2.5"
JPEG: Final = "1.2.840.10008.1.2.4."
_FRAME_STARTS: Final = {  # SOF markers by the last component of the transfer syntax
    "50": {0xC0},
    "51": {0xC0, 0xC1},
    "57": {0xC3},
    "70": {0xC3},
    "80": {0xF7},
    "81": {0xF7},
}
_JPEG_LS: Final = frozenset({"80", "81"})
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_DHT, _DQT, _DNL, _DRI, _LSE, _COM = 0xC4, 0xDB, 0xDC, 0xDD, 0xF8, 0xFE
_RESTARTS: Final = range(0xD0, 0xD8)
_APPLICATION: Final = range(0xE0, 0xF0)
_SOC: Final = 0x4F
_U16: Final = Struct(">H")
_L32, _RLE_HEADER = Struct("<I"), Struct("<16I")
_BEGINNINGS: Final = (bytes((0xFF, _SOI)), bytes((0xFF, _SOC)))
_ITEM, _DELIMITER = bytes.fromhex("FEFF00E0"), bytes.fromhex("FEFFDDE0")
_MOST_SEGMENTS: Final = 15
_NO_OUTPUT: Final = 0x80  # a control byte of RLE without output


class FrameLayout(NamedTuple):
    """The layout of the frames by the header."""

    rows: int
    columns: int
    bytes_allocated: int  # of a pixel: 1, 2 or 4
    frames: int


def clean_pixel_data(
    read: Callable[[int], bytes], transfer_syntax: str, layout: FrameLayout
) -> Iterator[bytes]:
    """Yield cleaned encapsulated pixel data, from the offset table to the delimiter.

    Parameters
    ----------
    read
        Returns the next bytes of the value, as many as requested; fewer at its end.
    transfer_syntax
        RLE, or one of the JPEG family.
    layout
        The layout of the frames by the header.

    Yields
    ------
    bytes
        The same total length, frame after frame: one frame is held in memory.

    Raises
    ------
    NotDicom
        If the bytes are not frames of that syntax, or hold unknown segments.
    """
    table = _item(read)
    if table is None or len(table) % _L32.size:
        raise NotDicom("the offset table of the pixel data is damaged")
    offsets = [_L32.unpack_from(table, at)[0] for at in range(0, len(table), _L32.size)]
    if offsets and len(offsets) != layout.frames:
        raise NotDicom("the offset table does not have one offset for each frame")
    yield from (_ITEM, _L32.pack(len(table)), table)
    count = 0
    for fragments in _frames(read, offsets, layout.frames, rle=transfer_syntax == RLE):
        count += 1
        frame = bytearray(b"".join(fragments))
        _clean(frame, transfer_syntax, layout)
        at = 0
        for fragment in fragments:
            yield from (_ITEM, _L32.pack(len(fragment)), bytes(frame[at : at + len(fragment)]))
            at += len(fragment)
    if count != layout.frames:
        raise NotDicom(f"the pixel data hold {count} frames, the header says {layout.frames}")
    yield _DELIMITER + bytes(4)


def _item(read: Callable[[int], bytes]) -> bytes | None:
    """Return the value of the next item; None at the delimiter."""
    head = read(8)
    if len(head) < 8:  # noqa: PLR2004 - tag and length
        raise NotDicom("the pixel data end without a delimiter")
    length = _L32.unpack_from(head, 4)[0]
    if head[:4] == _DELIMITER and not length:
        return None
    if head[:4] != _ITEM:
        raise NotDicom("the pixel data hold something other than fragments")
    value = read(length)
    if len(value) != length:
        raise NotDicom("the pixel data end within a fragment")
    return value


def _frames(
    read: Callable[[int], bytes], offsets: list[int], count: int, *, rle: bool
) -> Iterator[list[bytes]]:
    """Yield the fragments of each frame, by the offset table or by their first bytes.

    Within a codestream, FF is never followed by the second byte of a start marker.
    """
    at, fragments, started = 0, list[bytes](), 0
    while (fragment := _item(read)) is not None:
        begins = at == offsets[started] if started < len(offsets) else False
        if not offsets:
            begins = not started or (count > 1 and (rle or fragment[:2] in _BEGINNINGS))
        if begins and fragments:
            yield fragments
            fragments = []
        if not begins and not started:
            raise NotDicom("the offset table does not start at the first fragment")
        started += begins
        fragments.append(fragment)
        at += 8 + len(fragment)
    if started < len(offsets):
        raise NotDicom("an offset of the offset table is not the start of a fragment")
    if fragments:
        yield fragments


def _clean(frame: bytearray, transfer_syntax: str, layout: FrameLayout) -> None:
    """Overwrite the bytes of a frame that are not picture."""
    kind = transfer_syntax.removeprefix(JPEG)
    try:
        if transfer_syntax == RLE:
            _clean_rle(frame, layout)
        elif kind in _FRAME_STARTS:
            _clean_jpeg(frame, kind)
        else:
            clean_jpeg_2000(frame)
    except (IndexError, ValueError, out_of_bytes):
        raise NotDicom("a compressed frame is cut off") from None


def _clean_jpeg(frame: bytearray, kind: str) -> None:
    """Overwrite APPn and COM of a JPEG or JPEG-LS frame, and bytes after its end."""
    if frame[:2] != bytes((0xFF, _SOI)):
        raise NotDicom("a frame does not start with the JPEG marker SOI")
    at, seen = 2, list[int]()
    while True:
        at, marker = marker_at(frame, at)
        if marker == _EOI:
            overwrite(frame, at, len(frame))
            break
        end = at + _U16.unpack_from(frame, at)[0]
        body = body_of(frame, at + _U16.size, end)
        if marker in _APPLICATION or marker == _COM:
            overwrite(frame, at + _U16.size, end)
        else:
            _check_segment(marker, body, kind)
        seen.append(marker)
        at = _end_of_scan(frame, end, kind) if marker == _SOS else end
    if seen.count(_SOS) != 1 or sum(marker in _FRAME_STARTS[kind] for marker in seen) != 1:
        raise NotDicom("a JPEG frame does not have one picture in one scan")  # of one component


def _check_segment(marker: int, body: bytes, kind: str) -> None:
    """Refuse a segment that is unknown, or longer than needed."""
    starts = _FRAME_STARTS[kind]
    if marker in starts:
        fits = len(body) == 6 + 3 * body[5]
    elif marker == _SOS:
        fits = len(body) == 4 + 2 * body[0]
    elif marker == _DHT:
        fits = kind not in _JPEG_LS and _tables_fit(body, _huffman_length)
    elif marker == _DQT:
        fits = kind not in _JPEG_LS and _tables_fit(body, _quantization_length)
    elif marker in (_DRI, _DNL):
        fits = len(body) == 2  # noqa: PLR2004 - one number
    elif marker == _LSE:  # preset parameters; mapping tables belong to colours
        fits = kind in _JPEG_LS and len(body) == 11 and body[0] == 1  # noqa: PLR2004
    else:
        raise NotDicom(f"a JPEG frame holds an unknown segment FF{marker:02X}")
    if not fits:
        raise NotDicom(f"a segment FF{marker:02X} of a JPEG frame does not have the needed length")


def _huffman_length(body: bytes, at: int) -> int:
    return 17 + sum(body[at + 1 : at + 17])


def _quantization_length(body: bytes, at: int) -> int:
    return 129 if body[at] >> 4 else 65


def _tables_fit(body: bytes, length_of: Callable[[bytes, int], int]) -> bool:
    """Return whether a segment consists of whole tables."""
    at = 0
    while at < len(body):
        at += length_of(body, at)
    return at == len(body)


def _end_of_scan(frame: bytearray, at: int, kind: str) -> int:
    """Return the end of the entropy-coded bytes, where a marker starts."""
    least = 0x80 if kind in _JPEG_LS else 1  # below, a byte after FF is stuffed
    while True:
        at = frame.index(0xFF, at)
        behind = frame[at + 1]
        if behind == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif behind < least or behind in _RESTARTS:
            at += 2
        else:
            return at


def _clean_rle(frame: bytearray, layout: FrameLayout) -> None:
    """Overwrite the bytes between and after the segments of an RLE frame."""
    count, *offsets = _RLE_HEADER.unpack_from(frame)
    if count != layout.bytes_allocated or count > _MOST_SEGMENTS:
        raise NotDicom("an RLE frame does not have one segment for each byte of a pixel")
    overwrite(frame, 4 + 4 * count, _RLE_HEADER.size)
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] != _RLE_HEADER.size or bounds != sorted(set(bounds)):
        raise NotDicom("the segments of an RLE frame are not in order")
    for start, stop in pairwise(bounds):
        end = _end_of_runs(frame, start, stop, layout.rows * layout.columns)
        slack = stop - end
        frame[end:stop] = bytes([0 if slack == 1 else _NO_OUTPUT]) * slack


def _end_of_runs(frame: bytearray, at: int, stop: int, wanted: int) -> int:
    """Return the end of the runs of a segment that decode to `wanted` bytes."""
    while wanted > 0:
        if at >= stop:
            raise NotDicom("an RLE frame ends before its last pixel")
        control = frame[at]
        if control < _NO_OUTPUT:
            wanted -= control + 1
            at += control + 2
        elif control > _NO_OUTPUT:
            wanted -= 257 - control
            at += 2
        else:
            at += 1
    if wanted or at > stop:
        raise NotDicom("a run of an RLE frame is longer than its segment")
    return at
