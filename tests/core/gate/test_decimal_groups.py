"""Values of ContourData that are read together are read as each of them alone."""

import random
from operator import length_hint

import numpy as np
import pytest

from drawcli.core.gate import acceptance
from drawcli.core.gate.acceptance import Decimals, read_decimals, read_many_decimals
from drawcli.core.gate.rtstruct_table import form_fits

USUAL = [
    rb"1\2\3",
    rb"-10.25\0\56.5 ",
    rb"1e-05\-2.5E3\123456789012345",
    rb" 1 \ 2.5\-3",
    rb"0.12345678901234567\1\2",
]
ODD = [
    *(b"", b" ", b"\0\0", b"\\", b"1\\", b"\\1", b"1\\\\2", b"nan", b"1e400", b"1e7\\0", b"x"),
    *(b".5\\1", b"5.\\1", b"+5\\1", b"007\\1", b"1,2\\3", b"[1]", b"1]", b"]", b"{}", b'"1"'),
    *(b"null", b"true", b"1\t", b"1\n2", b"1 2", b"--1", b"1\0", b"1 \0", b"1\0 2", b"1_0"),
    *(b"123456789012345678901234567890", b"\x001\\2", b"1\\2X"),
]


def alike(one: Decimals, other: Decimals) -> bool:
    if one.values is None or other.values is None:
        return one.values is other.values
    return np.array_equal(one.values, other.values)


@pytest.mark.parametrize("odd", [*USUAL, *ODD])
@pytest.mark.parametrize("place", [0, 2, len(USUAL)])
def test_an_odd_value_changes_no_other(odd: bytes, place: int) -> None:
    raws = [*USUAL[:place], odd, *USUAL[place:]]

    for raw, together in zip(raws, read_many_decimals(raws), strict=True):
        assert alike(together, read_decimals(raw)), raw
    (alone,) = read_many_decimals([odd])
    assert alike(alone, read_decimals(odd))


def test_values_that_are_known_to_be_a_ds_are_valid() -> None:
    dice = random.Random(3)  # noqa: S311 - the same in each run
    known = 0
    for _ in range(300):
        raws = [dice.choice(USUAL[:4] if dice.random() < 0.9 else ODD) for _ in range(4)]
        for raw, decimals in zip(raws, read_many_decimals(raws), strict=True):
            assert not decimals.plain or form_fits("DS", raw), raw
            known += decimals.plain

    assert known > 300  # not all of them are read one by one


def test_values_of_any_number_and_length_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [b"\\".join([b"%d" % n] * (n + 1)) for n in range(60)]
    alone = [read_decimals(raw) for raw in raws]

    for together in (1, 50, 10_000):
        monkeypatch.setattr(acceptance, "_TOGETHER", together)
        found = list(read_many_decimals(raws))
        assert all(map(alike, found, alone))
        assert len(found) == len(raws)
    assert list(read_many_decimals([])) == []


@pytest.mark.parametrize("together", [10, 12])
def test_no_more_values_are_held_than_are_read_together(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(acceptance, "_TOGETHER", together)
    raws = iter([b"1\\2"] * 9)

    values = read_many_decimals(raws)

    for left in (5, 5, 5, 5, 1, 1, 1, 1, 0):  # 12 bytes reach the limit
        next(values)
        assert length_hint(raws) == left


def test_no_value_with_too_many_numbers_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "_MOST_POINTS", 4)

    few, many = read_many_decimals([b"1\\2\\3", b"\\".join([b"1"] * 13)])

    assert few.values is not None
    assert many.values is None
    for numbers, alone in ((12, True), (13, False)):
        (one,) = read_many_decimals([b"\\".join([b"1"] * numbers)])
        assert (one.values is not None) is alone
