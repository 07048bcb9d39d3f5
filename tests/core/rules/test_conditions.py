from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.rules.conditions import (
    Compare,
    Condition,
    Either,
    Every,
    Explained,
    Negation,
    Rule,
    RuleHeader,
    Truth,
)
from drawcli.core.rules.decision import Choice, Decision, decide

YES, NO, MISSING = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
# One condition of each outcome, for a header with A = "yes" and no C.
HEADER = RuleHeader({"A": ("yes",), "Empty": ("",), "Modality": ("CT",)})
PLAIN = {
    YES: Compare("A", "equals", "yes"),
    NO: Compare("A", "equals", "no"),
    MISSING: Compare("C", "equals", "yes"),
}
# Kleene's tables, written out.
ALL = {
    (YES, YES): YES,
    (YES, NO): NO,
    (YES, MISSING): MISSING,
    (NO, YES): NO,
    (NO, NO): NO,
    (NO, MISSING): NO,
    (MISSING, YES): MISSING,
    (MISSING, NO): NO,
    (MISSING, MISSING): MISSING,
}
ANY = {
    (YES, YES): YES,
    (YES, NO): YES,
    (YES, MISSING): YES,
    (NO, YES): YES,
    (NO, NO): NO,
    (NO, MISSING): MISSING,
    (MISSING, YES): YES,
    (MISSING, NO): MISSING,
    (MISSING, MISSING): MISSING,
}


@pytest.mark.parametrize(("left", "right"), list(product(Truth, Truth)))
def test_all_and_any_follow_kleene(left: Truth, right: Truth) -> None:
    parts = (PLAIN[left], PLAIN[right])

    assert Every(parts).explain(HEADER).truth is ALL[left, right]
    assert Either(parts).explain(HEADER).truth is ANY[left, right]


@pytest.mark.parametrize(("inner", "outer"), [(YES, NO), (NO, YES), (MISSING, MISSING)])
def test_not_turns_round_what_is_known(inner: Truth, outer: Truth) -> None:
    assert Negation(PLAIN[inner]).explain(HEADER).truth is outer


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.sampled_from(list(PLAIN.values())),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Every(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Either(tuple(parts))),
        inner.map(Negation),
    ),
    max_leaves=8,
)
PARTS = st.lists(CONDITIONS, min_size=1, max_size=4)


@given(PARTS, st.randoms())
def test_the_order_of_parts_never_matters(parts: list[Condition], dice: object) -> None:
    shuffled = list(parts)
    dice.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random

    for kind in (Every, Either):
        assert (
            kind(tuple(parts)).explain(HEADER).truth is kind(tuple(shuffled)).explain(HEADER).truth
        )


@given(CONDITIONS)
def test_not_not_x_is_x(condition: Condition) -> None:
    twice = Negation(Negation(condition))

    assert twice.explain(HEADER).truth is condition.explain(HEADER).truth


@given(PARTS)
def test_not_all_is_any_not(parts: list[Condition]) -> None:
    one = Negation(Every(tuple(parts)))
    other = Either(tuple(Negation(part) for part in parts))

    assert one.explain(HEADER).truth is other.explain(HEADER).truth


@given(CONDITIONS)
def test_what_is_not_known_never_makes_a_rule_fire_or_not_fire(condition: Condition) -> None:
    nothing_known = condition.explain(RuleHeader())

    assert nothing_known.truth is MISSING


@pytest.mark.parametrize(
    ("operator", "values", "wanted", "truth"),
    [
        ("equals", ("CT",), "ct", YES),
        ("equals", ("CT",), "C", NO),
        ("equals", ("3",), "3.0", YES),
        ("equals", ("3.000E+00",), "3", YES),
        ("equals", ("3",), "3.5", NO),
        ("equals", ("3mm",), "3", NO),
        ("equals", ("Straße",), "STRASSE", YES),
        ("equals", ("ORIGINAL", "PRIMARY", "AXIAL"), "axial", YES),
        ("equals", ("ORIGINAL", "PRIMARY"), "AXIAL", NO),
        ("equals", (), "AXIAL", MISSING),
        ("equals", ("",), "x", MISSING),
        ("equals", ("", "AXIAL"), "AXIAL", YES),
        ("contains", ("CT Becken Prostata",), "prostat", YES),
        ("contains", ("CT Thorax",), "prostat", NO),
        ("contains", ("A", "xBy"), "b", YES),
        ("contains", ("3.0",), "3", YES),
        ("contains", ("",), "x", MISSING),
    ],
)
def test_an_element_is_compared_as_people_would(
    operator: str, values: tuple[str, ...], wanted: str, truth: Truth
) -> None:
    assert Compare("K", operator, wanted).explain(RuleHeader({"K": values})).truth is truth


def rule(name: str, template: str | None, truth: Truth = YES) -> Rule:
    return Rule(name=name, template=template, when=PLAIN[truth], exclude=template is None)


def outcome(decision: Decision) -> tuple[Choice, list[str | None]]:
    return decision.choice, [one.template for one in decision.fired]


