"""Shorten DS values to 16 bytes: planning systems refuse longer ones."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Bytes = npt.NDArray[np.uint8]
    _Which = npt.NDArray[np.bool_]

LONGEST: Final = 16  # bytes of one DS value (PS3.5 table 6.2-1)
_PLAIN: Final = b"0123456789.+-\\ "  # characters of numbers without an exponent
_FEW: Final = 200  # bytes: shorter texts are not worth arrays
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
    if len(raw) >= _FEW and (cut := _cut_together([raw])) is not None:
        return cut[0]
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


def shorten_many_decimals(raws: Sequence[bytes]) -> Iterable[bytes]:
    """Return `shorten_decimals` of each value; plain numbers of all are cut together."""
    cut = None if any(b"\0" in raw for raw in raws) else _cut_together(raws)
    return map(shorten_decimals, raws) if cut is None else cut


def _cut_together(raws: Sequence[bytes]) -> Sequence[bytes] | None:
    """Return `shorten_decimals` of values whose numbers are all plain; None for others.

    They have the form of numbers in JSON, no exponent, and a point among the first nine bytes.
    """
    import numpy as np

    texts = [raw.rstrip(b" \0") for raw in raws]
    if not all(texts):
        return None
    joined = b"\\".join(texts)
    data = np.frombuffer(joined, np.uint8)
    ends = data == ord("\\")
    too_long = _runs(~ends, LONGEST + 1)
    if not too_long.any():
        return raws
    if not _are_plain(joined, data, ends):
        return None
    keep = np.ones(len(data), bool)
    keep[LONGEST:] = ~too_long
    begins = list(accumulate((len(text) + 1 for text in texts[:-1]), initial=0))
    after = np.add.reduceat(keep, begins, dtype=np.intp).cumsum().tolist()
    cut, begin, short = data[keep].tobytes() + b"\\", 0, list[bytes]()
    after[-1] += 1
    for raw, text, end in zip(raws, texts, after, strict=True):
        part = cut[begin : end - 1]
        short.append(raw if len(part) == len(text) else part + b" " * (len(part) % 2))
        begin = end
    return short


def _are_plain(text: bytes, data: "_Bytes", ends: "_Which") -> bool:
    """Return whether numbers can be cut: see `_cut_together`."""
    import numpy as np
    import orjson

    if text.translate(None, _PLAIN):
        return False
    starts = np.concatenate(([True], ends[:-1]))
    no_point = _runs(~ends & (data != ord(".")), _POINT_BEFORE)
    if (starts[: len(no_point)] & no_point).any():
        return False
    commas = data - ends.view(np.uint8) * np.uint8(ord("\\") - ord(","))
    try:
        orjson.loads(b"[%b]" % commas.tobytes())
    except orjson.JSONDecodeError:
        return False
    return True


def _runs(which: "_Which", length: int) -> "_Which":
    """Return for each place whether it and the `length` - 1 behind it are all true."""
    width = 1
    while 2 * width <= length:
        which = which[:-width] & which[width:] if len(which) > width else which[:0]
        width *= 2
    rest = length - width
    if not rest:
        return which
    return which[:-rest] & which[rest:] if len(which) > rest else which[:0]


def _cut(value: bytes) -> bytes:
    return value[:LONGEST] if value.find(b".", 0, _POINT_BEFORE) > 0 else _shortened(value)


def _shortened(value: bytes) -> bytes:
    number = float(value)
    if not isfinite(number) or b"_" in value:
        raise ValueError("a DS value is not a finite decimal number")
    short = f"{number:.10g}"
    return (short if len(short) <= LONGEST else f"{number:.9g}").encode("ascii")
