"""Each check of the contours: the smallest drawing that has it, and one that must pass."""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import cos, pi, sin
from pathlib import Path

import pytest

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.core.gate.acceptance import FileContour, Severity
from drawcli.core.gate.strict_reader import DataSet, Malformed
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.rtstruct.contour_batches import batches
from drawcli.core.rtstruct.contour_checks import (
    apply_severities,
    inspect_contours,
)
from drawcli.core.rtstruct.contour_table import CHECKS, TEXTS
from drawcli.core.rtstruct.enclosed_area import find_enclosed
from drawcli.core.rtstruct.laterality import other_side, unclear_pairs
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.rtstruct.outline_shapes import TooComplex
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.slice_grid import Grid
from tests.core.real_data import REAL, needs_real, unpacked

Point = tuple[float, float, float]
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TILTED = (1.0, 0.0, 0.0, 0.0, cos(0.3), sin(0.3))
SLICES = 10
STEP = 3.0
NAMES = {1: "Bladder", 2: "Kidney_L", 3: "Kidney_R"}


def crosswalk(orientation: Sequence[float] = AXIAL, slices: int = SLICES) -> Crosswalk:
    """Return a series of 100 rows of 2 mm and 120 columns of 1 mm, its slices 3 mm apart."""
    a, b, c, x, y, z = orientation
    normal = (b * z - c * y, c * x - a * z, a * y - b * x)
    places = [
        (-60 + STEP * n * normal[0], -100 + STEP * n * normal[1], 50 + STEP * n * normal[2])
        for n in range(slices)
    ]
    return Crosswalk(
        series_uid="1.1",
        study_uid="1.2",
        patient_id="",
        patient_name="",
        files=tuple(
            SourceFile(f"/{n}", 1, 1, f"1.5.{n}", positions=(place,))
            for n, place in enumerate(places)
        ),
        uids={f"2.25.{n}": f"1.5.{n}" for n in range(slices)},
        orientation=tuple(orientation),
        spacing=(2.0, 1.0),
        shape=(100, 120),
    )


def drawn(points: Iterable[Point], on: int | None, roi: int = 1, **change: object) -> FileContour:
    """Return a contour on a slice, or one that names none."""
    points = list(points)
    text = "\\".join(f"{value:.6f}" for point in points for value in point)
    images = () if on is None else ((f"2.25.{on}", 1),)
    whole = FileContour(roi, "CLOSED_PLANAR", str(len(points)), images, text.encode())
    return replace(whole, **change)  # type: ignore[arg-type] # any fact of it


def rectangle(z: float, left: float = -10, width: float = 20, height: float = 30) -> list[Point]:
    right, low, high = left + width, -20.0, -20.0 + height
    return [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]


def box(slices: Iterable[int], roi: int = 1, left: float = -10) -> list[FileContour]:
    return [drawn(rectangle(50 + STEP * n, left), n, roi) for n in slices]


def inspected(
    contours: Iterable[FileContour],
    series: Crosswalk | None = None,
    bounds: dict[str, tuple[float, float]] | None = None,
) -> tuple[dict[str, str], dict[str, MeasuredStructure]]:
    series = series or crosswalk()
    grid = Grid.of(series)
    assert grid is not None
    found, measured = inspect_contours(contours, NAMES, grid, series.uids, bounds or {})
    return dict(found), {one.name: one for one in measured}


def test_nothing_is_found_in_a_drawing_on_its_slices() -> None:
    left, right = box(range(3, 6), 2, left=20), box(range(3, 6), 3, left=-40)

    found, _ = inspected([*box(range(2, 7)), *left, *right])

    assert found == {}


LONG = [(float(n), 0.0, 56.0) for n in range(4)]
NO_COORDINATES = [
    *(b"nan\\0\\56", b"1e400\\0\\56", b"1_0\\0\\56", b"1\\\\3", b"x\\0\\56"),
    *(b"1e7\\0\\56", b"1 2\\0\\56", b"1\\2\\56\\", b"", b" "),
]
BAD = {
    "contour-type": drawn(rectangle(56), 2, kind="OPEN_PLANAR"),
    "contour-values": drawn(rectangle(56), 2, data=b"x"),
    "contour-points": drawn(rectangle(56), 2, count="5"),
    "contour-short": drawn(rectangle(56)[:2], 2),
    "contour-off-slice": drawn(rectangle(56), 3),
    "contour-outside": drawn(rectangle(56, left=-200), 2),
    "contour-specks": drawn(rectangle(56, width=0.5, height=0.5), 2),
}


