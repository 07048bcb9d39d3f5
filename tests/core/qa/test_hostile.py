"""Structure sets that nobody should write: each has a clear outcome, soon, and JSON without NaN."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.core.dicom.header import read_header
from drawcli.core.qa import pairing
from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.structures import RoiContours, read_rois
from tests.core.qa.solids import FRAME, ball, box, levels, round_solid, tube, turned
from tests.structure_sets import written

AT = levels(3.0, 15)
GOOD = round_solid("X", ball(16), AT)
SMALL = round_solid("X", ball(5), AT)
SECONDS = 20.0  # for what takes one or two on a machine that does nothing else


def roi(contours: Sequence[object], name: str = "X") -> RoiContours:
    return RoiContours(1, name, FRAME, [np.asarray(one, float) for one in contours])


def spoilt(value: float) -> RoiContours:
    contours = [one.copy() for one in GOOD.contours]
    contours[2][3, 0] = value
    return roi(contours)


def circle(points: int, radius: float = 10, level: float = 0.0) -> np.ndarray:
    return round_solid("X", tube(radius), [level]).contours[0][:: 240 // points]


def shoelace(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def tangle() -> RoiContours:
    chance = np.random.default_rng(1)
    return roi([np.column_stack([chance.uniform(-20, 20, (400, 2)), np.zeros(400)])])


def bow_tie() -> RoiContours:
    return roi([[(0, 0, z), (20, 20, z), (20, 0, z), (0, 20, z)] for z in AT])


def many_parts(count: int = 150) -> RoiContours:
    at = [(2 * (n % 20), 2 * (n // 20 % 20), 3 * (n // 400)) for n in range(count)]
    return roi([circle(12, 0.8) + one for one in at])


def comb() -> RoiContours:
    teeth = [(n * 0.3 + x, y, 0) for n in range(60) for x, y in ((0, 0), (0.15, 50))]
    return roi([[*teeth, (18, -1, 0), (0, -1, 0)]])


def one_point_more_than(count: int) -> RoiContours:
    angles = np.linspace(0, 2 * np.pi, count)
    return roi([np.stack([10 * np.cos(angles), 10 * np.sin(angles), np.zeros(count)], axis=1)])


NOT_COMPARED: dict[str, tuple[RoiContours, str]] = {
    "not a number": (spoilt(np.nan), "not coordinates"),
    "infinite": (spoilt(np.inf), "not coordinates"),
    "1e30": (spoilt(1e30), "not coordinates"),
    "1e200": (spoilt(-1e200), "not coordinates"),
    "far apart": (roi([circle(40), circle(40) + np.array([9e5, 0, 3])]), "more than 5 m"),
    "tangled": (tangle(), "entangled"),
    "in other planes": (roi([one[:, [2, 0, 1]] * 0.5 for one in GOOD.contours]), "plane"),
    "in two planes": (
        roi([*GOOD.contours, *(one[:, [2, 0, 1]] * 0.5 for one in GOOD.contours)]),
        "plane",
    ),
    "not flat": (roi([*GOOD.contours[1:], GOOD.contours[0] @ turned(20)]), "plane"),
}
WITHOUT_AREA: dict[str, RoiContours] = {
    "nothing": roi([]),
    "no points": roi([np.zeros((0, 3))]),
    "a point": roi([[(5, 5, 0)]]),
    "two points": roi([[(5, 5, 0), (6, 6, 0)]]),
    "a point three times": roi([[(5, 5, 0)] * 3]),
    "a line": roi([[(0, 0, z), (10, 0, z), (20, 0, z)] for z in AT]),
}
COMPARED: dict[str, RoiContours] = {
    "crossing itself": bow_tie(),
    "many parts": many_parts(),
    "a comb": comb(),
    "many points": one_point_more_than(5_000),
    "one slice": roi([circle(40)]),
    "each slice twice": roi([one for one in GOOD.contours for _ in range(2)]),
    "between slices": roi([*GOOD.contours, circle(40, 12, 1.5)]),
    "thinner than rounding": roi(
        [[(0, 0, z), (90, 0, z), (90, 1e-9, z), (0, 1e-9, z)] for z in AT]
    ),
    "tiny": roi([circle(40, 1e-4, z) for z in AT]),
    "many slices": roi([circle(12, 10, 0.25 * n) for n in range(100)]),
    "slices apart by rounding": roi([circle(40, 10, 0.21 * n) for n in range(40)]),
    "negative zeros": roi([np.where(one == 0, -0.0, one) for one in GOOD.contours]),
}


def outcome_of(a: RoiContours, b: RoiContours) -> tuple[ContourOutcome, dict[str, object]]:
    begun = time.process_time()
    (found,) = compare_structure_sets([a], [b]).structures
    assert time.process_time() - begun < SECONDS
    plain = found.as_plain()
    json.dumps(plain, allow_nan=False)
    return found.outcome, plain


@pytest.mark.parametrize("case", NOT_COMPARED)
def test_what_cannot_be_compared_says_why(case: str) -> None:
    bad, why = NOT_COMPARED[case]
    for a, b in ((GOOD, bad), (bad, GOOD)):
        outcome, plain = outcome_of(a, b)

        assert outcome is ContourOutcome.NOT_COMPARED
        assert why in str(plain["note"])
        assert {plain[name] for name in ("dice", "hd_mm", "apl_mm", "shift_mm")} == {None}


@pytest.mark.parametrize("case", WITHOUT_AREA)
def test_what_encloses_no_area_is_no_structure(case: str) -> None:
    flat = WITHOUT_AREA[case]

    assert outcome_of(GOOD, flat)[0] is ContourOutcome.EMPTIED
    assert outcome_of(flat, GOOD)[0] is ContourOutcome.FILLED
    assert outcome_of(flat, flat)[0] is ContourOutcome.EMPTY
    if case in ("a point three times", "a line"):
        assert outcome_of(GOOD, flat)[1]["note"] == "the contours enclose no area"


@pytest.mark.parametrize("case", COMPARED)
def test_whatever_encloses_an_area_has_all_figures(case: str) -> None:
    odd = COMPARED[case]

    _, there = outcome_of(SMALL, odd)
    _, back = outcome_of(odd, SMALL)

    for name in ("dice", "surface_dice", "hd_mm", "hd95_mm", "mean_distance_mm"):
        assert there[name] is not None, name
        assert there[name] == back[name], name
    assert outcome_of(odd, odd)[0] is ContourOutcome.UNTOUCHED


def twelve_thousand_contours() -> RoiContours:
    parts = many_parts(2000).contours
    return roi([one + np.array([0, 0, 15.0 * n]) for n in range(6) for one in parts])


@pytest.mark.sweep
@pytest.mark.parametrize(
    "make",
    [
        lambda: one_point_more_than(1_000_000),
        twelve_thousand_contours,
        lambda: roi([circle(40, 500, z) for z in (0.0, 5.0)]),
    ],
    ids=["a million points", "twelve thousand contours", "a metre wide"],
)
def test_time_does_not_run_away(make: Callable[[], RoiContours]) -> None:
    _, plain = outcome_of(GOOD, make())

    assert plain["dice"] is not None


def test_time_grows_no_faster_than_the_points() -> None:
    def seconds(points: int) -> float:
        a, begun = one_point_more_than(points), time.process_time()
        compare_structure_sets([a], [roi([one * 0.99 for one in a.contours])])
        return time.process_time() - begun

    seconds(1000)

    small, large = (min(seconds(points) for _ in range(2)) for points in (5_000, 40_000))
    assert large < 16 * max(small, 0.03)  # 8 times, n log n, and a margin; a square: 64 times


def test_a_contour_between_slices_takes_half_the_way_to_both_neighbours() -> None:
    a = roi([circle(40, 10, z) for z in (0.0, 3.0, 6.0)])
    b = replace(a, contours=[*a.contours, circle(40, 10, 4.5)])
    other = round_solid("Y", tube(20), AT)

    plain = compare_structure_sets([a, other], [b, other]).structures[0].as_plain()

    assert plain["dice"] == pytest.approx(1, abs=1e-4)
    assert plain["volume_b_cm3"] == plain["volume_a_cm3"]
    assert plain["shift_mm"] == [0, 0, 0]


def test_a_slice_alone_is_as_thick_as_the_slices_of_the_other_file() -> None:
    a, b = roi([circle(40)]), roi([circle(40, 10, z) for z in (-3.0, 0.0, 3.0)])

    _, plain = outcome_of(a, b)

    assert plain["volume_a_cm3"] == pytest.approx(3 * shoelace(circle(40)) / 1000, abs=1e-3)
    assert plain["volume_b_cm3"] == pytest.approx(9 * shoelace(circle(40)) / 1000, abs=1e-3)
    assert plain["dice"] == pytest.approx(0.5)
    assert plain["ends_moved"] == [1, 1]


def test_a_few_contours_in_another_plane_do_not_spoil_the_other_structures() -> None:
    marker = roi([circle(40, 8, z)[:, [2, 0, 1]] for z in AT], "Marker")

    found = compare_structure_sets([GOOD, marker], [GOOD, marker]).structures

    assert [str(one.outcome) for one in found] == ["untouched", "not-compared"]


def test_two_structures_of_a_name_are_not_guessed() -> None:
    twice = [box("X", (20, 20), AT), box("X", (30, 30), AT)]

    for a, b in (([GOOD], twice), (twice, [GOOD]), (twice, twice)):
        found = compare_structure_sets(a, b).structures
        assert {one.outcome for one in found} == {ContourOutcome.AMBIGUOUS}
        assert {one.dice for one in found} == {None}


def test_structures_without_a_name_pair_by_their_contours_alone() -> None:
    a = [replace(GOOD, name=""), box("", (20, 20), AT)]
    b = [box("", (20, 20), AT), box("", (70, 20), AT)]

    found = compare_structure_sets(a, b, CompareOptions(with_distances=False)).structures

    assert [str(one.outcome) for one in found] == ["removed", "renamed", "added"]


def test_of_two_equal_structures_none_is_the_renamed_one() -> None:
    a = [replace(GOOD, name=name) for name in ("A", "B")]

    found = compare_structure_sets(a, [replace(GOOD, name="C")]).structures

    assert [str(one.outcome) for one in found] == ["removed", "removed", "added"]


def test_a_frame_of_reference_counts_structure_by_structure() -> None:
    other = replace(GOOD, name="Y", frame="9.9")
    elsewhere = [replace(GOOD, frame="9.9"), replace(other, frame="9.9")]

    found = compare_structure_sets([GOOD, other], elsewhere).structures

    assert [str(one.outcome) for one in found] == ["other-frame", "untouched"]


def test_thousands_of_names_take_no_time() -> None:
    a = [RoiContours(n, f"Name {n}", FRAME) for n in range(1500)]
    begun = time.process_time()

    found = compare_structure_sets(a, [replace(one, name=one.name.upper()) for one in a])

    assert {one.outcome for one in found.structures} == {ContourOutcome.EMPTY}
    assert time.process_time() - begun < 3


Written = tuple[str, str, int]  # type, data and stated number of points of a contour
SQUARE = "0\\0\\{z}\\10\\0\\{z}\\10\\10\\{z}\\-0.0\\10\\{z}"


def squares(count: int = 4) -> list[Written]:
    return [("CLOSED_PLANAR", SQUARE.format(z=3 * n), 4) for n in range(count)]


def read(*rois: tuple[str, list[Written]]) -> list[RoiContours]:
    """Return what is read of a file with these ROIs."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    file.SOPClassUID, file.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3"
    file.StructureSetROISequence, file.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois, start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, FRAME
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for kind, text, points in contours:
            one = Dataset()
            one.ContourGeometricType, one.NumberOfContourPoints = kind, points
            one.add_new(0x30060050, "UN", text.encode() + b" " * (len(text) % 2))
            drawn.ContourSequence.append(one)
        file.StructureSetROISequence.append(roi)
        file.ROIContourSequence.append(drawn)
    return read_rois(read_header(written(file), complete=True))


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")  # of what writes the file
@pytest.mark.parametrize(
    ("more", "outcome", "note"),
    [
        (("POINT", "5\\5\\0", 1), "untouched", "points and open lines are left out"),
        (("OPEN_PLANAR", "0\\0\\0\\9\\9\\0\\9\\0\\0", 3), "untouched", "left out"),
        (("CLOSED_PLANAR", "5\\5\\0", 1), "untouched", "left out"),
        (("CLOSED_PLANAR", SQUARE.format(z=0), 4), "untouched", ""),
        (("CLOSED_PLANAR", SQUARE.format(z=0), 7), "not-compared", "not coordinates"),
        (("CLOSED_PLANAR", "NaN\\0\\0\\1\\0\\0\\1\\1\\0", 3), "not-compared", "not coordinates"),
        (("CLOSED_PLANAR", "1e30\\0\\0\\1\\0\\0\\1\\1\\0", 3), "not-compared", "not coordinates"),
        (("CLOSED_PLANAR", "", 0), "not-compared", "not coordinates"),
    ],
)
def test_files_with_odd_contours_are_read_as_far_as_they_mean_anything(
    more: Written, outcome: str, note: str
) -> None:
    (found,) = compare_structure_sets(
        read(("Organ", squares())), read(("Organ", [*squares(), more]))
    ).structures

    assert str(found.outcome) == outcome
    assert note in found.note
    json.dumps(found.as_plain(), allow_nan=False)


