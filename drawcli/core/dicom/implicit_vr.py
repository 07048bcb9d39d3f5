"""Encode a data set in Implicit VR Little Endian, the default transfer syntax (PS3.5 10.1).

Every DICOM node accepts it, and some accept no other. Values are copied byte for byte: only the
headers of elements and the lengths of sequences change (PS3.5 7.1).
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.dicom.header import DEEPEST, UNDEFINED, Element, Header, NotDicom, items
from drawcli.core.dicom.tags import tag_text

_TEXT: Final = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_UNKNOWN: Final = b"UN"


def encode_implicit_vr(header: Header) -> bytes:
    """Return the data set of a file in explicit VR, without its VRs and file meta.

    Raises
    ------
    NotDicom
        If a reader could get other values: with pixels, with a VR other than that of PS3.6, or with
        a damaged sequence.
    """
    if header.pixels is not None:
        raise NotDicom("pixels are not converted")
    return _converted(header.data, header.elements.values(), 0)


def _converted(data: bytes, elements: Iterable[Element], depth: int) -> bytes:
    if depth > DEEPEST:
        raise NotDicom("sequences nested too deep")
    return b"".join(_element(data, element, depth) for element in elements)


def _element(data: bytes, element: Element, depth: int) -> bytes:
    raw = data[element.value : element.end]
    if element.vr == _UNKNOWN and element.undefined:  # contains implicit VR already (PS3.5 6.2.2)
        head = encode(element.tag, _UNKNOWN, b"", explicit=False)
        return head[:4] + UNDEFINED.to_bytes(4, "little") + raw
    _check_vr(element)
    if element.vr != b"SQ":
        return encode(element.tag, element.vr, raw, explicit=False)
    inside = items(data, element, explicit=True)
    content = [encode_item(_converted(data, item, depth + 1)) for item in inside]
    return encode(element.tag, b"SQ", b"".join(content), explicit=False)


def _check_vr(element: Element) -> None:
    """Raise NotDicom if a reader would read the value differently without its VR."""
    vr, known = element.vr.decode("ascii"), _dictionary(element.tag)
    if vr == "UN" or not known or vr in known or {vr, *known} <= _TEXT:
        return
    raise NotDicom(f"{tag_text(element.tag)} is {vr} where PS3.6 has {' or '.join(known)}")


@cache
def _dictionary(tag: int) -> tuple[str, ...]:
    """Return the VRs that PS3.6 allows for a tag; none for an unknown tag."""
    from drawcli.core.dicom.dictionary import dictionary_VR

    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()
