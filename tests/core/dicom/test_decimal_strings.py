import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.dicom import decimal_strings
from drawcli.core.dicom.decimal_strings import shorten_decimals, shorten_many_decimals

COORDINATES = st.floats(-10_000, 10_000)
WRITTEN = st.one_of(
    COORDINATES.map(repr),
    COORDINATES.map(lambda x: f"{x:.12f}"),
    COORDINATES.map(lambda x: f"{x:g}"),
)


@given(st.lists(WRITTEN, min_size=1, max_size=60))
def test_every_value_fits_and_no_point_moves(values: list[str]) -> None:
    after = shorten_decimals("\\".join(values).encode()).rstrip(b" ").split(b"\\")

    assert all(len(value) <= 16 for value in after)
    for value, was in zip(after, values, strict=True):
        assert abs(float(value) - float(was)) <= 0.00001  # mm; a hundredth would already do


@given(st.lists(st.floats(-1e300, 1e300).map(repr), min_size=1))
def test_numbers_of_any_size_fit(values: list[str]) -> None:
    after = shorten_decimals("\\".join(values).encode()).rstrip(b" ").split(b"\\")

    assert all(len(value) <= 16 for value in after)
    assert [float(value) for value in after] == pytest.approx(
        [float(value) for value in values], rel=1e-8
    )


@given(st.lists(st.floats(-999, 999).map(lambda x: f"{x:.6f}"), min_size=1))
def test_values_that_fit_stay_byte_for_byte(values: list[str]) -> None:
    raw = "\\".join(values).encode()

    assert shorten_decimals(raw) is raw


def test_a_value_that_fits_is_unchanged_next_to_one_that_does_not() -> None:
    assert shorten_decimals(b"1.50\\-123.45678901234567\\+02") == b"1.50\\-123.45678901234\\+02 "


def test_the_length_is_even() -> None:
    assert shorten_decimals(b"0.12345678901234567\\10") == b"0.12345678901234\\10 "
    assert shorten_decimals(b"0.12345678901234567\\1") == b"0.12345678901234\\1"


@pytest.mark.parametrize(
    "raw",
    [
        b"1.2345678901234.5678",
        b"1.234567-890123456",
        b"1\\Muster^Maria^Magdalena",
        b"infinityinfinity1",
        b"0" * 9 + b"_" + b"1" * 9,
        b"9" * 400,
    ],
)
def test_an_invalid_number_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"DS value|could not convert"):
        shorten_decimals(raw)


PIECES = st.lists(
    st.one_of(
        WRITTEN.map(str.encode),
        st.sampled_from(
            [b"", b" 1", b".5", b"+2.5", b"-0.12345678901234567 ", b"12345678901.234567"]
        ),
    ),
    max_size=40,
)


@given(st.lists(PIECES.map(b"\\".join), max_size=8), st.sampled_from([b"", b" ", b"  ", b"\0"]))
def test_values_that_are_cut_together_are_cut_as_each_alone(raws: list[bytes], end: bytes) -> None:
    raws = [raw + end for raw in raws]

    assert list(shorten_many_decimals(raws)) == list(map(shorten_decimals, raws))


def test_plain_values_are_cut_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [b"0.12345678901234567\\1 ", b"2.5\\3  ", b"-0.12345678901234567\\12"]
    monkeypatch.setattr(decimal_strings, "shorten_decimals", None)

    assert list(shorten_many_decimals(raws)) == [
        b"0.12345678901234\\1",
        b"2.5\\3  ",
        b"-0.1234567890123\\12 ",
    ]
