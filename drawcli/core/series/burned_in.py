"""Does a slice show writing? A cheap look at the corners, where machines write names.

It warns and proves nothing: header and gate say what may leave, a person says what pixels show.
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
_STROKES: Final = 4  # short runs of one brightness in a row; a word of three letters has them
_LONGEST_STROKE: Final = 8  # pixels; an edge, a table or a metal plate is longer
_LINES: Final = 5  # rows that a line of writing is high at least
_BRIGHT: Final = 0.5  # of the range of the slice: writing is drawn to be seen
_EVERY: Final = 7  # pixel, to learn that range


class PixelLayout(NamedTuple):
    """How the pixels of a native, little endian, monochrome frame lie in its bytes."""

    rows: int
    columns: int
    bits_allocated: int  # 8 or 16
    is_signed: bool


def shows_writing(pixels: bytes, raster: PixelLayout) -> bool:
    """Tell whether a corner of a slice holds strokes of one brightness, as writing does.

    Noise has no two neighbours of the same brightness, bone and metal have no gaps every few
    pixels. Frames that are stored otherwise than a raster can say are not judged.
    """
    cast = _CASTS.get((raster.bits_allocated, raster.is_signed))
    size = raster.rows * raster.columns
    if cast is None or not size or len(pixels) < size * raster.bits_allocated // 8:
        return False
    values = memoryview(pixels)[: size * raster.bits_allocated // 8].cast(cast)
    low, high = min(values[::_EVERY]), max(values[::_EVERY])
    bright = low + (high - low) * _BRIGHT
    corners = _corners(values, raster.rows, raster.columns)
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
    """Tell whether enough rows, one below the other, are crossed by strokes of the brightest."""
    ink = max((value for row in corner for value in row), default=low)
    if ink <= low or ink < bright:
        return False
    crossed = [ink in row and _strokes(row, ink) >= _STROKES for row in corner]
    return any(full and sum(1 for _ in run) >= _LINES for full, run in groupby(crossed))


def _strokes(row: list[int], ink: int) -> int:
    """Count the short runs of ink in a row."""
    runs = ((inked, sum(1 for _ in run)) for inked, run in groupby(row, key=ink.__eq__))
    return sum(1 for inked, length in runs if inked and length <= _LONGEST_STROKE)