def test_files_with_empty_and_repeated_names_are_compared_without_a_guess() -> None:
    a = read(("", squares()), ("Organ", squares(5)), ("Lens", squares(6)))
    b = read(("", squares(3)), ("Organ", squares(5)), ("Organ", squares(6)), ("Lens", squares(6)))

    found = compare_structure_sets(a, b, CompareOptions(with_distances=False)).structures

    told = [(one.name, str(one.outcome)) for one in found]
    assert told == [
        ("", "removed"),
        ("Organ", "ambiguous"),
        ("Lens", "untouched"),
        ("", "added"),
    ]


@pytest.mark.parametrize("beyond", [0, 1])
def test_very_many_structures_are_paired_by_names_only(
    beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "MOST_COMPARED", 9 - beyond)
    a = read(*((f"A{n}", squares(3 + n)) for n in range(3)), ("Lens", squares(9)))
    b = read(*((f"B{n}", squares(3 + n)) for n in range(3)), ("Lens", squares(9)))

    found = compare_structure_sets(a, b, CompareOptions(with_distances=False)).structures

    told = [str(one.outcome) for one in found]
    if beyond:
        assert told == ["removed"] * 3 + ["untouched"] + ["added"] * 3
    else:
        assert told == ["renamed"] * 3 + ["untouched"]
