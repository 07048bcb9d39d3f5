"""Checks that a data set consists of its elements only, each once and in order, and not too many.

For the privacy gate: pydicom keeps only the last of two elements with one tag, and what it does not
keep is not searched. Packages have ascending tags and defined lengths (PS3.5 7.1, 7.5.1).

pydicom also keeps an object for each element and item, some hundred times the bytes that an empty
item takes in a file. So they are counted first, as pydicom 3 reads them, also in a damaged file.
"""

import struct
import zlib
from typing import Final

_START: Final = 132  # bytes: preamble and prefix
_BEHIND_META: Final = 0x00030000
_PIXEL_DATA: Final = 0x7FE00010
_ITEM_HEAD: Final = 8  # bytes
_NO_TAG: Final = 1 << 32
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # 32 bits of length
_MOST_PARTS: Final = 1_000_000  # elements and items; 10,000 frames have some 850,000
_LEAST: Final = 8  # bytes of an element or item
_DEEPEST: Final = 64  # nested sequences
_PREFIX: Final = b"DICM"
_META: Final = b"\x02\0"
_SYNTAX: Final = b"\x02\0\x10\0"
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_BEGINNING: Final = 1024  # bytes with the file meta
_LARGEST: Final = 256 << 20  # bytes of an inflated data set
_ITEM_END: Final = 0xFFFEE00D
_UNDEFINED: Final = 0xFFFFFFFF


def is_whole(raw: bytes, *, implicit: bool) -> bool:
    """Return whether a file of a package consists of its elements only, up to the pixels.

    `implicit` is the encoding of its data set.
    """
    meta = _end_of_elements(raw, _START, len(raw), _BEHIND_META, implicit=False)
    return _end_of_elements(raw, meta, len(raw), _PIXEL_DATA, implicit=implicit) >= 0


def are_items_whole(raw: bytes, *, implicit: bool) -> bool:
    """Return whether a sequence consists of its items only, and each item of its elements only."""
    at = 0
    while at < len(raw):
        start = at + _ITEM_HEAD
        end = start + int.from_bytes(raw[at + 4 : start], "little")
        if _end_of_elements(raw, start, min(end, len(raw)), _NO_TAG, implicit=implicit) != end:
            return False
        at = end
    return True


def _end_of_elements(raw: bytes, at: int, end: int, below: int, *, implicit: bool) -> int:
    """Return the offset of the first element from the tag `below` on, or `end`.

    -1 if the elements before are not in order, or fill another length.
    """
    latest = -1
    while 0 <= at < end:
        tag = int.from_bytes(raw[at : at + 2], "little") << 16
        tag += int.from_bytes(raw[at + 2 : at + 4], "little")
        if tag >= below:
            return at
        if tag <= latest:
            return -1
        is_long = not implicit and raw[at + 4 : at + 6] in _LONG
        head = 12 if is_long else 8
        size = raw[at + (head - 4 if implicit or is_long else 6) : at + head]
        latest, at = tag, at + head + int.from_bytes(size, "little")
    return at if at == end else -1


class TooManyParts(ValueError):
    """A file has more elements and items than any image."""


def check_parts(raw: bytes) -> bool:
    """Return whether the pixels were reached, in a file or its beginning.

    Raises
    ------
    TooManyParts
        If there are too many elements and items beside the pixels.
    """
    if len(raw) <= _MOST_PARTS * _LEAST and _DEFLATED not in raw[:_BEGINNING]:
        return False  # it is too short
    data, at = _data_set(raw)
    count = _Count(data, whole=False)
    count.all(at)
    if len(data) - at - count.pixels > _MOST_PARTS * _LEAST:
        _Count(data, whole=True).all(at)
    return count.pixels > 0


def _data_set(raw: bytes) -> tuple[bytes, int]:
    """Return the bytes with the data set, and its offset."""
    at = next((place + 4 for place in (_START - 4, 0) if raw[place : place + 4] == _PREFIX), 0)
    syntax = b""
    while raw[at : at + 2] == _META:
        is_long = raw[at + 4 : at + 6] in _LONG
        begin = at + (12 if is_long else 8)
        size = int.from_bytes(raw[begin - 4 if is_long else begin - 2 : begin], "little")
        if raw[at : at + 4] == _SYNTAX:
            syntax = raw[begin : begin + size].strip(b" \0")
        at = begin + size
    if syntax != _DEFLATED:
        return raw, at
    try:
        plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw[at:], _LARGEST + 1)
    except zlib.error:  # pydicom reads it as it is, or not at all
        return raw, at
    if len(plain) > _LARGEST:
        raise TooManyParts("a file has more than 256 MiB inflated")
    return plain, 0


