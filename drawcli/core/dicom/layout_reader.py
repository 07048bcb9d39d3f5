"""Split a data set into elements, in any byte order and VR encoding."""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from drawcli.core.dicom.header import (
    DEEPEST,
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED,
    Incomplete,
    NotDicom,
)
from drawcli.core.dicom.tags import tag_text

MOST_PARTS: Final = 1_000_000  # elements and items of an image; 10,000 frames have some 850,000
_DELIMITERS: Final = 0xFFFE
_WIDTHS: Final = {  # bytes of one number, reversed in big endian
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8),
}


class Part(NamedTuple):
    """One element: its value, or the elements of each of its items."""

    tag: int
    vr: bytes  # b"" in implicit VR
    value: "bytes | list[list[Part]]"


class Layout(NamedTuple):
    """The encoding of a data set."""

    explicit: bool
    big: bool
    long_unknown: bool = False  # an unknown VR has a length of 32 bits

    @property
    def order(self) -> str:
        """The byte order character of `struct`."""
        return ">" if self.big else "<"


class Reader:
    """Splits a data set into elements."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._data = data
        self._layout = layout
        self.unknown = False  # whether an unknown VR occurred
        self._count = 0  # of elements and items, at all depths

    def elements(  # noqa: PLR0913 - a place in a buffer, and its encoding
        self,
        at: int,
        end: int,
        *,
        top: bool = False,
        open_ended: bool = False,
        layout: Layout | None = None,
        depth: int = 0,
    ) -> tuple[list[Part], int]:
        """Return the elements from an offset on, and the offset after them.

        At the top level they end at the pixels, whose offset is returned; -1 without pixels.
        """
        if depth > DEEPEST:
            raise NotDicom("sequences nested too deep")
        layout = layout or self._layout
        parts: list[Part] = []
        while at < end:
            tag, vr, start, length = head_of(self._data, at, end, layout)
            if top and tag == PIXEL_DATA:
                return parts, at
            if open_ended and tag == ITEM_END:
                return parts, start
            if tag >> 16 == _DELIMITERS or tag >> 16 == 0x0002:  # noqa: PLR2004 - file meta
                raise NotDicom(f"{tag_text(tag)} in a wrong place")
            self.unknown = self.unknown or vr == b"??"
            self._count_one()
            part, at = self._part(tag, vr, start, length, end, layout, depth)
            parts += [part] if part else []
        if open_ended:
            raise Incomplete
        return parts, -1 if top else at

    def _part(  # noqa: PLR0913, PLR0917 - one element, and its place
        self, tag: int, vr: bytes, start: int, length: int, end: int, layout: Layout, depth: int
    ) -> tuple[Part | None, int]:
        """Return an element (None if it is dropped), and the offset after it."""
        undefined = length == UNDEFINED
        stop = end if undefined else start + length
        if stop > end:
            raise Incomplete
        if undefined and vr not in (b"SQ", b"UN", b""):
            raise NotDicom(f"{tag_text(tag)} has no length")
        if undefined or vr == b"SQ":
            inside = Layout(explicit=False, big=False) if vr == b"UN" else layout
            inner, behind = self._items(start, stop, inside, depth, open_ended=undefined)
            if inside != layout and layout.explicit:  # PS3.5 6.2.2: UN contains implicit VR
                raw = self._data[start:behind]
                return self._unknown(tag, raw if not undefined else None, layout), behind
            return Part(tag, vr, _items_in_order(inner)), behind
        raw = self._data[start:stop]
        if vr in (b"UN", b"??"):
            return self._unknown(tag, raw, layout), stop
        return Part(tag, vr, swap_bytes(raw, vr) if layout.big else raw), stop

    def _unknown(self, tag: int, raw: bytes | None, layout: Layout) -> Part | None:
        """Return an element of unknown VR.

        If its encoding is ambiguous, a private element is dropped (none is sent or used), and any
        other is refused.
        """
        if raw is not None and not layout.big:
            return Part(tag, b"UN", raw)
        if (tag >> 16) % 2:
            return None
        raise NotDicom(f"{tag_text(tag)} is of unknown VR")

    def _items(
        self, at: int, end: int, layout: Layout, depth: int, *, open_ended: bool
    ) -> tuple[list[list[Part]], int]:
        found: list[list[Part]] = []
        while at < end:
            group, number, length = struct.unpack_from(f"{layout.order}HHI", self._at(at, end))
            tag, at = group << 16 | number, at + 8
            if tag == SEQUENCE_END:
                return found, at
            if tag != ITEM:
                raise NotDicom("a sequence with something other than items")
            self._count_one()
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

    def _count_one(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise NotDicom(f"more than {MOST_PARTS:,} elements and items")

    def _at(self, at: int, end: int) -> bytes:
        if at + 8 > end:
            raise Incomplete
        return self._data[at : at + 8]


def head_of(data: bytes, at: int, end: int, layout: Layout) -> tuple[int, bytes, int, int]:
    """Return tag, VR, offset and length of the value; an unknown VR is "??"."""
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


def swap_bytes(raw: bytes, vr: bytes) -> bytes:
    """Return a big endian value in little endian."""
    width = _WIDTHS.get(vr, 1)
    if len(raw) % width:
        raise NotDicom("a number that is cut off")
    swapped = bytearray(len(raw))
    for place in range(width):
        swapped[place::width] = raw[width - 1 - place :: width]
    return bytes(swapped)


def _items_in_order(inside: list[list[Part]]) -> list[list[Part]]:
    return [sort_parts(item, -1) for item in inside]


def sort_parts(parts: Iterable[Part], latest: int) -> list[Part]:
    """Return elements in order, each once; refuse an element with two values."""
    kept: list[Part] = []
    for part in sorted(parts, key=lambda part: part.tag):
        if part.tag != latest:
            kept.append(part)
        elif part != kept[-1]:
            raise NotDicom(f"{tag_text(part.tag)} occurs twice, with two values")
        latest = part.tag
    return kept
