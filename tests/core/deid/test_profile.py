import json
import re

import pytest
from pydicom.datadict import dictionary_keyword, dictionary_VR

from drawcli.core.deid.profile import (
    ALWAYS_PRESENT,
    Action,
    Choices,
    PolicyRow,
    check_removable,
    check_retainable,
    every_row,
    fingerprint,
    policy_for,
    table_of,
)
from drawcli.core.deid.value_shapes import fits
from drawcli.core.dicom.sop_classes import CT_IMAGE, ENHANCED_CT, IMAGE_CLASSES, MR_IMAGE, PT_IMAGE
from tests.core.real_data import TABLE_E1_1

# Each line of the tables once, those of items included.
ROWS = list(
    {
        (row.tag, row.action, row.type, row.option, bool(row.items)): row
        for one in IMAGE_CLASSES
        for row in every_row(table_of(one))
    }.values()
)
BY_KEYWORD = {row.keyword: row for row in ROWS}
DESCRIPTORS = frozenset({"StudyDescription", "SeriesDescription", "ProtocolName"})
KEPT = [row for row in ROWS if row.action in (Action.KEEP, Action.TIME)]


def fits_row(row: PolicyRow, raw: bytes) -> bool:
    return fits(row.keyword, row.vr, raw)


# Types 1 and 2 of the modules of an IOD, from PS3.3 A.3.3, A.4.3 and A.21.3.
PATIENT_TO_FRAME = """
    PatientName PatientID PatientBirthDate PatientSex
    StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber
    Modality SeriesInstanceUID SeriesNumber Laterality PatientPosition
    FrameOfReferenceUID PositionReferenceIndicator Manufacturer PixelPaddingValue
    InstanceNumber ContentDate ContentTime ImageType
    PixelSpacing ImageOrientationPatient ImagePositionPatient SliceThickness
    SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit
    PixelRepresentation PlanarConfiguration PixelAspectRatio
    LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
    SOPClassUID SOPInstanceUID SpecificCharacterSet WindowCenter WindowWidth
"""
TYPES_1_AND_2 = {
    "CT": "RescaleIntercept RescaleSlope RescaleType KVP AcquisitionNumber",
    "MR": """ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime
        EchoTrainLength InversionTime TriggerTime""",
    "PT": """SeriesDate SeriesTime Units CountsSource SeriesType NumberOfSlices NumberOfRRIntervals
        NumberOfTimeSlots NumberOfTimeSlices CorrectedImage CollimatorType DecayCorrection
        RadiopharmaceuticalInformationSequence RadionuclideCodeSequence RescaleIntercept
        RescaleSlope FrameReferenceTime TriggerTime ImageIndex AcquisitionDate AcquisitionTime
        ActualFrameDuration DecayFactor DoseCalibrationFactor
        PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence""",
}
# DEID.md of old: these may identify a patient, a person or a machine, and are never copied.
NEVER_KEPT = """
    AccessionNumber StudyID PatientID PatientName OtherPatientIDs OtherPatientNames
    PatientBirthDate PatientBirthTime PatientAddress PatientComments EthnicGroup Occupation
    AdditionalPatientHistory MedicalAlerts InstitutionName InstitutionAddress StationName
    InstitutionalDepartmentName DeviceSerialNumber GantryID DetectorID DeviceUID ProtocolName
    StudyDescription SeriesDescription ImageComments OperatorsName PerformingPhysicianName
    ReferringPhysicianName RequestingPhysician RequestAttributesSequence SoftwareVersions
    IconImageSequence OriginalAttributesSequence ContributingEquipmentSequence
    ReferencedStudySequence ReferencedPerformedProcedureStepSequence IrradiationEventUID
    AcquisitionComments ContrastBolusAgent ScanOptions SequenceName PositionReferenceIndicator
    DateOfLastCalibration TimeOfLastCalibration TimezoneOffsetFromUTC CodeMeaning CodeValue
    InstanceCreatorUID InstanceCreationDate PerformedProcedureStepStartDate
""".split()


