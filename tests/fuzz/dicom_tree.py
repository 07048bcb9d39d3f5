"""Data sets with an element or an item changed at any depth; the lengths around it fit again."""

from dataclasses import dataclass
from random import Random
from typing import Final

from drawcli.core.dicom.header import LONG_VRS, Incomplete, NotDicom, data_set_start
from tests.fuzz.mutations import change

_UNKNOWN: Final = b"\xff" * 4
_ITEM, _ITEM_END, _SEQUENCE_END = (bytes.fromhex(f"FEFF{end}") for end in ("00E0", "0DE0", "DDE0"))
_PIXELS: Final = b"\xe0\x7f\x10\0"
_NUMBERS: Final = (
    *(b"0", b"-1", b"1e9", b"+03.50", b".5", b"1e-3", b"nan", b"1_0", b"", b"9" * 17),
    *(b"2147483648", b"1.0", b"1E400", b"-0", b"0x1"),
)
_PADDING: Final = (b" ", b"\0", b"\0\0", b"  ", b"\\")


@dataclass
class Node:
    """An element, or an item of a sequence."""

    tag: bytes
    vr: bytes  # b"" in implicit VR, and of an item
    value: bytes
    inside: "list[Node] | None"  # of a sequence its items, of an item its elements
    open_ended: bool
    beside: "list[Node]"  # the list that holds it

    @property
    def body(self) -> bytes:
        """The value as it is encoded."""
        return self.value if self.inside is None else b"".join(one.encoded() for one in self.inside)

    def encoded(self) -> bytes:
        """Return the element with the length that its value has."""
        body = self.body
        length = len(body).to_bytes(4, "little")
        if self.open_ended:
            end = _ITEM_END if self.tag == _ITEM else _SEQUENCE_END
            body, length = body + end + bytes(4), _UNKNOWN
        if self.vr in LONG_VRS:
            return self.tag + self.vr + b"\0\0" + length + body
        return self.tag + self.vr + (length[:2] if self.vr else length) + body


def nodes(
    data: bytes, at: int, end: int, *, explicit: bool, of_items: bool = False
) -> tuple[list[Node], int]:
    """Return the elements or items up to an end or a delimiter, and the offset after them."""
    found: list[Node] = []
    while at < end:
        tag, vr, start, length = data[at : at + 4], b"", at + 8, data[at + 4 : at + 8]
        if tag in (_ITEM_END, _SEQUENCE_END):
            return found, start
        if len(length) < 4 or of_items != (tag == _ITEM):
            raise ValueError("no item, or one among elements")
        if explicit and not of_items:
            vr, length = data[at + 4 : at + 6], data[at + 6 : at + 8] + b"\0\0"
            if vr in LONG_VRS:
                length, start = data[at + 8 : at + 12], at + 12
        open_ended = length == _UNKNOWN
        stop = end if open_ended else start + int.from_bytes(length, "little")
        if stop > end:
            raise ValueError("an element reaches too far")
        node = Node(tag, vr, data[start:stop], None, open_ended, found)
        if of_items or open_ended or data.startswith(_ITEM, start, stop):
            inner = explicit and vr != b"UN"
            node.inside, stop = nodes(data, start, stop, explicit=inner, of_items=not of_items)
        found.append(node)
        at = stop
    return found, at


def altered(data: bytes, chance: Random) -> bytes:
    """Return a file with one or two elements changed; what cannot be read stays."""
    try:
        _, explicit, at = data_set_start(data)
        pixels = data.rfind(_PIXELS, at)
        end = pixels if pixels >= 0 else len(data)
        whole, _ = nodes(data, at, end, explicit=explicit)
    except (NotDicom, Incomplete, ValueError, RecursionError):
        return data
    for _ in range(chance.choice((1, 1, 2))):
        every = _every(whole)
        lists = [one for one in every if b"\\" in one.value and one.inside is None]
        items = [one for one in every if one.tag == _ITEM]
        if every:  # coordinates, and items such as structures, are few among all elements
            chosen = chance.choice((lists, items, every, every)) or every
            _alter(chance.choice(chosen), every, chance)
    return data[:at] + b"".join(one.encoded() for one in whole) + data[end:]


def _every(siblings: list[Node]) -> list[Node]:
    return [found for one in siblings for found in (one, *_every(one.inside or []))]


def _alter(node: Node, every: list[Node], chance: Random) -> None:
    kind, beside = chance.randrange(8 if node.inside is None else 5), node.beside
    at = next(number for number, one in enumerate(beside) if one is node)
    if kind == 0:
        del beside[at]
    elif kind == 1:
        beside.insert(at, node)
    elif kind == 2:
        beside[at : at + 2] = beside[at : at + 2][::-1]
    elif kind == 3:
        node.open_ended = not node.open_ended
    elif kind == 4:
        node.value, node.inside = chance.choice(every).body, None
    else:
        node.value = _other_value(node.value, every, chance)


def _other_value(value: bytes, every: list[Node], chance: Random) -> bytes:
    """Return a value with padding, numbers changed or moved, or any bytes changed."""
    kind, parts = chance.randrange(6), value.split(b"\\")
    if kind == 0:
        value += chance.choice(_PADDING)
    elif kind == 1:
        value = chance.choice(_PADDING) + value
    elif kind == 2:
        parts[chance.randrange(len(parts))] = chance.choice(_NUMBERS)
        value = b"\\".join(parts)
    elif kind == 3:
        value = b"\\".join(chance.sample(parts, len(parts)))
    else:
        data = bytearray(value)
        change(data, [one.value for one in every], chance)
        value = bytes(data)
    return value + b" " * (len(value) % 2)