@pytest.mark.parametrize("check", [one for one in CHECKS if one != "package-unknown"])
def test_every_check_has_a_text_and_a_test(check: str) -> None:
    own_text = {"contours-shifted", "structure-sides", "structure-volume"}
    named = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', Path(__file__).read_text(encoding="utf-8"))

    assert check in TEXTS.keys() | own_text, f"add a sentence for '{check}' to TEXTS"
    assert named.count(check) > (check in own_text), f"add a bad contour for '{check}' to BAD"


@pytest.mark.parametrize("check", BAD)
def test_each_check_of_a_contour_names_it_alone(check: str) -> None:
    found, _ = inspected([*box([1, *range(4, 9)], left=30), BAD[check]])
    found.pop("structure-gaps", None)

    assert list(found) == [check]
    assert found[check].endswith(": Bladder 1")


@pytest.mark.parametrize("data", NO_COORDINATES)
def test_coordinates_that_are_no_numbers_are_found(data: bytes) -> None:
    found, _ = inspected([drawn([], 2, data=data, count="1")])

    assert list(found) == ["contour-values"]


@pytest.mark.parametrize("kind", ["", "closed_planar", "FOO"])
def test_a_contour_of_no_kind_of_the_standard_is_found(kind: str) -> None:
    found, _ = inspected([drawn(rectangle(56), 2, kind=kind)])

    assert list(found) == ["contour-values"]


def test_no_site_can_accept_values_that_cannot_be_delivered() -> None:
    (one,) = apply_severities([("contour-values", "x")], dict.fromkeys(CHECKS))

    assert one.severity is Severity.BLOCK


@pytest.mark.parametrize("count", ["four", "4.5", "5", "-4"])
def test_a_count_that_is_not_that_of_the_points_is_found(count: str) -> None:
    found, _ = inspected([drawn(rectangle(56), 2, count=count)])

    assert list(found) == ["contour-points"]


@pytest.mark.parametrize("count", ["", "4.0", " 4"])
def test_a_count_that_is_missing_or_written_otherwise_is_that_of_the_data(count: str) -> None:
    found, measured = inspected([drawn(rectangle(56), 2, count=count)])

    assert found == {}
    assert measured["Bladder"].slices == (2,)
    assert measured["Bladder"].volume_cm3 == pytest.approx(20 * 30 * STEP / 1000)


def test_a_contour_without_image_belongs_to_the_nearest_slice() -> None:
    found, measured = inspected([drawn(rectangle(56.05), None)])

    assert found == {}
    assert list(measured["Bladder"].slices) == [2]


@pytest.mark.parametrize("z", [48.0, 78.7, 1000.0])
def test_a_contour_without_image_beyond_all_slices_is_found(z: float) -> None:
    found, _ = inspected([*box(range(4, 6)), drawn(rectangle(z), None)])

    assert list(found) == ["contour-off-slice"]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (0.09, []),
        (0.11, ["contour-shifted"]),
        (-1.5, ["contour-shifted"]),
        (1.62, ["contour-off-slice"]),
    ],
)
def test_a_contour_beside_its_slice_is_reported_and_beyond_half_the_gap_blocked(
    beside: float, expected: list[str]
) -> None:
    found, _ = inspected([*box(range(3, 7)), drawn(rectangle(56 + beside), 2)])

    assert list(found) == expected


@pytest.mark.parametrize(("beside", "blocked"), [(-1.59, False), (-1.62, True), (4.9, False)])
def test_a_contour_is_nearest_to_its_own_slice_where_the_spacing_changes(
    beside: float,
    *,
    blocked: bool,
) -> None:
    series = crosswalk()
    apart = [
        one._replace(positions=((x, y, z + (7 if n > 4 else 0)),))
        for n, one in enumerate(series.files)
        for ((x, y, z),) in (one.positions,)
    ]

    found, _ = inspected([drawn(rectangle(62 + beside), 4)], series._replace(files=tuple(apart)))

    assert ("contour-off-slice" in found) is blocked


