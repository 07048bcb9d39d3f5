"""Detection of burned-in text in the corners of a slice, where scanners write names.

It only warns; it proves nothing.
"""

from itertools import groupby
from typing import Final, Literal, NamedTuple

_CASTS: Final[dict[tuple[int, bool], Literal["B", "b", "H", "h"]]] = {
    (8, False): "B",
    (8, True): "b",
    (16, False): "H",
    (16, True): "h",
}
_HEIGHT, _WIDTH = 5, 3  # a corner is a fifth of the rows high and a third of the columns wide
_STROKES: Final = 4  # short runs of one brightness in a row, as in a word of three letters
_LONGEST_STROKE: Final = 8  # pixels; an edge, a table or a metal plate is longer
_LINES: Final = 5  # least height of a line of text, rows
_BRIGHT: Final = 0.5  # least brightness of text, of the range of the slice
_EVERY: Final = 7  # every n-th pixel gives that range


class PixelLayout(NamedTuple):
    """The layout of a native, little endian, monochrome frame."""

    rows: int
    columns: int
    bits_allocated: int  # 8 or 16
    is_signed: bool


def has_burned_in_text(pixels: bytes, layout: PixelLayout) -> bool:
    """Return whether a corner of a slice has strokes of one brightness, like text.

    Noise has no two neighbours of the same brightness, bone and metal have no gaps every few
    pixels. Other pixel layouts give False.
    """
    cast = _CASTS.get((layout.bits_allocated, layout.is_signed))
    size = layout.rows * layout.columns
    if cast is None or not size or len(pixels) < size * layout.bits_allocated // 8:
        return False
    values = memoryview(pixels)[: size * layout.bits_allocated // 8].cast(cast)
    low, high = min(values[::_EVERY]), max(values[::_EVERY])
    bright = low + (high - low) * _BRIGHT
    corners = _corners(values, layout.rows, layout.columns)
    return any(_has_writing(corner, low, bright) for corner in corners)


def _corners(values: memoryview, rows: int, columns: int) -> list[list[list[int]]]:
    height, width = rows // _HEIGHT, columns // _WIDTH
    heights = (range(height), range(rows - height, rows))
    return [
        [values[row * columns + left : row * columns + left + width].tolist() for row in part]
        for part in heights
        for left in (0, columns - width)
    ]


def _has_writing(corner: list[list[int]], low: int, bright: float) -> bool:
    """Return whether enough consecutive rows are crossed by strokes of the brightest value."""
    ink = max((value for row in corner for value in row), default=low)
    if ink <= low or ink < bright:
        return False
    crossed = [ink in row and _strokes(row, ink) >= _STROKES for row in corner]
    return any(full and sum(1 for _ in run) >= _LINES for full, run in groupby(crossed))


def _strokes(row: list[int], ink: int) -> int:
    """Count the short runs of ink in a row."""
    runs = ((inked, sum(1 for _ in run)) for inked, run in groupby(row, key=ink.__eq__))
    return sum(1 for inked, length in runs if inked and length <= _LONGEST_STROKE)
