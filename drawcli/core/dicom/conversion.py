"""A file that lies unusually, laid out as usual: in little endian, each element once and in order.

What can be read without doubt is converted: big endian and deflated data sets (PS3.5 A.3, A.5), a
transfer syntax that is not the one of the bytes, file meta in implicit VR, elements out of order or
twice with the same value, VRs that the standard does not know. Where two readers could see two
values the file is refused. Scan and de-identification read the same converted bytes.

References
----------
PS3.5 7.1 (data elements), 7.3 (big endian), A.5 (deflate); PS3.10 7.1 (file meta).
"""

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from drawcli.core.dicom.header import (
    DEEPEST,
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_DATA,
    PREAMBLE_LENGTH,
    SEQUENCE_END,
    SHORT_VRS,
    TRANSFER_SYNTAX,
    UNDEFINED,
    Incomplete,
    NotDicom,
    ascii_text,
    encode,
    encode_item,
    tag_text,
)

LARGEST: Final = 256 << 20  # bytes of a file that is converted: it is held in memory
_PLAIN: Final = frozenset({"", IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
_DELIMITERS: Final = 0xFFFE
_BITS_ALLOCATED: Final = 0x00280100
_WHOLE_WORDS: Final = (8, 16)  # bits of a pixel that big endian words hold in one way only
_WIDTHS: Final = {  # bytes of one number, which big endian has the other way round
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8),
}
_LETTERS: Final = re.compile(rb"[A-Z]{2}")


class _Part(NamedTuple):
    """One element: its value, or the elements of each of its items."""

    tag: int
    vr: bytes  # b"" in implicit VR
    value: "bytes | list[list[_Part]]"


class _Layout(NamedTuple):
    """How a data set is written."""

    explicit: bool
    big: bool
    long_unknown: bool = False  # of a VR that nobody knows the length has 32 bits

    @property
    def order(self) -> str:
        """Return the mark of the byte order, as `struct` has it."""
        return ">" if self.big else "<"


def may_be_convertible(data: bytes) -> bool:
    """Tell whether bytes that are no usual DICOM file may still be one: worth to be read whole."""
    return data[:4] == b"DICM" or (data[:2] == b"\0\x08" and bool(_LETTERS.match(data[4:6])))


def convert_file(data: bytes) -> bytes:
    """Return a whole file, laid out as usual.

    Raises
    ------
    NotDicom
        Where it cannot be read, or could be read in two ways.
    Incomplete
        Where it ends inside its header.
    """
    named, offset = _file_meta(data)
    data_set = data[offset:]
    if named == DEFLATED:
        data_set = _inflated(data_set)  # or as it is, where it only says so
    if len(data_set) < 8:  # noqa: PLR2004 - the head of an element
        raise Incomplete
    big = not data_set[0] and bool(data_set[1])  # no group of an image is a multiple of 256
    explicit = bool(_LETTERS.match(data_set[4:6]))
    if big and (not explicit or named not in _PLAIN):
        raise NotDicom("the data set is not in the transfer syntax it names")
    parts, pixels, layout = _read(data_set, explicit=explicit, big=big)
    syntax = IMPLICIT_LITTLE if not explicit else EXPLICIT_LITTLE if named in _PLAIN else named
    body = _written(_ordered(parts, -1), explicit=explicit)
    return _beginning(syntax) + body + _pixels(data_set, pixels, parts, layout)


def _beginning(syntax: str) -> bytes:
    """Return preamble, prefix and file meta that names the transfer syntax."""
    meta = encode(TRANSFER_SYNTAX, b"UI", syntax.encode("ascii", "surrogateescape"), explicit=True)
    length = encode(0x00020000, b"UL", len(meta).to_bytes(4, "little"), explicit=True)
    return bytes(PREAMBLE_LENGTH) + b"DICM" + length + meta


def _file_meta(data: bytes) -> tuple[str, int]:
    """Return the transfer syntax, "" where none is named, and the offset behind the file meta.

    It is explicit VR little endian (PS3.10 7.1); some writers leave the VRs out.
    """
    at = next((place for place in (PREAMBLE_LENGTH, 0) if data[place : place + 4] == b"DICM"), -4)
    at, named = at + 4, set[str]()
    while data[at : at + 2] == b"\x02\0":
        explicit = data[at + 4 : at + 6] in LONG_VRS | SHORT_VRS
        tag, _, start, length = _head(data, at, len(data), _Layout(explicit, big=False))
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


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(data, LARGEST + 1)
    except zlib.error:
        return data
    if len(plain) > LARGEST:
        raise NotDicom("too large to be converted")
    return plain


def _read(data: bytes, *, explicit: bool, big: bool) -> tuple[list[_Part], int, _Layout]:
    """Return the elements before the pixels, the offset of the pixels or -1, and the layout.

    The length of an unknown VR has 16 bits or 32 (PS3.5 7.1.2 knows both): only one may fit.
    """
    found, trouble = [], list[NotDicom | Incomplete]()
    for long_unknown in (False, True) if explicit else (False,):
        layout = _Layout(explicit, big, long_unknown)
        reader = _Reader(data, layout)
        try:
            parts, at = reader.elements(0, len(data), top=True)
        except (NotDicom, Incomplete) as err:
            trouble.append(err)
            continue
        found.append((parts, at, layout))
        if not reader.unknown:
            break
    if not found:
        raise trouble[0]
    if len(found) > 1:
        raise NotDicom("an unknown VR that can be read in two ways")
    return found[0]


class _Reader:
    """Takes a data set apart."""

    def __init__(self, data: bytes, layout: _Layout) -> None:
        self._data = data
        self._layout = layout
        self.unknown = False  # whether a VR was met that nobody knows

    def elements(  # noqa: PLR0913 - a place in a buffer, and how it is written there
        self,
        at: int,
        end: int,
        *,
        top: bool = False,
        open_ended: bool = False,
        layout: _Layout | None = None,
        depth: int = 0,
    ) -> tuple[list[_Part], int]:
        """Return the elements from an offset on, and the offset behind them.

        At the top they end before the pixels; then -1 says that there are none.
        """
        if depth > DEEPEST:
            raise NotDicom("sequences nested too deep")
        layout = layout or self._layout
        parts: list[_Part] = []
        while at < end:
            tag, vr, start, length = _head(self._data, at, end, layout)
            if top and tag == PIXEL_DATA:
                return parts, at
            if open_ended and tag == ITEM_END:
                return parts, start
            if tag >> 16 == _DELIMITERS or tag >> 16 == 0x0002:  # noqa: PLR2004 - file meta
                raise NotDicom(f"{tag_text(tag)} where it does not belong")
            self.unknown = self.unknown or vr == b"??"
            part, at = self._part(tag, vr, start, length, end, layout, depth)
            parts += [part] if part else []
        if open_ended:
            raise Incomplete
        return parts, -1 if top else at

    def _part(  # noqa: PLR0913, PLR0917 - one element, and where it stands
        self, tag: int, vr: bytes, start: int, length: int, end: int, layout: _Layout, depth: int
    ) -> tuple[_Part | None, int]:
        """Return an element, None where it is left out, and the offset behind it."""
        undefined = length == UNDEFINED
        stop = end if undefined else start + length
        if stop > end:
            raise Incomplete
        if undefined and vr not in (b"SQ", b"UN", b""):
            raise NotDicom(f"{tag_text(tag)} has no length")
        if undefined or vr == b"SQ":
            inside = _Layout(explicit=False, big=False) if vr == b"UN" else layout
            inner, behind = self._items(start, stop, inside, depth, open_ended=undefined)
            if inside != layout and layout.explicit:  # PS3.5 6.2.2: UN hides implicit VR
                raw = self._data[start:behind]
                return self._hidden(tag, raw if not undefined else None, layout), behind
            return _Part(tag, vr, _ordered_items(inner)), behind
        raw = self._data[start:stop]
        if vr in (b"UN", b"??"):
            return self._hidden(tag, raw, layout), stop
        return _Part(tag, vr, _turned(raw, vr) if layout.big else raw), stop

    def _hidden(self, tag: int, raw: bytes | None, layout: _Layout) -> _Part | None:
        """Return an element of unknown VR; what no reader could be sure of is left out, or refused.

        No private element leaves, nor is it asked for.
        """
        if raw is not None and not layout.big:
            return _Part(tag, b"UN", raw)
        if (tag >> 16) % 2:
            return None
        raise NotDicom(f"{tag_text(tag)} is of unknown VR")

    def _items(
        self, at: int, end: int, layout: _Layout, depth: int, *, open_ended: bool
    ) -> tuple[list[list[_Part]], int]:
        found: list[list[_Part]] = []
        while at < end:
            group, number, length = struct.unpack_from(f"{layout.order}HHI", self._at(at, end))
            tag, at = group << 16 | number, at + 8
            if tag == SEQUENCE_END:
                return found, at
            if tag != ITEM:
                raise NotDicom("a sequence with something else than items")
            undefined = length == UNDEFINED
            stop = end if undefined else at + length
            if stop > end:
                raise Incomplete
            inside, at = self.elements(
                at, stop, open_ended=undefined, layout=layout, depth=depth + 1
            )
            found.append(inside)
        if open_ended:
            raise Incomplete
        return found, at

    def _at(self, at: int, end: int) -> bytes:
        if at + 8 > end:
            raise Incomplete
        return self._data[at : at + 8]


def _head(data: bytes, at: int, end: int, layout: _Layout) -> tuple[int, bytes, int, int]:
    """Return tag, VR, where the value begins and its length; an unknown VR is "??"."""
    order, start = layout.order, at + 8
    if start > end:
        raise Incomplete
    group, number, length = struct.unpack_from(f"{order}HHI", data, at)
    tag = group << 16 | number
    if not layout.explicit or group == _DELIMITERS:
        return tag, b"", start, length
    vr = data[at + 4 : at + 6]
    known = vr in LONG_VRS or vr in SHORT_VRS
    if vr in LONG_VRS or (not known and layout.long_unknown):
        start += 4
        if start > end:
            raise Incomplete
        length = struct.unpack_from(f"{order}I", data, at + 8)[0]
    else:
        length = struct.unpack_from(f"{order}H", data, at + 6)[0]
    return tag, vr if known else b"??", start, length


def _turned(raw: bytes, vr: bytes) -> bytes:
    """Return a big endian value in little endian."""
    width = _WIDTHS.get(vr, 1)
    if len(raw) % width:
        raise NotDicom("a number that is cut off")
    turned = bytearray(len(raw))
    for place in range(width):
        turned[place::width] = raw[width - 1 - place :: width]
    return bytes(turned)


def _ordered_items(inside: list[list[_Part]]) -> list[list[_Part]]:
    return [_ordered(one, -1) for one in inside]


def _ordered(parts: Iterable[_Part], latest: int) -> list[_Part]:
    """Return elements in order, each once; refuse one that is there with two values."""
    kept: list[_Part] = []
    for part in sorted(parts, key=lambda one: one.tag):
        if part.tag != latest:
            kept.append(part)
        elif part != kept[-1]:
            raise NotDicom(f"{tag_text(part.tag)} is there twice, with two values")
        latest = part.tag
    return kept


def _written(parts: Iterable[_Part], *, explicit: bool) -> bytes:
    written = bytearray()
    for tag, vr, value in parts:
        whole = value if isinstance(value, bytes) else b""
        for item in () if isinstance(value, bytes) else value:
            whole += encode_item(_written(item, explicit=explicit))
        written += encode(tag, vr, whole, explicit=explicit)
    return bytes(written)


def _pixels(data: bytes, at: int, parts: Iterable[_Part], layout: _Layout) -> bytes:
    """Return the pixels with their head and what follows them, as they belong to the new file."""
    if at < 0:
        return b""
    if not layout.big:
        return data[at:]
    _, vr, start, length = _head(data, at, len(data), layout)
    bits = next((part.value for part in parts if part.tag == _BITS_ALLOCATED), b"")
    wide = vr == b"OW" and bits not in [one.to_bytes(2, "little") for one in _WHOLE_WORDS]
    if wide or length == UNDEFINED or vr not in (b"OW", b"OB"):
        return b""  # which could be read in two ways: a file without pixels is no slice
    behind = data[start + length : start + length + 4]
    if any(behind) and int.from_bytes(behind[:2], "big") << 16 <= PIXEL_DATA:
        raise NotDicom("an element behind the pixels")
    there = data[start : start + length]
    whole = len(there) - len(there) % 2
    head = encode(PIXEL_DATA, vr, b"", explicit=True)[:8] + length.to_bytes(4, "little")
    return head + _turned(there[:whole], vr) + there[whole:]