@pytest.mark.parametrize(
    ("z", "other", "expected"),
    [(56, 2, []), (56, 3, ["contour-off-slice"]), (59, 2, ["contour-off-slice"])],
)
def test_a_contour_lies_on_every_image_that_it_names(
    z: float, other: int, expected: list[str]
) -> None:
    images = (("2.25.2", 1), (f"2.25.{other}", 1))

    found, _ = inspected([*box(range(3, 7)), drawn(rectangle(z), 2, images=images)])

    assert list(found) == expected


def test_contours_that_name_an_image_of_no_slice_belong_each_to_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drawcli.core.rtstruct.contour_batches._CONTOURS", 1)

    found, measured = inspected([drawn(rectangle(z), None, images=(("9.9", 1),)) for z in (56, 59)])

    assert found == {}
    assert measured["Bladder"].slices == (2, 3)


@pytest.mark.parametrize(("shift", "blocked"), [(0.55, False), (0.65, True), (-1.4, True)])
def test_a_set_that_is_shifted_by_a_fifth_of_the_spacing_is_blocked(
    shift: float,
    *,
    blocked: bool,
) -> None:
    contours = [drawn(rectangle(50 + STEP * n + shift), n) for n in range(2, 7)]

    found, _ = inspected(contours)

    assert ("contours-shifted" in found) is blocked
    assert "contour-shifted" in found
    assert CHECKS["contours-shifted"] is Severity.BLOCK


def test_a_set_that_is_shifted_by_exactly_a_fifth_of_the_spacing_is_not_blocked() -> None:
    series = crosswalk()
    apart = tuple(
        one._replace(positions=((-60.0, -100.0, 50.0 + 5 * n),))
        for n, one in enumerate(series.files)
    )

    found, _ = inspected([drawn(rectangle(61), 2)], series._replace(files=apart))

    assert list(found) == ["contour-shifted"]


@pytest.mark.parametrize(("slope", "expected"), [(0.09, []), (0.11, ["contour-not-planar"])])
def test_points_of_one_contour_lie_in_one_plane(slope: float, expected: list[str]) -> None:
    sloped = [(x, y, z + slope * n / 3 - slope / 2) for n, (x, y, z) in enumerate(rectangle(56))]

    found, _ = inspected([*box(range(3, 7)), drawn(sloped, 2)])

    assert list(found) == expected


def circle(x: float, y: float, radius: float, z: float = 56.0, points: int = 180) -> list[Point]:
    turns = [2 * pi * n / points for n in range(points)]
    return [(x + radius * cos(t), y + radius * sin(t), z) for t in turns]


def area_on_slice_2(*outlines: list[Point]) -> tuple[dict[str, str], float]:
    """Return the findings, and the area that outlines of one structure enclose, mm2."""
    found, measured = inspected([drawn(outline, 2) for outline in outlines])
    return found, measured["Bladder"].volume_cm3 * 1000 / STEP


def test_round_holes_in_round_outlines_are_subtracted_wherever_they_lie() -> None:
    for x, y in ((0, 0), (8, 0), (-8, 3), (0, -9), (5, 7)):
        found, area = area_on_slice_2(circle(0, 0, 20), circle(x, y, 6))

        assert found == {}
        assert area == pytest.approx(pi * (20**2 - 6**2), rel=1e-3)


def test_an_outline_that_is_repeated_counts_once_and_is_reported() -> None:
    outline = circle(0, 0, 20)
    for again in (outline, outline[::-1], [*outline[7:], *outline[:7]], circle(0, 0, 19.999)):
        found, area = area_on_slice_2(outline, again)

        assert list(found) == ["contour-overlap"]
        assert area == pytest.approx(pi * 20**2, rel=1e-3)


def test_outlines_that_partly_overlap_are_united_and_reported() -> None:
    found, area = area_on_slice_2(rectangle(56, -10, 20), rectangle(56, 0, 20))

    assert list(found) == ["contour-overlap"]
    assert area == pytest.approx(30 * 30)


