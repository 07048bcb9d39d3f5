"""The elements of a structure set at every depth, with their VRs and texts."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from drawcli.core.dicom.header import DEEPEST, Element, Header, items
from drawcli.errors import BadStructureSet

ESCAPE: Final = b"\x1b"  # switches the character set within a text (PS3.5 6.1.2.5)
_KATAKANA: Final = b"ISO_IR 13"  # two ASCII codes are other characters
_DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3


@dataclass(frozen=True, slots=True)
class NestedElement:
    """One element with the tags of its enclosing sequences."""

    above: tuple[int, ...]
    item: int  # number of the item: equal for elements of one item
    tag: int
    vr: str
    raw: bytes


def every_element(header: Header) -> Iterator[NestedElement]:
    """Yield every element at every depth; numbers of items start at 1."""
    counter = [0]

    def below(
        elements: Sequence[Element], above: tuple[int, ...], item: int, *, explicit: bool
    ) -> Iterator[NestedElement]:
        for element in elements:
            vr = vr_of(element)
            if vr != "SQ":
                raw = header.data[element.value : element.end]
                yield NestedElement(above, item, element.tag, vr, raw)
                continue
            check_depth(len(above))
            inner = explicit and element.vr != b"UN"
            for inside in items(header.data, element, explicit=inner):
                counter[0] += 1
                yield from below(inside, (*above, element.tag), counter[0], explicit=inner)

    yield from below(list(header.elements.values()), (), 0, explicit=header.explicit)


def parts(header: Header, sequence: Element) -> Iterator[list[Element]]:
    """Yield the elements of each item of a sequence."""
    inner = header.explicit and sequence.vr != b"UN"
    return items(header.data, sequence, explicit=inner)


def item_value(header: Header, item: Sequence[Element], tag: int) -> bytes | None:
    """Return the bytes of one element of an item, or None."""
    element = next((element for element in item if element.tag == tag), None)
    return None if element is None else header.data[element.value : element.end]


def vr_of(element: Element) -> str:
    """Return the VR of an element: of PS3.6 for UIDs and sequences, else of the file if known."""
    known = dictionary_vr(element.tag)
    if known in ("UI", "SQ") or element.vr in (b"", b"UN"):
        return known
    return element.vr.decode("ascii")


@cache
def dictionary_vr(tag: int) -> str:
    """Return the VR of PS3.6; "UN" for an unknown tag."""
    from drawcli.core.dicom.dictionary import dictionary_VR

    try:
        return dictionary_VR(tag)[:2]  # "US or SS" is encoded alike
    except KeyError:
        return "UN"


def recode_as_utf8(raw: bytes, character_set: bytes) -> bytes:
    """Return a text of another character set in UTF-8."""
    return decode_text(raw, character_set).encode("utf-8")


def decode_text(raw: bytes, character_set: bytes) -> str:
    """Return a text decoded by a character set of PS3.3 C.12.1.1.2.

    Raises
    ------
    BadStructureSet
        If the character set is unknown, or the text is not valid in it.
    """
    if raw.isascii() and ESCAPE not in raw:
        return raw.decode("ascii")
    from pydicom.charset import convert_encodings, decode_bytes

    names = [part.strip(" \0") for part in character_set.decode("ascii", "replace").split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom would insert replacement characters
            return decode_bytes(raw, convert_encodings(names), _DELIMITERS)
    except (UserWarning, LookupError, UnicodeError):
        raise BadStructureSet("a text is not in the named character set") from None


def is_encodable(name: str, character_set: bytes) -> bool:
    """Return whether a name can be encoded in a character set without escapes."""
    from pydicom.charset import python_encoding

    if name.isascii():
        return "\x1b" not in name
    if not character_set.startswith(b"ISO_IR") or character_set == _KATAKANA:
        return False
    try:
        name.encode(python_encoding[character_set.decode("ascii")])
    except (KeyError, UnicodeError):
        return False
    return True


def check_depth(depth: int) -> None:
    """Raise BadStructureSet if sequences are nested too deep."""
    if depth >= DEEPEST:
        raise BadStructureSet("sequences nested too deep")
