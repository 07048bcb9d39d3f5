"""Read a data set strictly, item by item, for the acceptance gate.

The gate must not share a reader with the code that writes the delivered file, so nothing here is
imported from `dicom/header.py`. The reader accepts little endian data sets with explicit or
implicit VR and refuses what two readers could read differently: an element that occurs twice
in an item, elements out of order, odd lengths, lengths that reach beyond their item, unknown VRs.

References
----------
PS3.5 section 7 (data set encoding), PS3.10 section 7 (file format).
"""

import struct
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

_PREAMBLE: Final = 128
_META_GROUP: Final = 0x0002
_SYNTAX: Final = 0x00020010  # TransferSyntaxUID
_CHARACTER_SET: Final = 0x00080005  # SpecificCharacterSet
_IMPLICIT: Final = "1.2.840.10008.1.2"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_DELIMITERS: Final = 0xFFFE
_ITEM: Final = 0xE000
_ITEM_END: Final = 0xE00D
_SEQUENCE_END: Final = 0xE0DD
_ITEM_TAG: Final = b"\xfe\xff\x00\xe0"
_UNDEFINED: Final = 0xFFFFFFFF
_DEEPEST: Final = 16  # nested sequences; a structure set needs 4
_MOST_ELEMENTS: Final = 10_000  # of one item, or of the top level; a structure set has some 100
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_OPEN_ENDED: Final = frozenset({b"SQ", b"UN"})  # may be of undefined length (PS3.5 7.1.2, 6.2.2)
_VALUE_DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3
_ESCAPE: Final = b"\x1b"
_SINGLE_BYTE: Final = "6 13 100 101 109 110 126 127 138 144 148 166 203".split()
_MULTI_BYTE: Final = "58 87 149 159".split()
_EXTENSIBLE: Final = frozenset(
    {
        "",  # the default repertoire, as the first of several
        *(f"ISO_IR {number}" for number in _SINGLE_BYTE),
        *(f"ISO 2022 IR {number}" for number in _SINGLE_BYTE + _MULTI_BYTE),
    }
)
_ALONE: Final = frozenset({"ISO_IR 192", "GB18030", "GBK"})
_HEAD: Final = struct.Struct("<HHI")
_EXPLICIT_HEAD: Final = struct.Struct("<HH2sH")
_LENGTH: Final = struct.Struct("<I")


class Malformed(Exception):
    """The bytes are not an unambiguous data set; the text names the element, never a value."""


class Span(NamedTuple):
    """The place of a value, and the encoding of a sequence in it."""

    start: int
    end: int  # for an undefined length: after the delimiter
    explicit: bool


Elements = dict[int, Span]  # by tag, in ascending order


