"""The elements of a structure set at every depth, with their VRs and texts."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from drawcli.core.dicom.header import DEEPEST, Element, Header, items
from drawcli.errors import BadStructureSet

ESCAPE: Final = b"\x1b"  # switches the character set within a text (PS3.5 6.1.2.5)
_KATAKANA: Final = b"ISO_IR 13"  # two ASCII codes are other characters
_ASCII_ONLY: Final = frozenset({b"", b"ISO_IR 6", b"ISO 2022 IR 6"})
_ALL_ESCAPED: Final = b"\\".join(  # the code extensions of PS3.3 tables C.12-3 and C.12-4
    b"ISO 2022 IR %d" % number
    for number in (6, 87, 149, 58, 159, 13, 100, 101, 109, 110, 144, 127, 126, 138, 148, 166)
)
_DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3


class NestedElement(NamedTuple):
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
    except (UserWarning, LookupError, ValueError):  # of a null character in the name of the set
        raise BadStructureSet("a text is not in the named character set") from None


def readable_text(raw: bytes, character_set: bytes) -> str:
    r"""Return a text as well as it can be read, for people.

    By its character set; if that is missing or wrong, as UTF-8, by its escape sequences, or as
    Windows-1252, which contains Latin-1.

    >>> readable_text(b"Lindqv\xedst^\xc5sa", b""), readable_text(b"Lindqv\xc3\xadst", b"")
    ('Lindqvíst^Åsa', 'Lindqvíst')
    """
    raw = raw.strip(b" \0")
    named = [part.strip() for part in character_set.strip(b" \0").split(b"\\")]
    guess = b"" if ESCAPE not in raw else _ALL_ESCAPED
    candidates = [guess] if set(named) <= _ASCII_ONLY else [character_set, guess]
    for candidate in filter(None, candidates):
        with suppress(BadStructureSet):
            return decode_text(raw, candidate)
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")


def is_encodable(name: str, character_set: bytes) -> bool:
    """Return whether a name can be encoded in a character set without escapes."""
    from pydicom.charset import python_encoding

    if name.isascii():
        return "\x1b" not in name
    if not character_set.startswith(b"ISO_IR") or character_set in _ASCII_ONLY | {_KATAKANA}:
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
