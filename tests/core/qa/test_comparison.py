"""Every outcome, edits of known length, ends and gaps; see test_solids.py for the figures."""

from math import pi

import numpy as np
import pytest

from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.structures import RoiContours
from tests.core.qa.solids import ball, box, levels, round_solid, tube, turned


def compare(
    a: list[RoiContours], b: list[RoiContours], tau: float = 3.0, *, with_distances: bool = True
) -> list[StructureComparison]:
    options = CompareOptions(tau_mm=tau, with_distances=with_distances)
    return list(compare_structure_sets(a, b, options).structures)


def one(a: RoiContours, b: RoiContours, tau: float = 3.0) -> StructureComparison:
    (found,) = compare([a], [b], tau)
    return found


def test_an_edit_of_known_length_is_the_added_path() -> None:
    at = levels(3.0, 9)
    a = box("Box", (40, 40), at)
    b = box("Box", (40, 40), at)
    for contour in b.contours[:3]:  # a bulge of 10 x 20 mm on three of seven slices
        bulge = [(20, -10), (30, -10), (30, 10), (20, 10)]
        new = [*contour[:2, :2].tolist(), *bulge, *contour[2:, :2].tolist()]
        b.contours = [
            np.column_stack([np.array(new), np.full(len(new), contour[0, 2])])
            if other is contour
            else other
            for other in b.contours
        ]

    found = one(a, b, tau=0.0)

    assert found.outcome is ContourOutcome.EDITED
    assert found.apl_mm == pytest.approx(3 * (10 + 20 + 10), abs=0.1)
    assert found.apl_share == pytest.approx(120 / (4 * 160 + 3 * 180), abs=0.001)
    assert one(a, b, tau=3.0).apl_mm == pytest.approx(3 * (7 + 20 + 7), abs=0.1)


def test_each_outcome_is_distinct() -> None:
    at = levels(3.0)
    whole = round_solid("Whole", tube(10), at)
    halves = [round_solid(f"Half{n}", tube(10), part) for n, part in enumerate((at[:10], at[10:]))]
    far = (90.0, 0.0, 0.0)
    a = [
        whole,
        round_solid("Same", ball(9), at),
        round_solid("Old name", ball(12), at, centre=far),
        round_solid("BrainStem", ball(8), at),
        round_solid("Grown", tube(10), at),
        RoiContours(6, "Nothing", "1.2.3"),
        round_solid("Wiped", ball(9), at),
        RoiContours(8, "Drawn", "1.2.3"),
        round_solid("Gone", ball(5), at),
        round_solid("Between", ball(15), at),
        round_solid("Twice", ball(6), at),
        RoiContours(12, "Broken", "1.2.3", fault="why"),
    ]
    b = [
        *halves,
        round_solid("Same", ball(9), at),
        round_solid("New name", ball(12), at, centre=far),
        round_solid("Brainstem", ball(8), at),
        round_solid("Grown", tube(13), at),
        RoiContours(6, "Nothing", "1.2.3"),
        RoiContours(7, "Wiped", "1.2.3"),
        round_solid("Drawn", ball(9), at),
        round_solid("Extra", ball(5), at, centre=(0.0, 70.0, 0.0)),
        round_solid("Between", ball(15), [level + 1.5 for level in at]),
        round_solid("Twice", ball(6), at),
        round_solid("Twice", ball(7), at),
        round_solid("Broken", ball(6), at),
    ]

    found = {s.name: s for s in compare(a, b, with_distances=False)}

    assert {name: str(s.outcome) for name, s in found.items()} == {
        "Whole": "split",
        "Same": "untouched",
        "Old name": "renamed",
        "BrainStem": "untouched",
        "Grown": "redrawn",
        "Nothing": "empty",
        "Wiped": "emptied",
        "Drawn": "filled",
        "Gone": "removed",
        "Between": "other-slices",
        "Twice": "ambiguous",
        "Broken": "not-compared",
        "Extra": "added",
    }
    assert found["Whole"].name_b == "Half0, Half1"
    assert found["BrainStem"].name_b == "Brainstem"
    no_figures = ("Nothing", "Wiped", "Drawn", "Gone", "Extra", "Twice", "Broken", "Whole")
    assert {found[name].dice for name in no_figures} == {None}
    assert {found[name].hd_mm for name in found} == {None, 0.0}  # known without surfaces
    assert found["Broken"].note == "why"


