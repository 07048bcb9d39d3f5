"""Structures made of others, against shapes whose measures are known."""

from math import pi, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, Polygon, box

from drawcli.core.rtstruct.derived import derive_structures
from drawcli.core.rtstruct.outline_shapes import crosses_itself
from drawcli.core.rtstruct.solids import (
    Solid,
    add_margin,
    connected_parts,
    derive_solid,
    outlines_of,
    solid_of,
    volume_mm3,
)
from drawcli.core.series.slice_grid import Grid
from drawcli.core.templates.appearance import Derived
from tests.core.rtstruct.test_contour_checks import (
    SLICES,
    STEP,
    TILTED,
    crosswalk,
    drawn,
    rectangle,
)

MIDDLE = 60.0


def grid_of(slices: int = SLICES, orientation: tuple[float, ...] | None = None) -> Grid:
    series = crosswalk(slices=slices) if orientation is None else crosswalk(orientation, slices)
    grid = Grid.of(series)
    assert grid is not None
    return grid


def cube(slices: range, left: float = 50, side: float = 20) -> Solid:
    return {index: box(left, 50, left + side, 50 + side) for index in slices}


def ball(radius: float, grid: Grid, middle: int) -> Solid:
    """Return a ball around the middle of a slice."""
    heights = {i: offset - grid.offsets[middle] for i, offset in enumerate(grid.offsets)}
    return {
        i: Point(MIDDLE, MIDDLE).buffer(sqrt(radius**2 - h**2), quad_segs=64)
        for i, h in heights.items()
        if abs(h) < radius
    }


