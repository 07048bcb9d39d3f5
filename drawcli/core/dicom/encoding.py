"""Encode elements and file meta in little endian (PS3.5 7.1, PS3.10 7.1)."""

import struct
from typing import Final

from drawcli.core.dicom.header import (
    ITEM,
    LONG_VRS,
    PIXEL_DATA,
    PREAMBLE_LENGTH,
    UNDEFINED,
    NotDicom,
)
from drawcli.core.dicom.tags import tag_text

_TAG: Final = struct.Struct("<HH")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")


def encode(tag: int, vr: bytes, value: bytes, *, explicit: bool) -> bytes:
    """Return one element as bytes; a value of odd length is padded by its VR (PS3.5 6.2)."""
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB", b"UN") else b" "
    head = _TAG.pack(tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + _U32.pack(len(value)) + value
    if vr in LONG_VRS:
        return head + vr + b"\0\0" + _U32.pack(len(value)) + value
    if len(value) > 0xFFFF:  # noqa: PLR2004 - a short VR has 16 bits for its length
        raise NotDicom(f"{tag_text(tag)} is too long for its VR")
    return head + vr + _U16.pack(len(value)) + value


def implicit_head(tag: int, length: int) -> bytes:
    """Return the head of an element of implicit VR, or of an item."""
    return _TAG.pack(tag >> 16, tag & 0xFFFF) + _U32.pack(length)


def encode_item(content: bytes) -> bytes:
    """Return an item of defined length."""
    return _TAG.pack(ITEM >> 16, ITEM & 0xFFFF) + _U32.pack(len(content)) + content


def file_beginning(meta: bytes) -> bytes:
    """Return a zeroed preamble, the prefix, and the elements of the file meta with their length."""
    length = encode(0x00020000, b"UL", _U32.pack(len(meta)), explicit=True)
    return bytes(PREAMBLE_LENGTH) + b"DICM" + length + meta


def encode_pixel_head(length: int, bits: int, *, explicit: bool) -> bytes:
    """Return tag, VR and length of pixel data (PS3.5 8.1.2, A.2, A.4).

    Parameters
    ----------
    length
        In bytes; `UNDEFINED` for compressed pixels.
    bits
        Allocated for a pixel.
    explicit
        Whether the VR is written.
    """
    vr = b"OB\0\0" if bits <= 8 or length == UNDEFINED else b"OW\0\0"  # noqa: PLR2004
    head = _TAG.pack(PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF) + (vr if explicit else b"")
    return head + _U32.pack(length)
