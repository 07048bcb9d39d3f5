"""A DICOM header as bytes: the place of each element, without an object per value.

Reads little endian data sets with explicit or implicit VR, with or without preamble and file meta.
Values are decoded on request, so a header of 150 elements costs microseconds. Other encodings are
refused; `conversion` converts some of them.

References
----------
PS3.5 section 7 (data set encoding), PS3.10 section 7 (file format).
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from drawcli.core.dicom.tags import tag_text

UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
TRANSFER_SYNTAX: Final = 0x00020010
PREAMBLE_LENGTH: Final = 128
NO_DICOM: Final = "not a DICOM file"
DEEPEST: Final = 32  # nested sequences; real headers have at most 6

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE})  # uncompressed pixels
DEFLATED, EXPLICIT_BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_IS_LONG: Final = {vr: vr in LONG_VRS for vr in LONG_VRS | SHORT_VRS}  # length of 32 bits, not 16
_SMALL_NUMBERS: Final = (b"US", b"SS", b"UN", b"")
_DELIMITERS: Final = 0xFFFE  # group of items and delimiters, which have no VR
_HEAD: Final = struct.Struct("<HH2sH")  # of an element of explicit VR
_MOST_ELEMENTS: Final = 65_536  # at the top level; scanners write some 1,000
_ITEM_HEAD: Final = struct.Struct("<HHI")
_U16, _U32 = struct.Struct("<H"), struct.Struct("<I")


class Incomplete(Exception):
    """The bytes end inside the header: read more, or refuse the file at its end."""


class NotDicom(Exception):
    """The bytes are not a readable DICOM header; the text names no value."""


class Element(NamedTuple):
    """The place of one element in the buffer."""

    tag: int  # group << 16 | element
    vr: bytes  # two letters; b"" in implicit VR
    start: int  # of the tag
    value: int  # of the value
    end: int  # after the value and the delimiter of an undefined length
    undefined: bool  # whether the length was undefined


class Header(NamedTuple):
    """The data set of one file, up to the pixels.

    `elements` maps a tag to its place in `data`; `pixels` is None without Pixel Data.
    """

    data: bytes
    transfer_syntax: str
    explicit: bool
    elements: dict[int, Element]
    pixels: Element | None

    def raw(self, tag: int) -> bytes | None:
        """Return the bytes of a value; None if the element is missing or a sequence."""
        element = self.elements.get(tag)
        if element is None or element.undefined or element.vr == b"SQ":
            return None
        return self.data[element.value : element.end]

    def text(self, tag: int) -> str:
        """Return a value of an ASCII VR without its padding; "" if it is missing."""
        return ascii_text(self.raw(tag) or b"")

    def number(self, tag: int) -> int | None:
        """Return a value of VR US; None if it is missing or of another VR."""
        element = self.elements.get(tag)
        if element is None or element.undefined or element.vr not in _SMALL_NUMBERS:
            return None
        raw = self.data[element.value : element.end]
        return int.from_bytes(raw, "little") if len(raw) == _U16.size else None


def ascii_text(raw: bytes) -> str:
    """Return a value without its padding; bytes beyond ASCII survive as surrogates."""
    return raw.decode("ascii", "surrogateescape").strip(" \0")


def read_header(data: bytes, *, complete: bool = False) -> Header:
    """Return the header in the first bytes of a file.

    Parameters
    ----------
    data
        The first bytes of a file.
    complete
        Whether this is the whole file, so that a header may end without pixel data.

    Raises
    ------
    Incomplete
        If the bytes end before the pixel data.
    NotDicom
        If the bytes are not a header in a supported encoding.
    """
    transfer_syntax, explicit, offset = data_set_start(data)
    elements, latest = dict[int, Element](), -1
    for element in walk(data, offset, len(data), explicit=explicit, stop_at=PIXEL_DATA):
        tag = element.tag
        if tag <= latest or tag >> 16 == _DELIMITERS:
            raise NotDicom("elements out of order")
        if tag == PIXEL_DATA:
            return Header(data, transfer_syntax, explicit, elements, element)
        latest = tag
        elements[tag] = element
        if len(elements) > _MOST_ELEMENTS:
            raise NotDicom("more elements than the header of any image or structure set")
    if not complete:
        raise Incomplete
    return Header(data, transfer_syntax, explicit, elements, None)


def walk(  # noqa: PLR0913 - a place in a buffer, and its encoding
    data: bytes, offset: int, end: int, *, explicit: bool, stop_at: int = -1, depth: int = 0
) -> Iterator[Element]:
    """Yield the elements between two offsets; raise Incomplete where one reaches beyond `end`.

    The element `stop_at` ends the walk, as does a delimiter of an item or a sequence; both are
    yielded.
    """
    unpack, is_long, new = _HEAD.unpack_from, _IS_LONG.get, tuple.__new__
    while offset < end:
        if explicit and offset + 8 <= end:  # most elements; the same as below, without a call
            group, number, vr, length = unpack(data, offset)
            tag, behind = group << 16 | number, offset + 8 + length
            if is_long(vr) is False and group != _DELIMITERS and behind <= end and tag != stop_at:
                yield new(Element, (tag, vr, offset, offset + 8, behind, False))
                offset = behind
                continue
        element = _element(data, offset, end, explicit)
        tag, _, _, _, behind, undefined = element
        if tag in (ITEM_END, SEQUENCE_END, stop_at):
            yield element
            return
        if undefined:
            inside = explicit and element.vr != b"UN"  # PS3.5 6.2.2: UN contains implicit VR
            behind = _end_of_sequence(data, element.value, explicit=inside, depth=depth + 1)
            element = element._replace(end=behind)
        if behind > end:
            raise Incomplete
        yield element
        offset = behind


def items(data: bytes, sequence: Element, *, explicit: bool) -> Iterator[list[Element]]:
    """Yield the elements of each item of a sequence.

    Raises
    ------
    NotDicom
        If the sequence does not consist of whole items.
    """
    offset = sequence.value
    while offset < sequence.end:
        try:
            tag, length = _item_head(data, offset, sequence.end)
            if tag == SEQUENCE_END:
                return
            inside, offset = _item(data, offset + 8, length, sequence.end, explicit=explicit)
        except Incomplete:
            raise NotDicom("an element ends after its sequence") from None
        yield inside


def data_set_start(data: bytes) -> tuple[str, bool, int]:
    """Return the transfer syntax, whether VRs are explicit, and the offset of the data set."""
    named, offset = _file_meta(data)
    if len(data) < offset + 8:
        raise Incomplete
    if named == DEFLATED:
        raise NotDicom("deflated")
    if named == EXPLICIT_BIG or (not data[offset] and data[offset + 1]):
        raise NotDicom("big endian")  # no group of an image is a multiple of 256
    explicit = data[offset + 4 : offset + 6] in _IS_LONG
    transfer_syntax = named or (EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE)
    if explicit == (transfer_syntax == IMPLICIT_LITTLE):
        raise NotDicom("the data set is not in the named transfer syntax")
    return transfer_syntax, explicit, offset


def _file_meta(data: bytes) -> tuple[str, int]:
    """Return the transfer syntax ("" if missing) and the offset after the file meta."""
    transfer_syntax, offset = "", 0
    if data[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] == b"DICM":
        offset = PREAMBLE_LENGTH + 4
    elif data[:2] not in (b"\x02\0", b"\x08\0"):  # without preamble: file meta or group 0008
        raise NotDicom(NO_DICOM)
    while data[offset : offset + 2] == b"\x02\0":  # file meta is always explicit
        element = _element(data, offset, len(data), explicit=True)
        if element.undefined:
            raise NotDicom("file meta of undefined length")
        if element.end > len(data):
            raise Incomplete
        if element.tag == TRANSFER_SYNTAX:
            first, transfer_syntax = transfer_syntax, ascii_text(data[element.value : element.end])
            if first not in ("", transfer_syntax):
                raise NotDicom("two transfer syntaxes")
        offset = element.end
    return transfer_syntax, offset


def _element(data: bytes, offset: int, end: int, explicit: bool) -> Element:  # noqa: FBT001 - called per element
    """Return the element at an offset; the end of an undefined length is not known yet."""
    value = offset + 8
    if value > end:
        raise Incomplete
    group, number, vr, length = _HEAD.unpack_from(data, offset)
    tag = group << 16 | number
    if not explicit or group == _DELIMITERS:
        vr, length = b"", _U32.unpack_from(data, offset + 4)[0]
    else:
        is_long = _IS_LONG.get(vr)
        if is_long is None:
            raise NotDicom(f"{tag_text(tag)} has no known VR")
        if is_long:  # 16 bits hold no undefined length
            value += 4
            if value > end:
                raise Incomplete
            length = _U32.unpack_from(data, offset + 8)[0]
    undefined = length == UNDEFINED
    return Element(tag, vr, offset, value, value + length * (not undefined), undefined=undefined)


def _item(
    data: bytes, offset: int, length: int, end: int, *, explicit: bool
) -> tuple[list[Element], int]:
    """Return the elements of the item at an offset, and the offset after it."""
    stop = end if length == UNDEFINED else offset + length
    if stop > end:
        raise Incomplete
    inside, seen = list[Element](), set[int]()
    for element in walk(data, offset, stop, explicit=explicit):
        if element.tag == ITEM_END and length == UNDEFINED:
            return inside, element.value
        if element.tag >> 16 == _DELIMITERS:
            raise NotDicom("an item with something other than elements")
        if element.tag in seen:
            raise NotDicom("an element twice in one item")
        seen.add(element.tag)
        inside.append(element)
    if length == UNDEFINED:
        raise NotDicom("an item without an end")
    return inside, stop


def _item_head(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Return the tag and the length of the item or sequence delimiter at an offset."""
    if offset + 8 > end:
        raise Incomplete
    group, number, length = _ITEM_HEAD.unpack_from(data, offset)
    tag = group << 16 | number
    if tag not in (ITEM, SEQUENCE_END):
        raise NotDicom("a sequence with something other than items")
    return tag, length


def _end_of_sequence(data: bytes, offset: int, *, explicit: bool, depth: int) -> int:
    """Return the offset after the delimiter of a sequence of undefined length."""
    if depth > DEEPEST:
        raise NotDicom("sequences nested too deep")
    while True:
        tag, length = _item_head(data, offset, len(data))
        offset += 8
        if tag == SEQUENCE_END:
            return offset
        if length == UNDEFINED:
            offset = _end_of_item(data, offset, explicit=explicit, depth=depth)
        else:
            offset += length


def _end_of_item(data: bytes, offset: int, *, explicit: bool, depth: int) -> int:
    """Return the offset after the delimiter of an item of undefined length."""
    for element in walk(data, offset, len(data), explicit=explicit, depth=depth):
        if element.tag == ITEM_END:
            return element.value
        if element.tag >> 16 == _DELIMITERS:
            raise NotDicom("an item with something other than elements")
    raise Incomplete