def of_ball(radius: float, grid: Grid) -> float:
    """Return the volume of a ball as its slices stand for it, mm3."""
    heights = (offset - grid.offsets[len(grid.offsets) // 2] for offset in grid.offsets)
    return sum(pi * (radius**2 - h**2) * STEP for h in heights if abs(h) < radius)


def made(rule: dict[str, Any], *sources: Solid, grid: Grid | None = None) -> Solid:
    return derive_solid(Derived.read(rule), list(sources), grid or grid_of())


def areas(solid: Solid) -> dict[int, float]:
    return {index: round(area.area, 6) for index, area in solid.items()}


def test_what_is_joined_is_in_either_and_what_is_common_in_both() -> None:
    one, other = cube(range(2, 6)), cube(range(4, 8), left=60)

    union = made({"union": ["a", "b"]}, one, other)
    common = made({"intersection": ["a", "b"]}, one, other)
    rest = made({"subtraction": ["a", "b"]}, one, other)

    assert areas(union) == {2: 400, 3: 400, 4: 600, 5: 600, 6: 400, 7: 400}
    assert areas(common) == {4: 200, 5: 200}
    assert areas(rest) == {2: 400, 3: 400, 4: 200, 5: 200}


def test_a_union_of_three_and_a_subtraction_of_two() -> None:
    one, two, three = (cube(range(2, 3), left=left) for left in (40, 50, 70))

    assert areas(made({"union": ["a", "b", "c"]}, one, two, three)) == {2: 1000}
    assert areas(made({"subtraction": ["b", "a", "c"]}, two, one, three)) == {2: 200}


@pytest.mark.parametrize("margin", [3.0, 5.0, 7.5])
def test_a_margin_around_a_ball_is_a_larger_ball(margin: float) -> None:
    grid = grid_of(41)

    larger = made({"margin": "a", "mm": margin}, ball(20, grid, 20), grid=grid)

    assert volume_mm3(larger, grid) == pytest.approx(of_ball(20 + margin, grid), rel=0.06)
    smaller = made({"margin": "a", "mm": -margin}, ball(20, grid, 20), grid=grid)
    assert volume_mm3(smaller, grid) == pytest.approx(of_ball(20 - margin, grid), rel=0.05)


def test_a_margin_reaches_the_next_slices_and_no_further() -> None:
    grown_by_4 = made({"margin": "a", "mm": 4}, cube(range(4, 6)))

    assert sorted(grown_by_4) == [3, 4, 5, 6]  # the slices are 3 mm apart
    corner = pi * 4**2
    assert grown_by_4[4].area == pytest.approx(400 + 4 * 20 * 4 + corner, rel=1e-3)
    rest = sqrt(4**2 - 3**2)
    assert grown_by_4[3].area == pytest.approx(400 + 4 * 20 * rest + pi * rest**2, rel=1e-3)


def test_a_negative_margin_takes_the_ends_away() -> None:
    shrunk = made({"margin": "a", "mm": -4}, cube(range(3, 8)))

    assert sorted(shrunk) == [4, 5, 6]
    assert areas(shrunk)[5] == pytest.approx((20 - 2 * 4) ** 2)
    assert areas(shrunk)[4] == pytest.approx((20 - 2 * 4) ** 2)  # slice 3 is inside; 2 is not


def test_the_end_of_the_series_is_no_edge_of_a_structure() -> None:
    shrunk = made({"margin": "a", "mm": -4}, cube(range(SLICES)))

    assert sorted(shrunk) == list(range(SLICES))


def test_what_is_cropped_keeps_its_distance() -> None:
    organ, target = cube(range(2, 8)), cube(range(2, 8), left=65)

    away = made({"crop": "a", "outside": "b", "mm": 2}, organ, target)
    within = made({"crop": "a", "inside": "b", "mm": 2}, organ, target)

    assert away[4].distance(target[4]) == pytest.approx(2)
    assert away[4].bounds == pytest.approx((50, 50, 63, 70))
    assert within[4].bounds == pytest.approx((67, 52, 70, 68))


def test_crop_without_a_distance_is_at_the_edge() -> None:
    organ, target = cube(range(2, 3)), cube(range(2, 3), left=65)

    assert areas(made({"crop": "a", "outside": "b"}, organ, target)) == {2: 300}
    assert areas(made({"crop": "a", "inside": "b"}, organ, target)) == {2: 100}


def test_holes_are_filled() -> None:
    ring: Solid = {2: box(50, 50, 70, 70).difference(box(55, 55, 60, 60))}

    assert areas(ring) == {2: 375}
    assert areas(made({"fill_holes": "a"}, ring)) == {2: 400}


def test_small_parts_go_and_the_largest_stays() -> None:
    """A part is what hangs together across slices, not what looks small in one."""
    large, small = cube(range(1, 7)), cube(range(4, 6), left=10, side=4)
    tip: Solid = {0: box(58, 58, 60, 60)}
    whole = made({"union": ["a", "b", "c"]}, large, small, tip)

    assert len(connected_parts(whole)) == 2
    cleaned = made({"remove_small": "a", "cm3": 0.1}, whole)
    assert areas(cleaned) == {0: 4, **dict.fromkeys(range(1, 7), 400)}
    assert areas(made({"remove_small": "a", "cm3": 0.09}, whole))[4] == 416
    assert areas(made({"keep_largest": "a"}, whole)) == areas(cleaned)


def test_parts_of_neighbours_that_do_not_overlap_are_two() -> None:
    assert len(connected_parts({2: box(0, 0, 10, 10), 3: box(20, 0, 30, 10)})) == 2
    assert len(connected_parts({2: box(0, 0, 10, 10), 4: box(0, 0, 10, 10)})) == 2
    assert len(connected_parts({2: box(0, 0, 10, 10), 3: box(9, 0, 30, 10)})) == 1


def test_a_bridge_joins_two_parts_met_before() -> None:
    two = box(0, 0, 10, 10).union(box(20, 0, 30, 10))

    assert len(connected_parts({2: two, 3: box(0, 0, 30, 10), 4: two})) == 1


def test_smoothing_rounds_corners_and_leaves_the_rest() -> None:
    smooth = made({"smooth": "a", "mm": 2}, cube(range(2, 3)))

    assert smooth[2].area == pytest.approx(400 - (4 - pi) * 2**2, rel=1e-3)
    assert smooth[2].bounds == pytest.approx((50, 50, 70, 70))


def test_thin_bits_and_narrow_gaps_go() -> None:
    thorny = box(50, 50, 70, 70).union(box(70, 59, 80, 60)).difference(box(50, 59, 60, 60))

    smooth = made({"smooth": "a", "mm": 2}, {2: thorny})

    assert smooth[2].area == pytest.approx(400, rel=0.02)
    assert smooth[2].bounds == pytest.approx((50, 50, 70, 70), abs=0.1)


@pytest.mark.parametrize(
    "rule",
    [
        {"union": ["a"]},
        {"intersection": ["a", "b"]},
        {"margin": "a", "mm": 5},
        {"margin": "a", "mm": -5},
        {"crop": "a", "inside": "b"},
        {"keep_largest": "a"},
        {"remove_small": "a", "cm3": 1},
        {"smooth": "a", "mm": 1},
        {"fill_holes": "a"},
    ],
)
def test_nothing_is_made_of_nothing(rule: dict[str, Any]) -> None:
    assert made(rule, {}, {}) == {}


def test_outlines_within_outlines_are_holes_and_come_out_as_such() -> None:
    outer = [(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)]
    inner = [(5.0, 5.0), (10.0, 5.0), (10.0, 10.0), (5.0, 10.0)]

    solid = solid_of([(3, outer), (3, inner)])

    assert areas(solid) == {3: 375}
    assert solid_of(outlines_of(solid))[3].equals(solid[3])
    assert [(index, len(ring)) for index, ring in outlines_of(solid)] == [(3, 4), (3, 4)]


def test_a_margin_beyond_its_parent_lies_in_the_planes_of_the_nearest_contour() -> None:
    series, grid = crosswalk(), grid_of()
    rules = {"PRV": Derived(margin="Bladder", mm=5)}
    parent = [drawn(rectangle(50 + STEP * n + 0.3), n) for n in range(3, 6)]

    (prv,) = derive_structures(rules, {1: "Bladder"}, parent, grid, series.uids)

    heights = {
        round(z - STEP * int((z - 50) / STEP), 6) for _, points in prv.outlines for *_, z in points
    }
    assert len(prv.outlines) == 5
    assert heights == {50.3}


@pytest.mark.parametrize(("number", "free"), [(7, 8), (2**31 - 1, 1)])
def test_a_derived_structure_gets_a_number_of_32_bits(number: int, free: int) -> None:
    rules = {"PRV": Derived(margin="Bladder", mm=5)}

    (prv,) = derive_structures(rules, {number: "Bladder"}, [], grid_of(), {})

    assert prv.number == free


def test_margins_are_of_the_patient_in_slices_that_lie_askew() -> None:
    """In a tilted series, too, the distance of two slices is along their normal."""
    grid = grid_of(21, TILTED)

    grown_by_7 = add_margin(cube(range(10, 11)), 7, grid)

    assert sorted(grown_by_7) == [8, 9, 10, 11, 12]


def test_a_figure_of_eight_crosses_itself_and_touching_corners_do_not() -> None:
    eight = [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)]
    stairs = [(0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (10.0, 5.0), (10.0, 10.0), (5.0, 10.0)]
    touching = [*stairs, (5.0, 5.0), (0.0, 5.0)]
    spike = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (10.0, 30.0), (10.0, 10.0), (0.0, 10.0)]

    assert crosses_itself(eight, 0.0, 1.0)
    assert not crosses_itself(touching, 50.0, 1.0)
    assert not crosses_itself(spike, 100.0, 1.0)
    assert not crosses_itself(stairs[:3], 12.5, 1.0)


SHAPES = st.lists(
    st.tuples(*(st.integers(0, 60) for _ in range(4)), st.integers(0, SLICES - 1)),
    min_size=1,
    max_size=6,
)


def boxes(corners: list[tuple[int, int, int, int, int]]) -> Solid:
    solids: list[Solid] = [
        {index: box(u, v, u + w + 1, v + h + 1)} for u, v, w, h, index in corners
    ]
    return made({"union": ["x"] * len(solids)}, *solids)


@settings(max_examples=60, deadline=None)
@given(SHAPES, SHAPES)
def test_set_algebra_holds_for_any_boxes(
    one: list[tuple[int, int, int, int, int]], other: list[tuple[int, int, int, int, int]]
) -> None:
    grid, a, b = grid_of(), boxes(one), boxes(other)
    union, common = made({"union": ["a", "b"]}, a, b), made({"intersection": ["a", "b"]}, a, b)
    rest = made({"subtraction": ["a", "b"]}, a, b)

    def volume(solid: Solid) -> float:
        return volume_mm3(solid, grid)

    assert volume(union) + volume(common) == pytest.approx(volume(a) + volume(b), abs=1)
    assert volume(rest) + volume(common) == pytest.approx(volume(a), abs=1)
    assert sum(map(volume, connected_parts(union))) == pytest.approx(volume(union))
    assert volume(add_margin(a, 4, grid)) >= volume(a) >= volume(add_margin(a, -4, grid))


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_outlines_and_solids_are_two_ways_to_say_one_thing(
    corners: list[tuple[int, int, int, int, int]],
) -> None:
    solid = boxes(corners)

    again = solid_of(outlines_of(solid))

    assert again.keys() == solid.keys()
    for index, area in solid.items():
        assert again[index].symmetric_difference(area).area < 0.01


def test_an_outline_that_crosses_itself_is_still_an_area() -> None:
    solid = solid_of([(1, [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)])])

    assert areas(solid) == {1: 50}
    assert all(isinstance(one, Polygon) for one in getattr(solid[1], "geoms", ()))


