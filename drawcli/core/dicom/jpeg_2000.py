"""Clean JPEG 2000 codestreams: overwrite comments, packet lengths, and bytes after their end.

Every other segment must be exactly as long as needed, so that it cannot hold a text.

References
----------
ITU-T T.800 A.2 to A.9 (markers), T.814 A.3 (CAP of High-Throughput JPEG 2000).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from drawcli.core.dicom.header import NotDicom

_MARKER: Final = 2  # bytes
_SOC, _SOT, _SOD, _EOC = 0x4F, 0x90, 0x93, 0xD9
_CAP, _SIZ, _COD, _COC, _TLM, _PLM, _PLT = 0x50, 0x51, 0x52, 0x53, 0x55, 0x57, 0x58
_QCD, _QCC, _RGN, _CRG, _COMMENT = 0x5C, 0x5D, 0x5E, 0x63, 0x64
# Packet lengths are optional for a decoder.
_DISPENSABLE: Final = frozenset({_PLM, _PLT, _COMMENT})
_SOT_FIELDS: Final = Struct(">HHIBB")
_SIZ_FIXED: Final = 36  # bytes before those of each component
_COMPONENT: Final = 3
_NO_VALUES, _DERIVED = 0, 1  # styles of quantization


@dataclass(slots=True)
class _Stream:
    """The values of the segments so far."""

    levels: int = -1  # of decomposition; -1 before COD
    tile_end: int = 0
    tiles: list[int] = field(default_factory=list)  # lengths of the tile-parts
    announced: list[int] = field(default_factory=list)  # lengths by TLM


def clean_jpeg_2000(frame: bytearray) -> None:
    """Overwrite the parts of a frame that its picture does not need; its length stays.

    Raises
    ------
    NotDicom
        If a segment is unknown, or longer than needed.
    IndexError, struct.error
        If the frame is cut off.
    """
    if frame[:4] == b"\0\0\0\x0c":
        raise NotDicom("a frame is a JP2 file, with boxes around its codestream")
    if frame[:2] != bytes((0xFF, _SOC)):
        raise NotDicom("a frame does not start with the JPEG 2000 marker SOC")
    stream, at = _Stream(), 2
    while True:
        start = at
        at, marker = marker_at(frame, at)
        if at - start > _MARKER:
            raise NotDicom("a JPEG 2000 frame has bytes between its segments")
        if marker == _EOC:
            break
        if marker == _SOD:
            at = _end_of_tile(frame, at, stream)
        else:
            at = _clean_segment(frame, start, at, stream)
    overwrite(frame, at, len(frame))
    if not stream.tiles or (stream.announced and stream.announced != stream.tiles):
        raise NotDicom("a JPEG 2000 frame has no tiles, or other tiles than announced")


def _clean_segment(frame: bytearray, start: int, at: int, stream: _Stream) -> int:
    """Return the end of a segment; one that no picture needs is overwritten."""
    marker, end = frame[at - 1], at + int.from_bytes(frame[at : at + 2], "big")
    body = body_of(frame, at + 2, end)
    if marker in _DISPENSABLE:
        frame[at - 1] = _COMMENT
        overwrite(frame, at + 2, end)
    elif marker == _SOT:
        _begin_tile(frame, start, body, stream)
    elif marker not in _NEEDED or len(body) != _NEEDED[marker](body, stream):
        raise NotDicom(
            f"a segment FF{marker:02X} of a JPEG 2000 frame is unknown, or longer than needed"
        )
    return end


def _begin_tile(frame: bytearray, start: int, body: bytes, stream: _Stream) -> None:
    """Record the end of a tile-part; the last may extend to the end of the frame."""
    if stream.tile_end or len(body) != _SOT_FIELDS.size - 2:
        raise NotDicom("a tile of a JPEG 2000 frame lacks its one header of the required length")
    whole = _SOT_FIELDS.unpack_from(frame, start + 2)[2]
    # Within coded bytes, FF is never followed by anything above 8F.
    stream.tile_end = start + whole if whole else frame.index(bytes((0xFF, _EOC)), start)
    stream.tiles.append(stream.tile_end - start)


def _end_of_tile(frame: bytearray, at: int, stream: _Stream) -> int:
    end, stream.tile_end = stream.tile_end, 0
    if not at <= end < len(frame):
        raise NotDicom("a tile of a JPEG 2000 frame is longer than the frame, or has no header")
    return end


def _coding_length(body: bytes, stream: _Stream) -> int:
    stream.levels = body[5]
    return 10 + _precincts(body[0], body[5])


def _precincts(style: int, levels: int) -> int:
    return levels + 1 if style & 1 else 0


def _quantization_length(body: bytes, levels: int) -> int:
    bands, style = 3 * levels + 1, body[0] & 0x1F
    if style == _NO_VALUES:
        return 1 + bands
    return 1 + 2 * (1 if style == _DERIVED else bands)


def _announcement_length(body: bytes, stream: _Stream) -> int:
    """Record the lengths of tile-parts by TLM; return the needed length of TLM."""
    index, length = (body[1] >> 4) & 3, 4 if body[1] & 0x40 else 2
    size = index + length
    whole = 2 + (len(body) - 2) // size * size
    stream.announced += [
        int.from_bytes(body[at + index : at + size], "big") for at in range(2, whole, size)
    ]
    return whole


# The needed length of each segment that stays, bytes; component numbers have one byte.
_NEEDED: Final[dict[int, Callable[[bytes, _Stream], int]]] = {
    _CAP: lambda body, _: 4 + 2 * int.from_bytes(body[:4], "big").bit_count(),
    _SIZ: lambda body, _: _SIZ_FIXED + _COMPONENT * int.from_bytes(body[34:36], "big"),
    _COD: _coding_length,
    _COC: lambda body, _: 7 + _precincts(body[1], body[2]),
    _TLM: _announcement_length,
    _QCD: lambda body, stream: _quantization_length(body, stream.levels),
    _QCC: lambda body, stream: _quantization_length(body[1:], stream.levels) + 1,
    _RGN: lambda _, __: 3,  # component, style, shift
    _CRG: lambda _, __: 4,  # across and down
}


# --- segments of JPEG and JPEG 2000: FF, a marker, usually a length and a body (T.81 B.1.1)


def marker_at(frame: bytearray, at: int) -> tuple[int, int]:
    """Return the offset after the next marker, and the marker."""
    if frame[at] != 0xFF:  # noqa: PLR2004 - the first byte of a marker
        raise NotDicom("a compressed frame has bytes between its segments")
    while frame[at] == 0xFF:  # noqa: PLR2004 - fill bytes
        at += 1
    return at + 1, frame[at]


def body_of(frame: bytearray, start: int, end: int) -> bytes:
    """Return the bytes of a segment."""
    if end < start or end > len(frame):
        raise NotDicom("a segment of a compressed frame is longer than the frame")
    return bytes(frame[start:end])


def overwrite(frame: bytearray, start: int, end: int) -> None:
    """Overwrite bytes of a frame with zeros."""
    frame[start:end] = bytes(end - start)
