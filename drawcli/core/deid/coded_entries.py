"""Coded entries that are kept: codes of known schemes, with the meaning that the scheme defines.

The text of an entry may hold anything, so it is rewritten from the code. Codes outside the context
groups of the standard are removed.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.dicom.header import Element, Header, ascii_text, items

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

# PS3.16: anatomic regions, routes of administration, views, radionuclides, radiopharmaceuticals,
# phantoms, units of PET, units of real world values.
CONTEXT_GROUPS: Final = (
    *("cid4", "cid11", "cid26", "cid4020", "cid4021", "cid4052", "cid84", "cid7181"),
)
# Older SNOMED CT codes of regions in CID 4; many files have them.
_FORMER: Final = {
    "51185008": "Chest",
    "113345001": "Abdomen",
    "12921003": "Pelvis",
    "416949008": "Abdomen and Pelvis",
}
_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_OLD_SNOMED: Final = frozenset({"SRT", "SNM3", "99SDM"})  # as PS3.16 section 8 names it
_MOST_REMEMBERED: Final = 1024


def clean_coded_entries(tag: int, element: Element, header: Header, *, explicit: bool) -> bytes:
    """Return a sequence of coded entries with the known ones only.

    Raises
    ------
    NotDicom
        If the sequence does not consist of whole items.
    """
    inner = explicit and element.vr != b"UN"  # PS3.5 6.2.2: UN contains implicit VR
    content = [
        encode_item(b"".join(_entry(value, scheme, meaning, explicit=header.explicit)))
        for value, scheme in _entries(element, header, explicit=inner)
        if (meaning := meaning_of(value, scheme))
    ]
    return encode(tag, b"SQ", b"".join(content), explicit=header.explicit)


@lru_cache(maxsize=_MOST_REMEMBERED)
def meaning_of(value: str, scheme: str) -> str:
    """Return the meaning of a code; "" if it is in none of the context groups.

    >>> meaning_of("T-D4000", "SRT")
    'Abdomen'
    >>> meaning_of("BLADDER-7", "99LOCAL")
    ''
    """
    from pydicom.sr.coding import Code

    wanted = Code(value, "SRT" if scheme in _OLD_SNOMED else scheme, "")
    return min((code.meaning for code in _known_codes() if code == wanted), key=len, default="")


@cache
def _known_codes() -> "tuple[Code, ...]":
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    groups = (getattr(codes, group) for group in CONTEXT_GROUPS)
    current = (getattr(group, name) for group in groups for name in group.dir())
    return (*current, *(Code(value, "SCT", text) for value, text in _FORMER.items()))


def _entries(element: Element, header: Header, *, explicit: bool) -> Iterator[tuple[str, str]]:
    for inside in items(header.data, element, explicit=explicit):
        texts = {part.tag: ascii_text(header.data[part.value : part.end]) for part in inside}
        yield texts.get(_VALUE, ""), texts.get(_SCHEME, "")


def _entry(value: str, scheme: str, meaning: str, *, explicit: bool) -> Iterator[bytes]:
    for tag, vr, text in ((_VALUE, b"SH", value), (_SCHEME, b"SH", scheme), (_MEANING, b"LO", "")):
        yield encode(tag, vr, (text or meaning).encode("ascii"), explicit=explicit)
