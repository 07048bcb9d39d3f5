import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_keyword, dictionary_VR

from drawcli.core.profile import (
    ALWAYS_PRESENT,
    BY_KEYWORD,
    DESCRIPTORS,
    IMAGE_CLASSES,
    ONLY_SHIFTED,
    POLICY,
    Action,
    Row,
    cleaned,
)
from tests.core.real_data import TABLE_E1_1

ROWS = list(POLICY.values())
by_keyword = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.keyword)

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


@by_keyword
def test_vr_and_keyword_are_the_dictionarys(row: Row) -> None:
    vr = dictionary_VR(row.tag)

    assert row.keyword == dictionary_keyword(row.tag)
    assert row.vr == ("xs" if vr == "US or SS" else vr)


def test_each_element_has_one_row() -> None:
    assert len(POLICY) == len(BY_KEYWORD) > 120


@by_keyword
def test_the_row_names_its_place_in_the_standard(row: Row) -> None:
    assert re.match(r"PS3\.3 C\.\d", row.source)


@pytest.mark.parametrize("modality", IMAGE_CLASSES.values())
def test_nothing_is_lost_that_an_image_must_have(modality: str) -> None:
    needed = f"{PATIENT_TO_FRAME} {TYPES_1_AND_2[modality]}".split()

    assert not set(needed) - BY_KEYWORD.keys()


@pytest.mark.parametrize("keyword", NEVER_KEPT)
def test_what_may_identify_is_never_copied(keyword: str) -> None:
    row = BY_KEYWORD.get(keyword)

    assert row is None or row.action not in (Action.KEEP, Action.TIME, Action.DATE)


def test_nothing_private_no_overlay_and_no_curve_is_named() -> None:
    groups = {tag >> 16 for tag in POLICY}

    assert groups == {0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0054}
    assert all(tag & 0xFFFF for tag in POLICY)


@by_keyword
def test_items_hold_only_elements_with_rows_of_their_own(row: Row) -> None:
    assert (row.action is Action.ITEMS) == bool(row.within)
    assert set(row.within) <= BY_KEYWORD.keys()
    assert row.vr != "SQ" or row.action in (Action.ITEMS, Action.EMPTY)


def test_always_present_are_the_types_2_of_patient_and_study() -> None:
    assert set(ALWAYS_PRESENT) == {
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    }


def standard() -> dict[str, dict[str, object]]:
    if not TABLE_E1_1.exists():
        pytest.skip("table E.1-1 is not beside the checkout")
    rows: dict[str, dict[str, object]] = json.loads(TABLE_E1_1.read_text())["rows"]
    return rows


def allows(row: Row, basic: str, options: dict[str, str]) -> bool:
    """Tell whether table E.1-1, with the two options that are claimed, lets the engine do this."""
    match row.action:
        case Action.KEEP:
            return options.get("retain_patient_characteristics") == "K"
        case Action.DATE | Action.TIME:
            removed = row.keyword in ONLY_SHIFTED
            return options.get("retain_modified_dates") == "C" and (basic == "X") == removed
        case Action.UID | Action.ITEMS:
            return "U" in basic
        case _:  # emptied or replaced by a value of our own
            return "Z" in basic or "D" in basic


def test_nothing_stays_that_the_standard_removes() -> None:
    table = standard()

    against = [
        row.keyword
        for row in ROWS
        if (line := table.get(f"{row.tag:08X}"))
        and not allows(row, str(line["basic"]), line["options"])  # type: ignore[arg-type] # a dict
    ]

    assert against == []


def test_every_date_and_time_that_stays_is_known_to_the_standards_table() -> None:
    table = standard()
    times = [row for row in ROWS if row.vr in ("DA", "DT", "TM")]

    assert [row.keyword for row in times if f"{row.tag:08X}" not in table] == []
    assert {row.action for row in times} == {Action.DATE, Action.TIME, Action.EMPTY}


def test_descriptors_are_none_of_the_policy_and_the_standard_lets_them_be_cleaned() -> None:
    table = standard()

    assert not DESCRIPTORS.keys() & POLICY.keys()
    assert all(
        table[f"{tag:08X}"]["options"].get("clean_descriptors") == "C"  # type: ignore[attr-defined]
        for tag in DESCRIPTORS
    )


@pytest.mark.parametrize(
    ("description", "left"),
    [
        ("CT Pelvis planning 3 mm", "CT Pelvis planning 3 mm"),
        ("Prostata fuer Herrn Muster", ""),
        ("PELVIS^MUSTER", ""),
        ("Thorax_native_(with contrast)", "Thorax native with contrast"),
        ("CT Thorax Dr. Smith, 14.03.1964", "CT Thorax"),
        ("CT 14 03 64", "CT"),
        ("CT 1964 mm", "CT mm"),
        ("head\\Muster", ""),
        ("M\udcfcller brain", "brain"),
        ("\u0663 mm \u017fpine", "mm"),
        ("", ""),
    ],
)
def test_a_description_keeps_words_of_the_trade_only(description: str, left: str) -> None:
    assert cleaned(description) == left


@given(st.text(max_size=60))
def test_cleaning_makes_nothing_up_and_twice_is_once(description: str) -> None:
    once = cleaned(description)

    assert once.isascii()
    assert cleaned(once) == once
    assert set(once.split()) <= {
        word.strip(",;:()[]") for word in description.replace("_", " ").split()
    }


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
        ("Manufacturer", "Höchst".encode("latin-1")),
        ("Manufacturer", b"\x1b$B;3ED\x1b(B"),
        ("SOPClassUID", b"1.2.840.10008.5.1.4.1.1.2\0"),
        *((keyword, b"") for keyword in KEEPING),
    ],
)
def test_values_as_scanners_write_them_fit(keyword: str, raw: bytes) -> None:
    assert BY_KEYWORD[keyword].fits(raw)


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
        ("Manufacturer", b"A\0hidden"),
        ("Manufacturer", b"A\nB\r\n"),
        ("SOPClassUID", b"1.2.MUSTER"),
    ],
)
def test_values_that_are_not_what_their_vr_says_do_not_fit(keyword: str, raw: bytes) -> None:
    assert not BY_KEYWORD[keyword].fits(raw)


@by_keyword
def test_every_kept_row_has_a_shape(row: Row) -> None:
    if row.action in (Action.KEEP, Action.TIME):
        assert row.fits(b"")
        assert not row.fits(b"\x01\x02\x03" * 5)


@pytest.mark.parametrize("filler", [b" ", b"1", b"1\\", b"\0", b".", b"e1"])
@by_keyword
def test_a_long_value_is_looked_at_in_one_pass(row: Row, filler: bytes) -> None:
    if row.action in (Action.KEEP, Action.TIME) and row.vr not in ("LO", "SH"):
        assert not row.fits(filler * 30_000 + b"~")