class DataSet:
    """A file, its file meta information and the elements at its top level.

    Parameters
    ----------
    data
        All bytes of the file, with or without preamble and file meta information.

    Raises
    ------
    Malformed
        If the bytes are not an unambiguous data set.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        at = _PREAMBLE + 4 if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else 0
        if not at and data[:2] not in (b"\x02\0", b"\x08\0"):
            raise Malformed("not a DICOM file")
        self.has_preamble = at > 0
        self.meta, at = self._elements(at, len(data), explicit=True, group=_META_GROUP)
        explicit = data[at + 4 : at + 6] in _LONG | _SHORT
        self.syntax = self.text(self.meta, _SYNTAX) or (_EXPLICIT if explicit else _IMPLICIT)
        if self.syntax not in (_EXPLICIT, _IMPLICIT):
            raise Malformed("its transfer syntax is not Implicit or Explicit VR Little Endian")
        if self.syntax != (_EXPLICIT if explicit else _IMPLICIT):
            raise Malformed("the data set is not in the transfer syntax that the file names")
        self.elements, _ = self._elements(at, len(data), explicit=explicit)

    def raw(self, elements: Elements, tag: int) -> bytes | None:
        """Return the bytes of a value, or None if the element is missing."""
        span = elements.get(tag)
        return None if span is None else self.data[span.start : span.end]

    def text(self, elements: Elements, tag: int) -> str:
        """Return a value of an ASCII VR without its padding, or "" if the element is missing."""
        raw = self.raw(elements, tag)
        return "" if raw is None else _unpadded(raw.decode("latin-1"))

    def items(self, elements: Elements, tag: int) -> Iterator[Elements]:
        """Yield the elements of each item of a sequence; nothing if the element is missing.

        Raises
        ------
        Malformed
            If the sequence does not consist of whole, unambiguous items.
        """
        span = elements.get(tag)
        if span is None:
            return
        at = span.start
        while at < span.end:
            number, length = self._delimiter(at, span.end, tag)
            at += _HEAD.size
            if number == _SEQUENCE_END:
                if at != span.end:
                    raise Malformed(f"{name_of(tag)} ends before its length does")
                return
            open_ended = length == _UNDEFINED
            end = span.end if open_ended else at + length
            if end > span.end:
                raise Malformed(f"an item of {name_of(tag)} reaches beyond the sequence")
            item, at = self._elements(at, end, explicit=span.explicit, open_ended=open_ended)
            yield item

    def is_decodable(self, elements: Elements, tag: int, depth: int = 0) -> bool:
        """Return whether the character sets in an element, at any depth, are defined terms."""
        span = elements.get(tag)
        if span is None or depth > _DEEPEST:
            return True
        if tag == _CHARACTER_SET:
            return is_character_set(self.data[span.start : span.end])
        if not self.data.startswith(_ITEM_TAG, span.start, span.end):
            return True
        try:
            inside = ((item, one) for item in self.items(elements, tag) for one in item)
            return all(self.is_decodable(item, one, depth + 1) for item, one in inside)
        except Malformed:  # bytes of another kind
            return True

    def _elements(  # noqa: C901, PLR0913 - called for every item; a place in a file, and its encoding
        self,
        at: int,
        end: int,
        *,
        explicit: bool,
        open_ended: bool = False,
        group: int = -1,
        depth: int = 0,
    ) -> tuple[Elements, int]:
        """Return the elements from an offset on, and the offset after them.

        They end at `end`; if `open_ended`, at the delimiter of the item; if `group` is given,
        before the first element of another group.
        """
        found: Elements = {}
        latest = -1
        while at < end:
            if at + _HEAD.size > end:
                raise Malformed("the data end inside an element")
            here, number, length = _HEAD.unpack_from(self.data, at)
            if here == _DELIMITERS and open_ended and number == _ITEM_END and not length:
                return found, at + _HEAD.size
            if group >= 0 and here != group:
                return found, at
            tag = here << 16 | number
            if tag <= latest or here == _DELIMITERS:
                raise Malformed(f"{name_of(tag)} occurs twice or out of order")
            start = at + _HEAD.size
            if explicit or length % 2 or start + length > end:  # an undefined length is odd
                span = self._span(at, end, tag, explicit=explicit, depth=depth)
            else:  # nearly every element of a structure set
                span = Span(start, start + length, explicit)
            found[tag] = span
            latest, at = tag, span.end
            if len(found) > _MOST_ELEMENTS:
                raise Malformed("an item has more elements than any structure set")
        if open_ended:
            raise Malformed("an item has no end")
        return found, at

    def _span(self, at: int, end: int, tag: int, *, explicit: bool, depth: int) -> Span:
        """Return the place of the value of the element at an offset."""
        _, _, length = _HEAD.unpack_from(self.data, at)
        start, inner, vr = at + _HEAD.size, explicit, b""
        if explicit:
            _, _, vr, length = _EXPLICIT_HEAD.unpack_from(self.data, at)
            if vr in _LONG:
                length = _LENGTH.unpack_from(self.data[start : start + 4].ljust(4, b"\xff"))[0]
                start, inner = start + 4, vr != b"UN"  # PS3.5 6.2.2: UN contains implicit VR
            elif vr not in _SHORT:
                raise Malformed(f"{name_of(tag)} has no known VR")
        if length == _UNDEFINED and start <= end:
            if vr not in _OPEN_ENDED if explicit else not _may_be_sequence(tag):
                raise Malformed(f"{name_of(tag)} has an undefined length, and is no sequence")
            return Span(start, self._end_of_sequence(start, end, tag, inner, depth + 1), inner)
        if start + length > end:
            raise Malformed(f"{name_of(tag)} is cut off, or longer than the item around it")
        if length % 2:
            raise Malformed(f"{name_of(tag)} has an odd length")
        return Span(start, start + length, inner)

    def _end_of_sequence(self, at: int, end: int, tag: int, explicit: bool, depth: int) -> int:  # noqa: FBT001
        """Return the offset after the delimiter of a sequence of undefined length."""
        if depth > _DEEPEST:
            raise Malformed("sequences are nested too deep")
        while True:
            number, length = self._delimiter(at, end, tag)
            at += _HEAD.size
            if number == _SEQUENCE_END:
                return at
            if length == _UNDEFINED:
                _, at = self._elements(at, end, explicit=explicit, open_ended=True, depth=depth)
            else:
                at += length

    def _delimiter(self, at: int, end: int, tag: int) -> tuple[int, int]:
        """Return the element number and the length of the delimiter at an offset."""
        if at + _HEAD.size <= end:
            group, number, length = _HEAD.unpack_from(self.data, at)
            if group == _DELIMITERS and number in (_ITEM, _SEQUENCE_END):
                return number, length
        raise Malformed(f"{name_of(tag)} does not consist of whole items")


def decode_text(raw: bytes, character_set: bytes) -> str:
    """Return a text decoded by a character set (PS3.3 C.12.1.1.2).

    Raises
    ------
    Malformed
        If the character set is unknown or the bytes are not valid in it.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return _unpadded(raw.decode("ascii"))
    from pydicom.charset import convert_encodings, decode_bytes

    names = [name.strip(" \0") for name in character_set.decode("ascii", "replace").split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom would insert replacement characters
            return _unpadded(decode_bytes(raw, convert_encodings(names), _VALUE_DELIMITERS))
    except (UserWarning, LookupError, ValueError):
        raise Malformed("a text is not in the character set that the file names") from None


def is_character_set(raw: bytes) -> bool:
    r"""Return whether a SpecificCharacterSet (0008,0005) is of the terms of PS3.3 C.12.1.1.2.

    Also ISO_IR 6; and of several terms some may lack the prefix `ISO 2022`, as devices write them.

    >>> is_character_set(b"ISO_IR 100"), is_character_set(b"\\ISO 2022 IR 87 ")
    (True, True)
    >>> is_character_set(b"ISO\0IR 100"), is_character_set(b"utf_16"), is_character_set(b"GBK\\GBK")
    (False, False, False)
    """
    names = [name.strip(" ") for name in _unpadded(raw.decode("latin-1")).split("\\")]
    if len(names) == 1:
        return names[0] in _EXTENSIBLE | _ALONE
    return all(name in _EXTENSIBLE for name in names) and "" not in names[1:]


def _unpadded(text: str) -> str:
    """Return a text without its padding; a null character at its beginning belongs to the value."""
    return text.rstrip(" \0").lstrip(" ")


def name_of(tag: int) -> str:
    """Return the keyword of an element and its tag.

    >>> name_of(0x30060050), name_of(0x00090010)
    ('ContourData (3006,0050)', 'private element (0009,0010)')
    """
    return f"{keyword_of(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=_MOST_ELEMENTS)
def _may_be_sequence(tag: int) -> bool:
    """Return whether an element in implicit VR is a sequence, or unknown."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    return not dictionary_has_tag(tag) or dictionary_VR(tag) in ("SQ", "UN")


@lru_cache(maxsize=_MOST_ELEMENTS)  # a file may name billions
def keyword_of(tag: int) -> str:
    """Return the keyword of PS3.6, or "private element" or "unknown element"."""
    from pydicom.datadict import keyword_for_tag

    unnamed = "private element" if (tag >> 16) % 2 else "unknown element"
    return keyword_for_tag(tag) or unnamed
