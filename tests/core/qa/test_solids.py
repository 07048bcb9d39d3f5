"""Figures of analytic solids against their closed forms.

A structure is by definition the sum of its sections times the thickness of each slice. So overlaps
are held against sums of the closed forms of sections for all slice distances, and against closed
forms of the solids where the slices are fine enough to tell the same: 1 mm; for solids with the
same section in each slice at any distance.
"""

from collections.abc import Callable
from math import cos, hypot, pi, sin

import numpy as np
import pytest
import shapely
from shapely import LineString

from drawcli.core.qa.axes import Axes
from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.core.qa.structures import RoiContours, flattened, slice_step, solids_of
from drawcli.core.qa.surfaces import Surface, surface_of
from tests.core.qa.solids import (
    UPRIGHT,
    Matrix,
    ball,
    box,
    cone,
    lens_mm2,
    levels,
    moved,
    round_solid,
    torus,
    tube,
    turned,
)

SAGITTAL: Matrix = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
GRIDS = [
    *((step, UPRIGHT) for step in (1.0, 2.0, 3.0, 5.0)),
    (2.0, turned(23)),
    (3.0, turned(-40)),
    (2.5, SAGITTAL),
]
FEW = [
    pytest.param(*grid, marks=() if number in (3, 4) else pytest.mark.sweep)
    for number, grid in enumerate(GRIDS)
]
ONE = [
    pytest.param(*grid, marks=() if number == 4 else pytest.mark.sweep)
    for number, grid in enumerate(GRIDS)
]
EXACT = 0.005  # the share by which a Dice from polygons may be off; of the volumes, too
SECTIONS = {"sphere": ball(20), "cylinder": tube(15), "cone": cone(20, 40)}
PIXEL = 1.0


def compared(
    a: RoiContours, b: RoiContours, tau: float = 3.0, *, with_distances: bool = True
) -> StructureComparison:
    options = CompareOptions(tau_mm=tau, with_distances=with_distances)
    (found,) = compare_structure_sets([a], [b], options).structures
    return found


@pytest.mark.parametrize("solid", SECTIONS)
@pytest.mark.parametrize(("step", "axes"), FEW)
def test_overlap_is_that_of_the_sections(step: float, axes: Matrix, solid: str) -> None:
    at, radius = levels(step, 40), SECTIONS[solid]
    a = round_solid("X", radius, at, axes=axes)
    b = round_solid("X", lambda z: 0.8 * radius(z), at, axes=axes, centre=(4.0, -3.0, 0.0))

    found = compared(a, b, with_distances=False)

    sections = [(radius(z), 0.8 * radius(z)) for z in at if radius(z)]
    volume_a, volume_b = (sum(pi * r[k] ** 2 * step for r in sections) / 1000 for k in (0, 1))
    common = sum(lens_mm2(*r, 5.0) * step for r in sections) / 1000
    assert found.volume_a_cm3 == pytest.approx(volume_a, rel=EXACT)
    assert found.volume_b_cm3 == pytest.approx(volume_b, rel=EXACT)
    assert found.dice == pytest.approx(2 * common / (volume_a + volume_b), rel=EXACT)
    assert found.over_cm3 == pytest.approx(volume_a - common, rel=EXACT)
    assert found.under_cm3 == pytest.approx(volume_b - common, rel=EXACT, abs=0.005)


@pytest.mark.parametrize(("step", "axes"), FEW)
@pytest.mark.parametrize("keyholes", [False, True])
def test_holes_are_no_part_of_a_torus(step: float, axes: Matrix, *, keyholes: bool) -> None:
    at = levels(step, 12)
    a = torus("Ring", (30, 10), at, axes=axes, keyholes=keyholes)
    b = torus("Ring", (30, 8), at, axes=axes)

    found = compared(a, b, with_distances=False)

    volume_a, volume_b = (
        sum(4 * pi * 30 * ball(r)(z) * step for z in at) / 1000 for r in (10.0, 8.0)
    )
    assert found.volume_a_cm3 == pytest.approx(volume_a, rel=EXACT)
    assert found.dice == pytest.approx(2 * volume_b / (volume_a + volume_b), rel=EXACT)


def test_on_fine_slices_volume_and_dice_are_those_of_the_solids() -> None:
    at = levels(1.0, 45)
    solids: list[tuple[RoiContours, float, RoiContours, float]] = [
        (
            round_solid("Sphere", ball(20), at),
            4 / 3 * pi * 20**3,
            round_solid("Sphere", ball(22), at),
            4 / 3 * pi * 22**3,
        ),
        (
            round_solid("Cylinder", tube(15), at),
            pi * 15**2 * 91,
            round_solid("Cylinder", tube(14), at),
            pi * 14**2 * 91,
        ),
        (
            round_solid("Cone", cone(20, 40), [z + 0.5 for z in at]),
            pi * 20**2 * 40 / 3,
            round_solid("Cone", cone(15, 40), [z + 0.5 for z in at]),
            pi * 15**2 * 40 / 3,
        ),
        (
            torus("Torus", (30, 10), [z + 0.5 for z in at]),
            2 * pi**2 * 30 * 10**2,
            torus("Torus", (30, 8), [z + 0.5 for z in at]),
            2 * pi**2 * 30 * 8**2,
        ),
        (box("Box", (40, 30), at), 40 * 30 * 91, box("Box", (30, 20), at), 30 * 20 * 91),
    ]
    for a, volume_a, b, volume_b in solids:
        found = compared(a, b, with_distances=False)

        small, sum_of_both = min(volume_a, volume_b), volume_a + volume_b
        assert found.volume_a_cm3 == pytest.approx(volume_a / 1000, rel=EXACT), a.name
        assert found.volume_b_cm3 == pytest.approx(volume_b / 1000, rel=EXACT), a.name
        assert found.dice == pytest.approx(2 * small / sum_of_both, rel=EXACT), a.name