def test_overlaps_are_counted_in_all_slices() -> None:
    pairs = [drawn(rectangle(50 + STEP * n, left), n) for n in (2, 3) for left in (-10, 0)]

    found, _ = inspected(pairs)

    assert found == {"contour-overlap": f"{TEXTS['contour-overlap']}: Bladder 2"}


def test_outlines_that_only_touch_are_two_parts() -> None:
    found, area = area_on_slice_2(rectangle(56, -10, 20), rectangle(56, 10, 20))

    assert found == {}
    assert area == pytest.approx(40 * 30)


FLAT = [(0.0, 0.0, 56.0), (-9.0, -9.0, 56.0), (8.0, 8.0, 56.0)]
ONE_PIXEL = [(0.0, 0.0, 56.0), (-9.0, -4.0, 56.0), (1.0, 0.0, 56.0)]


@pytest.mark.parametrize(("outline", "expected"), [(FLAT, ["contour-specks"]), (ONE_PIXEL, [])])
def test_rounding_of_an_area_makes_no_contour_larger_or_smaller_than_a_pixel(
    outline: list[Point], expected: list[str]
) -> None:
    found, _ = inspected([*box([1]), drawn(outline, 2), *box([3])])

    assert list(found) == expected
    assert all(text.endswith(": Bladder 1") for text in found.values())


def test_a_flat_contour_has_no_centre_by_rounding() -> None:
    _, measured = inspected([drawn(FLAT, 2)])

    assert measured["Bladder"].left is None


def test_a_contour_that_crosses_itself_is_reported() -> None:
    a, b, c, d = rectangle(56)

    found, _ = inspected([*box(range(3, 7)), drawn([a, c, b, (d[0], d[1] + 20, d[2])], 2)])

    assert list(found) == ["contour-crossing"]


def test_ordinary_outlines_alone_in_their_slices_need_no_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drawcli.core.rtstruct.outline_shapes.make_polygons", None)
    outlines = [
        circle(10, 20, 5, 50),
        circle(30, 40, 20, 53)[::-1],
        circle(0, 0, 30, 56, points=4),
        circle(0, 0, 30, 59, points=4)[::-1],
    ]

    found, measured = inspected([drawn(outline, n) for n, outline in enumerate(outlines)])

    area = 90 * sin(pi / 90) * (5**2 + 20**2) + 2 * 2 * 30**2
    assert found == {}
    assert measured["Bladder"].volume_cm3 == pytest.approx(area * STEP / 1000, rel=1e-6)


CROSSING: dict[str, list[tuple[float, float]]] = {
    "in line with the centre": [(-8, 0), (12, 0), (-12, 4), (8, -12), (0, 8)],
    "of short edges": [
        (radius * cos(t * pi / 180), middle + radius * sin(t * pi / 180))
        for radius, middle, steps in ((4, 4, range(270, 630)), (3, -3, range(90, -270, -1)))
        for t in steps
    ],
}


@pytest.mark.parametrize("mirrored", [1, -1])
@pytest.mark.parametrize("outline", CROSSING)
def test_a_crossing_is_found_whatever_the_edges_seem_from_the_centre(
    outline: str, mirrored: int
) -> None:
    points = [(x * mirrored, y, 56.0) for x, y in CROSSING[outline]]

    found, _ = inspected([drawn(points, 2)])

    assert list(found) == ["contour-crossing"]


def around(points: int, step: int, radius: float = 30.0) -> list[Point]:
    """Return every so many of the corners of a regular polygon."""
    angles = [2 * pi * step * n / points for n in range(points)]
    return [(radius * cos(a), radius * sin(a), 56.0) for a in angles]


@pytest.mark.parametrize(("points", "step"), [(5, 2), (5, 3), (9, 4), (40, 19), (41, 2)])
def test_a_contour_that_leads_around_its_centre_twice_is_reported(points: int, step: int) -> None:
    found, _ = inspected([*box(range(3, 7)), drawn(around(points, step), 2)])

    assert found.keys() & {"contour-crossing", "contour-tangled"}


