"""What is copied from a header into a file under git tells no patient."""

import pytest
from pydicom.datadict import keyword_dict

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.rules.conditions import Compare, Either, Every, Negation, Rule, RuleHeader
from drawcli.core.rules.privacy import (
    paths_in,
    patient_elements,
    patient_of,
    shareable_values,
    wanted_names_patient,
)
from drawcli.core.rules.withheld import identifies_patient

HEADER = RuleHeader(
    {
        "PatientName": ("Lindqvist^Asa",),
        "PatientID": ("MRN-7734021",),
        "PatientBirthDate": ("19540819",),
        "PatientSex": ("F",),
        "AccessionNumber": ("A2231",),
        "StudyDate": ("20260314",),
        "StudyInstanceUID": ("1.2.3",),
        "Modality": ("CT",),
        "ProtocolName": ("RT Pelvis",),
        "SeriesDescription": ("Pelvis LINDQVIST 2.5",),
        "StudyDescription": ("plan 2026-03-14",),
        "StationName": ("",),
        "ImageComments": ("as asked by Dr. X",),
        "folder": ("LINDQVIST_ASA",),
        "slices": ("120",),
        "(0029,ACME,10)": ("planning",),
        "BodyPartExamined": ("A2231",),
        "FilterType": ("x" * 65,),
    }
)


def test_only_what_tells_nobody_is_copied() -> None:
    assert dict(shareable_values(HEADER)) == {
        "PatientSex": ("F",),
        "Modality": ("CT",),
        "ProtocolName": ("RT Pelvis",),
        "slices": ("120",),
    }


def test_no_date_name_or_uid_of_the_standard_is_copied() -> None:
    refused = {k for k, tag in keyword_dict.items() if k and identifies_patient(k)}
    private = {
        k for k, tag in keyword_dict.items() if k and dictionary_vr(tag) in ("PN", "DA", "DT", "TM")
    }
    uids = {k for k, tag in keyword_dict.items() if k and dictionary_vr(tag) == "UI"}

    assert private | {"PatientWeight", "EthnicGroup", "AccessionNumber", "StudyID"} <= refused
    assert uids - refused == {"SOPClassUID"}
    assert not refused & {"Modality", "ProtocolName", "SliceThickness", "ImageType", "SeriesNumber"}


def test_what_a_condition_asks_for_may_name_the_patient() -> None:
    patient = patient_of(HEADER)

    assert [wanted_names_patient(one, patient) for one in ("lindqvist", ["CT", "7734021"])] == [
        True,
        True,
    ]
    assert [wanted_names_patient(one, patient) for one in ("pelvis", 3, ["CT"])] == [
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("operator", "wanted"),
    [
        ("contains", "MUELLER"),
        ("starts_with", "MUELLER"),
        ("ends_with", "MUELLER"),
        ("matches", "^M[UÜ]"),
        ("not_equals", "MUELLER"),
        ("not_in", ("MUELLER", "MEIER")),
    ],
)
def test_a_text_that_a_name_or_number_is_searched_for_names_as_well(
    operator: str, wanted: object
) -> None:
    def named(path: str) -> list[str]:
        return list(
            patient_elements(Rule(name="r", template="T", when=Compare(path, operator, wanted)))
        )

    for path in ("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber", "OperatorsName"):
        assert named(path) == [path]
    assert named("ProtocolName") == named("PatientSex") == []


@pytest.mark.parametrize("operator", ["exists", "missing", "empty"])
def test_whether_a_name_is_there_names_nobody(operator: str) -> None:
    rule = Rule(name="r", template="T", when=Compare("PatientName", operator, True))  # noqa: FBT003 - as in the file

    assert not list(patient_elements(rule))


def test_a_bound_of_days_names_nobody() -> None:
    rule = Rule(name="r", template="T", when=Compare("PatientBirthDate", "before", "2008-01-01"))

    assert not list(patient_elements(rule))


def test_a_rule_that_names_a_patient_is_found_wherever_it_does() -> None:
    inner = Either((Compare("PatientID", "in", ("A1", "A2")), Compare("Modality", "equals", "CT")))
    rule = Rule(
        name="r",
        template="T",
        when=Every(
            (
                Negation(Every((inner,))),
                Compare("StudyDate", "after", "-30d"),
                Compare("PatientName", "contains", "phantom"),
                Compare("(0029,ACME,10)", "equals", "x"),
                Compare("folder", "equals", "planning"),
                Compare("PatientID", "equals", "A3"),
            )
        ),
    )

    assert list(patient_elements(rule)) == ["PatientID", "PatientName"]
    assert [*dict.fromkeys(paths_in(rule.when))] == [
        "PatientID",
        "Modality",
        "StudyDate",
        "PatientName",
        "(0029,ACME,10)",
        "folder",
    ]
