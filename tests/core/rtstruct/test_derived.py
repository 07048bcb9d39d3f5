"""Structures derived from contours: their planes, their numbers, and outlines that have no area."""

import random

import pytest

from drawcli.core.rtstruct.derived import (
    DerivedStructure,
    _plane,
    derive_structures,
    empty_structures,
)
from drawcli.core.templates.appearance import Derived, Empty
from drawcli.errors import BadStructureSet
from tests.core.rtstruct.test_contour_checks import STEP, box, crosswalk, drawn, rectangle
from tests.core.rtstruct.test_solids import grid_of

UNION = {"Both": Derived(union=["Bladder", "Rectum"])}
NAMES = {1: "Bladder", 2: "Rectum"}


def heights(structure: DerivedStructure) -> list[float]:
    """Return the z of each outline, which is the same for all its points."""
    planes = [{round(z, 6) for *_, z in points} for _, points in structure.outlines]
    return [z for plane in planes for z in plane]


@pytest.mark.parametrize(
    ("parents", "mm"),
    [
        ([{4: 0.1}, {4: 0.3}], 0.1),
        ([{2: 0.2}, {4: 0.3}], 0.3),
        ([{}, {4: 0.3}], 0.3),
        ([{1: 0.1, 5: 0.5}, {3: 0.3}], 0.5),
        ([{}, {1: 0.1, 5: 0.5}], 0.5),
        ([{}, {}], 0.0),
        ([], 0.0),
    ],
)
def test_a_derived_contour_lies_where_its_nearest_parent_does(
    parents: list[dict[int, float]], mm: float
) -> None:
    assert _plane(4, parents) == mm


def test_each_slice_of_a_union_has_the_plane_of_the_structure_that_is_there() -> None:
    triangle = rectangle(50 + STEP * 5 + 0.4)[:3]
    contours = [drawn(rectangle(50 + STEP * 4 + 0.2), 4), drawn(triangle, 5, 2)]

    (both,) = derive_structures(UNION, NAMES, contours, grid_of(), crosswalk().uids)

    assert heights(both) == [62.2, 65.4]
    assert [(key, len(points)) for key, points in both.outlines] == [
        (("1.5.4", 1), 4),
        (("1.5.5", 1), 3),
    ]


def test_a_contour_that_is_not_quite_planar_has_the_plane_in_its_middle() -> None:
    (a, b, c, d), z = rectangle(0), 50 + STEP * 4
    tilted = [(*a[:2], z), (*b[:2], z + 0.02), (*c[:2], z + 0.06), (*d[:2], z + 0.04)]

    (both,) = derive_structures(UNION, NAMES, [drawn(tilted, 4)], grid_of(), crosswalk().uids)

    assert heights(both) == [62.03]


def test_points_and_lines_are_no_part_of_a_derived_structure() -> None:
    contours = [*box([3]), drawn(rectangle(59)[:2], 3), drawn(rectangle(62)[:1], 4)]

    (both,) = derive_structures(UNION, NAMES, contours, grid_of(), crosswalk().uids)

    assert [key for key, _ in both.outlines] == [("1.5.3", 1)]


def test_outlines_without_an_area_are_held_with_a_code_of_their_own() -> None:
    dice = random.Random(7)  # noqa: S311 - to be the same each time
    star = [(dice.uniform(-40, 40), dice.uniform(-40, 40), 56.0) for _ in range(400)]
    derived = derive_structures(UNION, NAMES, [drawn(star, 2)], grid_of(), crosswalk().uids)

    with pytest.raises(BadStructureSet, match="entangled") as refused:
        list(derived)

    assert refused.value.code == "contour-tangled"


@pytest.mark.parametrize(
    ("taken", "free"),
    [([], [1, 2]), ([3, 7, 8], [9, 10]), ([2**30 - 1], [2**30, 2**30 + 1]), ([2**30, 2], [1, 3])],
)
def test_empty_structures_get_numbers_that_no_other_has(taken: list[int], free: list[int]) -> None:
    wanted = {"GTV": Empty(), "CTV": Empty()}

    structures = list(empty_structures(wanted, taken))

    assert [structure.number for structure in structures] == free
    assert [structure.name for structure in structures] == ["GTV", "CTV"]
    assert all(structure.outlines == () for structure in structures)
