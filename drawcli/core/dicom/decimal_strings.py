"""Shorten DS values to 16 bytes: planning systems refuse longer ones."""

from collections import deque
from math import isfinite
from typing import Final

LONGEST: Final = 16  # bytes of one DS value (PS3.5 table 6.2-1)
_PLAIN: Final = b"0123456789.+-\\ "  # characters of numbers without an exponent
_POINT_BEFORE: Final = 9  # bytes: at least seven decimal places stay


def shorten_decimals(raw: bytes) -> bytes:
    r"""Return a multi-valued DS with every value of at most 16 bytes.

    Plain decimals are cut after the 16th byte; others keep ten significant digits (nine with a
    three-digit exponent). A coordinate of 1,000 mm changes by less than 0.0000005 mm. Values that
    fit are unchanged.

    Raises
    ------
    ValueError
        If a value that is too long is not a finite decimal number.

    Examples
    --------
    >>> shorten_decimals(rb"-123.45678901234567\12.5")
    b'-123.45678901234\\12.5 '
    """
    if b"\0" in raw:  # padding of other VRs
        raw = raw.rstrip(b" \0")
    values = raw.rstrip(b" \0").split(b"\\")
    if len(max(values, key=len)) <= LONGEST:
        return raw
    if raw.rstrip(b" \0").translate(None, _PLAIN):
        short = [v if len(v) <= LONGEST else _shortened(v) for v in values]
    else:
        deque(map(float, (v for v in values if len(v) > LONGEST)), 0)  # ValueError if not a number
        short = [v if len(v) <= LONGEST else _cut(v) for v in values]
    joined = b"\\".join(short)
    return joined + b" " * (len(joined) % 2)


def _cut(value: bytes) -> bytes:
    return value[:LONGEST] if value.find(b".", 0, _POINT_BEFORE) > 0 else _shortened(value)


def _shortened(value: bytes) -> bytes:
    number = float(value)
    if not isfinite(number) or b"_" in value:
        raise ValueError("a DS value is not a finite decimal number")
    short = f"{number:.10g}"
    return (short if len(short) <= LONGEST else f"{number:.9g}").encode("ascii")
