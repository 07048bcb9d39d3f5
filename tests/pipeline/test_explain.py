"""explain says what match does; lints find what is hardly meant; no file gives a traceback."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from drawcli.adapters.rulebook.rulebook import Rulebook, read_rulebook
from drawcli.core.rules.conditions import Compare, Rule, RuleHeader, Truth
from drawcli.core.rules.decision import Choice, Decision, decide
from drawcli.errors import ConfigError
from drawcli.pipeline.context import Context
from drawcli.pipeline.explain import explain_header, explain_job, lint_rules
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.series_at_paths import series_at
from tests.conftest import PELVIS, Site

TEMPLATES = Path(__file__).parents[2] / "templates.yaml"
Read = Callable[[str], Rulebook]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what reads rules, in YAML, beside the templates of this repository."""

    def read_it(rules: str) -> Rulebook:
        (tmp_path / "rules.yaml").write_text(rules)
        return read_rulebook(tmp_path / "rules.yaml", TEMPLATES)

    return read_it


def one(when: str, more: str = "") -> str:
    return f"rules:\n  - {{name: a, template: Prostate_OAR, {more}when: {when}}}\n"


HEADER = RuleHeader(
    {
        "Modality": ("CT",),
        "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "SliceThickness": ("2.5",),
        "BodyPartExamined": ("",),
        "RequestAttributesSequence.0.RequestedProcedureDescription": ("RT Pelvis",),
        "RequestAttributesSequence.*.RequestedProcedureDescription": ("RT Pelvis", "Boost"),
        "(0029,ACME 1.1,10)": ("planning",),
        "slices": ("120",),
    },
    {"KVP": [("120",), ("100",)], "ProtocolName": [("RT",), ()]},
)


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ("{Modality: {in: [CT, MR]}}", True),
        ("{Modality: {not_in: [CT, MR]}}", False),
        ("{ImageType: {equals: AXIAL, values: first}}", False),
        ("{ImageType: {contains: R, values: all}}", False),
        ("{ImageType: {contains: A, values: all}}", True),
        ("{ImageType: {equals: 3, values: count}}", True),
        ("{ImageType: {at_least: 4, values: count}}", False),
        ("{SliceThickness: {at_least: 1, below: 3}}", True),
        ("{SliceThickness: {between: [3, 5]}}", False),
        ("{'(0018,0050)': 2.5}", True),
        ("{RequestAttributesSequence.0.RequestedProcedureDescription: {contains: pelvis}}", True),
        ("{RequestAttributesSequence.0.RequestedProcedureDescription: {contains: boost}}", False),
        ("{RequestAttributesSequence.*.RequestedProcedureDescription: {contains: boost}}", True),
        ("{'(0029,acme 1.1,10)': planning}", True),
        ("{slices: {at_least: 100}}", True),
        ("{KVP: {above: 90}}", False),
        ("{KVP: {above: 110, slices: any}}", True),
        ("{KVP: {above: 110, slices: all}}", False),
        ("{KVP: {above: 90, slices: all}}", True),
        ("{ProtocolName: {equals: RT, slices: all}}", False),
        ("{not: {KVP: {above: 200}}}", False),
        ("{Manufacturer: ACME}", False),
        ("{not: {Manufacturer: ACME}}", False),
        ("{Manufacturer: {equals: ACME, if_missing: match}}", True),
        ("{all: [{Modality: CT}, {Manufacturer: {equals: ACME, if_missing: skip}}]}", True),
        ("{all: [{Modality: MR}, {Manufacturer: {equals: ACME, if_missing: skip}}]}", False),
        ("{Manufacturer: {missing: true}}", True),
        ("{Manufacturer: {exists: true}}", False),
        ("{BodyPartExamined: {empty: true}}", True),
        ("{BodyPartExamined: {exists: false}}", True),
        ("{Modality: {missing: false}}", True),
        ("always", True),
    ],
)
def test_a_rule_fires_or_does_not(read: Read, when: str, *, fires: bool) -> None:
    decision = decide(HEADER, read(one(when)).rules)

    assert (decision.choice is Choice.MATCHED) == fires


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ("{KVP: {above: 90}}", "mixed"),
        ("{Manufacturer: ACME}", "missing"),
        ("{Manufacturer: {equals: ACME, if_missing: skip}}", "skipped"),
        ("{Modality: MR}", "fail"),
    ],
)
def test_the_explanation_says_why_in_a_word(read: Read, when: str, outcome: str) -> None:
    decision = decide(HEADER, read(one(when)).rules)

    assert decision.explanation["a"].as_plain()["outcome"] == outcome


