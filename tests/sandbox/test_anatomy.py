import numpy as np
import pytest

from drawcli.sandbox.anatomy import BODIES, FIELD_MM, Body, BodyPart, grid_mm, slice_hu
from drawcli.sandbox.patients import Site

BALL = Body((-50, 50), (100, 100), (80, 80), (BodyPart("Ball", (30, 0, 10), (20, 20, 20), 500),))


@pytest.mark.parametrize("site", BODIES)
@pytest.mark.parametrize("z", [-140.0, 0.0, 100.0])
def test_the_painted_body_has_the_area_of_its_outline(site: Site, z: float) -> None:
    body = Body(*_outline(BODIES[site]), parts=())

    hu = slice_hu(body, z, 3.0, 256, couch=False)

    painted = (hu > -300).sum() * (FIELD_MM / 256) ** 2
    assert painted == pytest.approx(body.area_mm2(z), rel=0.01)


def test_a_part_lies_where_it_says_with_x_to_the_left_of_the_patient() -> None:
    hu = slice_hu(BALL, 10.0, 3.0, 200, couch=False)

    rows, columns = np.nonzero(hu == 500)
    x = grid_mm(200)
    assert x[columns].mean() == pytest.approx(30, abs=0.2)
    assert x[rows].mean() == pytest.approx(0, abs=0.2)


def test_a_part_is_seen_only_on_the_slices_it_reaches() -> None:
    seen = [bool((slice_hu(BALL, z, 3.0, 64, couch=False) == 500).any()) for z in (-12, 0, 28, 32)]

    assert seen == [False, True, True, False]


def test_every_right_part_has_a_left_one_of_the_same_size() -> None:
    for body in BODIES.values():
        parts = {part.name: part for part in body.parts}
        for name, right in parts.items():
            if name.endswith("_R"):
                left = parts[name.removesuffix("R") + "L"]
                assert left.centre[0] == -right.centre[0] > 0
                assert left.semi == right.semi


def test_the_couch_stays_clear_of_the_body() -> None:
    for body in BODIES.values():
        hu = slice_hu(body, 0.0, 3.0, 256)
        row = int(np.searchsorted(grid_mm(256), 131.0))
        assert (hu[row] == -1000).all()


def _outline(
    body: Body,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    return body.levels, body.half_width, body.half_depth