def _are_letters(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()


class _Count:
    """Counts the elements and items of a data set, and raises TooManyParts.

    If not `whole`, sequences of defined length are not entered.
    """

    def __init__(self, data: bytes, *, whole: bool) -> None:
        self._data, self._whole = data, whole
        self._count = 0
        self.pixels = 0  # bytes of the pixel data

    def all(self, at: int) -> None:
        """Count from an offset on."""
        data = self._data
        order = ">" if data[at : at + 1] == b"\0" != data[at + 1 : at + 2] else "<"
        self._unpack_head = struct.Struct(f"{order}HH2sH").unpack_from
        self._unpack_size = struct.Struct(f"{order}I").unpack_from
        self._item, self._last = (struct.pack(f"{order}HH", 0xFFFE, n) for n in (0xE000, 0xE0DD))
        implicit = not _are_letters(data[at + 4 : at + 6])
        self._elements(at, len(data), len(data), implicit=implicit, depth=0)

    def _elements(self, at: int, end: int, stop: int, *, implicit: bool, depth: int) -> int:
        """Return the offset after the elements from an offset on.

        The data set or item ends at `end`, one of undefined length with its delimiter. The bytes
        that pydicom reads, those of the sequence around it, end at `stop`.
        """
        while at < end and at + _LEAST <= stop:
            begin, (tag, vr, value, size) = at, self._head(at, implicit=implicit)
            if tag == _ITEM_END:
                return value
            self._add()
            if size == _UNDEFINED and (vr == b"UN" or self._is_sequence(tag, vr, value)):
                at = self._items(value, stop, implicit=implicit, depth=depth + 1)
            elif size == _UNDEFINED:
                found = self._data.find(self._last, value, stop)
                at = stop if found < 0 else found + _LEAST
            else:
                at = value + size
                if self._whole and self._is_sequence(tag, vr, value):
                    self._items(value, min(at, stop), implicit=implicit, depth=depth + 1)
            if not depth and tag == _PIXEL_DATA:
                self.pixels = min(at, stop) - begin
        return at

    def _head(self, at: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, VR, offset of the value and its length, of the element at an offset."""
        group, number, vr, size = self._unpack_head(self._data, at)
        tag, value = group << 16 | number, at + _LEAST
        if implicit or not _are_letters(vr):
            return tag, b"", value, self._unpack_size(self._data, at + 4)[0]
        if vr in _LONG:
            has_size = value + 4 <= len(self._data)
            return tag, vr, value + 4, self._unpack_size(self._data, value)[0] if has_size else 0
        return tag, vr, value, size

    def _items(self, at: int, stop: int, *, implicit: bool, depth: int) -> int:
        """Return the offset after the items of a sequence; pydicom takes any tag for an item."""
        if depth > _DEEPEST:
            raise TooManyParts("a header has sequences nested too deep")
        while at + _LEAST <= stop:
            is_last = self._data.startswith(self._last, at)
            size, at = self._unpack_size(self._data, at + 4)[0], at + _LEAST
            if is_last:
                return at
            self._add()
            inside = stop if size == _UNDEFINED else at + size
            inner = implicit or not _are_letters(self._data[at + 4 : at + 6])
            at = self._elements(at, inside, stop, implicit=inner, depth=depth)
        return at

    def _is_sequence(self, tag: int, vr: bytes, at: int) -> bool:
        """Return whether pydicom reads a value as a sequence."""
        if vr not in (b"", b"UN"):
            return vr == b"SQ"
        from pydicom.datadict import dictionary_has_tag, dictionary_VR

        if dictionary_has_tag(tag):
            return dictionary_VR(tag) == "SQ"
        return self._data.startswith(self._item, at)

    def _add(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise TooManyParts(f"a header has more than {_MOST_PARTS:,} elements and items")
