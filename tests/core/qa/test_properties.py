"""What holds for figures of any two structures."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.core.qa import surfaces
from drawcli.core.qa.axes import Axes
from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.distances import surface_distances
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.signed_distance import PlaneGrid, signed_distances
from drawcli.core.qa.structures import RoiContours, Solid, flattened, slice_step, solids_of
from tests.core.qa.solids import (
    FRAME,
    UPRIGHT,
    Matrix,
    ball,
    box,
    cone,
    levels,
    moved,
    round_solid,
    torus,
    tube,
    turned,
)

FIGURES = ("dice", "surface_dice", "hd_mm", "hd95_mm", "mean_distance_mm", "apl_mm")
FEW = settings(max_examples=2)
SLICES = levels(3.0, 15)


def compared(a: RoiContours, b: RoiContours, tau: float = 2.0) -> StructureComparison:
    (found,) = compare_structure_sets([a], [b], CompareOptions(tau_mm=tau)).structures
    return found


def solid_of(roi: RoiContours) -> Solid:
    outlines = flattened([roi], Axes.of(roi.contours))
    (solid,) = solids_of(outlines, slice_step(outlines))
    return solid


def blob(seed: int, axes: Matrix = UPRIGHT) -> RoiContours:
    """Return an organ of irregular sections, with a hole and a second part in some slices."""
    chance = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 70, endpoint=False)
    phases = chance.uniform(0, 6, 4)
    contours = []
    for number, level in enumerate(SLICES):
        waves = sum(0.06 * np.sin(k * angles + phases[k] + level / 9) for k in range(4))
        radius = 11 * np.sqrt(1 - (level / 20) ** 2) * (1 + waves)
        flat = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(70, level)], 1)
        contours.append(flat)
        if number % 3 == 0:
            contours.append(flat * (0.3, 0.3, 1))
        if number % 4 == 0:
            contours.append(flat * (0.2, 0.2, 1) + (20, 3, 0))
    return RoiContours(1, "X", FRAME, [np.round(one, 3) @ axes for one in contours])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_structure_is_no_distance_from_itself(seed: int) -> None:
    surface = surfaces.surface_of(solid_of(blob(seed)), 0.8)

    found = surface_distances(surface, surface, 0.0)

    assert found.hd < 1e-6
    assert found.mean < 1e-9
    assert found.surface_dice == 1.0


def test_a_copy_is_untouched_and_all_its_figures_say_so() -> None:
    found = compared(blob(1), blob(1))

    assert found.outcome is ContourOutcome.UNTOUCHED
    assert [getattr(found, name) for name in FIGURES] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert (found.over_cm3, found.under_cm3, found.shift_mm) == (0, 0, (0, 0, 0))


@FEW
@given(seed=st.integers(1, 9), other=st.integers(10, 19), apart=st.floats(0, 9))
def test_figures_are_the_same_in_both_directions(seed: int, other: int, apart: float) -> None:
    a, b = blob(seed), moved(blob(other), (apart, 1, 3))

    there, back = compared(a, b), compared(b, a)

    for name in FIGURES[:-1]:  # the added path is that of B
        assert getattr(there, name) == pytest.approx(getattr(back, name), abs=1e-9), name
    assert (there.over_cm3, there.under_cm3) == pytest.approx((back.under_cm3, back.over_cm3))
    assert there.shift_mm == pytest.approx([-mm for mm in back.shift_mm or ()], abs=1e-9)
    assert there.ends_moved == tuple(-number for number in back.ends_moved or ())
    assert (there.volume_a_cm3, there.slices_a) == (back.volume_b_cm3, back.slices_b)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("axes", [UPRIGHT, turned(30)], ids=["upright", "oblique"])
def test_a_shift_is_its_own_length_in_each_direction(axes: Matrix, axis: int) -> None:
    a, by = round_solid("X", ball(12), SLICES, axes=axes), np.zeros(3)
    by[axis] = 6.0

    found = compared(a, moved(a, by, axes))

    assert found.hd_mm == pytest.approx(6.0, abs=0.15)
    assert found.shift_mm == pytest.approx(tuple(by @ axes), abs=1e-6)


@FEW
@given(apart=st.floats(0.5, 5), axis=st.sampled_from([0, 1]))
def test_what_is_farther_away_has_worse_figures(apart: float, axis: int) -> None:
    a, by = blob(3), np.eye(3)[axis] * apart

    near, far = compared(a, moved(a, by)), compared(a, moved(a, 1.6 * by))

    assert (far.dice or 0) < (near.dice or 0)
    assert (far.surface_dice or 0) <= (near.surface_dice or 0)
    assert (far.hd_mm or 0) > (near.hd_mm or 0)
    assert (far.mean_distance_mm or 0) > (near.mean_distance_mm or 0)
    assert (far.apl_mm or 0) >= (near.apl_mm or 0)


@FEW
@given(growth=st.floats(0.5, 3))
def test_what_grows_is_farther_away_and_more_is_added(growth: float) -> None:
    a = round_solid("X", ball(12), SLICES)
    b, c = (round_solid("X", ball(12 + mm), SLICES) for mm in (growth, growth + 1))

    less, more = compared(a, b), compared(a, c)

    assert (more.dice or 0) < (less.dice or 0)
    assert (more.under_cm3 or 0) > (less.under_cm3 or 0)
    assert more.over_cm3 == pytest.approx(0, abs=1e-6)
    assert (more.mean_distance_mm or 0) > (less.mean_distance_mm or 0)


@FEW
@given(degrees=st.floats(-170, 170))
def test_figures_do_not_depend_on_how_the_patient_lies(degrees: float) -> None:
    axes = turned(degrees)

    found, upright = compared(blob(4, axes), blob(5, axes)), compared(blob(4), blob(5))

    # The grid turns about the normal: what it rounds off differs.
    for name, off in zip(FIGURES, (1e-6, 0.02, 0.4, 0.1, 0.02, 1.0), strict=True):
        assert getattr(found, name) == pytest.approx(getattr(upright, name), abs=off), name
    assert found.shift_mm == pytest.approx(np.array(upright.shift_mm) @ axes, abs=1e-3)


def reversed_order(roi: RoiContours) -> list[Matrix]:
    return roi.contours[::-1]


def another_start(roi: RoiContours) -> list[Matrix]:
    return [np.roll(one, 17, axis=0) for one in roi.contours]


def other_direction(roi: RoiContours) -> list[Matrix]:
    return [one[::-1] for one in roi.contours]


def repeated_points(roi: RoiContours) -> list[Matrix]:
    return [np.repeat(one, 2, axis=0) for one in roi.contours]


def closed(roi: RoiContours) -> list[Matrix]:
    return [np.concatenate([one, one[:1]]) for one in roi.contours]


def points_between(roi: RoiContours) -> list[Matrix]:
    middles = [(one + np.roll(one, -1, axis=0)) / 2 for one in roi.contours]
    return [
        np.stack([one, mid], axis=1).reshape(-1, 3)
        for one, mid in zip(roi.contours, middles, strict=True)
    ]


def repeated_contours(roi: RoiContours) -> list[Matrix]:
    return [one for one in roi.contours for _ in range(2)]


@pytest.mark.parametrize(
    "written",
    [
        reversed_order,
        another_start,
        other_direction,
        repeated_points,
        closed,
        points_between,
        repeated_contours,
    ],
)
def test_how_contours_are_written_changes_nothing(
    written: Callable[[RoiContours], list[Matrix]],
) -> None:
    a, b = blob(6), blob(7)

    same = compared(a, replace(a, contours=written(a)))
    found, usual = compared(a, replace(b, contours=written(b))), compared(a, b)

    assert same.outcome is ContourOutcome.UNTOUCHED
    assert same.dice == pytest.approx(1)
    for name in (*FIGURES, "over_cm3", "under_cm3"):
        assert getattr(found, name) == pytest.approx(getattr(usual, name), rel=1e-3), name


def test_the_surface_does_not_depend_on_how_many_slices_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solid = solid_of(blob(8))
    whole = surfaces.surface_of(solid, 0.7)

    monkeypatch.setattr(surfaces, "_AT_ONCE", 1)
    parts = surfaces.surface_of(solid, 0.7)

    assert len(parts.quads) == len(whole.quads)
    assert parts.areas.sum() == pytest.approx(whole.areas.sum())
    found = surface_distances(whole, parts, 0.0)
    assert found.hd < 1e-6


def test_the_grid_has_the_distance_to_the_contour_wherever_the_surface_can_be() -> None:
    slabs = solid_of(blob(9)).slabs[:4]
    areas = [slab.area for slab in slabs]
    grid = PlaneGrid.around(areas, 0.7)

    found = signed_distances(areas, grid, ends=[0])

    x, y = np.meshgrid(
        grid.x + grid.step * np.arange(grid.columns), grid.y + grid.step * np.arange(grid.rows)
    )
    points = shapely.points(x, y)
    for layer, area in zip(found, areas, strict=True):
        right = shapely.distance(points, area.boundary)
        inside = layer < 0
        beside = np.zeros(inside.shape, bool)
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            across = inside[one] ^ inside[other]
            beside[one] |= across
            beside[other] |= across
        assert (inside == shapely.contains(area, points)).all()
        off = np.abs(np.abs(layer) - right)[beside]
        assert off.max() < 0.15 * grid.step
        assert off.mean() < 0.003 * grid.step
    changed = (found[:-1] < 0) != (found[1:] < 0)
    for layer, area, moved_over in zip(found, areas, changed, strict=False):
        right = shapely.distance(points, area.boundary)
        assert np.abs(np.abs(layer) - right)[moved_over].max() < grid.step


def test_parts_and_holes_smaller_than_the_grid_count() -> None:
    at = levels(3.0, 30)
    large = box("X", (120, 120), at)
    speck = box("X", (0.6, 0.6), [0.0], centre=(100, 0))
    with_speck = replace(large, contours=[*large.contours, *speck.contours])
    shell = replace(large, contours=[*large.contours, *box("X", (119.4, 119.4), at).contours])

    found = compared(large, with_speck)
    inside = compared(large, shell)

    assert (found.step_mm or 0) > 1  # the speck lies between its points
    assert found.hd_mm == pytest.approx(40.3, abs=0.5)
    assert compared(with_speck, with_speck).hd_mm == 0
    assert compared(with_speck, moved(with_speck, (0.5, 0, 0))).hd_mm == pytest.approx(0.5, abs=0.1)
    # The new wall is 0.3 mm away from the old one, and in the middle A's lids are 60 mm from it.
    assert inside.hd_mm == pytest.approx(60, abs=1.5)


@pytest.mark.parametrize(
    "roi",
    [
        round_solid("X", cone(15, 30), SLICES),
        torus("X", (20, 6), SLICES),
        round_solid("X", tube(6), [z for z in SLICES if abs(z) > 4]),
    ],
    ids=["cone", "torus", "two parts along the normal"],
)
def test_more_tolerance_is_never_worse(roi: RoiContours) -> None:
    b = moved(roi, (2.5, 0.5, 0))

    found = [compared(roi, b, tau) for tau in (0.0, 1.0, 4.0)]

    shares = [one.surface_dice or 0 for one in found]
    added = [one.apl_mm or 0 for one in found]
    assert shares == sorted(shares)
    assert added == sorted(added, reverse=True)
    assert (shares[-1], added[-1]) == (1.0, 0.0)
    assert len({(one.dice, one.hd_mm, one.mean_distance_mm) for one in found}) == 1