def test_a_part_of_the_smallest_volume_is_kept() -> None:
    solid: Solid = {**cube(range(2, 5)), 7: box(50, 50, 60, 60)}

    of_cube, of_plate = (volume_mm3(part, grid_of()) / 1000 for part in connected_parts(solid))

    assert (of_cube, of_plate) == (3.6, 0.3)
    for cm3, slices in ((0.3, [2, 3, 4, 7]), (3.6, [2, 3, 4]), (3.61, [])):
        assert sorted(made({"remove_small": "A", "cm3": cm3}, solid)) == slices


@pytest.mark.parametrize("mm", [0.0, 0.5, 0.999])
def test_a_margin_within_a_slice_makes_its_area_wider(mm: float) -> None:
    grown = made({"union": ["A"]}, add_margin(cube(range(3, 5)), mm, grid_of()))

    assert sorted(grown) == [3, 4]
    for area in grown.values():
        assert area.area == pytest.approx(400 + 80 * mm + pi * mm**2, rel=1e-3)


def test_specks_smaller_than_a_hundredth_of_a_square_millimetre_go() -> None:
    speck, smaller = box(0, 0, 0.04, 0.25), box(0, 0, 0.04, 0.24)

    assert areas(made({"union": ["A"]}, {1: speck, 2: smaller})) == {1: 0.01}