MANY = """
rules:
  - {name: usual, template: Prostate_OAR, when: {Modality: CT}}
  - {name: better, template: Thorax_OAR, priority: 5, when: {slices: {at_least: 100}}}
  - {name: dormant, template: HeadNeck_OAR, priority: 9, enabled: false, when: always}
"""


def test_a_higher_priority_wins_and_what_is_off_is_not_heard(read: Read) -> None:
    decision = decide(HEADER, read(MANY).rules)

    assert [rule.name for rule in decision.fired] == ["better"]
    assert "dormant" not in decision.explanation


def test_rules_of_one_priority_for_different_templates_are_held(read: Read) -> None:
    decision = decide(HEADER, read(MANY.replace("priority: 5, ", "")).rules)

    assert decision.choice is Choice.AMBIGUOUS
    assert decision.sentence.endswith("usual, better")


def test_one_rule_may_ask_for_several_templates(read: Read) -> None:
    rules = read(
        "rules:\n  - {name: a, templates: [Prostate_OAR, Thorax_OAR], when: always}\n"
    ).rules

    assert decide(HEADER, rules).choice is Choice.AMBIGUOUS
    every = decide(HEADER, rules, on_many="all")
    assert [rule.template for rule in every.fired] == ["Prostate_OAR", "Thorax_OAR"]


def test_an_exclusion_wins_over_any_priority(read: Read) -> None:
    rules = read(MANY + "  - {name: never, exclude: true, when: {Modality: CT}}\n").rules

    assert decide(HEADER, rules).choice is Choice.EXCLUDED


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (one("{SliceThickness: thin}"), "'SliceThickness' holds a number; 'thin' is none"),
        (one("{Modality: {above: CT}}"), "'Modality' holds a text, which has no order"),
        (one("{Modality: {in: CT}}"), "'in' is a list of values, such as [CT, PT]"),
        (
            one("{Modality: {equals: CT, values: most}}"),
            "'values' is one of any, all, first, count",
        ),
        (one("{Modality: {equals: CT, case: 1}}"), "'case' is one of false, true"),
        (one("{Modality: {exists: CT}}"), "'exists' is true or false"),
        (one("{ProtocolName: {matches: '('}}"), "a pattern that cannot be read"),
        (one("{Modality.0.Rows: 1}"), "no DICOM keyword 'Modality.0.Rows'"),
        (one("{slice: 1}"), "no DICOM keyword 'slice'; did you mean 'slices'?"),
        (one("always", "priority: high, "), "'priority' should be a whole number"),
        (one("always", "enabled: 1, "), "'enabled' is true or false"),
        (
            one("always", "templates: [Thorax_OAR], "),
            "'templates' is a list, without 'template'",
        ),
    ],
)
def test_a_mistake_is_told(read: Read, entry: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(entry)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (MANY, "rule dormant is disabled"),
        (one("{PatientID: A17}"), "rule a names one patient or study by PatientID"),
        (one("{all: [{Modality: CT}, {Modality: MR}]}"), "Modality cannot be both CT and MR"),
        (MANY + "  - {name: same, template: Prostate_OAR, when: {Modality: CT}}\n", "are the same"),
        (
            MANY + "  - {name: other, template: Thorax_OAR, when: {Modality: CT}}\n",
            "rules usual and other always match together",
        ),
        (
            MANY + "  - {name: x, priority: 3, template: Thorax_OAR, when: {Modality: CT}}\n",
            "rule usual never decides",
        ),
        (one("{Modality: CT}"), "no rule uses template Thorax_OAR"),
    ],
)
def test_what_is_hardly_meant_is_told(read: Read, rules: str, told: str) -> None:
    assert any(told in line for line in lint_rules(read(rules)))