def test_vr_and_keyword_are_the_dictionarys() -> None:
    given = [(row.keyword, row.vr) for row in ROWS]
    expected = [(dictionary_keyword(row.tag), dictionary_VR(row.tag)) for row in ROWS]

    assert given == [(keyword, "xs" if vr == "US or SS" else vr) for keyword, vr in expected]


@pytest.mark.parametrize("sop_class", IMAGE_CLASSES)
def test_each_class_has_a_table_of_its_own(sop_class: str) -> None:
    rows = table_of(sop_class)

    assert len(rows) > 80
    assert all(tag == row.tag for tag, row in rows.items())


def test_elements_of_one_modality_are_not_sent_with_another() -> None:
    keywords = {
        one: {row.keyword for row in every_row(table_of(one))}
        for one in (CT_IMAGE, MR_IMAGE, PT_IMAGE)
    }

    assert "RadionuclideTotalDose" in keywords[PT_IMAGE] - keywords[CT_IMAGE] - keywords[MR_IMAGE]
    assert "EchoTime" in keywords[MR_IMAGE] - keywords[CT_IMAGE] - keywords[PT_IMAGE]
    assert "KVP" in keywords[CT_IMAGE] - keywords[MR_IMAGE] - keywords[PT_IMAGE]


def test_every_row_names_its_source_in_the_standard() -> None:
    assert [row for row in ROWS if not re.match(r"PS3\.3 C\.\d", row.source)] == []


@pytest.mark.parametrize("sop_class", [CT_IMAGE, MR_IMAGE, PT_IMAGE])
def test_nothing_is_lost_that_an_image_must_have(sop_class: str) -> None:
    needed = f"{PATIENT_TO_FRAME} {TYPES_1_AND_2[IMAGE_CLASSES[sop_class]]}".split()

    assert not set(needed) - {row.keyword for row in every_row(table_of(sop_class))}


def test_identifying_elements_are_never_copied() -> None:
    copied = [row.keyword for row in ROWS if row.action in (Action.KEEP, Action.TIME, Action.DATE)]

    assert {*copied} & {*NEVER_KEPT} == set()


def test_nothing_private_no_overlay_and_no_curve_is_named() -> None:
    groups = {row.tag >> 16 for row in ROWS}

    assert groups <= {
        *(0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x0040, 0x0054, 0x2050, 0x5200)
    }
    assert all(row.tag & 0xFFFF for row in ROWS)


def test_a_sequence_is_rebuilt_emptied_or_written_by_drawcli() -> None:
    allowed = {Action.ITEMS, Action.CODE, Action.EMPTY, Action.SET}

    assert [row for row in ROWS if (row.action is Action.ITEMS) != bool(row.items)] == []
    assert {row.action for row in ROWS if row.vr == "SQ"} <= allowed


@pytest.mark.parametrize("sop_class", IMAGE_CLASSES)
def test_always_present_are_types_2_of_patient_and_study(sop_class: str) -> None:
    rows = [table_of(sop_class)[tag] for tag in ALWAYS_PRESENT]

    assert {row.keyword for row in rows} == {
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    }
    assert {row.type for row in rows} == {2}


def standard() -> dict[str, dict[str, object]]:
    if not TABLE_E1_1.exists():
        pytest.skip("table E.1-1 is not beside the checkout")
    rows: dict[str, dict[str, object]] = json.loads(TABLE_E1_1.read_text())["rows"]
    return rows


# The columns of the options of table E.1-1.
COLUMNS = {"113108": "retain_patient_characteristics", "113107": "retain_modified_dates"}


