"""Areas of many outlines at once: those of each alone, and which outlines are looked at closely."""

import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, make_valid

from drawcli.core.rtstruct import outline_shapes
from drawcli.core.rtstruct.outline_shapes import (
    Outline,
    TooComplex,
    crosses_itself,
    crossings,
    polygons_in,
    shapes_of,
)

EIGHT = [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 6.0)]
SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
TRIANGLE = SQUARE[:3]


def scribble(seed: int, points: int) -> Outline:
    dice = random.Random(seed)  # noqa: S311 - to be the same each time
    return [(dice.uniform(0, 100), dice.uniform(0, 100)) for _ in range(points)]


def together(outlines: list[Outline], wanted: list[bool] | None = None) -> list[tuple[object, ...]]:
    """Return area, mm2 and simplicity of each outline, computed at once."""
    points = np.array([point for outline in outlines for point in outline])
    counts = np.array([len(outline) for outline in outlines])
    mask = None if wanted is None else np.array(wanted)
    shapes = shapes_of(points, counts, mask)
    return [(shape.area and shape.area.wkt, round(shape.mm2, 6), shape.simple) for shape in shapes]


def crossings_one_by_one(outline: Outline) -> int:
    """Return how many pairs of sides cross, each pair for itself."""
    sides = list(zip(outline, [*outline[1:], outline[0]], strict=True))

    def turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return sum(
        turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
        for (a, b), (c, d) in combinations(sides, 2)
    )


@pytest.mark.parametrize("points", [4, 5, 9, 40])
def test_crossings_are_those_of_each_pair_of_sides(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline_shapes, "_AT_ONCE", 3)
    outlines = [scribble(seed, points) for seed in range(10)]

    assert [crossings(outline) for outline in outlines] == [
        crossings_one_by_one(outline) for outline in outlines
    ]


def test_an_outline_may_cross_itself_as_often_as_it_has_points() -> None:
    found = {number: crossings_one_by_one(scribble(number, 7)) for number in range(500)}
    at_most, more = (
        next(scribble(seed, 7) for seed, count in found.items() if count == number)
        for number in (7, 8)
    )

    ((area, *_), (none, _, simple)) = together([at_most, more])

    assert area == MultiPolygon(list(polygons_in(make_valid(Polygon(at_most))))).wkt
    assert (none, simple) == (None, False)
    with pytest.raises(TooComplex):
        crosses_itself(more, 0.0, 1.0)


def test_the_area_of_an_outline_does_not_depend_on_the_others() -> None:
    outlines = [SQUARE, EIGHT, TRIANGLE, scribble(1, 5), SQUARE[:2] * 2, TRIANGLE[:1] * 4]

    alone = [shape for outline in outlines for shape in together([outline])]

    assert together(outlines) == alone
    assert alone[0] == (Polygon(SQUARE).wkt, 100.0, True)
    assert alone[1][2] is False
    assert alone[2] == (Polygon(TRIANGLE).wkt, 50.0, True)


def test_geometry_is_returned_where_it_is_wanted_or_not_simple() -> None:
    outlines = [SQUARE, SQUARE, EIGHT, TRIANGLE]

    shapes = together(outlines, [False, True, False, False])

    assert [shape[0] is None for shape in shapes] == [True, False, False, False]
    assert [shape[1:] for shape in shapes] == [shape[1:] for shape in together(outlines)]


def test_thousands_of_outlines_are_converted_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    outlines = [SQUARE, scribble(1, 5), EIGHT, TRIANGLE, SQUARE, scribble(2, 9)]
    whole = together(outlines)
    wanted = [True, False, True, False, True, False]
    some = together(outlines, wanted)

    for portion in (1, 4, 8, 9, 13, 100):
        monkeypatch.setattr(outline_shapes, "_POINTS_AT_ONCE", portion)

        assert together(outlines) == whole
        assert together(outlines, wanted) == some