@pytest.mark.parametrize(
    ("rules", "on_many", "expected"),
    [
        ([("a", "T1", YES)], "hold", (Choice.MATCHED, ["T1"])),
        ([("a", "T1", NO), ("b", "T2", MISSING)], "hold", (Choice.UNMATCHED, [])),
        ([], "hold", (Choice.UNMATCHED, [])),
        ([("a", "T1", YES), ("b", "T2", YES)], "hold", (Choice.AMBIGUOUS, ["T1", "T2"])),
        ([("a", "T1", YES), ("b", "T2", YES)], "first", (Choice.MATCHED, ["T1"])),
        ([("a", "T1", YES), ("b", "T2", YES)], "all", (Choice.MATCHED, ["T1", "T2"])),
        ([("a", "T1", YES), ("b", "T1", YES)], "hold", (Choice.MATCHED, ["T1"])),
        ([("a", "T1", YES), ("b", "T1", YES), ("c", "T2", NO)], "all", (Choice.MATCHED, ["T1"])),
        ([("a", "T1", YES), ("x", None, YES)], "hold", (Choice.EXCLUDED, [None])),
        ([("x", None, YES), ("y", None, YES), ("a", "T1", YES)], "all", (Choice.EXCLUDED, [None])),
        ([("x", None, MISSING), ("a", "T1", YES)], "hold", (Choice.MATCHED, ["T1"])),
    ],
)
def test_the_rules_decide_together(
    rules: list[tuple[str, str | None, Truth]],
    on_many: str,
    expected: tuple[Choice, list[str | None]],
) -> None:
    assert outcome(decide(HEADER, [rule(*one) for one in rules], on_many=on_many)) == expected


def test_the_order_of_rules_matters_only_where_the_site_says_first() -> None:
    rules = [rule("a", "T1"), rule("b", "T2"), rule("c", "T3", NO), rule("d", "T1")]

    for on_many in ("hold", "all"):
        outcomes = {
            (choice, frozenset(templates))
            for order in permutations(rules)
            for choice, templates in [outcome(decide(HEADER, list(order), on_many=on_many))]
        }
        assert len(outcomes) == 1


@pytest.mark.parametrize("on_many", ["hold", "first", "all"])
def test_one_rule_that_excludes_wins_wherever_it_stands(on_many: str) -> None:
    for order in permutations([rule("a", "T1"), rule("b", "T2"), rule("x", None)]):
        assert decide(HEADER, list(order), on_many=on_many).sentence == "excluded by rule x"


def test_the_sentence_says_what_was_decided() -> None:
    a, b, no = rule("a", "T1"), rule("b", "T2"), rule("no", "T3", NO)

    sentences = [
        decide(HEADER, rules, on_many=on_many).sentence
        for rules, on_many in (
            ([a], "hold"),
            ([a, b], "hold"),
            ([a, b], "all"),
            ([], "hold"),
            ([no], "hold"),
        )
    ]

    assert sentences == [
        "rule a",
        "several rules with different templates match: a, b",
        "rule a, b",
        "no rule matches: there are no rules",
        "no rule matches; nearest is no (A equals no: fail)",
    ]


def ruled(name: str, *parts: Truth, **facts: bool) -> Rule:
    return Rule(name=name, template="T", when=Every(tuple(PLAIN[p] for p in parts)), **facts)  # type: ignore[arg-type] # any fact


def test_the_nearest_rule_has_most_conditions_passed_and_would_send() -> None:
    one_of_one = ruled("a", NO)
    two_of_three = ruled("b", YES, YES, NO)
    two_of_four = ruled("c", YES, YES, NO, MISSING)
    excluding = ruled("d", YES, YES, YES, NO, exclude=True)
    disabled = ruled("e", YES, YES, YES, YES, enabled=False)

    decision = decide(HEADER, [disabled, excluding, one_of_one, two_of_four, two_of_three])
    only_disabled = decide(HEADER, [disabled])

    assert [miss.name for miss in decision.near_misses] == ["b", "c", "a", "d", "e"]
    assert [miss.passed for miss in decision.near_misses] == [2, 2, 0, 3, 4]
    assert [miss.note for miss in decision.near_misses] == ["", "", "", "excludes", "disabled"]
    assert decision.near_misses[3].text == "d (one condition away; excludes)"
    assert only_disabled.sentence == "no rule matches; nearest is e (disabled; it matches)"


def test_rules_that_are_as_near_are_told() -> None:
    rules = [ruled(name, YES, NO) for name in "abcd"]

    assert decide(HEADER, rules).sentence == (
        "no rule matches; nearest is a (A equals no: fail); as near: b, c and 1 more"
    )


def test_the_nearest_rule_is_the_one_with_the_fewest_failures() -> None:
    far = Rule(name="far", template="T", when=Every((PLAIN[NO], PLAIN[MISSING])))
    near = Rule(name="near", template="T", when=Every((PLAIN[YES], PLAIN[MISSING])))

    assert decide(HEADER, [far, near]).sentence == (
        "no rule matches; nearest is near (C equals yes: missing)"
    )


def test_nothing_that_explains_holds_a_value_of_the_series() -> None:
    header = RuleHeader({"PatientID": ("GEHEIM",), "SeriesDescription": ("for GEHEIM",)})
    when = Every(
        (
            Compare("PatientID", "equals", "other"),
            Negation(Compare("SeriesDescription", "contains", "geh")),
        )
    )

    decision = decide(header, [Rule(name="r", template="T", when=when)])

    told = f"{decision.sentence} {[tree.as_plain() for tree in decision.explanation.values()]}"
    assert "GEHEIM" not in told


def test_a_tree_explains_itself_from_the_outside_in() -> None:
    tree = Every((PLAIN[YES], Negation(PLAIN[YES]))).explain(HEADER)

    assert tree.as_plain() == {
        "condition": "all",
        "outcome": "fail",
        "parts": [
            {"condition": "A equals yes", "outcome": "pass"},
            {
                "condition": "not",
                "outcome": "fail",
                "parts": [{"condition": "A equals yes", "outcome": "pass"}],
            },
        ],
    }
    assert [part.text for part in tree.failures()] == ["not"]


@given(CONDITIONS)
def test_a_rule_that_does_not_fire_names_at_least_one_reason(condition: Condition) -> None:
    tree: Explained = condition.explain(HEADER)

    assert bool(list(tree.failures())) == (tree.truth is not YES)