def test_any_outline_has_the_area_of_the_library() -> None:
    dice = random.Random(11)  # noqa: S311 - the same in each run
    for _ in range(400):
        points = around(dice.randrange(3, 12), dice.choice((1, 1, 1, -1, 2)))
        moved = [
            (round(x * dice.choice((1, 1, 0.5, -1)), 1), round(y + dice.choice((0, 0, 9)), 1), z)
            for x, y, z in points
        ]
        outline = [(x, y) for x, y, _ in moved]
        found, measured = inspected([drawn(moved, 2)])
        if "contour-tangled" in found or "contour-off-slice" in found:
            continue

        area = measured["Bladder"].volume_cm3 * 1000 / STEP
        assert area == pytest.approx(find_enclosed([outline]).area.area, abs=1e-6)


def test_a_contour_that_crosses_itself_everywhere_is_blocked_without_an_area() -> None:
    dice = random.Random(7)  # noqa: S311 - to be the same each time
    star = [(dice.uniform(-40, 40), dice.uniform(-40, 40), 56.0) for _ in range(400)]

    found, measured = inspected([*box(range(3, 7)), drawn(star, 2)])

    assert "contour-tangled" in found
    assert measured["Bladder"].volume_cm3 == pytest.approx(4 * 600 * STEP / 1000)
    assert CHECKS["contour-tangled"] is Severity.BLOCK


def test_thousands_of_overlapping_contours_on_a_slice_are_not_compared_pair_by_pair() -> None:
    dice = random.Random(7)  # noqa: S311 - to be the same each time
    heap = [rectangle(56, left=dice.uniform(-20, -10)) for _ in range(1000)]

    found, _ = area_on_slice_2(*heap)

    assert "contour-tangled" in found


def spikes(count: int) -> list[Point]:
    """Return long slanting spikes beside each other: each lies in the box of all others."""
    teeth = [(0.002 * n + step, step, 56.0) for n in range(count) for step in (0.0, 20.0)]
    return [*teeth, (30.0, 0.0, 56.0), (30.0, -20.0, 56.0), (-20.0, -20.0, 56.0)]


def hairs(count: int) -> list[Point]:
    """Return a line that goes to and fro through one point again and again."""
    turns = [pi * n / count for n in range(count)]
    ends = [(20 * cos(t), 20 * sin(t), 56.0) for t in turns]
    return [(x * s, y * s, z) for x, y, z in ends for s in (1, -1)]


@pytest.mark.parametrize("shape", [spikes, hairs])
def test_outlines_that_the_library_would_compare_part_by_part_are_refused(
    shape: Callable[[int], list[Point]],
) -> None:
    outline = [(x, y) for x, y, _ in shape(20_000)]  # 40,000 points: minutes, with the square

    with pytest.raises(TooComplex):
        find_enclosed([outline])


def test_an_outline_of_spikes_around_its_centre_is_refused_as_one_of_any_other_shape() -> None:
    spiky = [
        (x * (1 - n % 2 * 0.9), y * (1 - n % 2 * 0.9), z)
        for n, (x, y, z) in enumerate(around(2_000, 1))
    ]

    found, _ = inspected([*box(range(3, 7)), drawn(spiky, 2)])

    assert found["contour-tangled"].endswith(": Bladder 1")


def test_a_long_outline_that_touches_itself_has_an_area() -> None:
    outline = circle(0, 0, 30, points=40_000)
    touching = [*outline[:20_000], outline[0], *outline[20_000:]]

    found, area = area_on_slice_2(touching)

    assert "contour-tangled" not in found
    assert abs(area - pi * 30**2) < 0.2


def test_outlines_within_outlines_deeper_than_any_drawing_are_refused() -> None:
    rings = [[(x, y) for x, y, _ in circle(0, 0, 30 - n / 10)] for n in range(40)]

    assert find_enclosed(rings[:8]).overlapping == 0
    with pytest.raises(TooComplex):
        find_enclosed(rings)


