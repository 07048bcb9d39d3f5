"""Pictures of where two structures differ: both outlines, what was added and what was removed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from shapely.geometry.base import BaseGeometry

from drawcli.core.pictures.frame import Floats, Plane
from drawcli.core.pictures.outlines import CutLine, Outlines
from drawcli.core.pictures.painting import FINER, View, paint_view
from drawcli.core.pictures.scene import Scene
from drawcli.core.rtstruct.displayed import Color, Displayed, default_color
from drawcli.core.rtstruct.enclosed_area import find_enclosed
from drawcli.core.rtstruct.outline_shapes import TooComplex, polygons_in

if TYPE_CHECKING:
    from PIL import Image

COLOR_A: Final[Color] = (90, 200, 255)
COLOR_B: Final[Color] = (255, 190, 70)
ADDED: Final[Color] = (255, 190, 70)
REMOVED: Final[Color] = (90, 160, 255)
_OPAQUE: Final = 140  # of 255
_WIDTH: Final = 360  # pixels


def difference_pictures(
    images: Scene, contours: tuple[Sequence[Floats], Sequence[Floats]]
) -> Iterator[tuple[Plane, "Image.Image"]]:
    """Yield a picture in each plane, through the largest difference.

    Parameters
    ----------
    images
        A scene; its structures are not drawn.
    contours
        The closed contours of a structure in A and in B (n x 3 each, mm, LPS).
    """
    a, b = _both(images, contours)
    scene = replace(images, structures=(a, b))
    place = _worst(scene)
    for plane, region in scene.regions_around(a if a.polygons else b):
        index = scene.stack.nearest(plane, float(place[plane.normal]))
        marks = (float(place[plane.right[0]]), float(place[plane.down[0]]) * plane.down[1])
        view = View(plane=plane, index=index, region=region, width=_WIDTH, marks=marks)
        yield plane, _shaded(scene, view)


def paired_scenes(
    images: Scene,
    contours: Mapping[int, tuple[Sequence[Floats], Sequence[Floats]]],
    looks: Mapping[int, tuple[str, Color | None]],
) -> tuple[Scene, Scene]:
    """Return the structures of A and of B as two scenes on the same images.

    Parameters
    ----------
    images
        A scene; its structures are not drawn.
    contours
        The closed contours of each structure by number, in A and in B (mm, LPS).
    looks
        Name and colour of each number; without a colour, a default one.
    """
    sides: tuple[list[Outlines], list[Outlines]] = ([], [])
    for number, both in contours.items():
        name, color = looks[number]
        look = Displayed(name, color or default_color(number))
        for side, own in zip(sides, both, strict=True):
            side.append(Outlines(number, look, own, images.stack.frame))
    a, b = (replace(images, structures=side) for side in sides)
    return a, b


def worst_place(images: Scene, contours: tuple[Sequence[Floats], Sequence[Floats]]) -> Floats:
    """Return a point in the largest difference of a structure in A and B, in the frame, mm."""
    return _worst(replace(images, structures=_both(images, contours)))


def _both(
    images: Scene, contours: tuple[Sequence[Floats], Sequence[Floats]]
) -> tuple[Outlines, Outlines]:
    frame = images.stack.frame
    looks = (Displayed("A", COLOR_A), Displayed("B", COLOR_B))
    a, b = (
        Outlines(number, look, own, frame)
        for number, (look, own) in enumerate(zip(looks, contours, strict=True), start=1)
    )
    return a, b


def _areas(scene: Scene, plane: Plane, index: int) -> tuple[BaseGeometry, BaseGeometry]:
    """Return the areas of A and B in a picture, mm to the right and down."""
    lines: dict[int, Sequence[CutLine]] = {
        structure.number: lines for structure, lines in scene.outlines(plane, index)
    }
    return _area(lines.get(1, ())), _area(lines.get(2, ()))


def _area(lines: Sequence[CutLine]) -> BaseGeometry:
    try:
        rings = [[(u, v) for u, v in line.points.tolist()] for line in lines]
        return find_enclosed([ring for ring in rings if len(ring) > 2]).area  # noqa: PLR2004 - an area
    except TooComplex:
        return find_enclosed([]).area


def _worst(scene: Scene) -> Floats:
    """Return a point in the middle of the largest difference in a slice, in the frame, mm."""
    plane = next(plane for plane in Plane if plane.normal == scene.stack.across)
    levels = {level for structure in scene.structures for level in structure.levels}
    most, place = -1.0, (scene.structures[0].middle if scene.structures[0].polygons else None)
    for index in sorted({scene.stack.nearest(plane, level) for level in levels}):
        a, b = _areas(scene, plane, index)
        parts = list(polygons_in(a.symmetric_difference(b)))
        largest = max(parts, key=lambda part: part.area, default=None)
        if largest is not None and largest.area > most:
            most, point = largest.area, largest.representative_point()
            place = np.zeros(3)
            place[plane.right[0]] = point.x * plane.right[1]
            place[plane.down[0]] = point.y * plane.down[1]
            place[plane.normal] = float(scene.stack.positions(plane)[index])
    return np.asarray(scene.structures[1].middle if place is None else place)


def _shaded(scene: Scene, view: View) -> "Image.Image":
    """Return a picture with both outlines; what was added and removed is shaded."""
    from PIL import Image, ImageDraw

    image = paint_view(scene, view)
    a, b = _areas(scene, view.plane, view.index)
    shade = Image.new("RGBA", image.size, (0, 0, 0, 0))
    for area, color in ((a.difference(b), REMOVED), (b.difference(a), ADDED)):
        mask = Image.new("L", image.size, 0)
        pen = ImageDraw.Draw(mask)
        for polygon in polygons_in(area):
            pen.polygon(_pixels(view, np.asarray(polygon.exterior.coords)), fill=_OPAQUE)
            for hole in polygon.interiors:
                pen.polygon(_pixels(view, np.asarray(hole.coords)), fill=0)
        shade.paste((*color, _OPAQUE), mask=mask)
    return Image.alpha_composite(image.convert("RGBA"), shade).convert("RGB")


def _pixels(view: View, ring: Floats) -> list[tuple[float, float]]:
    flat = view.at(ring[:, :2])
    return [(x / FINER, y / FINER) for x, y in zip(flat[::2], flat[1::2], strict=True)]
