"""The search for a patient's numbers among the numbers of a scan."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.gate.figures import Figures, day_spellings, digit_runs

IDS = [*digit_runs("MRN 0047-11815"), *digit_runs("4711"), *digit_runs("417"), *digit_runs("12")]
FIGURES = Figures.of(IDS, ["19610405"])


@pytest.mark.parametrize(
    ("keyword", "text", "found"),
    [
        ("SliceLocation", "5041961", True),
        ("SliceLocation", "-05041961.000", True),
        ("SliceLocation", "5.041961E6", True),
        ("SliceLocation", "504.1961", True),
        ("SliceLocation", "50461", True),
        ("SliceLocation", "61.0405", False),  # six digits by chance
        ("SliceLocation", "4711", True),
        ("SliceLocation", "47.11", False),
        ("SliceLocation", "417", False),
        ("SliceLocation", "12", False),
        ("SliceLocation", "14711", False),
        ("SeriesNumber", "417", True),
        ("SeriesNumber", "4711815", True),
        ("SeriesNumber", "12", False),
        ("Rows", "4711", False),  # what an image needs may have so many rows
        ("ImagePositionPatient", "-4711", False),
        ("ImagePositionPatient", "471.1815", False),
        ("ImagePositionPatient", "4711815", True),
        ("RescaleSlope", "19610405", True),
        ("SliceLocation", "", False),
        ("SliceLocation", "nan", False),
        ("SliceLocation", "inf", False),
        ("SliceLocation", "1e400", False),
        ("SliceLocation", "soon", False),
    ],
)
def test_a_number_counts_only_as_a_whole(keyword: str, text: str, *, found: bool) -> None:
    assert FIGURES.in_number(keyword, text) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("610405", True),
        ("050461", True),
        ("05:04:61", True),
        ("093000.610405", True),
        ("10.11815", False),
        ("093000.5", False),
        ("0504", False),
        ("", False),
    ],
)
def test_a_time_counts_if_it_or_its_fraction_equals_a_number(text: str, *, found: bool) -> None:
    assert FIGURES.in_clock(text) is found


def test_values_may_make_up_a_number_together() -> None:
    assert FIGURES.in_parts("WindowCenter", ["471", "1815"])
    assert FIGURES.in_parts("WindowCenter", ["5", "04", "1961"])
    assert not FIGURES.in_parts("WindowCenter", ["40", "400"])
    assert not FIGURES.in_parts("PixelSpacing", ["471", "1815"])


@given(st.dates(date(1910, 1, 1), date(2029, 12, 31)))
def test_any_day_is_found_as_it_is_usually_written(day: date) -> None:
    figures = Figures.of([], [f"{day:%Y%m%d}"])

    for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y"):
        assert figures.in_number("SliceLocation", f"{day:{form}}")
    for form in ("%y%m%d", "%d%m%y", "%m%d%y"):
        assert figures.in_clock(f"{day:{form}}")
        assert f"{day:{form}}" in day_spellings(f"{day:%Y%m%d}")


def test_numbers_are_known_without_leading_zeros_and_times_as_written() -> None:
    known = Figures.of(["0047110", "0012", "007", "123", "0123456"], ["20010203"])

    assert known.numbers == {
        *("47110", "123", "123456"),
        *("20010203", "20010302", "2032001", "3022001", "10203", "20301", "30201"),
    }
    assert known.clocks == {
        *("0047110", "0123456"),
        *("20010203", "20010302", "02032001", "03022001", "010203", "020301", "030201"),
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4711.815", True),
        ("4711.8150", True),
        ("0.4711815", True),
        ("00471181.50", True),
        (" +4711815 ", True),
        ("004711815.000", True),
        ("47118150", False),
        ("4711.08150", False),
        ("0.47118150", True),
        ("-.4711815", True),
        ("4.711815e-2", True),
        ("4711x815", False),
    ],
)
def test_seven_digits_count_on_both_sides_of_a_decimal_point(text: str, *, found: bool) -> None:
    assert FIGURES.in_number("SliceLocation", text) is found
    whole = found and float(text) == 4711815
    assert FIGURES.in_number("ImagePositionPatient", text) is whole


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["471", "1815"], True),
        (["47.1", "-1815"], True),
        (["0471", "1815"], True),
        (["4711"], False),
        (["4711", "8150"], False),
    ],
)
def test_several_values_count_together(texts: list[str], *, found: bool) -> None:
    assert FIGURES.in_parts("WindowCenter", texts) is found
    assert not FIGURES.in_parts("ImagePositionPatient", texts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("61:04:05", True),
        (" 610405 ", True),
        ("6104.05", True),
        ("1.610405", True),
        ("610405.1.2", True),
        ("61.04", False),
    ],
)
def test_a_time_counts_as_its_digits(text: str, *, found: bool) -> None:
    assert FIGURES.in_clock(text) is found


def test_ids_are_each_run_of_digits_and_all_of_a_value() -> None:
    assert {*digit_runs("MRN-0047-11\\B 815 2")} == {"0047", "11", "004711", "815", "2", "8152"}


def test_labels_need_three_digits_and_needed_numbers_six() -> None:
    known = Figures(frozenset({"417", "4711", "471181", "47118"}), frozenset())

    for keyword, least in (("SeriesNumber", 3), ("SliceLocation", 4), ("Rows", 6)):
        for number in sorted(known.numbers):
            assert known.in_number(keyword, number) is (len(number) >= least)