@pytest.mark.parametrize(("limit", "most"), [("MOST_CONTOURS", 5), ("MOST_POINTS", 20)])
def test_more_contours_than_any_drawing_has_are_refused(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.core.rtstruct.contour_batches._CONTOURS", 2)
    monkeypatch.setattr(f"drawcli.core.rtstruct.contour_checks.{limit}", most)

    allowed, _ = inspected(box(range(5)))
    found, measured = inspected(box(range(6)))

    assert allowed == {}
    assert list(found) == ["contour-tangled"]
    assert measured == {}


def test_a_batch_has_a_limited_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    contours = box(range(7))
    monkeypatch.setattr("drawcli.core.rtstruct.contour_batches._BYTES", 3 * len(contours[0].data))

    sizes = [(len(batch.contours), batch.plain) for batch in batches(contours)]

    assert sizes == [(3, 3), (3, 3), (1, 1)]


def test_contours_in_several_batches_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.core.rtstruct.contour_batches._CONTOURS", 2)
    shifted = [drawn(rectangle(50.65 + STEP * n), n) for n in range(1, 5)]

    found, measured = inspected([*shifted, *box([5])])

    assert found == {
        "contour-shifted": f"{TEXTS['contour-shifted']}: Bladder 4",
        "contours-shifted": (
            "the structure set is shifted by 0.65 mm along the normal of the slices"
        ),
    }
    assert (measured["Bladder"].contours, measured["Bladder"].plain) == (5, 5)


def test_the_contours_of_a_structure_are_together() -> None:
    with pytest.raises(ValueError, match=r"^the contours of a structure are not together$"):
        inspected([*box([2], 1), *box([3], 2), *box([4], 1)])


def test_findings_are_in_the_order_of_contours_and_of_their_checks() -> None:
    open_ = drawn(rectangle(53)[:2], 1, kind="OPEN_PLANAR")

    found, _ = inspected([open_, BAD["contour-values"], BAD["contour-outside"]])

    assert list(found) == ["contour-type", "contour-short", "contour-values", "contour-outside"]


@pytest.mark.parametrize(
    ("structures", "told"),
    [
        (6, "ROI 6 6, ROI 5 5, ROI 4 4, Kidney_R 3, Kidney_L 2, Bladder 1"),
        (7, "ROI 7 7, ROI 6 6, ROI 5 5, ROI 4 4, Kidney_R 3, Kidney_L 2 ..."),
    ],
)
def test_a_finding_names_the_six_structures_with_most_contours(structures: int, told: str) -> None:
    short = [
        drawn(rectangle(56)[:2], 2, roi) for roi in range(1, structures + 1) for _ in range(roi)
    ]

    found, _ = inspected(short)

    assert found == {"contour-short": f"{TEXTS['contour-short']}: {told}"}


@pytest.mark.parametrize(
    ("left", "expected"), [(-64.9, []), (-65.1, ["contour-outside"]), (44.1, ["contour-outside"])]
)
def test_the_margin_beyond_the_image_is_5_mm(left: float, expected: list[str]) -> None:
    found, _ = inspected([drawn(rectangle(56, left=left), 2)])

    assert list(found) == expected


def test_contours_beside_one_outside_the_image_may_be_near_its_edges() -> None:
    beside = [drawn(rectangle(50 + STEP * n, left=left), n) for n, left in ((3, -59), (4, 38))]

    found, _ = inspected([BAD["contour-outside"], *beside])

    assert found == {"contour-outside": f"{TEXTS['contour-outside']}: Bladder 1"}


@pytest.mark.parametrize(
    ("slices", "missing"),
    [([2, 3, 5, 6], 1), ([2, 5], 2), ([2, 6], 0), ([2, 3, 4], 0), ([2, 4, 6], 2)],
)
def test_forgotten_slices_are_told_and_spaces_between_parts_are_not(
    slices: list[int], missing: int
) -> None:
    found, _ = inspected(box(slices))

    told = {"structure-gaps": f"Bladder {missing}"} if missing else {}
    assert {check: text.partition(": ")[2] for check, text in found.items()} == told


@pytest.mark.parametrize(
    "orientation", [AXIAL, SAGITTAL, TILTED], ids=["axial", "sagittal", "tilt"]
)
def test_the_volume_of_a_cylinder_is_that_of_the_formula(orientation: tuple[float, ...]) -> None:
    series = crosswalk(orientation)
    grid = Grid.of(series)
    assert grid is not None
    (a, b, c), (x, y, z) = orientation[:3], orientation[3:]
    circles = []
    for n in range(2, 7):
        px, py, pz = series.files[n].positions[0]
        circle = [
            (px + u * a + v * x, py + u * b + v * y, pz + u * c + v * z)
            for u, v in (
                (50 + 20 * cos(t / 90 * pi), 60 + 20 * sin(t / 90 * pi)) for t in range(180)
            )
        ]
        circles.append(drawn(circle, n))

    found, measured = inspected(circles, series)

    assert found == {}
    assert measured["Bladder"].volume_cm3 == pytest.approx(pi * 20**2 * 5 * STEP / 1000, rel=1e-3)


def test_a_contour_within_another_is_a_hole_and_one_beside_it_a_part() -> None:
    hole = drawn(rectangle(56, left=-5, width=10, height=10), 2)
    island = drawn(rectangle(56, left=-3, width=4, height=4), 2)
    part = drawn(rectangle(56, left=30, width=10, height=10), 2)

    _, measured = inspected([*box([2]), hole, island, part])

    assert measured["Bladder"].volume_cm3 == pytest.approx((600 - 100 + 16 + 100) * STEP / 1000)


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [((8.9, 9.1), ""), ((9, 9), ""), ((0, 8.9), "0 to 8.9"), ((9.1, 50), "9.1 to 50")],
)
def test_a_volume_is_held_against_the_bounds_of_the_template(
    bounds: tuple[float, float], allowed: str
) -> None:
    told, _ = inspected(box(range(2, 7)), bounds={"Bladder": bounds})

    text = f"Bladder: 9.00 cm³, the template allows {allowed}"
    assert told == ({"structure-volume": text} if allowed else {})


