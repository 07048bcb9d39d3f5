"""The area of outlines in a slice, however each is written: where it starts, and in which sense."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon

from drawcli.core.rtstruct.enclosed_area import area_mm2, find_enclosed, normalised
from drawcli.core.rtstruct.outline_shapes import Outline, TooComplex

points = st.tuples(st.integers(-2, 2), st.integers(-2, 2))


def square(left: float, low: float, side: float) -> Outline:
    return [(left, low), (left + side, low), (left + side, low + side), (left, low + side)]


@given(st.lists(points, min_size=1, max_size=7), st.integers(0, 6), st.sampled_from([1, -1]))
def test_the_same_outline_is_always_written_in_the_same_way(
    outline: list[tuple[int, int]], start: int, sense: int
) -> None:
    start %= len(outline)
    other = [*outline[start:], *outline[:start]]
    ring, turned = (normalised(np.array(some, float)) for some in (outline, other[::sense]))
    ways = [[*way[n:], *way[:n]] for way in (outline, outline[::-1]) for n in range(len(outline))]

    assert tuple(ring[0]) == min(outline)
    assert [(int(x), int(y)) for x, y in ring] in ways
    if outline.count(min(outline)) == 1:  # else there are several places to start
        assert ring.tobytes() == turned.tobytes()


def test_a_negative_zero_is_zero() -> None:
    ring = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])

    assert normalised(ring * -1 + 0.0).tobytes() == normalised(ring * -1).tobytes()
    assert normalised(np.array([(-0.0, -0.0), (1.0, -0.0), (1.0, 1.0)])).tobytes() == ring.tobytes()


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_that_start_elsewhere_or_run_backwards_count_once(copies: int) -> None:
    outline = square(0, 0, 10)
    ways = [outline, [*outline[2:], *outline[:2]], outline[::-1]]

    enclosed = find_enclosed(ways[:copies])

    assert (enclosed.area.area, enclosed.overlapping) == (100, copies - 1)


def test_hundreds_of_copies_are_not_too_complex() -> None:
    outline = square(0, 0, 10)
    ways = [outline, outline[1:] + outline[:1], outline[::-1]] * 100

    assert find_enclosed(ways).overlapping == 299


def test_outlines_may_lie_32_deep() -> None:
    nested = [square(n, n, 100 - 2 * n) for n in range(33)]

    assert find_enclosed(nested[:32]).overlapping == 0
    with pytest.raises(TooComplex):
        find_enclosed(nested)


def test_hundreds_of_outlines_that_overlap_are_too_complex() -> None:
    """The limit is of all pairs together; 64 outlines are compared with all at once."""
    heap = [square(n / 10, 0, 10) for n in range(70)]
    apart = [square(100 + 20 * n, 0, 10) for n in range(64)]

    with pytest.raises(TooComplex):
        find_enclosed([square(n / 100, 0, 10 + n / 100) for n in range(140)])
    assert find_enclosed([*heap, *apart]).overlapping == 69


def test_outlines_within_outlines_are_holes_and_islands() -> None:
    nested = [square(4, 4, 2), square(0, 0, 10), square(2, 2, 6), square(20, 0, 5)]

    enclosed = find_enclosed(nested)

    assert (enclosed.area.area, enclosed.overlapping) == (100 - 36 + 4 + 25, 0)


@pytest.mark.parametrize(("side", "area"), [(9.99, 100 - 9.99**2), (9.999, 100.0)])
def test_an_outline_that_is_nearly_that_around_it_repeats_it(side: float, area: float) -> None:
    enclosed = find_enclosed([square(0, 0, 10), square(0.0001, 0.0001, side)])

    assert enclosed.area.area == pytest.approx(area)
    assert enclosed.overlapping == (area == 100)


def test_each_outline_that_overlaps_another_counts_once() -> None:
    enclosed = find_enclosed([square(0, 0, 10), square(5, 0, 9), square(0, 5, 8)])

    area = Polygon(square(0, 0, 10)).union(Polygon(square(5, 0, 9))).union(Polygon(square(0, 5, 8)))
    assert enclosed.area.area == pytest.approx(area.area)
    assert enclosed.overlapping == 2


def test_no_outlines_enclose_nothing() -> None:
    assert find_enclosed([]).area.is_empty
    assert area_mm2([]) == 0.0


def test_outlines_whose_area_cannot_be_computed_have_none() -> None:
    star = [(float(n * 7919 % 401), float(n * 104729 % 397)) for n in range(300)]

    assert area_mm2([square(0, 0, 10)]) == 100.0
    assert area_mm2([star]) == 0.0