def test_parts_and_holes_in_a_slice_add_and_subtract() -> None:
    at = levels(3.0, 9)
    a = box("X", (40, 40), at)
    for size in (20.0, 10.0):  # a hole, and a part in the hole
        a.contours += box("X", (size, size), at).contours
    a.contours += box("X", (10, 10), at, centre=(60, 0)).contours

    found = compared(a, box("X", (40, 40), at), with_distances=False)

    area = 1600 - 400 + 100 + 100
    assert found.volume_a_cm3 == pytest.approx(area * 21 / 1000)
    assert found.dice == pytest.approx(2 * 1300 / (area + 1600))
    assert found.over_cm3 == pytest.approx(100 * 21 / 1000)
    assert found.under_cm3 == pytest.approx(300 * 21 / 1000)


Profile = list[tuple[float, float]]  # distance from the axis, level


def sphere_profile(radius: float) -> Profile:
    angles = np.linspace(-pi / 2, pi / 2, 2001)
    return [(radius * cos(angle), radius * sin(angle)) for angle in angles]


def torus_profile(radius: float, tube_radius: float) -> Profile:
    angles = np.linspace(0, 2 * pi, 2001)
    return [(radius + tube_radius * cos(a), tube_radius * sin(a)) for a in angles]


def truth(a: Profile, b: Profile, tau: float) -> dict[str, float]:
    """Return the figures of two solids of revolution: distances in the half plane of the axis."""
    directed, within, total = [], 0.0, 0.0
    for one, other in ((a, b), (b, a)):
        line, its = LineString(one), LineString(other)
        each = line.length / 4000
        points = shapely.line_interpolate_point(line, (np.arange(4000) + 0.5) * each)
        away, area = shapely.distance(points, its), shapely.get_x(points) * each
        order = np.argsort(away)
        share = np.cumsum(area[order]) / area.sum()
        directed.append(
            (away.max(), away[order][np.searchsorted(share, 0.95)], away @ area / area.sum())
        )
        within, total = within + area[away <= tau].sum(), total + area.sum()
    hd, hd95, mean = zip(*directed, strict=True)
    return {"hd": max(hd), "hd95": max(hd95), "mean": sum(mean) / 2, "close": within / total}


def _pair(
    solids: str, step: float, axes: Matrix
) -> tuple[RoiContours, Profile, RoiContours, Profile]:
    at, up = levels(step, 45), 2 * step
    half, end = [z + step / 2 for z in at], at[-1] + step / 2
    if solids == "cylinders":
        a, b = (
            round_solid("X", tube(15), at, axes=axes),
            round_solid("X", tube(12), at[2:], axes=axes),
        )
        long = [(0.0, -end), (15.0, -end), (15.0, end), (0.0, end)]
        return a, long, b, [(0, up - end), (12, up - end), (12, end), (0, end)]
    if solids == "cones":
        a = round_solid("X", cone(20, 40), half, axes=axes)
        profile = [(0.0, 0.0), (20.0, 0.0), (0.0, 40.0)]
        return a, profile, moved(a, (0, 0, up), axes), [(r, z + up) for r, z in profile]
    if solids == "tori":
        a, b = (torus("X", (30, r), half, axes=axes) for r in (10, 7))
        return a, torus_profile(30, 10), b, torus_profile(30, 7)
    a, b = (round_solid("X", ball(r), at, axes=axes) for r in (20, 17))
    if solids == "spheres":
        return a, sphere_profile(20), b, sphere_profile(17)
    higher = [(r, z + up) for r, z in sphere_profile(17)]
    return a, sphere_profile(20), moved(b, (0, 0, up), axes), higher


@pytest.mark.parametrize("solids", ["spheres", "spheres, moved", "cylinders", "cones", "tori"])
@pytest.mark.parametrize(("step", "axes"), ONE)
def test_solids_of_revolution_have_the_distances_of_their_profiles(
    step: float, axes: Matrix, solids: str
) -> None:
    """Each end of a solid is known to half a slice; the rest of it to half a step of the grid."""
    a, profile_a, b, profile_b = _pair(solids, step, axes)
    right = truth(profile_a, profile_b, 2.2)

    found = compared(a, b, tau=2.2)

    nearest = max(step, PIXEL / 2)
    flat = 0.08 if solids == "tori" else 0.03  # of a slice: how much of the surface is near an end
    assert found.hd_mm == pytest.approx(right["hd"], abs=nearest)
    assert found.hd95_mm == pytest.approx(right["hd95"], abs=nearest)
    assert found.mean_distance_mm == pytest.approx(right["mean"], abs=0.03 + flat * step)
    assert found.surface_dice == pytest.approx(right["close"], abs=0.02 + flat * step)


