"""Conditions that no header can meet are found, and those that one can are not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.core.rules.impossible import doubts
from drawcli.core.rules.synonyms import operator_meant
from drawcli.errors import ConfigError
from drawcli.pipeline.explain import lint_rules

TEMPLATES = Path(__file__).parents[3] / "templates.yaml"


def found(tmp_path: Path, when: Any) -> str:
    """Return what is said of the condition of a rule."""
    rules = [{"name": "one", "template": "Prostate_OAR", "when": when}]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": rules}, sort_keys=False))
    (rule,) = read_rulebook(path, TEMPLATES).rules
    return "; ".join(doubts(rule.when))


IMPOSSIBLE = [
    ({"Modality": "ct scan"}, "never 'ct scan': it is CT, MR, PT; did you mean 'CT'?"),
    ({"Modality": "MRI"}, "did you mean 'MR'?"),
    ({"Modality": {"in": ["CT", "CBCT"]}}, "never 'CBCT'"),
    ({"Modality": "US"}, "never 'US'"),
    ({"PatientSex": "female"}, "it is F, M, O"),
    ({"PatientPosition": "supine"}, "it is HFS"),
    ({"ProtocolName": "contains head"}, "write ProtocolName: {contains: head}"),
    ({"ProtocolName": "Contains Head"}, "write ProtocolName: {contains: Head}"),
    ({"SeriesDescription": "starts with RT"}, "write SeriesDescription: {starts_with: RT}"),
    ({"SeriesDescription": "!= scout"}, "write SeriesDescription: {not_equals: scout}"),
    ({"SeriesDescription": "in [head, neck]"}, "write SeriesDescription: {in: [head, neck]}"),
    ({"SeriesDescription": "*head*"}, "write SeriesDescription: {contains: head}"),
    ({"SeriesDescription": " head"}, "blanks at its ends"),
    ({"SeriesDescription": "x" * 65}, "at most 64 characters"),
    ({"BodyPartExamined": "HEAD, NECK"}, "for several values write {in: [HEAD, NECK]}"),
    ({"BodyPartExamined": {"contains": "head-neck"}}, "only letters, digits, blanks and _"),
    ({"ImageType": "ORIGINAL\\PRIMARY"}, "separates its values"),
    ({"SOPClassUID": "CT Image Storage"}, "only digits and dots"),
    ({"Rows": 512.5}, "a whole number"),
    ({"SliceThickness": {"between": [5, 3]}}, "never between 5 and 3"),
    ({"SliceThickness": {"at_least": 5, "at_most": 3}}, "never at least 5 and at most 3"),
    ({"any": [{"all": [{"KVP": {"above": 120}}, {"KVP": {"below": 80}}]}]}, "exclude each other"),
    ({"not": {"Modality": "ct scan"}}, "never 'ct scan'"),
    ({"PatientID": "contains 4711"}, "PatientID never has the value"),
]
POSSIBLE = [
    {"Modality": "ct"},
    {"Modality": {"in": ["CT", "PT"]}},
    {"PatientSex": "f"},
    {"ProtocolName": "above knee"},
    {"ProtocolName": "Before contrast"},
    {"ProtocolName": "Head in mask"},
    {"ProtocolName": "max inspiration"},
    {"ProtocolName": "RT 2-phase, head/neck (5 mm) <new>"},
    {"ProtocolName": "in 2 parts"},
    {"ProtocolName": {"contains": "contains head"[:8]}},
    {"SeriesDescription": {"matches": "^(head|neck).*\\d$"}},
    {"SeriesDescription": {"contains": " head"}},
    {"ImageType": "ORIGINAL"},
    {"all": [{"ImageType": "ORIGINAL"}, {"ImageType": "AXIAL"}]},
    {"SliceThickness": {"between": [3, 5]}},
    {"SliceThickness": {"at_least": 3, "at_most": 3}},
    {"SliceThickness": 2.5},
    {"Rows": 512},
    {"slices": {"at_least": 20}},
    {"StudyDate": {"after": "-30d"}},
    {"ImageType": {"equals": 4, "values": "count"}},
    {"(0029,SIEMENS CSA HEADER,10)": "*x*"},
]


@pytest.mark.parametrize(("when", "words"), IMPOSSIBLE, ids=str)
def test_what_no_header_has_is_told(tmp_path: Path, when: Any, words: str) -> None:
    assert words in found(tmp_path, when)


@pytest.mark.parametrize("when", POSSIBLE[:-1], ids=str)
def test_what_a_header_may_have_is_not(tmp_path: Path, when: Any) -> None:
    assert not found(tmp_path, when)


def test_a_value_that_names_a_patient_is_not_repeated(tmp_path: Path) -> None:
    assert "4711" not in found(tmp_path, {"PatientID": "contains 4711"})


def test_it_is_a_warning_of_rules_check(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{name: a, template: Prostate_OAR, when: {Modality: ct scan}}]\n")

    assert any(
        line.startswith("rule a: Modality is never 'ct scan'")
        for line in lint_rules(read_rulebook(path, TEMPLATES))
    )


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("{SliceThickness: {'>': 3}}", "no operator '>'; write 'above'"),
        ("{SliceThickness: {'<=': 3}}", "no operator '<='; write 'at_most'"),
        ("{SliceThickness: {greater_than: 3}}", "no operator 'greater_than'; write 'above'"),
        ("{SliceThickness: {greater-than: 3}}", "write 'above'"),
        ("{SliceThickness: '> 3'}", "write SliceThickness: {above: 3}"),
        ("{SliceThickness: less than 3}", "write SliceThickness: {below: 3}"),
        ("{ProtocolName: {includes: head}}", "write 'contains'"),
        ("{ProtocolName: {regex: head}}", "write 'matches'"),
        ("{ProtocolName: {not_contains: head}}", "write 'not: {ProtocolName: {contains: ...}}'"),
        ("{PatientID: {'>': 3}}", "no operator '>'; write 'above'"),
        ("{and: [{Modality: CT}]}", "unknown key 'and'; did you mean 'all:'?"),
        ("{or: [{Modality: CT}]}", "did you mean 'any:'?"),
    ],
)
def test_an_operator_of_another_language_is_known(tmp_path: Path, when: str, words: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules:\n  - name: a\n    template: Prostate_OAR\n    when: {when}\n")

    with pytest.raises(ConfigError) as told:
        read_rulebook(path, TEMPLATES)

    assert words in str(told.value)


def test_a_key_of_another_language_is_known(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{name: a, template: Prostate_OAR, if: {Modality: CT}}]\n")

    with pytest.raises(ConfigError, match="unknown key 'if'; did you mean 'when'"):
        read_rulebook(path, TEMPLATES)


def test_every_operator_means_itself() -> None:
    from drawcli.core.rules.operators import OPERATORS

    assert [operator_meant(word) for word in OPERATORS] == list(OPERATORS)