def test_a_structure_that_was_not_drawn_has_no_volume_to_be_judged() -> None:
    found, _ = inspected([], bounds={"Bladder": (5, 10)})

    assert found == {}


def test_left_and_right_that_have_changed_places_are_found() -> None:
    found, _ = inspected([*box([2], 2, left=-40), *box([2], 3, left=20)])

    assert found == {"structure-sides": "left and right are swapped: Kidney_L is right of Kidney_R"}


@pytest.mark.parametrize(
    ("left", "expected"),
    [(0.9, []), (-0.9, []), (-1, []), (-1.1, ["structure-sides"])],
)
def test_sides_are_swapped_if_the_left_one_is_further_right_by_more_than_1_mm(
    left: float, expected: list[str]
) -> None:
    found, _ = inspected([*box([2], 2, left=left), *box([2], 3, left=0)])

    assert list(found) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Lung_Left", "Lung_Right"),
        ("lung_l", "lung_r"),
        ("Left Lung", "Right Lung"),
        ("L_Eye", "R_Eye"),
        ("Eye L", "Eye R"),
        ("Lung-Left", "Lung-Right"),
        ("Femoral Head Lt", "Femoral Head RT"),
        ("Optic nerve L", "Optic Nerve R"),
        ("LUNG_LEFT", "LUNG_RIGHT"),
        ("L Lung", "R Lung"),
        ("Femur_L_PRV05", "Femur_R_PRV05"),
        ("Parotid_L~", "Parotid_R~"),
        ("LungLeft", "LungRight"),
        ("LtKidney", "RtKidney"),
        ("PTV_left.breast", "PTV_right.breast"),
        ("Niere li", "Niere re"),
        ("LLung", "RLung"),
        ("Parotis_li", "Parotis_re"),
        ("OpticNrv L", "OpticNrv R"),
        ("LUNGLEFT", "LUNGRIGHT"),
        ("parotidlt", "parotidrt"),
        ("LKIDNEY", "RKIDNEY"),
        ("左肺", "右肺"),
        ("肺左", "肺右"),
        ("Lung左", "Lung右"),
        ("왼쪽 폐", "오른쪽 폐"),
        ("Polmone_sx", "Polmone_dx"),
        ("Poumon gauche", "Poumon droit"),
        ("Pulmón izquierdo", "Pulmón derecho"),
        ("linke Lunge", "rechte Lunge"),
        ("Lunga_vä", "Lunga_hö"),
        ("левое легкое", "правое легкое"),
        ("Płuco lewe", "Płuco prawe"),
        ("Lèvre_L", "Lèvre_R"),  # no side in `Lèvre`
        ("Haut_der_Niere_li", "Haut_der_Niere_re"),  # `der` is a side in Spanish alone
    ],
)
def test_a_pair_is_known_by_its_names(left: str, right: str) -> None:
    series = crosswalk()
    grid = Grid.of(series)
    assert grid is not None
    contours = [*box([2], 2, left=-40), *box([2], 3, left=20)]

    found, _ = inspect_contours(contours, {2: left, 3: right}, grid, series.uids)

    assert [check for check, _ in found] == ["structure-sides"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cleft_1", "Bright_1"),
        ("Rib", "Lib"),
        ("Lungs_L+R", "Lungs"),
        ("Level_1", "Level_2"),
        ("Rein_G", "Rein_D"),
        ("Heart", "Rectum"),
    ],
)
def test_other_names_are_no_pair(one: str, other: str) -> None:
    assert other_side([one, other]) == other_side([other, one]) == {}