@pytest.mark.parametrize(("step", "axes"), ONE)
def test_a_moved_cylinder_has_the_distances_of_its_circles(step: float, axes: Matrix) -> None:
    at, shift = levels(step), 3.0
    a = round_solid("X", tube(15), at, axes=axes)

    found = compared(a, moved(a, (shift, 0, 0), axes), tau=1.0)

    angles = np.linspace(0, 2 * pi, 10_000)
    away = np.abs(np.hypot(15 * np.cos(angles) - shift, 15 * np.sin(angles)) - 15)
    length = len(at) * step
    wall, lids = 2 * pi * 15 * length, 2 * pi * 15**2
    outside = 2 * (pi * 15**2 - lens_mm2(15, 15, shift))  # of one lid, outside the other's
    assert found.hd_mm == pytest.approx(shift, abs=0.1)
    assert found.hd95_mm == pytest.approx(np.quantile(away, 0.95), abs=0.15)
    lid_mean = outside * shift / 3 / (wall + lids)  # at most: most of it is closer to the edge
    whole = away.mean() * wall / (wall + lids)
    assert whole - 0.03 <= (found.mean_distance_mm or 0) <= whole + lid_mean + 0.03
    close = ((away <= 1.0).mean() * wall + lids - outside) / (wall + lids)
    assert close - 0.02 <= (found.surface_dice or 0) <= close + outside / (wall + lids) + 0.02


def test_a_box_that_grows_is_as_far_as_its_faces_and_edges() -> None:
    at = levels(2.0)

    found = compared(box("X", (40, 40), at), box("X", (44, 44), at))

    assert found.hd_mm == pytest.approx(hypot(2, 2), abs=(found.step_mm or 9) / 2)
    wall, lids = 4 * 40 * 62, 2 * 40 * 40
    mean_a = 2.0 * wall / (wall + lids)
    assert (found.mean_distance_mm or 0) == pytest.approx(mean_a, abs=0.1)
    assert found.hd95_mm == pytest.approx(2.06, abs=(found.step_mm or 9) / 2)


@pytest.mark.parametrize("step", [2.0, 3.0, 5.0])
def test_slices_more_at_an_end_are_a_distance_of_their_thickness(step: float) -> None:
    at = levels(step)

    found = compared(
        round_solid("X", tube(12), at), round_solid("X", tube(12), [*at, at[-1] + step])
    )

    assert found.hd_mm == pytest.approx(step, abs=0.05)
    assert found.ends_moved == (0, 1)


@pytest.mark.parametrize(
    ("radius", "area"),
    [(ball(20), 4 * pi * 20**2), (tube(15), 2 * pi * 15 * (15 + 61))],
    ids=["sphere", "cylinder"],
)
@pytest.mark.parametrize("grid", [0.7, 1.3])
def test_a_surface_has_the_area_of_its_solid(
    radius: Callable[[float], float], area: float, grid: float
) -> None:
    surface = _surface(round_solid("X", radius, levels(1.0)), grid)

    assert surface.areas.sum() == pytest.approx(area, rel=0.01)


def test_the_surface_lies_on_the_solid() -> None:
    surface = _surface(round_solid("X", ball(20), levels(1.0)), 1.0)

    off = np.linalg.norm(surface.samples, axis=1) - 20
    low = np.abs(surface.samples[:, 2]) < 17

    assert np.abs(off[low]).max() < 0.2
    assert np.abs(off).max() < 0.6  # the poles: half a slice


def test_a_solid_that_tapers_does_so_for_half_a_slice_beyond_its_last_contour() -> None:
    surface = _surface(round_solid("X", ball(20), levels(3.0)), 0.8)

    off = np.linalg.norm(surface.samples, axis=1) - 20

    assert surface.samples[:, 2].max() == pytest.approx(19.5, abs=0.001)
    assert off.max() < 0.9  # 1.35, were the last half slice a cylinder


def _surface(roi: RoiContours, step: float) -> Surface:
    outlines = flattened([roi], Axes.of(roi.contours))
    (solid,) = solids_of(outlines, slice_step(outlines))
    return surface_of(solid, step)


def test_two_spheres_of_which_the_truth_is_known_on_slices_of_3_mm() -> None:
    """The example of the documents: truth Dice .8580, distances 2.0."""
    at = levels(3.0)

    found = compared(round_solid("X", ball(20), at), round_solid("X", ball(22), at))

    assert found.dice == pytest.approx(2 * 20**3 / (20**3 + 22**3), abs=0.001)
    assert found.mean_distance_mm == pytest.approx(2.0, abs=0.05)
    assert found.hd95_mm == pytest.approx(2.0, abs=0.2)
    assert found.hd_mm == pytest.approx(3.0, abs=0.3)
    assert found.shift_mm == pytest.approx((0, 0, 0), abs=1e-6)
