"""Convert an irregular file: to little endian, each element once and in order.

Unambiguous files are converted: big endian and deflated data sets (PS3.5 A.3, A.5), a wrong
transfer syntax, file meta in implicit VR, elements out of order or twice with the same value,
unknown VRs. A file that two readers could read differently is refused. Scan and de-identification
read the same converted bytes.

References
----------
PS3.5 7.1 (data elements), 7.3 (big endian), A.5 (deflate); PS3.10 7.1 (file meta).
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final

from drawcli.core.dicom.encoding import encode, encode_item, file_beginning
from drawcli.core.dicom.header import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    PIXEL_DATA,
    PREAMBLE_LENGTH,
    SHORT_VRS,
    TRANSFER_SYNTAX,
    UNDEFINED,
    Incomplete,
    NotDicom,
    ascii_text,
)
from drawcli.core.dicom.layout_reader import Layout, Part, Reader, head_of, sort_parts, swap_bytes

LARGEST: Final = 256 << 20  # bytes of a file that is converted: it is held in memory
_PLAIN: Final = frozenset({"", IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
_BITS_ALLOCATED: Final = 0x00280100
_WHOLE_WORDS: Final = (8, 16)  # bits of a pixel that big endian words hold unambiguously
_LETTERS: Final = re.compile(rb"[A-Z]{2}")


def may_be_convertible(data: bytes) -> bool:
    """Return whether an irregular file may be DICOM, so that it should be read whole."""
    return data[:4] == b"DICM" or (data[:2] == b"\0\x08" and bool(_LETTERS.match(data[4:6])))


def convert_file(data: bytes) -> bytes:
    """Return a whole file, converted.

    Raises
    ------
    NotDicom
        If it cannot be read, or is ambiguous.
    Incomplete
        If it ends inside its header.
    """
    named, offset = _file_meta(data)
    data_set = data[offset:]
    if named == DEFLATED:
        data_set = _inflate(data_set)  # unchanged if it is not deflated
    if len(data_set) < 8:  # noqa: PLR2004 - the header of an element
        raise Incomplete
    big = not data_set[0] and bool(data_set[1])  # no group of an image is a multiple of 256
    explicit = bool(_LETTERS.match(data_set[4:6]))
    if big and (not explicit or named not in _PLAIN):
        raise NotDicom("the data set is not in the named transfer syntax")
    parts, pixels, layout = _read(data_set, explicit=explicit, big=big)
    syntax = IMPLICIT_LITTLE if not explicit else EXPLICIT_LITTLE if named in _PLAIN else named
    body = _encode(sort_parts(parts, -1), explicit=explicit)
    meta = encode(TRANSFER_SYNTAX, b"UI", syntax.encode("ascii", "surrogateescape"), explicit=True)
    return file_beginning(meta) + body + _pixels(data_set, pixels, parts, layout)


def _file_meta(data: bytes) -> tuple[str, int]:
    """Return the transfer syntax ("" if missing) and the offset after the file meta.

    File meta is explicit VR little endian (PS3.10 7.1); some writers omit the VRs.
    """
    at = next((place for place in (PREAMBLE_LENGTH, 0) if data[place : place + 4] == b"DICM"), -4)
    at, named = at + 4, set[str]()
    while data[at : at + 2] == b"\x02\0":
        explicit = data[at + 4 : at + 6] in LONG_VRS | SHORT_VRS
        tag, _, start, length = head_of(data, at, len(data), Layout(explicit, big=False))
        if length == UNDEFINED:
            raise NotDicom("file meta of undefined length")
        if start + length > len(data):
            raise Incomplete
        if tag == TRANSFER_SYNTAX:
            named.add(ascii_text(data[start : start + length]))
        at = start + length
    if len(named) > 1:
        raise NotDicom("two transfer syntaxes")
    return next(iter(named), ""), at


def _inflate(data: bytes) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(data, LARGEST + 1)
    except zlib.error:
        return data
    if len(plain) > LARGEST:
        raise NotDicom("too large to be converted")
    return plain


def _read(data: bytes, *, explicit: bool, big: bool) -> tuple[list[Part], int, Layout]:
    """Return the elements before the pixels, the offset of the pixels or -1, and the layout.

    The length of an unknown VR has 16 or 32 bits (PS3.5 7.1.2): only one of them may fit.
    """
    readings, errors = [], list[NotDicom | Incomplete]()
    for long_unknown in (False, True) if explicit else (False,):
        layout = Layout(explicit, big, long_unknown)
        reader = Reader(data, layout)
        try:
            parts, at = reader.elements(0, len(data), top=True)
        except (NotDicom, Incomplete) as err:
            errors.append(err)
            continue
        readings.append((parts, at, layout))
        if not reader.unknown:
            break
    if not readings:
        raise errors[0]
    if len(readings) > 1:
        raise NotDicom("an unknown VR that can be read in two ways")
    return readings[0]


def _encode(parts: Iterable[Part], *, explicit: bool) -> bytes:
    written = bytearray()
    for tag, vr, value in parts:
        items = () if isinstance(value, bytes) else value
        inside = b"".join(encode_item(_encode(item, explicit=explicit)) for item in items)
        whole = value if isinstance(value, bytes) else inside
        written += encode(tag, vr, whole, explicit=explicit)
    return bytes(written)


def _pixels(data: bytes, at: int, parts: Iterable[Part], layout: Layout) -> bytes:
    """Return the pixel data element of the new file and the bytes after it."""
    if at < 0:
        return b""
    if not layout.big:
        return data[at:]
    _, vr, start, length = head_of(data, at, len(data), layout)
    bits = next((part.value for part in parts if part.tag == _BITS_ALLOCATED), b"")
    wide = vr == b"OW" and bits not in [n.to_bytes(2, "little") for n in _WHOLE_WORDS]
    if wide or length == UNDEFINED or vr not in (b"OW", b"OB"):
        return b""  # ambiguous: a file without pixels is not a slice
    after = data[start + length : start + length + 4]
    if any(after) and int.from_bytes(after[:2], "big") << 16 <= PIXEL_DATA:
        raise NotDicom("an element after the pixels")
    there = data[start : start + length]
    whole = len(there) - len(there) % 2
    head = encode(PIXEL_DATA, vr, b"", explicit=True)[:8] + length.to_bytes(4, "little")
    return head + swap_bytes(there[:whole], vr) + there[whole:]
