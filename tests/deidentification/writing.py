"""DICOM files as trees of bytes, encoded by PS3.5 7, also irregular ones.

Nothing here is shared with the code under test.
"""

import struct
from dataclasses import dataclass
from typing import Final

LONG_VRS: Final = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
PIXEL_DATA: Final = 0x7FE00010
EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(slots=True)
class Cell:
    """One element: a value as bytes, or the items of a sequence."""

    vr: str
    value: "bytes | list[Tree]"
    undefined: bool = False  # whether sequence and items are written with undefined length


Tree = dict[int, Cell]


@dataclass(slots=True)
class File:
    """One slice before it is written."""

    tree: Tree
    meta: Tree
    pixels: bytes
    explicit: bool = True
    preamble: bytes | None = bytes(128)  # None: neither preamble nor prefix
    has_meta: bool = True
    behind: bytes = b""  # what follows the pixels
    folder: str = "store"
    name: str = "1.dcm"
    compressed: str = ""  # the transfer syntax of pixels that are one encapsulated codestream

    def written(self) -> bytes:
        """Return the file."""
        start = b"" if self.preamble is None else self.preamble + b"DICM"
        meta = written({0x00020010: text("UI", self.syntax)} | self.meta, explicit=True)
        return b"".join(
            (
                start,
                meta if self.has_meta else b"",
                written(self.tree, explicit=self.explicit),
                self._pixels(),
                self.behind,
            )
        )

    def _pixels(self) -> bytes:
        if not self.compressed:
            return element(PIXEL_DATA, "OW", self.pixels, explicit=self.explicit)
        fragments = b"".join(
            _tag(_ITEM) + struct.pack("<I", len(one)) + one for one in (b"", self.pixels)
        )
        value = fragments + _tag(_SEQUENCE_END) + bytes(4)
        return element(PIXEL_DATA, "OB", value, explicit=True, length=_UNDEFINED)

    @property
    def syntax(self) -> str:
        """The transfer syntax."""
        return self.compressed or (EXPLICIT if self.explicit else IMPLICIT)


def text(vr: str, value: str) -> Cell:
    """Return an ASCII value, padded to an even length."""
    raw = value.encode("ascii")
    return Cell(vr, raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2))


def number(value: int) -> Cell:
    """Return a value of VR US."""
    return Cell("US", struct.pack("<H", value))


def written(tree: Tree, *, explicit: bool) -> bytes:
    """Return the elements of a tree in the order of their tags."""
    return b"".join(_cell(tag, tree[tag], explicit=explicit) for tag in sorted(tree))


def element(tag: int, vr: str, value: bytes, *, explicit: bool, length: int | None = None) -> bytes:
    """Return one element; `length` replaces the true length."""
    size = len(value) if length is None else length
    head = _tag(tag)
    if not explicit:
        return head + struct.pack("<I", size) + value
    if vr in LONG_VRS:
        return head + vr.encode() + b"\0\0" + struct.pack("<I", size) + value
    return head + vr.encode() + struct.pack("<H", size) + value


def _cell(tag: int, cell: Cell, *, explicit: bool) -> bytes:
    if isinstance(cell.value, bytes):
        return element(tag, cell.vr, cell.value, explicit=explicit)
    inside = explicit and cell.vr != "UN"  # PS3.5 6.2.2: what UN hides is implicit VR
    content = b"".join(_item(item, cell, explicit=inside) for item in cell.value)
    if not cell.undefined:
        return element(tag, cell.vr, content, explicit=explicit)
    content += _tag(_SEQUENCE_END) + bytes(4)
    return element(tag, cell.vr, content, explicit=explicit, length=_UNDEFINED)


def _item(item: Tree, sequence: Cell, *, explicit: bool) -> bytes:
    content = written(item, explicit=explicit)
    if not sequence.undefined:
        return _tag(_ITEM) + struct.pack("<I", len(content)) + content
    return _tag(_ITEM) + struct.pack("<I", _UNDEFINED) + content + _tag(_ITEM_END) + bytes(4)


def _tag(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)