def test_the_rules_of_this_repository_have_nothing_to_tell() -> None:
    book = read_rulebook(TEMPLATES.with_name("rules.yaml"), TEMPLATES)

    assert list(lint_rules(book)) == []


def test_values_of_several_may_differ_and_are_no_contradiction(read: Read) -> None:
    book = read(one("{all: [{ImageType: ORIGINAL}, {ImageType: AXIAL}]}"))

    assert not [line for line in lint_rules(book) if "never match" in line]


def test_explain_says_what_match_does(ctx: Context, pelvis: list[Path], site: Site) -> None:
    run_step("scan", ctx, Selection())
    (job,) = ctx.ledger.jobs()
    told = explain_job(job, ctx)
    by_path, by_file = (
        explain_header(name, header, ctx.rulebook, on_many="hold")
        for path in (site.store, pelvis[0])
        for name, header in series_at([path], ctx.now().date()).headers
    )

    run_step("match", ctx, Selection())

    (after,) = ctx.ledger.jobs()
    for one_of in (told, by_path, by_file):
        assert (one_of.decision.choice, one_of.decision.fired[0].template) == (
            Choice.MATCHED,
            after.template,
        )
    assert told.header.values["slices"] == (str(len(pelvis)),)
    assert told.header.values["folder"] == ("pelvis",)
    assert told.header.values["oblique"] == ("false",)
    assert PELVIS.patient_id not in str(told.decision.explanation)


def test_near_misses_are_ranked(read: Read) -> None:
    rules = read(
        "rules:\n"
        "  - {name: far, template: Thorax_OAR, when: {all: [{Modality: MR}, {slices: 3}]}}\n"
        "  - {name: near, template: Thorax_OAR, when: {all: [{Modality: CT}, {slices: 3}]}}\n"
    ).rules

    decision: Decision = decide(HEADER, rules)

    assert [miss.name for miss in decision.near_misses] == ["near", "far"]
    assert "nearest is near (slices equals 3: fail)" in decision.sentence


@pytest.mark.sweep
def test_no_mutation_of_a_rules_file_gives_a_traceback(read: Read) -> None:
    """Every change is either a good file or one whose mistakes are told."""
    dice = random.Random(7)  # noqa: S311 - mutations, not secrets
    plain: dict[str, Any] = yaml.safe_load(MANY)
    plain["rules"].append({"name": "n", "template": "Thorax_OAR", "when": {"all": [{"KVP": 120}]}})
    good = yaml.safe_dump(plain)
    words = ["all", "any", "not", "{", "}", "[", "]", ":", "- ", "CT", "\n", "  ", "in", "~", "1"]
    outcomes = set()
    for _ in range(600):
        at, cut = dice.randrange(len(good)), dice.randrange(6)
        text = good[:at] + dice.choice(words) + good[at + cut :]
        try:
            decide(HEADER, read(text).rules)
            outcomes.add("good")
        except ConfigError as err:
            outcomes.add("told" if "rules.yaml" in str(err) else "elsewhere")
    assert outcomes == {"good", "told"}


def test_a_missing_condition_never_fires_through_two_negations() -> None:
    rule = Rule(name="r", template="T", when=Compare("Manufacturer", "equals", "ACME"))

    assert rule.when.explain(RuleHeader()).truth is Truth.UNKNOWN
