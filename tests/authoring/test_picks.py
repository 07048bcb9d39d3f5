"""What a person picks of a header becomes a condition, or is refused with what to do."""

from typing import Any

import pytest

from drawcli.authoring.picks import Pick, parse_pick, pickable_elements
from drawcli.core.rules.conditions import RuleHeader
from drawcli.errors import UsageError

HEADER = RuleHeader(
    {
        "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2",),
        "PatientName": ("Lindqvist^Asa",),
        "PatientID": ("MRN-7734021",),
        "StudyDate": ("20260314",),
        "Modality": ("CT",),
        "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "ProtocolName": ("RT Pelvis",),
        "SliceThickness": ("2.5",),
        "Rows": ("512",),
        "RequestAttributesSequence.0.RequestedProcedureDescription": ("RT",),
        "RequestAttributesSequence.*.RequestedProcedureDescription": ("RT",),
        "BodyPartExamined": ("",),
        "oblique": ("false",),
        "(0029,ACME LTD,10)": ("planning",),
    },
    {"KVP": [("120",), ("100",)]},
)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("Modality", ["Modality: CT"]),
        ("  Modality  ", ["Modality: CT"]),
        ("(0008,0060)", ["Modality: CT"]),
        ("SliceThickness", ["SliceThickness: 2.5"]),
        ("Rows", ["Rows: 512"]),
        ("oblique", ["oblique: false"]),
        ("ImageType", ["ImageType: ORIGINAL", "ImageType: PRIMARY", "ImageType: AXIAL"]),
        ("ProtocolName contains pelvis", ["ProtocolName: {contains: pelvis}"]),
        ("ProtocolName matches ^rt.*s$", ["ProtocolName: {matches: ^rt.*s$}"]),
        ("SliceThickness at_most 3", ["SliceThickness: {at_most: 3}"]),
        ("SliceThickness between [1, 3.5]", ["SliceThickness: {between: [1, 3.5]}"]),
        ("ProtocolName equals 'RT Pelvis'", ["ProtocolName: RT Pelvis"]),
        ("Modality in CT, PT", ["Modality: {in: [CT, PT]}"]),
        ("BodyPartExamined empty", ["BodyPartExamined: {empty: true}"]),
        ("BodyPartExamined exists false", ["BodyPartExamined: {exists: false}"]),
        ("StudyDate after 2026-01-01", ["StudyDate: {after: '2026-01-01'}"]),
        ("oblique equals false", ["oblique: false"]),
    ],
)
def test_what_is_picked_is_written_as_a_condition(words: str, lines: list[str]) -> None:
    picks = list(parse_pick(words, HEADER))

    assert [pick.line for pick in picks] == lines
    assert all(pick.fits(HEADER) for pick in picks)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Modalty", "no DICOM keyword 'Modalty'; did you mean 'Modality'"),
        ("ProtocolName contans x", "no operator 'contans'; did you mean 'contains'"),
        ("SliceThickness at_most thin", "'SliceThickness' holds a number"),
        ("ProtocolName at_most 3", "which has no order"),
        ("SliceThickness at_most 1", "does not meet 'SliceThickness at most 1': fail"),
        ("KVP", "KVP differs between the slices"),
        ("BodyPartExamined", "the series has no BodyPartExamined"),
        ("StationName", "the series has no StationName"),
        ("PatientID", "PatientID may identify the patient"),
        ("StudyDate", "StudyDate may identify the patient"),
        ("(0029,ACME LTD,10)", "may identify the patient"),
        ("PatientName contains lindqvist", "identifies the patient"),
        ("Modality in", "'Modality in' needs a value"),
        ("ProtocolName contains ", "'ProtocolName contains' needs a value"),
        ("ProtocolName matches (", "cannot be read"),
        ("", "no DICOM keyword ''"),
    ],
)
def test_what_cannot_be_picked_is_told(words: str, said: str) -> None:
    with pytest.raises(UsageError) as told:
        list(parse_pick(words, HEADER))

    assert said in str(told.value)
    assert "Lindqvist" not in f"{told.value} {told.value.hint}"


def test_the_list_begins_with_what_sites_match_by() -> None:
    assert list(pickable_elements(HEADER)) == [
        "Modality",
        "ProtocolName",
        "SliceThickness",
        "ImageType",
        "oblique",
        "SOPClassUID",
        "Rows",
        "RequestAttributesSequence.*.RequestedProcedureDescription",
    ]


@pytest.mark.parametrize("wanted", ["yes", "a: b", "# no", "3"])
def test_a_condition_is_quoted_where_yaml_needs_it(wanted: Any) -> None:
    import yaml

    line = Pick("ProtocolName", "equals", wanted).line

    assert yaml.safe_load(line) == {"ProtocolName": wanted}
