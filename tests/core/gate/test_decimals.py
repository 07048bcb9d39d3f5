"""The numbers of a contour: all of them, or none."""

import numpy as np
import pytest

from drawcli.core.gate import acceptance
from drawcli.core.gate.acceptance import FileContour, read_decimals


@pytest.mark.parametrize(
    ("raw", "values", "plain"),
    [
        (b"1\\2.5\\-3e2", [1, 2.5, -300], True),
        (b"1\\2 ", [1, 2], True),
        (b" 1 \\ 2", [1, 2], True),
        (b"1\\2\0", [1, 2], False),  # valid, and padded as no DS is
        (b"1\\2 \0", [1, 2], False),
        (b"+1\\2", [1, 2], False),
        (b"5.\\.5\\007", [5, 0.5, 7], False),
        (b"0", [0], True),
        (b"999999.9\\-999999.9", [999999.9, -999999.9], True),
        (b"800000\\800000", [800000, 800000], True),  # far only together
        (b"-999999", [-999999], True),
    ],
)
def test_numbers_are_read_in_every_form_of_a_decimal_string(
    raw: bytes, values: list[float], *, plain: bool
) -> None:
    found = read_decimals(raw)

    assert found.values is not None
    assert found.values.dtype == np.float64
    assert (found.values.tolist(), found.plain) == (values, plain)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"\0", b"\\", b"1\\", b"\\1", b"1\\\\2", b"1 2", b"1,2", b"a", b"1\\b"),
        *(b"nan", b"inf", b"1\\-inf", b"1\0\\2", b"1\t\\2", b"1_0", b"[1]", b'"1"', b"1X"),
        *(b"null", b"true", b"{}", b"1\n", b"\xd9\xa1"),
    ],
)
def test_a_text_that_is_not_a_number_has_no_values(raw: bytes) -> None:
    assert read_decimals(raw) == (None, False)


@pytest.mark.parametrize(
    "raw",
    [b"1000000", b"-1000000", b"0\\1e6", b"1e160\\1", b"-1e160\\1", b"0\\-1e6\\0", b"1e999"],
)
def test_a_number_beyond_the_patients_size_has_no_values(raw: bytes) -> None:
    assert read_decimals(raw).values is None


def test_a_contour_has_no_more_numbers_than_a_slice_has_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acceptance, "_MOST_POINTS", 2)

    most = read_decimals(b"1\\2\\3\\4\\5\\6")

    assert most.values is not None
    assert most.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert read_decimals(b"1\\2\\3\\4\\5\\6\\7") == (None, False)
    few = read_decimals(b"100000\\2")
    assert few.values is not None
    assert few.values.tolist() == [100000, 2]


def contour(data: bytes, count: str = "") -> FileContour:
    return FileContour(1, "CLOSED_PLANAR", count, (), data)


@pytest.mark.parametrize(
    ("data", "count", "points"),
    [
        (b"1\\2\\3\\4\\5\\6", "2", [(1, 2, 3), (4, 5, 6)]),
        (b"1\\2\\3\\4\\5\\6", "2.0", [(1, 2, 3), (4, 5, 6)]),
        (b"1\\2\\3\\4\\5\\6", "", [(1, 2, 3), (4, 5, 6)]),
        (b"1\\2\\3\\4\\5\\6", "3", None),
        (b"1\\2\\3\\4\\5\\6", "1", None),
        (b"1\\2\\3\\4\\5\\6", "two", None),
        (b"1\\2\\3\\4", "", None),
        (b"1\\2", "", None),
        (b"", "", None),
        (b"a\\b\\c", "1", None),
    ],
)
def test_a_contour_has_the_stated_number_of_points(
    data: bytes, count: str, points: list[tuple[float, float, float]] | None
) -> None:
    one = contour(data, count)

    assert one.points() == points
    if points:
        assert one.numbers() == [number for point in points for number in point]
        assert one.states(6)
        assert one.states(9) is not bool(count)


def test_the_image_of_a_contour_is_the_first_that_it_names() -> None:
    named = FileContour(1, "POINT", "", (("1.2", 1), ("1.3", 2)), b"")

    assert named.image == ("1.2", 1)
    assert contour(b"").image is None