def test_an_edit_of_the_only_slice_is_an_edit_and_a_moved_box_is_drawn_anew() -> None:
    a, b = box("Box", (40, 40), [0.0]), box("Box", (40, 40), [0.0])
    b.contours = [
        np.concatenate(
            [b.contours[0][:3], [[0, 20, 0], [0, 26, 0], [-6, 20, 0]], b.contours[0][3:]]
        )
    ]
    moved = box("Box", (40, 40), [0.0], centre=(3, 0))  # half of its edges lie on A's

    assert compare([a], [b], with_distances=False)[0].outcome is ContourOutcome.EDITED
    assert compare([a], [moved], with_distances=False)[0].outcome is ContourOutcome.REDRAWN


def test_other_frames_of_reference_are_not_compared() -> None:
    a = round_solid("Ball", ball(10), levels(3.0))
    b = RoiContours(1, "Ball", "9.9.9", a.contours)

    assert one(a, b).outcome is ContourOutcome.OTHER_FRAME
    assert one(a, RoiContours(1, "Ball", "", a.contours)).outcome is ContourOutcome.UNTOUCHED


def test_an_alias_pairs_names_that_nothing_else_does() -> None:
    at = levels(3.0)
    a, b = round_solid("Rectum", tube(10), at), round_solid("Enddarm", tube(11), at)

    (paired,) = compare_structure_sets(
        [a], [b], CompareOptions(aliases={"enddarm": "rectum"}, with_distances=False)
    ).structures
    apart = compare([a], [b], with_distances=False)

    assert (paired.outcome, paired.name_b) == (ContourOutcome.REDRAWN, "Enddarm")
    assert [str(s.outcome) for s in apart] == ["removed", "added"]


def test_slices_added_and_removed_at_the_ends_are_counted() -> None:
    at = levels(3.0)
    found = one(round_solid("T", tube(9), at[2:-1]), round_solid("T", tube(9), at[:-3]))

    assert found.ends_moved == (2, -2)
    assert found.apl_mm == pytest.approx(
        2 * 2 * pi * 9, rel=0.001
    )  # what was removed costs nothing


def test_a_gap_of_slices_is_no_part_of_a_structure() -> None:
    at = [level for level in levels(3.0) if abs(level) > 10]
    found = one(round_solid("T", tube(10), at), round_solid("T", tube(10), at))

    assert found.volume_a_cm3 == pytest.approx(len(at) * 3 * pi * 100 / 1000, rel=0.001)


def test_contours_out_of_the_plane_are_named_and_not_compared() -> None:
    tilted = round_solid("Ball", tube(10), levels(3.0))
    tilted.contours[4] = tilted.contours[4] @ turned(20)

    found = one(round_solid("Ball", tube(10), levels(3.0)), tilted)

    assert found.outcome is ContourOutcome.NOT_COMPARED
    assert "plane" in found.note


def test_an_roi_may_have_a_tolerance_of_its_own() -> None:
    at = levels(3.0)
    a, b = round_solid("Rectum", tube(10), at), round_solid("Rectum", tube(12), at)

    usual = compare_structure_sets([a], [b]).structures[0]
    own = compare_structure_sets([a], [b], CompareOptions(tau_of={"Rectum": 1.0})).structures[0]

    assert (usual.tau_mm, usual.apl_mm) == (3.0, 0.0)
    assert own.tau_mm == 1.0
    assert own.apl_share == pytest.approx(1.0)


def test_a_dent_that_keeps_the_bounds_is_an_edit() -> None:
    a, b = box("X", (40, 40), levels(3.0, 9)), box("X", (40, 40), levels(3.0, 9))
    dent = [(-20, -20), (-5, -20), (-5, -10), (5, -10), (5, -20), (20, -20), (20, 20), (-20, 20)]
    b.contours[2] = np.column_stack([np.array(dent, float), np.full(8, b.contours[2][0, 2])])

    (found,) = compare([a], [b], 0.0, with_distances=False)

    assert found.outcome is ContourOutcome.EDITED
    assert found.apl_mm == pytest.approx(10 + 10 + 10, abs=0.1)
    assert found.over_cm3 == pytest.approx(10 * 10 * 3 / 1000)
