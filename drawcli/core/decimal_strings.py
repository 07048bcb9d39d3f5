"""DS values of at most 16 bytes: what planning systems refuse is mended, and nothing moves."""

from math import isfinite
from typing import Final

LONGEST: Final = 16  # bytes of one DS value (PS3.5 table 6.2-1)


def mended(raw: bytes) -> bytes:
    r"""Return a multi-valued DS with every value of at most 16 bytes.

    Ten significant digits are kept (nine beside an exponent of three): a coordinate of 1,000 mm
    moves by less than 0.0000005 mm. Values that fit are not touched.

    Raises
    ------
    ValueError
        Where a value that is too long is no finite decimal number.

    Examples
    --------
    >>> mended(rb"-123.45678901234567\12.5")
    b'-123.456789\\12.5'
    """
    values = raw.rstrip(b" \0").split(b"\\")
    if all(len(value) <= LONGEST for value in values):
        return raw
    short = b"\\".join(value if len(value) <= LONGEST else _shortened(value) for value in values)
    return short + b" " * (len(short) % 2)


def _shortened(value: bytes) -> bytes:
    number = float(value)
    if not isfinite(number) or b"_" in value:
        raise ValueError("a DS value is no finite decimal number")
    short = f"{number:.10g}"
    return (short if len(short) <= LONGEST else f"{number:.9g}").encode("ascii")
