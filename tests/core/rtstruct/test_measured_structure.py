"""The figures of a structure, as they are reported and compared before delivery."""

import pytest

from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from tests.core.rtstruct.test_contour_checks import drawn, inspected, rectangle


def test_a_report_has_rounded_figures() -> None:
    structure = MeasuredStructure("A", 3, (1, 4), volume_cm3=1.23456, left=-12.3456)

    assert structure.as_plain() == {
        "name": "A",
        "contours": 3,
        "slices": 2,
        "volume_cm3": 1.23,
        "left_mm": -12.3,
    }
    assert MeasuredStructure("A").as_plain()["left_mm"] is None


def test_the_centre_is_the_mean_of_the_outlines_weighted_by_their_areas() -> None:
    house = [*rectangle(59, left=20, width=10, height=30), (20.0, 0.0, 59.0)]

    _, measured = inspected([drawn(rectangle(56, left=-10, width=20), 2), drawn(house, 3)])

    x = (20 + 30 + 30 + 20 + 20) / 5
    assert measured["Bladder"].left == pytest.approx((0 * 600 + x * 300) / 900)


def test_a_centre_between_two_tenths_is_computed_without_rounding() -> None:
    contours = [drawn(rectangle(56 + 3 * n, left=n / 2 - 10), 2 + n) for n in range(2)]

    _, measured = inspected(contours)

    assert measured["Bladder"].left == 0.25


def test_an_area_of_less_than_1_mm2_has_a_centre() -> None:
    _, measured = inspected([drawn(rectangle(56, left=-10, width=0.5, height=0.5), 2)])

    assert measured["Bladder"].left == -9.75
