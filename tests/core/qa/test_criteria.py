"""Acceptance criteria: how they are read, and how cases are judged by them."""

import pytest

from drawcli.core.qa.criteria import (
    StructureResult,
    judge,
    read_criterion,
    statistic_of,
    values_of,
    worst_cases,
)
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison

MISSED = StructureComparison(name="Bladder", outcome=ContourOutcome.FILLED, slices_b=5)


def bladder(dice: float, hd95: float = 3.0, **facts: object) -> StructureComparison:
    outcome = ContourOutcome(str(facts.get("outcome", "edited")))
    return StructureComparison(name="Bladder", outcome=outcome, dice=dice, hd95_mm=hd95, slices_b=5)


@pytest.mark.parametrize(
    ("metric", "text", "why"),
    [
        ("dise", ">= 0.9", "unknown metric 'dise'"),
        ("surface_dice_0mm", ">= 0.9", "unknown metric"),
        ("dice", "0.9", "no criterion"),
        ("dice", "best >= 0.9", "no criterion"),
        ("dice", "<= 0.9", "larger is better"),
        ("hd95_mm", ">= 8", "less is better"),
        ("dice", ">= 90", "between 0 and 1"),
        ("dice", ">= 0.9 in 101 %", "at most 100"),
        ("dice", "mean >= 0.9 in 90 %", "both"),
        ("n", "mean >= 10", "number of cases"),
    ],
)
def test_a_criterion_that_cannot_be_meant_is_refused(metric: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_criterion(metric, text)


@pytest.mark.parametrize(
    ("text", "dices", "passed", "value"),
    [
        (">= 0.90", (0.8, 0.91, 0.99), True, 0.91),  # the median
        ("> 0.91", (0.8, 0.91, 0.99), False, 0.91),
        ("mean >= 0.90", (0.8, 0.91, 0.99), True, 0.9),
        ("worst >= 0.81", (0.8, 0.91, 0.99), False, 0.8),
        (">= 0.9 in 60 %", (0.8, 0.91, 0.99), True, 200 / 3),
        (">= 0.9 in 67 %", (0.8, 0.91, 0.99), False, 200 / 3),
        (">= 0.90", (0.88, 0.92), True, 0.90),
    ],
)
def test_a_statistic_of_all_cases_is_judged(
    text: str, dices: tuple[float, ...], value: float, *, passed: bool
) -> None:
    found = judge(read_criterion("dice", text), [bladder(dice) for dice in dices])

    assert found.passed is passed
    assert found.value == pytest.approx(value)


def test_an_organ_that_was_not_drawn_is_worse_than_any_figure() -> None:
    cases = [bladder(0.95), bladder(0.96), MISSED]

    assert judge(read_criterion("dice", "worst >= 0.1"), cases).passed is False
    assert judge(read_criterion("dice", ">= 0.95"), cases).value == 0.95
    assert judge(read_criterion("dice", ">= 0.9 in 70 %"), cases).passed is False
    assert judge(read_criterion("dice", "mean >= 0.1"), cases).passed is False
    assert judge(read_criterion("hd95_mm", "worst <= 100"), cases).passed is False


def test_a_structure_that_did_not_come_back_is_not_drawn() -> None:
    gone = StructureComparison(name="Bladder", outcome=ContourOutcome.ADDED, slices_b=5)

    assert values_of("dice", [bladder(0.95), gone]) == [0.95, None]


def test_what_the_clinical_set_lacks_does_not_count() -> None:
    cases = [bladder(0.95), bladder(0.1, outcome="removed"), bladder(0.1, outcome="emptied")]

    assert values_of("dice", cases) == [0.95]
    assert judge(read_criterion("n", ">= 2"), cases).passed is False
    assert StructureResult("Bladder", tuple(cases)).others == {"removed": 1, "emptied": 1}


def test_without_cases_nothing_is_passed() -> None:
    found = judge(read_criterion("dice", ">= 0.9"), [])

    assert (found.passed, found.words) == (None, "no case")
    assert StructureResult("Bladder", (), (found,)).passed is None


def test_a_structure_passes_if_all_its_criteria_do() -> None:
    good, bad = (judge(read_criterion("dice", text), [bladder(0.9)]) for text in (">= 0.9", ">= 1"))

    assert StructureResult("Bladder", (), (good, good)).passed is True
    assert StructureResult("Bladder", (), (good, bad)).passed is False
    assert StructureResult("Bladder", ()).passed is None


@pytest.mark.parametrize(("larger", "q1", "q3"), [(True, 1.75, 3.25), (False, 1.75, 3.25)])
def test_quartiles_are_the_25th_and_the_75th_percentile(
    *, larger: bool, q1: float, q3: float
) -> None:
    values = [4.0, 1.0, 3.0, 2.0]

    assert statistic_of("q1", values, larger=larger) == pytest.approx(q1)
    assert statistic_of("q3", values, larger=larger) == pytest.approx(q3)


def test_the_worst_cases_come_first() -> None:
    cases = {1: bladder(0.9, 5), 2: bladder(0.7, 2), 3: MISSED, 4: bladder(0.8, 9), 5: bladder(1)}

    assert worst_cases("dice", cases) == [3, 2, 4]
    assert worst_cases("hd95_mm", cases) == [3, 4, 1]
