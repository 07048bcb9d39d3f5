"""A contact sheet: every structure in three planes, with its name, colour and volume."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.pictures.painting import View, load_font, paint_view
from drawcli.core.pictures.scene import Region, Scene

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_GAP: Final = 6
_MARGIN: Final = 16
_CELL: Final = 260  # width of a picture, pixels
_NAME: Final = 28  # height of the line above pictures
_LINE: Final = 20
_CHARACTER: Final = 7.2  # pixels, wide
_PAPER: Final = (18, 21, 26)
_INK: Final = (231, 234, 239)
_SOFT: Final = (154, 165, 180)
_TONES: Final = {
    Severity.BLOCK: ((105, 25, 20), (255, 200, 190)),
    Severity.AGAIN: ((92, 66, 10), (255, 226, 160)),
    Severity.WARN: ((92, 66, 10), (255, 226, 160)),
}
_WELL: Final = ((18, 58, 44), (170, 230, 205))
NOTHING: Final = "The acceptance gate has no findings."
NOT_REVIEWED: Final = "Contours by software, not reviewed. Not for measuring or planning."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """The text above the pictures, without patient data."""

    title: str
    facts: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row of three pictures."""

    structure: Outlines | None  # None: all of them
    views: tuple[View, ...]


def rows(scene: Scene, width: int) -> Iterator[SheetRow]:
    """Yield a row of the whole region, then a row for each structure."""
    yield _row(scene, None, {plane: scene.whole_region(plane).squared() for plane in Plane}, width)
    for structure in scene.structures:
        if structure.polygons:
            yield _row(scene, structure, dict(scene.regions_around(structure)), width)


def _row(
    scene: Scene, structure: Outlines | None, regions: dict[Plane, Region], width: int
) -> SheetRow:
    indices = {plane: scene.best_picture(plane, structure) for plane in Plane}
    positions = {p.normal: float(scene.stack.positions(p)[n]) for p, n in indices.items()}
    views = tuple(
        View(
            plane=plane,
            index=indices[plane],
            region=region,
            width=width,
            focus=structure,
            marks=(positions[plane.right[0]], positions[plane.down[0]] * plane.down[1]),
        )
        for plane, region in regions.items()
    )
    return SheetRow(structure, views)


def contact_sheet(scene: Scene, caption: Caption) -> "Image.Image":
    """Return the sheet (RGB)."""
    from PIL import Image, ImageDraw

    sheet_rows = list(rows(scene, _CELL))
    across = 1 if len(sheet_rows) <= 3 else 2 if len(sheet_rows) <= 12 else 3  # noqa: PLR2004 - columns
    card = (len(Plane) * (_CELL + _GAP) + 2 * _GAP, _NAME + _CELL + 2 * _GAP)
    width = 2 * _MARGIN + across * card[0] - 2 * _GAP
    lines = list(_finding_lines(caption, width))
    empty = _wrapped(_without(scene), width)
    top = 2 * _MARGIN + 2 * _LINE + len(lines) * _LINE + 2 * _GAP
    height = top + -(-len(sheet_rows) // across) * card[1] + (len(empty) + 1) * _LINE + _MARGIN
    image = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(image)
    _head(pen, caption, lines, width)
    for number, row in enumerate(sheet_rows):
        x = _MARGIN + number % across * card[0]
        y = top + number // across * card[1]
        _name(pen, scene, row.structure, (x, y))
        for place, view in enumerate(row.views):
            image.paste(paint_view(scene, view), (x + place * (_CELL + _GAP), y + _NAME))
    for line, text in enumerate([*empty, NOT_REVIEWED]):
        y = height - _MARGIN - (len(empty) + 1 - line) * _LINE
        pen.text((_MARGIN, y), text, _SOFT, load_font(14))
    return image


def _head(
    pen: "ImageDraw.ImageDraw",
    caption: Caption,
    lines: Sequence[tuple[str, tuple[tuple[int, int, int], ...]]],
    width: int,
) -> None:
    pen.text((_MARGIN, _MARGIN), caption.title, _INK, load_font(20))
    pen.text((_MARGIN, _MARGIN + 28), caption.facts, _SOFT, load_font(14))
    y = 2 * _MARGIN + 2 * _LINE
    for text, (paper, ink) in lines:
        pen.rectangle((_MARGIN, y, width - _MARGIN, y + _LINE - 1), fill=paper)
        pen.text((_MARGIN + 8, y + 2), text, ink, load_font(14))
        y += _LINE


def _finding_lines(
    caption: Caption, width: int
) -> Iterator[tuple[str, tuple[tuple[int, int, int], ...]]]:
    """Yield the lines for the findings, with their colours: paper and ink."""
    if not caption.findings:
        yield NOTHING, _WELL
    for finding in caption.findings:
        for text in _wrapped(f"{finding.code}: {finding.text}", width):
            yield text, _TONES[finding.severity]


def _name(
    pen: "ImageDraw.ImageDraw", scene: Scene, structure: Outlines | None, place: tuple[int, int]
) -> None:
    """Draw the caption of a row: colour, name, volume."""
    x, y = place
    if structure is None:
        pen.text((x, y + 4), "All structures", _INK, load_font(16))
        return
    pen.rectangle((x, y + 6, x + 16, y + 20), fill=structure.color, outline=_SOFT)
    pen.text((x + 24, y + 4), structure.name, _INK, load_font(16))
    after = x + 36 + pen.textlength(structure.name, load_font(16))
    count = len(structure.levels)
    slices = f"{count} slice{'s' if count != 1 else ''}"
    text = f"{scene.volume_cm3(structure):.1f} cm3, {slices}"
    pen.text((after, y + 5), text, _SOFT, load_font(14))


def _without(scene: Scene) -> str:
    empty = [structure.name for structure in scene.structures if not structure.polygons]
    return f"Without contours: {', '.join(empty)}" if empty else ""


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, int((width - 2 * _MARGIN) / _CHARACTER))
