"""When parallel slices are a whole stack."""

import random

import pytest

from drawcli.core.frames import Plane
from drawcli.core.stack import not_stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def planes(*millimetres: float) -> list[Plane]:
    return [Plane((0.0, 0.0, z), AXIAL, (1.0, 1.0)) for z in millimetres]


def code_of(*millimetres: float) -> str | None:
    verdict = not_stack(planes(*millimetres))
    return None if verdict is None else verdict.code


def test_every_second_slice_and_a_few_of_the_others_are_no_whole_scan() -> None:
    evens = [3.0 * number for number in range(0, 40, 2)]

    assert code_of(*evens, 3.0, 9.0) == "missing-slices"
    assert code_of(*evens, 3.0) == "missing-slices"


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
