"""What a rule asks of a patient or a hospital is told to nobody who may not see patients."""

from typing import Any

import pytest
from pydicom.datadict import keyword_dict

from drawcli.core.deid.profile import Action, policy_for
from drawcli.core.dicom.sop_classes import CT_IMAGE
from drawcli.core.rules.conditions import (
    Compare,
    Either,
    Every,
    Explained,
    Negation,
    Rule,
    RuleHeader,
)
from drawcli.core.rules.decision import decide
from drawcli.core.rules.operators import OPERATORS, PRESENCE, kind_of
from drawcli.core.rules.withheld import INSTEAD, hide_value, is_withheld, mask_condition

SECRETS: list[tuple[str, str, Any]] = [
    ("PatientName", "contains", "Canary"),
    ("PatientID", "starts_with", "CANARY"),
    ("PatientBirthDate", "before", "1954-08-19"),
    ("StudyDate", "in", ("1954-08-19", "1954-08-20")),
    ("StudyTime", "after", "19:54"),
    ("AccessionNumber", "matches", "^Canary"),
    ("ReferringPhysicianName", "equals", "Canary"),
    ("PerformingPhysicianName", "not_equals", "Canary"),
    ("OperatorsName", "contains", "Canary"),
    ("RequestingPhysician", "contains", "Canary"),
    ("InstitutionName", "ends_with", "Canary"),
    ("InstitutionAddress", "contains", "Canary"),
    ("InstitutionalDepartmentName", "contains", "Canary"),
    ("StationName", "equals", "Canary"),
    ("PerformedStationAETitle", "equals", "CANARY"),
    ("PatientComments", "contains", "Canary"),
    ("ImageComments", "contains", "Canary"),
    ("AdditionalPatientHistory", "contains", "Canary"),
    ("StudyInstanceUID", "equals", "1.2.1954"),
    ("FrameOfReferenceUID", "equals", "1.2.1954"),
    ("DeviceSerialNumber", "equals", "Canary"),
    ("CurrentPatientLocation", "equals", "Canary"),
    ("ClinicalTrialSubjectID", "equals", "Canary"),
    ("OtherPatientIDsSequence.*.PatientID", "equals", "Canary"),
    ("RequestAttributesSequence.0.RequestedProcedureID", "equals", "Canary"),
    ("(0029,ACME CANARY-FREE,10)", "starts_with", "Canary"),
    ("(0018,9999)", "equals", "Canary"),
    ("folder", "contains", "Canary"),
    ("station", "equals", "Canary"),
    ("ProtocolName", "contains", "1954081902"),
    ("SeriesDescription", "contains", "canary@example.org"),
    ("StudyDescription", "contains", "born 1954-08-19"),
]
OPEN: list[tuple[str, str, Any]] = [
    ("Modality", "equals", "CT"),
    ("SeriesDescription", "contains", "pelvis"),
    ("ProtocolName", "matches", "^RT.*(pelvis|prostate)"),
    ("BodyPartExamined", "in", ("PELVIS", "ABDOMEN")),
    ("SOPClassUID", "equals", "1.2.840.10008.5.1.4.1.1.2"),
    ("SliceThickness", "at_most", 3),
    ("PatientSex", "equals", "F"),
    ("RequestedProcedureDescription", "contains", "plan"),
    ("slices", "at_least", 40),
    ("PatientID", "exists", True),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda one: one[0])
def test_what_is_asked_of_a_patient_is_withheld(secret: tuple[str, str, Any]) -> None:
    path, operator, _ = secret
    told = Compare(*secret).explain(RuleHeader())

    assert told.text == f"{path} {operator.replace('_', ' ')} {INSTEAD}"
    assert str(told.as_plain()).casefold().count("canary") == path.casefold().count("canary")
    assert "1954" not in str(told.as_plain())
    assert told.in_full != told.text
    assert told.in_full.startswith(f"{path} {operator.replace('_', ' ')} ")


@pytest.mark.parametrize("asked", OPEN, ids=lambda one: one[0])
def test_what_says_nothing_of_anybody_is_told(asked: tuple[str, str, Any]) -> None:
    told = Compare(*asked).explain(RuleHeader())

    assert INSTEAD not in told.text
    assert told.in_full == told.text


def test_all_that_the_policy_replaces_or_empties_is_withheld() -> None:
    kept = {Action.KEEP, Action.SET, Action.ITEMS, Action.CLEAN, Action.CODE, Action.DUMMY}
    rows = [row for row in policy_for(CT_IMAGE).values() if row.action not in kept]
    told = {row.keyword for row in rows if not is_withheld(row.keyword)}

    assert len(rows) > 15
    assert told <= {"SOPClassUID", "PositionReferenceIndicator"}


def test_every_name_day_and_uid_of_the_dictionary_is_withheld_under_every_operator() -> None:
    asked = [word for word in keyword_dict if word.endswith(("PersonName", "PhysicianName"))]
    for path in [*asked, "PatientBirthDate", "StudyInstanceUID"]:
        for operator in set(OPERATORS) - PRESENCE:
            condition = f"{path} {operator.replace('_', ' ')} Canary (all of its values)"
            assert "Canary" not in mask_condition(condition), condition
        assert kind_of(path)
    assert len(asked) == 5


@pytest.mark.parametrize("text", ["all", "any", "not", "always", "", "odd text", "PatientID"])
def test_what_is_no_condition_stays(text: str) -> None:
    assert (mask_condition(text), hide_value(text)) == (text, text)


def trees(tree: Explained) -> list[Explained]:
    return [tree, *(one for part in tree.parts for one in trees(part))]


def test_the_patient_of_the_series_is_told_by_no_condition_at_any_depth() -> None:
    header = RuleHeader({"PatientName": ("Lindqvist^Asa",), "PatientID": ("120",), "KVP": ("120",)})
    named = Compare("SeriesDescription", "contains", "lindqvist")
    when = Every((Negation(Either((named, Compare("Modality", "equals", "CT")))), named))
    kvp = Compare("KVP", "equals", 100)
    rules = [Rule(name="a", template="T", when=when), Rule(name="b", template="T", when=kvp)]

    decision = decide(header, rules)

    told = [one for tree in decision.explanation.values() for one in trees(tree)]
    assert "lindqvist" not in f"{[one.as_plain() for one in told]}{decision.sentence}"
    assert sum(one.in_full == "SeriesDescription contains lindqvist" for one in told) == 2
    assert any(one.text == "KVP equals 100" for one in told)
    assert decision.near_misses