def allows(row: PolicyRow, basic: str, options: dict[str, str]) -> bool:
    """Return whether table E.1-1, with the option of the row, permits the action."""
    if row.option:
        return options.get(COLUMNS[row.option]) in ("K", "C")
    match row.action:
        case Action.KEEP | Action.DATE | Action.TIME:
            return False
        case Action.UID | Action.REGISTERED | Action.ITEMS:
            return "U" in basic
        case Action.SET:
            return row.keyword == "ContributingEquipmentSequence"  # E.1.1: adding to it is right
        case _:  # emptied or replaced by a value of our own
            return "Z" in basic or "D" in basic


@pytest.mark.parametrize("sop_class", IMAGE_CLASSES)
def test_nothing_stays_that_the_standard_removes(sop_class: str) -> None:
    table = standard()

    against = [
        row.keyword
        for row in every_row(table_of(sop_class))
        if (line := table.get(f"{row.tag:08X}"))
        and not allows(row, str(line["basic"]), line["options"])  # type: ignore[arg-type] # a dict
    ]

    assert against == []


def test_an_option_is_named_where_the_standard_asks_for_one() -> None:
    table = standard()
    asked = [
        row
        for row in ROWS
        if row.action in (Action.KEEP, Action.DATE, Action.TIME) and f"{row.tag:08X}" in table
    ]

    assert [row for row in ROWS if row.option] == asked


@pytest.mark.parametrize("sop_class", IMAGE_CLASSES)
def test_without_the_options_nothing_stays_that_the_standard_removes(sop_class: str) -> None:
    table = standard()
    least = Choices(fixed_dates=True, characteristics=False)

    for row in every_row(policy_for(sop_class, least)):
        basic = str(table.get(f"{row.tag:08X}", {}).get("basic", ""))
        if basic and row.action is not Action.SET:
            assert row.action is not Action.KEEP, row.keyword
            assert basic != "X", row.keyword


def test_every_kept_date_and_time_is_in_table_e_1_1() -> None:
    table = standard()
    times = [row for row in ROWS if row.vr in ("DA", "DT", "TM")]

    assert [row.keyword for row in times if f"{row.tag:08X}" not in table] == []
    assert {row.action for row in times} == {Action.DATE, Action.TIME, Action.EMPTY}
    assert {row.option for row in times} == {"113107", ""}


def test_descriptors_are_none_of_the_policy_and_the_standard_lets_them_be_cleaned() -> None:
    table = standard()
    plain, let_out = policy_for(CT_IMAGE), policy_for(CT_IMAGE, Choices(descriptors=DESCRIPTORS))

    assert {let_out[tag].keyword for tag in let_out.keys() - plain.keys()} == DESCRIPTORS
    assert all(
        table[f"{tag:08X}"]["options"].get("clean_descriptors") == "C"  # type: ignore[attr-defined]
        for tag in let_out.keys() - plain.keys()
    )


# --- the choices of a site --------------------------------------------------------------------


def test_patient_characteristics_go_with_their_claim() -> None:
    rows = policy_for(CT_IMAGE, Choices(characteristics=False))
    left = {row.keyword: row.action for row in rows.values()}

    assert left["PatientSex"] is Action.EMPTY  # Type 2: present without a value
    assert not {"PatientAge", "PatientSize", "PatientWeight"} & left.keys()
    assert Choices(characteristics=False).claims == ("113100", "113107")
    assert Choices().claims == ("113100", "113108", "113107")
    assert Choices(fixed_dates=True).claims == ("113100", "113108")


