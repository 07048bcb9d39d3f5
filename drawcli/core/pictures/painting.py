"""Paint one picture of one plane: images in grey, outlines in colour, direction letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import CutLine, Outlines
from drawcli.core.pictures.scene import Region, Scene
from drawcli.core.pictures.stack import PlaneCut
from drawcli.core.rtstruct.displayed import Color

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

FINER: Final = 2  # supersampling factor, for smooth lines
_DARK: Final = 90  # colours below this brightness get a light rim
_BAR_PX: Final = 28  # least length of the scale
_LIGHT: Final = (255, 255, 240)
_BLACK: Final = (0, 0, 0)
_MARK: Final = (255, 214, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The content and size of a picture."""

    plane: Plane
    index: int  # of the position in the plane's stack
    region: Region
    width: int  # pixels
    focus: Outlines | None = None  # drawn bold, in its own window
    marks: tuple[float | None, float | None] = (
        None,
        None,
    )  # of the other planes: right, down, mm

    @property
    def height(self) -> int:
        """Pixels, at the same scale as the width."""
        across, down = self.region.size
        return max(1, round(self.width * down / across))

    def at(self, points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[float]:
        """Return points (n x 2, mm) as pixels of the supersampled drawing: x, y, x, y ..."""
        scale = self.width * FINER / self.region.size[0]
        pixels = (points - np.array(self.region[:2])) * scale - 0.5
        return list(pixels.ravel().tolist())


def paint_view(scene: Scene, view: View) -> "Image.Image":
    """Return a picture (RGB)."""
    from PIL import ImageDraw

    stack = scene.stack
    section = stack.section(view.plane, float(stack.positions(view.plane)[view.index]))
    image = _grey(scene, section, view).convert("RGB")
    pen = ImageDraw.Draw(image)
    outlines = scene.outlines(view.plane, view.index)
    for structure, lines in sorted(outlines, key=lambda outline: outline[0] is view.focus):
        _stroke(pen, view, lines, structure.color, bold=structure is view.focus)
    image = image.reduce(FINER)
    _annotate(ImageDraw.Draw(image), scene, view)
    return image


def _grey(scene: Scene, section: PlaneCut, view: View) -> "Image.Image":
    """Return the images in a region, supersampled; black outside the images."""
    from PIL import Image

    window = scene.window
    if view.focus is not None:
        window = window.for_structure(view.focus.name, scene.modality)
    size = (view.width * FINER, view.height * FINER)
    canvas = Image.new("L", size, 255 if window.inverse else 0)
    spans = [_overlap(section, view, axis, size[axis]) for axis in (0, 1)]
    if all(spans):
        (x, wide, left, right), (y, high, top, bottom) = (span for span in spans if span)
        grown = _grown(left, right, top, bottom, section.values.shape)
        values = section.values[grown[1] : grown[3], grown[0] : grown[2]]
        source = Image.fromarray(np.ascontiguousarray(window.grey(values)))
        box = (left - grown[0], top - grown[1], right - grown[0], bottom - grown[1])
        canvas.paste(source.resize((wide, high), Image.Resampling.BICUBIC, box), (x, y))
    return canvas


def _overlap(
    section: PlaneCut, view: View, axis: int, pixels: int
) -> tuple[int, int, float, float] | None:
    """Return the overlap of a section and the drawing along an axis, None if there is none.

    First pixel and number of pixels in the drawing; start and end in pixels of the section.
    """
    first, length = view.region[axis], view.region.size[axis]
    start, step = section.start[axis], section.step[axis]
    count = section.values.shape[1 - axis]
    edge = start - step / 2
    low = max(0, round((edge - first) / length * pixels))
    high = min(pixels, round((edge + step * count - first) / length * pixels))
    if high <= low:
        return None
    own = [(first + at / pixels * length - edge) / step for at in (low, high)]
    return low, high - low, max(0.0, own[0]), min(float(count), own[1])


def _grown(
    left: float, right: float, top: float, bottom: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Return the whole pixels around a part of a section: left, top, right, bottom."""
    return (
        max(0, int(left) - 4),
        max(0, int(top) - 4),
        min(shape[1], int(right) + 5),
        min(shape[0], int(bottom) + 5),
    )


def _stroke(
    pen: "ImageDraw.ImageDraw", view: View, lines: Sequence[CutLine], color: Color, *, bold: bool
) -> None:
    """Draw outlines with a contrasting rim: visible on white bone and on black air."""
    red, green, blue = color
    rim = (0, 0, 0) if 0.3 * red + 0.6 * green + 0.1 * blue > _DARK else (255, 255, 255)
    wide = max(3, round(view.width / 110)) + bold
    drawings = [view.at(np.concatenate([line.points, line.points[:2]])) for line in lines]
    for fill, width in ((rim, wide + 2), (color, wide)):
        for places in drawings:
            pen.line(places, fill=fill, width=width)


def _annotate(pen: "ImageDraw.ImageDraw", scene: Scene, view: View) -> None:
    """Draw directions at the edges, the position in the stack, a scale, and other planes."""
    size, (wide, high) = max(10, view.width // 24), (view.width, view.height)
    font, margin = load_font(size), _mark_length(view)
    inks = _Inks(font, *((_BLACK, _LIGHT) if scene.window.inverse else (_LIGHT, _BLACK)))
    frame, plane = scene.stack.frame, view.plane
    (right, right_sign), (down, down_sign) = plane.right, plane.down
    for place, anchor, axis, sign in (
        ((4, high // 2), "lm", right, -right_sign),
        ((wide - margin - 4, high // 2), "rm", right, right_sign),
        ((wide // 2, 4), "mt", down, -down_sign),
        ((wide // 2, high - margin - 3), "mb", down, down_sign),
    ):
        _write(pen, place, frame.letters(axis, sign), anchor, inks)
    positions = scene.stack.positions(plane)
    _write(pen, (4, 4), f"{plane} {view.index + 1}/{len(positions)}", "lt", inks)
    mm = float(positions[view.index])
    where = f"{frame.letters(plane.normal, 1 if mm >= 0 else -1)} {abs(mm):.1f} mm"
    _write(pen, (wide - 4, high - 4), where, "rb", inks)
    _scale(pen, view, inks)
    _mark(pen, view)


def _scale(pen: "ImageDraw.ImageDraw", view: View, inks: "_Inks") -> None:
    """Draw a bar of 1, 2, 5, 10 ... cm."""
    pixels = view.width / view.region.size[0]
    mm = next((mm for mm in (10, 20, 50, 100, 200) if mm * pixels >= _BAR_PX), 500)
    x, y = 6, view.height - 7
    pen.line([x, y, x + mm * pixels, y], fill=inks.rim, width=4)
    pen.line([x + 1, y, x + mm * pixels - 1, y], fill=inks.ink, width=2)
    _write(pen, (x, y - 4), f"{mm // 10} cm", "lb", inks)


def _mark(pen: "ImageDraw.ImageDraw", view: View) -> None:
    """Mark the positions of the other planes of a row at the edges."""
    scale, length = view.width / view.region.size[0], _mark_length(view)
    x, y = (
        None if mm is None else (mm - start) * scale
        for mm, start in zip(view.marks, view.region[:2], strict=True)
    )
    if x is not None:
        pen.line([x, view.height - length, x, view.height], fill=_MARK, width=2)
    if y is not None:
        pen.line([view.width - length, y, view.width, y], fill=_MARK, width=2)


def _mark_length(view: View) -> int:
    return max(6, view.width // 30)


class _Inks(NamedTuple):
    """The font and colours of letters."""

    font: "ImageFont.FreeTypeFont | ImageFont.ImageFont"
    ink: Color
    rim: Color


def _write(
    pen: "ImageDraw.ImageDraw", place: tuple[int, int], text: str, anchor: str, inks: _Inks
) -> None:
    for (mask, (left, top)), ink in zip(
        _masks(text, anchor, inks.font), inks[1:][::-1], strict=True
    ):
        pen.bitmap((place[0] + left, place[1] + top), mask, ink)


@lru_cache(maxsize=1024)
def _masks(
    text: str, anchor: str, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont"
) -> "tuple[tuple[Image.Image, tuple[int, int]], ...]":
    """Return two masks of a text with their offsets from its anchor: the rim, then the letters."""
    from PIL import Image, ImageDraw

    found = []
    for rim in (1, 0):
        box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
            (0, 0), text, font, anchor, stroke_width=rim
        )
        left, top, right, bottom = floor(box[0]), floor(box[1]), ceil(box[2]), ceil(box[3])
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), text, 255, font, anchor, stroke_width=rim)
        found.append((mask, (left, top)))
    return tuple(found)


@cache
def load_font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Return the font of a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
