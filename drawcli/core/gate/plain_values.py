"""Values of elements that need no decoder: numbers, dates, times and UIDs in plain ASCII."""

import re
from typing import Final

_NUMBER: Final = rb" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})? *"
_SIZES: Final = {2: "US", 4: "UL"}  # bytes of a single number
_PLAIN: Final = {
    vr: re.compile(rb"(?:%s)(?:\\(?:%s))*[ \0]?" % (one, one))
    for vr, one in {
        "DA": rb"[0-9]{8}",
        "DS": _NUMBER,
        "IS": rb" *[+-]?[0-9]{1,9} *",
        "TM": rb"[0-9]{2,6}(?:\.[0-9]{1,6})? *",
        "UI": rb"[0-9.]+",
    }.items()
}


def plain_texts(vr: str, raw: bytes) -> list[str] | None:
    r"""Return the values of an element that pydicom would decode to these texts; None if unknown.

    >>> plain_texts("DS", b"1.5\\-2 "), plain_texts("LO", b"1.5")
    (['1.5', '-2'], None)
    """
    if vr == _SIZES.get(len(raw)):
        return [str(int.from_bytes(raw, "little"))]
    form = _PLAIN.get(vr)
    if form is None or form.fullmatch(raw) is None:
        return None
    return [text.strip(" \0") for text in raw.decode("ascii").split("\\")]