def test_only_polygons_are_kept_of_nested_collections() -> None:
    square, triangle = Polygon(SQUARE), Polygon(TRIANGLE)
    nested = GeometryCollection(
        [Point(0, 0), MultiPolygon([square]), GeometryCollection([LineString(SQUARE), triangle])]
    )

    assert list(polygons_in(nested)) == [square, triangle]
    assert list(polygons_in(Polygon())) == list(polygons_in(LineString(SQUARE))) == []


# --- outlines with many monotone parts --------------------------------------------------------


def saw(teeth: int, points: int) -> Outline:
    """Return a simple outline of so many points, the first ones up and down."""
    top = [(float(n), float(n % 2 if n < teeth else n)) for n in range(points - 2)]
    return [*top, (points + 0.5, -5.0), (-0.5, -5.0)]


def parts_of(outline: Outline) -> int:
    """Return the monotone parts of an outline, from its first point."""
    ways = [
        (x2 >= x, y2 >= y)
        for (x, y), (x2, y2) in zip(outline, [*outline[1:], outline[0]], strict=True)
    ]
    return 1 + sum(way != before for before, way in pairwise(ways))


def looked_at(outlines: list[Outline], monkeypatch: pytest.MonkeyPatch) -> list[Outline]:
    """Return the outlines that are compared part by part before their areas are computed."""
    found: list[Outline] = []

    def look(ring: np.ndarray) -> tuple[Polygon, bool]:
        found.append([(x, y) for x, y in ring.tolist()])
        return Polygon(ring), True

    monkeypatch.setattr(outline_shapes, "_one_shape", look)
    together(outlines)
    return found


def test_outlines_of_many_parts_are_looked_at_before_the_library_compares_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlines = [saw(teeth, points) for points in (300, 301, 320) for teeth in range(190, 210)]
    many = [
        outline
        for outline in outlines
        if len(outline) > 300 and parts_of(outline) * (parts_of(outline) - 1) > 128 * len(outline)
    ]

    assert all(Polygon(outline).is_valid for outline in outlines)
    assert 10 < len(many) < 30
    assert looked_at(outlines, monkeypatch) == many
    assert looked_at(outlines[::-1], monkeypatch) == many[::-1]
    assert looked_at(outlines[:20], monkeypatch) == []


def test_steps_up_and_to_the_side_are_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    stairs = [(float((n + 1) // 2), float(n // 2)) for n in range(400)]
    stairs += [(201.0, -5.0), (-1.0, -5.0)]

    assert parts_of(stairs) == 4
    assert Polygon(stairs).is_valid
    assert looked_at([stairs], monkeypatch) == []


def near_parts(outline: Outline) -> int:
    """Return how many pairs of monotone parts have bounding boxes that meet."""
    closed = [*outline, outline[0]]
    ways = [(x2 >= x, y2 >= y) for (x, y), (x2, y2) in pairwise(closed)]
    turns = [n for n in range(1, len(ways)) if ways[n] != ways[n - 1]]
    corners = [closed[n] for n in (0, *turns, len(closed) - 1)]
    boxes = [(min(a, c), max(a, c), min(b, d), max(b, d)) for (a, b), (c, d) in pairwise(corners)]
    return sum(
        a <= right and left <= b and c <= high and low <= d
        for (a, b, c, d), (left, right, low, high) in combinations(boxes, 2)
    )


@pytest.mark.parametrize("points", [4, 13])
def test_outlines_are_refused_by_the_number_of_parts_that_are_near_each_other(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coordinates are whole numbers here: many parts only touch, or are level."""
    monkeypatch.setattr(outline_shapes, "_SMALL", 3)
    monkeypatch.setattr(outline_shapes, "_AT_ONCE", 2)
    refused: list[bool] = []

    for seed in range(30):
        outline = [(x // 20, y // 20) for x, y in scribble(seed, points)]
        near = near_parts(outline) / points
        for most in (near, near - 1 / points):
            monkeypatch.setattr(outline_shapes, "NEIGHBOURS", most)
            try:
                outline_shapes._check_entangled(outline)
                refused.append(False)
            except TooComplex:
                refused.append(True)

    assert refused == [False, True] * 30
