"""The screen leaves out no rule that fits: with it and without it the same ones do."""

import random
from datetime import date, timedelta
from typing import Any

from drawcli.core.rules.conditions import (
    Compare,
    Condition,
    Either,
    Every,
    Negation,
    Rule,
    RuleHeader,
    Truth,
)
from drawcli.core.rules.decision import decide
from drawcli.core.rules.prefilter import Rules, Screen

PATHS = ("Modality", "ProtocolName", "SliceThickness", "StudyDate")
WORDS: dict[str, tuple[Any, ...]] = {
    "Modality": ("CT", "MR", "PT"),
    "ProtocolName": ("pelvis", "head", "thorax", "neck"),
    "SliceThickness": (1, 2.5, 3),
    "StudyDate": ("2026-01-31", "-30d", "-3d"),
}
OPERATORS: dict[str, tuple[str, ...]] = {
    "Modality": ("equals", "not_equals", "exists"),
    "ProtocolName": ("equals", "contains", "missing"),
    "SliceThickness": ("at_most", "above", "equals"),
    "StudyDate": ("before", "after"),
}
DAYS = [date(2026, 2, 1) + timedelta(days=count) for count in range(0, 60, 7)]


def compared(dice: random.Random) -> Compare:
    path = dice.choice(PATHS)
    operator = dice.choice(OPERATORS[path])
    wanted = True if operator in ("exists", "missing") else dice.choice(WORDS[path])
    return Compare(
        path,
        operator,
        wanted,
        slices=dice.choice(("", "", "any", "all")),
        if_missing=dice.choice(("fail", "fail", "skip", "match")),
    )


def condition(dice: random.Random, depth: int = 2) -> Condition:
    kind = dice.choice(("one", "all", "all", "any", "not")) if depth else "one"
    if kind == "one":
        return compared(dice)
    if kind == "not":
        return Negation(condition(dice, depth - 1))
    parts = tuple(condition(dice, depth - 1) for _ in range(dice.randint(0, 3)))
    return Every(parts) if kind == "all" else Either(parts or (compared(dice),))


def header(dice: random.Random) -> RuleHeader:
    shared, mixed = dict[str, tuple[str, ...]](), dict[str, list[tuple[str, ...]]]()
    for path in PATHS:
        values = [str(dice.choice(WORDS[path])) for _ in range(dice.randint(0, 2))]
        if path == "StudyDate":
            values = [f"{dice.choice(DAYS):%Y%m%d}"]
        if dice.random() < 0.2:
            mixed[path] = [tuple(values), ("other",)]
        elif dice.random() < 0.8:
            shared[path] = tuple(values)
    return RuleHeader(shared, mixed, dice.choice(DAYS))


def test_with_and_without_the_screen_the_same_rules_fit() -> None:
    dice = random.Random(1729)  # noqa: S311 - cases, not secrets
    fitted = 0
    for _ in range(60):
        rules = Rules(
            Rule(name=str(n), template="T", when=condition(dice), enabled=dice.random() < 0.9)
            for n in range(40)
        )
        for one in (header(dice) for _ in range(25)):
            asked = [rule for rule in rules if rule.enabled]
            plain = [rule for rule in asked if rule.when.explain(one).truth is Truth.TRUE]
            assert rules.matching(one) == plain
            fitted += len(plain)
    assert fitted > 1000


def test_most_rules_are_left_out_by_their_first_words() -> None:
    rules = [
        Rule(name=str(n), template="T", when=Every((Compare("ProtocolName", "equals", f"p{n}"),)))
        for n in range(500)
    ]

    assert Screen(rules).left(RuleHeader({"ProtocolName": ("p7",)})) == 1 << 7
    assert decide(RuleHeader({"ProtocolName": ("p7",)}), rules).sentence == "rule 7"


def test_what_is_remembered_of_an_element_is_bounded() -> None:
    screen = Screen([Rule(name="a", template="T", when=Compare("StudyID", "equals", "5"))])

    outcomes = [screen.left(RuleHeader({"StudyID": (str(number),)})) for number in range(10_000)]

    assert [number for number, left in enumerate(outcomes) if left] == [5]
    assert max(map(len, screen._known.values())) <= 4096