def test_pairs_whose_sides_are_not_known_are_listed() -> None:
    names = ["Rein_G", "Rein_D", "Kidney_L", "Kidney_R", "Level_1", "Level_2", "Lung_L", "Lung_X"]

    assert unclear_pairs(names) == [("Rein_G", "Rein_D")]


def test_a_site_weighs_the_checks_and_switches_them_off() -> None:
    told = [(check, "x") for check in CHECKS]
    choices = {
        "contour-short": Severity.BLOCK,
        "contour-type": None,
        "structure-sides": Severity.WARN,
    }

    found = {one.code: one.severity for one in apply_severities(told, choices)}

    assert found == {
        **{c: s for c, s in CHECKS.items() if c != "contour-type"},
        "contour-short": Severity.BLOCK,
        "structure-sides": Severity.WARN,
    }


def test_a_vault_without_geometry_has_no_grid() -> None:
    assert Grid.of(crosswalk()._replace(orientation=())) is None


def test_a_crosswalk_keeps_its_geometry_in_the_vault() -> None:
    series = crosswalk(TILTED)

    assert Crosswalk.from_plain(series.as_plain()) == series


@pytest.mark.sweep
@needs_real
@pytest.mark.parametrize(
    ("place", "contours"),
    [
        ("rt/cerr_pyCERR_pat_2", 7),
        ("rt/eclipse_ariartm_anondicom", 8),
        ("rt/monaco_proknow_nopreamble", 13),
        ("rt/oncentra_rtkit", 35),
        ("rt/eclipse_dcpt_headphantom.tar.xz", 281),
        ("rt/xio_oraw_lung1-002.tar.xz", 26),
    ],
)
def test_what_vendors_drew_on_their_images_is_not_held(
    place: str, contours: int, tmp_path: Path
) -> None:
    root = REAL / place
    if place.endswith(".xz"):
        list(unpacked(place, tmp_path))
        root = tmp_path
    series = read_datastore([root]).by_series()
    (file,) = [file for path in root.rglob("*") if (file := structure_set_in(path))]
    facts = read_structure_set(file)
    (uid,) = facts.referenced_series
    grid = Grid.of(Crosswalk.of(series[uid]))
    assert grid is not None
    originals = {one.sop_uid: one.sop_uid for one in series[uid]}
    names = {roi.number: roi.name for roi in facts.rois}
    found, measured = inspect_contours(read_contours(file), names, grid, originals)

    assert [one for one in apply_severities(found, {}) if one.severity is not Severity.WARN] == []
    assert sum(one.contours for one in measured) == contours


def structure_set_in(path: Path) -> DataSet | None:
    if not path.is_file():
        return None
    try:
        file = DataSet(path.read_bytes())
    except Malformed:
        return None
    return file if file.text(file.elements, 0x00080060) == "RTSTRUCT" else None