def test_a_site_may_remove_more() -> None:
    wanted = frozenset({"ManufacturerModelName", "SeriesNumber", "ReferencedFrameNumber"})

    with pytest.raises(ValueError, match="ReferencedFrameNumber is needed"):
        check_removable("ReferencedFrameNumber")
    for keyword in ("ManufacturerModelName", "SeriesNumber"):
        check_removable(keyword)

    rows = {row.keyword: row for row in policy_for(CT_IMAGE, Choices(remove=wanted)).values()}
    assert "ManufacturerModelName" not in rows
    assert rows["SeriesNumber"].action is Action.EMPTY


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("PixelSpacing", "is needed"),
        ("PatientID", "is needed"),
        ("StudyID", "is needed"),
        ("PatientIdentityRemoved", "is needed"),
        ("InstitutionName", "is never sent"),
        ("Manufakturer", "is not a DICOM keyword"),
    ],
)
def test_needed_elements_cannot_be_removed(keyword: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_removable(keyword)


def test_a_site_may_retain_an_attribute_with_a_reason() -> None:
    check_retainable("StationName", "tells the scanners apart")
    check_retainable("StationName", "two words")

    retained = (("StationName", "tells the scanners apart"),)
    row = policy_for(CT_IMAGE, Choices(retain=retained))[0x00081010]

    assert (row.tag, row.vr, row.keyword) == (0x00081010, "SH", "StationName")
    assert (row.action, row.type) == (Action.KEEP, 3)
    assert row.source == "the site: tells the scanners apart"


def test_attributes_needed_only_by_multi_frame_images_can_be_retained_or_removed() -> None:
    retained = (("SoftwareVersions", "tells reconstructions apart"),)

    check_retainable(*retained[0])
    with pytest.raises(ValueError, match="is needed"):
        check_removable("DimensionIndexPointer")
    check_removable("KVP")  # Type 2 of single slices

    rows = policy_for(ENHANCED_CT, Choices(retain=retained))
    assert rows[0x00181020].action is Action.KEEP
    assert policy_for(ENHANCED_CT)[0x00181020].action is Action.DUMMY


@pytest.mark.parametrize(
    ("keyword", "reason", "text"),
    [
        ("StationName", "because", "give a reason"),
        ("PatientComments", "for the physics group", "never sent"),
        ("OperatorsName", "for the physics group", "never sent"),
        ("InstanceCreationDate", "for the physics group", "never sent"),
        ("RequestAttributesSequence", "for the physics group", "never sent"),
        ("DeviceUID", "for the physics group", "never sent"),
        ("SelectorAttribute", "for the physics group", "never sent"),
        ("KVP", "for the physics group", "already in the policy"),
        ("Statoin", "for the physics group", "not a DICOM keyword"),
    ],
)
def test_elements_of_persons_cannot_be_retained(keyword: str, reason: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_retainable(keyword, reason)


KEEPING = {"SliceThickness": "DS", "SeriesNumber": "IS", "Rows": "US", "PatientAge": "AS"} | {
    "StudyTime": "TM",
    "Modality": "CS",
    "Manufacturer": "LO",
    "PixelPaddingValue": "xs",
    "AcquisitionMatrix": "US",
    "FrameIncrementPointer": "AT",
    "SOPClassUID": "UI",
    "ConvolutionKernel": "SH",
}


@pytest.mark.parametrize(
    ("keyword", "raw"),
    [
        ("SliceThickness", b"3"),
        ("SliceThickness", b" +1.50E+02 "),
        ("SliceThickness", b".5\0"),
        ("SliceThickness", b"-249.51171875000001"),
        ("ImagePositionPatient", b"-1\\ 2.0\\3e-05 "),
        ("ImagePositionPatient", b"1\\\\3 "),
        ("SeriesNumber", b" -12 "),
        ("ExposureTime", b"1\\2 "),
        ("Rows", b"\0\2"),
        ("PixelPaddingValue", b"\x30\xf8"),
        ("AcquisitionMatrix", b"\0\1\0\0\0\0\0\1"),
        ("FrameIncrementPointer", b"\x54\0\x80\0"),
        ("PatientAge", b"062Y"),
        ("StudyTime", b"083000.123456 "),
        ("StudyTime", b"08:30:00"),
        ("StudyTime", b"08"),
        ("ImageType", b"DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 SPI "),
        ("BodyPartExamined", b"HEADNECK"),
        ("Manufacturer", b"GE MEDICAL SYSTEMS"),
        ("ManufacturerModelName", b"Biograph 64, TruePoint (PET/CT) v2.1"),
        ("ConvolutionKernel", b"Br38f\\3 "),
        ("PatientAge", b"089Y"),
        ("SOPClassUID", b"1.2.840.10008.5.1.4.1.1.2\0"),
        *((keyword, b"") for keyword in KEEPING),
    ],
)
def test_values_as_scanners_write_them_fit(keyword: str, raw: bytes) -> None:
    assert fits_row(BY_KEYWORD[keyword], raw)


@pytest.mark.parametrize(
    ("keyword", "raw"),
    [
        ("SliceThickness", b"Muster"),
        ("SliceThickness", b"+91 98450 12345"),
        ("SliceThickness", b"1-2 "),
        ("SliceThickness", b"eE"),
        ("ImagePositionPatient", b"1\\2\\Muster"),
        ("SeriesNumber", b"4711081547110815"),
        ("SeriesNumber", b"12 34 "),
        ("Rows", b"Muster"),
        ("PixelPaddingValue", b"Mu12"),
        ("AcquisitionMatrix", b"MUSTERMA"),
        ("FrameIncrementPointer", b"MARI"),
        ("PatientAge", b"Muster"),
        ("PatientAge", b"19640229Y "),
        ("StudyTime", b"471108154711"),
        ("StudyTime", b"083000.4711081547"),
        ("Modality", b"CT^MUSTER"),
        ("Modality", "MÜ".encode()),
        ("PatientAge", b"090Y"),
        ("PatientAge", b"101Y"),
        ("Manufacturer", b"A\0hidden"),
        ("Manufacturer", "Höchst".encode("latin-1")),
        ("Manufacturer", b"\x1b$B;3ED\x1b(B"),
        ("ManufacturerModelName", b"model 7734021"),
        ("ManufacturerModelName", b"since 12.03.1964"),
        ("ConvolutionKernel", b"1964-03-12"),
        ("ScanOptions", b"C 7734021"),
        ("ScanOptions", b"2024010225.6.1936"),
        ("ScanOptions", b"1.3.6.1.4.1.9590.343837569.9.9"),
        ("ManufacturerModelName", b"1.2.3.4.5"),
        ("Manufacturer", b"ask dr@kh.example "),
        ("Manufacturer", b"word " * 20),
        ("Manufacturer", b"A\nB\r\n"),
        ("SOPClassUID", b"1.2.MUSTER"),
    ],
)
def test_values_that_are_not_what_their_vr_says_do_not_fit(keyword: str, raw: bytes) -> None:
    assert not fits_row(BY_KEYWORD[keyword], raw)


def test_every_kept_row_has_a_shape() -> None:
    assert [row for row in KEPT if not fits_row(row, b"")] == []
    assert [row for row in KEPT if fits_row(row, b"\x01\x02\x03" * 5)] == []


@pytest.mark.parametrize("filler", [b" ", b"1", b"1\\", b"\0", b".", b"e1"])
def test_a_long_value_is_checked_in_one_pass(filler: bytes) -> None:
    assert [row for row in KEPT if fits_row(row, filler * 10_000 + b"~")] == []


def test_a_changed_policy_has_another_fingerprint() -> None:
    choices = (
        Choices(),
        Choices(fixed_dates=True),
        Choices(characteristics=False),
        Choices(remove=frozenset({"ManufacturerModelName"})),
        Choices(retain=(("StationName", "tells the scanners apart"),)),
        Choices(descriptors=frozenset({"StudyDescription"})),
    )

    numbers = {fingerprint(one, choice) for one in IMAGE_CLASSES for choice in choices}

    assert len(numbers) == len(IMAGE_CLASSES) * len(choices)
    assert all(re.fullmatch("[0-9a-f]{16}", number) for number in numbers)
