"""When parallel slices are a whole stack."""

import random
from collections.abc import Sequence
from itertools import accumulate

import pytest

from drawcli.core.dicom.multiframe import ImagePlane
from drawcli.core.series.stacking import not_gapless, not_straight, not_together
from drawcli.core.series.verdict import Verdict
from drawcli.core.series.zones import LARGEST_STEP

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def not_stack(slices: Sequence[ImagePlane], *, numbered: bool = False) -> Verdict | None:
    """Return the first that speaks against a stack, in the order of a scan."""
    return (
        not_together(slices)
        or not_gapless(slices, LARGEST_STEP, numbered=numbered)
        or not_straight(slices)
    )


def planes(*millimetres: float) -> list[ImagePlane]:
    return [ImagePlane((0.0, 0.0, z), AXIAL, (1.0, 1.0)) for z in millimetres]


def code_of(*millimetres: float) -> str | None:
    verdict = not_stack(planes(*millimetres))
    return None if verdict is None else verdict.code


def test_every_second_slice_and_a_few_of_the_others_are_no_whole_scan() -> None:
    evens = [3.0 * number for number in range(0, 40, 2)]

    assert code_of(*evens, 3.0, 9.0) == "missing-slices"
    assert code_of(*evens, 3.0) == "missing-slices"


def test_half_a_scan_with_one_near_pair_is_not_whole() -> None:
    assert code_of(0, 6, 12, 15, 21, 27) == "missing-slices"
    assert code_of(0, 6, 12, 18, 21, 27, 33, 39) == "missing-slices"


def test_a_slice_that_lies_a_little_out_of_its_place_is_not_missing() -> None:
    even = [3.0 * number for number in range(20)]

    assert code_of(*even) is None
    assert code_of(*even[:9], even[9] + 1.2, *even[10:]) is None


@pytest.mark.parametrize("seed", range(5))
def test_of_random_halves_of_a_scan_none_is_whole(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test, no secret

    whole = [
        chosen
        for _ in range(200)
        if code_of(*(chosen := sorted(dice.sample([3.0 * n for n in range(40)], 24)))) is None
    ]

    assert whole == []


# --- parts of their own spacing ---------------------------------------------------------------

Steps = Sequence[float]


def in_parts(
    *steps: Steps, thick: Sequence[float | None] = (), numbered: bool = False
) -> tuple[str, str]:
    """Return the verdict on parts of a scan: the steps of each, and the thickness of its slices."""
    places = [0.0, *accumulate(step for part in steps for step in part)]
    thickness = [one for part, one in zip(steps, thick, strict=True) for _ in part] if thick else []
    made = [
        ImagePlane((0.0, 0.0, z), AXIAL, (1.0, 1.0), one)
        for z, one in zip(places, thickness[:1] + thickness or [None] * len(places), strict=True)
    ]
    verdict = not_stack(made, numbered=numbered)
    return ("", "") if verdict is None else (verdict.code, verdict.text)


@pytest.mark.parametrize(
    "parts",
    [
        ([4.0] * 8, [7.0] * 8),
        ([7.0] * 3, [4.0] * 30),
        ([5.0] * 5, [3.0] * 20, [5.0] * 5),
        ([3.0] * 10, [3.9], [4.8] * 10),  # half of each lies between the parts
        ([1.25] * 40, [2.0, 2.01, 1.99, 2.0]),
        ([2.0] * 8, [5.0] * 8),
    ],
)
def test_parts_that_no_lost_slice_explains_are_a_whole_scan(parts: tuple[Steps, ...]) -> None:
    assert in_parts(*parts) == ("", "")


@pytest.mark.parametrize("parts", [([2.5] * 8, [5.0] * 8), ([1.0] * 9, [3.0] * 9, [1.0] * 9)])
def test_a_doubled_spacing_is_whole_only_if_something_else_says_so(
    parts: tuple[Steps, ...],
) -> None:
    alike, following = [2.5] * len(parts), [part[0] for part in parts]

    assert in_parts(*parts)[0] == "missing-slices"
    assert in_parts(*parts, thick=alike)[0] == "missing-slices"
    assert in_parts(*parts, thick=following) == ("", "")
    assert in_parts(*parts, thick=alike, numbered=True) == ("", "")


def test_a_part_is_more_than_one_distance_and_not_five_times_as_coarse() -> None:
    assert in_parts([2.5] * 8, [5.0], numbered=True)[0] == "missing-slices"
    assert in_parts([2.5] * 8, [4.2], numbered=True)[0] == "uneven-spacing"
    assert in_parts([4.0] * 8, [7.0] * 2)[0] == "uneven-spacing"  # too few to be called even
    assert in_parts([4.0] * 8, [7.0] * 2, numbered=True) == ("", "")
    assert in_parts([2.0] * 8, [10.6] * 8, thick=[2.0, 10.6])[0] == "missing-slices"


def test_a_gap_in_a_coarse_part_is_measured_by_the_spacing_of_that_part() -> None:
    code, text = in_parts([2.0] * 8, [5.0] * 4, [10.0], [5.0] * 4)

    assert code == "missing-slices"
    assert text == "missing slices: 19 expected, 18 present, gap at 41.0 mm"


@pytest.mark.parametrize("between", [7.5, 10.0])
def test_a_gap_between_two_parts_is_seen(between: float) -> None:
    assert in_parts([2.0] * 8, [between], [5.0] * 8)[0] in ("missing-slices", "uneven-spacing")


def test_where_nothing_is_missing_the_reason_does_not_say_so() -> None:
    code, text = in_parts([4.0, 7.0] * 6)

    assert code == "uneven-spacing"
    assert "missing" not in text
    assert "6 of 12 distances are larger than 1.5 times the usual 4.0 mm" in text


# --- more than one image at a place -----------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("many", [2, 3, 10])
def test_phases_are_phases_though_their_positions_differ_a_little(many: int, jitter: float) -> None:
    places = [3.0 * n + jitter * phase / many for phase in range(many) for n in range(12)]

    verdict = not_stack(planes(*places))

    assert verdict is not None
    assert verdict.code == "phases"
    assert verdict.text.startswith(f"{many} images at each of 12 positions")


def test_a_few_slices_at_the_place_of_another_are_no_phases_and_none_is_missing() -> None:
    even = [3.0 * number for number in range(12)]

    assert code_of(*even, 9.02) == "same-position"
    assert code_of(*even, 9.02, 12.0, 15.0) == "same-position"
    assert code_of(*(0.05 * number for number in range(12))) is None  # a scan of a mouse
