"""Encode pictures for terminals: kitty graphics protocol and sixel.

References
----------
kitty: "Terminal graphics protocol" (sw.kovidgoyal.net/kitty/graphics-protocol). Sixel: VT330/VT340
Programmer Reference Manual, chapter 14.
"""

import base64
import io
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

_COLUMN_PIXELS: Final = 10  # approximate width of a terminal column
_CHUNK: Final = 4096  # characters: the longest piece for kitty
_COLORS: Final = 256
_BAND: Final = 6  # rows of a line of sixels
_LEAST_RUN: Final = 4  # shorter runs are written out


class Protocol(StrEnum):
    """The graphics protocol of a terminal."""

    KITTY = "kitty"
    SIXEL = "sixel"


_BY_PROGRAM: Final = {  # by TERM_PROGRAM
    "ghostty": Protocol.KITTY,
    "wezterm": Protocol.SIXEL,
    "iterm.app": Protocol.SIXEL,
    "mintty": Protocol.SIXEL,
    "rio": Protocol.SIXEL,
}
_BY_TERM: Final = {  # by the start of TERM
    "xterm-kitty": Protocol.KITTY,
    "xterm-ghostty": Protocol.KITTY,
    "foot": Protocol.SIXEL,
    "mlterm": Protocol.SIXEL,
    "contour": Protocol.SIXEL,
    "yaft": Protocol.SIXEL,
}
_MULTIPLEXED: Final = ("TMUX", "STY")  # tmux and screen do not pass pictures on


def detect_protocol(env: Mapping[str, str]) -> Protocol | None:
    """Return the graphics protocol of a terminal by its environment; None if unknown.

    >>> detect_protocol({"TERM": "foot-extra"})
    <Protocol.SIXEL: 'sixel'>
    """
    if any(env.get(name) for name in _MULTIPLEXED):
        return None
    if env.get("KITTY_WINDOW_ID"):
        return Protocol.KITTY
    known = _BY_PROGRAM.get(env.get("TERM_PROGRAM", "").lower())
    term = env.get("TERM", "")
    return known or next((p for start, p in _BY_TERM.items() if term.startswith(start)), None)


def encode_picture(image: "Image.Image", protocol: Protocol, columns: int) -> str:
    """Return a picture (RGB) encoded for a terminal, at most `columns` wide."""
    width = min(image.width, columns * _COLUMN_PIXELS)
    image = image.resize((width, max(1, round(image.height * width / image.width))))
    return _kitty(image, columns) if protocol is Protocol.KITTY else _sixel(image)


def _kitty(image: "Image.Image", columns: int) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    text = base64.b64encode(out.getvalue()).decode("ascii")
    pieces = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    heads = [f"a=T,f=100,q=2,c={columns},", *[""] * (len(pieces) - 1)]
    return (
        "".join(
            f"\x1b_G{head}m={int(number + 1 < len(pieces))};{piece}\x1b\\"
            for number, (head, piece) in enumerate(zip(heads, pieces, strict=True))
        )
        + "\n"
    )


def _sixel(image: "Image.Image") -> str:
    from PIL import Image

    few = image.quantize(_COLORS, dither=Image.Dither.NONE)
    flat = few.getpalette() or []
    palette = "".join(
        f"#{number};2;" + ";".join(str(round(level / 2.55)) for level in flat[first : first + 3])
        for number, first in enumerate(range(0, len(flat), 3))
    )
    pixels = np.asarray(few)
    bands = (_band(pixels[row : row + _BAND]) for row in range(0, len(pixels), _BAND))
    return f'\x1bP0;1q"1;1;{image.width};{image.height}{palette}{"-".join(bands)}\x1b\\\n'


def _band(rows: "npt.NDArray[np.uint8]") -> str:
    """Return six rows of pixels as sixels: one line for each colour."""
    bits = (1 << np.arange(len(rows), dtype=np.uint8))[:, None]
    lines = []
    for color in np.unique(rows).tolist():
        column = np.where(rows == color, bits, 0).sum(axis=0)
        lines.append(f"#{color}{''.join(_runs(column))}")
    return "$".join(lines)


def _runs(column: "npt.NDArray[np.int_]") -> Iterator[str]:
    ends = np.flatnonzero(np.diff(column, append=-1)) + 1
    begin = 0
    for end in ends.tolist():
        character, count = chr(63 + int(column[begin])), end - begin
        yield character * count if count < _LEAST_RUN else f"!{count}{character}"
        begin = end
