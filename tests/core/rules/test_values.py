"""Values of elements as text: what an archive may send is a value or none, never an error."""

from datetime import date

import pytest

from drawcli.core.rules.values import age_of, date_of, groups_of, number_of, seconds_of
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.facts import series_facts
from tests.bounds.test_growth import MOST, growth

ODD = (
    "",
    " ",
    "\u00b2",
    "\u0663",
    "\u0bf0",
    "1" * 5000,
    "-1",
    "1_0",
    "\0",
    "nan",
    "1e999",
    "^",
    "=",
)


@pytest.mark.parametrize("read", [age_of, date_of, groups_of, number_of, seconds_of])
@pytest.mark.parametrize("end", ["", "Y", "D", ".", ".5"])
def test_an_odd_value_is_read_or_is_none(read: object, end: str) -> None:
    assert callable(read)
    for odd in ODD:
        read(odd + end)


def test_ages_and_times() -> None:
    assert (age_of(" 064Y"), age_of("2w"), age_of("10D ")) == (64 * 365.25, 14, 10)
    assert (seconds_of("0830"), seconds_of("08:30:15.5"), seconds_of("8")) == (30600, 30615.5, None)
    assert (age_of("\u00b2Y"), age_of("1" * 5000 + "Y"), seconds_of("\u00b2\u00b2")) == (None,) * 3


@pytest.mark.parametrize("age", ["\u00b2Y", "1" * 5000 + "Y", "\u0663Y", "Y"])
def test_a_series_with_an_odd_age_has_no_age(age: str) -> None:
    crosswalk = Crosswalk("1.2", "1.3", "", "", files=(SourceFile("/a/b", 0, 0, "1.4"),))

    found = series_facts(crosswalk, {"PatientAge": (age,)}, date(2026, 1, 1))

    assert "age_years" not in found
    assert series_facts(crosswalk, {"PatientAge": ("064Y",)}, date(2026, 1, 1))["age_years"] == (
        "64",
    )


@pytest.mark.sweep
def test_a_name_of_component_separators_is_read_in_one_pass() -> None:
    assert groups_of("Doe^Jane^^=X^^") == {"Doe^Jane", "Doe Jane", "X", "Doe^Jane=X"}
    assert growth(lambda n: "^" * n + "x", groups_of, 2000) < MOST
