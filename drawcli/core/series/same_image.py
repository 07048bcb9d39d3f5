"""Whether two files are the same image.

Routers write their own file meta information and may change the transfer syntax or the encoding of
sequence lengths. So only the elements of the data set and the pixels are compared.
"""

from typing import Final

from drawcli.core.dicom.header import NATIVE, Element, Header, Incomplete, NotDicom, items
from drawcli.core.dicom.instance import image_bytes
from drawcli.core.dicom.streaming import (
    ElementStream,
    end_of_fragments,
    header_of_stream,
    is_all_zeros,
)

_CHUNK: Final = 1 << 20


def is_same_image(one: ElementStream, other: ElementStream) -> bool:
    """Return whether two files hold the same data set; False if one cannot be read."""
    try:
        first, second = header_of_stream(one), header_of_stream(other)
        return _same_headers(first, second) and _same_pixels(first, one, second, other)
    except (NotDicom, Incomplete):
        return False


def _same_headers(first: Header, second: Header) -> bool:
    syntaxes = {first.transfer_syntax, second.transfer_syntax}
    if len(syntaxes) > 1 and not syntaxes <= NATIVE:
        return False
    return _same_items(list(first.elements.values()), first, list(second.elements.values()), second)


def _same_items(first: list[Element], one: Header, second: list[Element], other: Header) -> bool:
    """Return whether the elements of two data sets, or of two items, are equal."""
    pairs = ([e for e in many if e.tag & 0xFFFF] for many in (first, second))  # no group lengths
    mine, others = pairs
    return [e.tag for e in mine] == [e.tag for e in others] and all(
        _same_values(a, one, b, other) for a, b in zip(mine, others, strict=True)
    )


def _same_values(first: Element, one: Header, second: Element, other: Header) -> bool:
    raw, another = one.data[first.value : first.end], other.data[second.value : second.end]
    if first.undefined == second.undefined and raw == another:
        return True
    if not (first.undefined or second.undefined or b"SQ" in (first.vr, second.vr)):
        return False
    inside, beside = (
        list(items(header.data, sequence, explicit=header.explicit and sequence.vr != b"UN"))
        for header, sequence in ((one, first), (other, second))
    )
    return len(inside) == len(beside) and all(
        _same_items(a, one, b, other) for a, b in zip(inside, beside, strict=True)
    )


def _same_pixels(first: Header, one: ElementStream, second: Header, other: ElementStream) -> bool:
    if first.pixels is None or second.pixels is None:
        return first.pixels is second.pixels
    if first.pixels.undefined != second.pixels.undefined:
        return False
    lengths = _length(first, one), _length(second, other)
    one.seek(first.pixels.value)
    other.seek(second.pixels.value)
    shared = min(lengths)
    while shared > 0:
        part = one.read(min(shared, _CHUNK))
        if not part or part != other.read(len(part)):
            return False
        shared -= len(part)
    if first.pixels.undefined or lengths[0] == lengths[1]:
        return lengths[0] == lengths[1]
    longer = one if lengths[0] > lengths[1] else other
    whole = min(lengths) >= image_bytes(first)
    return whole and is_all_zeros(longer, max(lengths) - min(lengths))


def _length(header: Header, stream: ElementStream) -> int:
    """Return the length of the pixel data, bytes."""
    assert header.pixels is not None  # noqa: S101 - checked by the caller
    start = header.pixels.value
    return (
        end_of_fragments(stream, start) if header.pixels.undefined else header.pixels.end
    ) - start
