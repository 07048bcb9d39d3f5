"""Little endian data sets of explicit VR, made by hand."""

import struct
from collections.abc import Iterable

_LONG = frozenset({b"SQ", b"UN", b"OB"})


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of an even length."""
    value += b" " * (len(value) % 2)
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def item(inside: bytes) -> bytes:
    """Return an item."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(inside)) + inside


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Return a sequence with these items."""
    return element(tag, b"SQ", b"".join(map(item, items)))


def nested(tag: int, depth: int) -> bytes:
    """Return sequences of undefined length within each other."""
    begin = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, 0xFFFFFFFF)
    begin += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * depth


HEAD = element(0x00080060, b"CS", b"RTSTRUCT")
