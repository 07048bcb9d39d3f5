"""The points of contours, read at once or one by one: always the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.gate.acceptance import FileContour
from drawcli.core.rtstruct.contours import points_of


def contour(text: str, count: str) -> FileContour:
    return FileContour(1, "CLOSED_PLANAR", count, (), text.encode("ascii"))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1\\2\\3\\4\\5\\6", "2"),
        ("1.5\\-2e1\\+3\\.5\\5.\\-0 ", "2"),
        (" 1 \\ 2\\3 \\4\\5\\6", "2"),
        ("1\\2\\3\\4\\5\\6", "3"),
        ("1\\2\\3\\4\\5", "2"),
        ("1\\2\\nan\\4\\5\\6", "2"),
        ("1\\2\\inf\\4\\5\\6", "2"),
        ("1\\2\\0x10\\4\\5\\6", "2"),
        ("1\\\\3\\4\\5\\6", "2"),
        ("1\\2\\3 4\\5\\6", "2"),
        ("9e9\\2\\3\\4\\5\\6", "2"),
        ("2e5\\2\\3\\4\\5\\6", "2"),
        ("1\\2\\3\\4\\5\\6", ""),
        ("1\\2\\3\\4\\5\\6", "two"),
        ("", "0"),
        ("", "1"),
    ],
)
def test_points_are_those_of_the_contour_or_none(text: str, count: str) -> None:
    one = contour(text, count)

    assert points_of(one).tolist() == [list(point) for point in one.points() or []]


numbers = st.one_of(
    st.floats(-500, 500).map(lambda value: f"{value:.10g}"),
    st.text("0123456789+-.eE \\", max_size=6),
)


@given(st.lists(numbers, min_size=3, max_size=9))
def test_no_text_is_read_in_two_ways(texts: list[str]) -> None:
    one = contour("\\".join(texts), str(len(texts) // 3))

    assert np.array_equal(points_of(one), np.array(one.points() or np.empty((0, 3))).reshape(-1, 3))
