"""Cleaning of kept values: numbers of persons, free words, UIDs; and values that must stay."""

import re
import struct

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.datadict import tag_for_keyword

from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.kept_values import NEEDED, clean_time_of_day, clean_value
from drawcli.core.deid.persons import Persons
from drawcli.core.deid.profile import USUAL, Action, Choices, every_row, policy_for, table_of
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import read_header
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES, PT_IMAGE
from tests.core.files import ROOT, ct_slice, header_of, item, parsed

KEY = StandIns(b"site key of the tests, 32 bytes.")
PIXELS = bytes(8)
RETAINED = Choices(retain=(("AcquisitionProtocolDescription", "asked for by the study"),))
NOBODY = Persons()


def sent(choices: Choices = USUAL, /, **values: object) -> Dataset:
    """Return the de-identified slice with these elements."""
    with disable_value_validation():  # scanners write what they like
        header = header_of(ct_slice(**values))
    return parsed(deidentify_header(header, Replacements.of(header, KEY, choices)) + PIXELS)


def persons(**values: object) -> Persons:
    return Persons.of(header_of(ct_slice(**values)))


# --- UIDs -----------------------------------------------------------------------------------------

OWN_UNDER_DICOM_ROOT = "1.2.840.10008.2026.3.14.10.15.30.4711.815"
OF_INSTANCES = """
    FrameOfReferenceUID SeriesInstanceUID StudyInstanceUID SOPInstanceUID
    SynchronizationFrameOfReferenceUID
""".split()


@pytest.mark.parametrize("keyword", OF_INSTANCES)
@pytest.mark.parametrize(
    "uid",
    [
        OWN_UNDER_DICOM_ROOT,
        "1.2.840.10008.5.1.4.1.1.2",  # a class is no instance
        "1.2.840.10008.1.4.1.1",  # nor is an atlas the frame of this patient
        "1.2.840.10008.1.2.1",
    ],
)
def test_an_unregistered_uid_under_the_dicom_root_is_replaced(keyword: str, uid: str) -> None:
    header = header_of(ct_slice(**{keyword: uid}))
    known = Replacements.of(header, KEY)

    home = parsed(deidentify_header(header, known) + PIXELS)

    assert home[keyword].value == KEY.uid(uid)
    assert known.uids[KEY.uid(uid)] == uid  # or the structure set could not come back


def test_references_name_registered_classes_and_nothing_else() -> None:
    meta = "1.2.840.10008.5.1.1.9"  # of print management
    classes = [OWN_UNDER_DICOM_ROOT, "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", meta]
    references = [
        item(ReferencedSOPClassUID=one, ReferencedSOPInstanceUID=f"{ROOT}.9") for one in classes
    ]

    home = sent(SourceImageSequence=references)

    left = [str(one.ReferencedSOPClassUID) for one in home.SourceImageSequence]
    assert left == [KEY.uid(classes[0]), KEY.uid(classes[1]), classes[2], meta]


def test_the_registered_frame_of_synchronized_clocks_stays() -> None:
    utc = "1.2.840.10008.15.1.1"

    assert sent(SynchronizationFrameOfReferenceUID=utc).SynchronizationFrameOfReferenceUID == utc


def test_the_dates_of_a_patient_move_as_they_always_did() -> None:
    header = header_of(ct_slice(IssuerOfPatientID="KH-2"))

    home = parsed(deidentify_header(header, Replacements.of(header, StandIns(bytes(32)))) + PIXELS)

    assert home.StudyDate == "20160910"  # 496 weeks
    assert home.PatientID == "DEID-JDY22XZGC7BORXZE"


# --- numbers --------------------------------------------------------------------------------------

BORN = "19610405"
NUMBERS = [
    ("SeriesNumber", "4711815"),
    ("SeriesNumber", "4711"),
    ("SeriesNumber", "417"),
    ("AcquisitionNumber", "0417"),
    ("AcquisitionNumber", "4711815"),
    ("InstanceNumber", "4711"),
    ("InstanceNumber", "19610405"),
    ("SliceLocation", "5041961"),
    ("SliceLocation", "-5041961.00"),
    ("SliceLocation", "504.1961"),
    ("SliceLocation", "50461"),
    ("SliceLocation", "5.0461e4"),
    ("WindowCenter", "610405"),
    ("WindowCenter", ["40", "040561"]),
    ("WindowWidth", "471.1815"),
    ("WindowCenter", ["471", "1815"]),
    ("TableHeight", "4711"),
    ("KVP", "610405"),
    ("Exposure", "50461"),
    ("XRayTubeCurrent", "610405"),
    ("GantryDetectorTilt", "19610504"),
    ("LargestImagePixelValue", 4711),
    ("SmallestImagePixelValue", 50461),
    ("PatientWeight", "4711"),
    ("ReconstructionDiameter", "260314"),  # the day of the study, which is moved elsewhere
]


@pytest.mark.parametrize(("keyword", "value"), NUMBERS)
def test_a_number_of_the_patient_leaves_in_no_number(keyword: str, value: object) -> None:
    ids = [item(PatientID="417")]
    said = {"PatientID": "MRN 4711", "AccessionNumber": "47-11-815", "PatientBirthDate": BORN}

    home = sent(**said, OtherPatientIDsSequence=ids, **{keyword: value})

    assert home[keyword].value in (None, "")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SliceLocation", "999999"),
        ("SeriesNumber", "123456"),
        ("InstanceNumber", "-654321"),
        ("WindowCenter", "1234567"),
        ("KVP", "1e7"),
    ],
)
def test_numbers_too_large_for_a_measurement_are_emptied(keyword: str, value: str) -> None:
    assert sent(**{keyword: value})[keyword].value is None


STAY = {
    "PatientID": "200",
    "SeriesNumber": "12",
    "InstanceNumber": "200",
    "SliceLocation": "-200.5",
    "WindowCenter": ["40", "200"],
    "WindowWidth": "400",
    "KVP": "200",
    "ExposureTime": "58558",
    "LargestImagePixelValue": 200,
    "TableHeight": "200.0",
}


def test_a_short_record_number_removes_no_measured_number() -> None:
    home = sent(**STAY)

    for keyword, value in STAY.items():
        if keyword != "PatientID":
            left = home[keyword].value
            wanted = value if isinstance(value, list) else [value]
            many = left if isinstance(value, list) else [left]
            assert [str(one) for one in many] == [str(one) for one in wanted], keyword


@pytest.mark.parametrize("number", ["512", "1024", "2000", "16"])
def test_needed_numbers_stay_even_if_they_equal_a_record_number(number: str) -> None:
    home = sent(PatientID=number, RescaleIntercept=f"-{number}", SliceThickness=number)

    assert (home.Rows, home.RescaleIntercept, home.SliceThickness) == (2, -int(number), int(number))
    assert home.ImagePositionPatient == [-250, -250, 0.5]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("610405", ""),  # no time of day
        ("246000", ""),
        ("050161", ""),
        ("110405", "1104"),  # a time, and the birth date: the minute is enough
        ("11:04:05.25", "1104"),
        ("110404", "110404"),
        ("093000.110405", "093000"),
        ("093000.25", "093000.25"),
        ("0930", "0930"),
    ],
)
@pytest.mark.parametrize("keyword", ["AcquisitionTime", "StudyTime", "SeriesTime", "ContentTime"])
def test_a_birth_date_is_not_a_time_of_day(keyword: str, said: str, left: str) -> None:
    assert (sent(PatientBirthDate="20110405", **{keyword: said})[keyword].value or "") == left


@pytest.mark.parametrize(
    ("clock", "left"), [("110405", "1104"), ("610405", ""), ("093000.5", "093000.5"), ("", "")]
)
def test_the_time_of_a_date_time_is_not_another_number(clock: str, left: str) -> None:
    home = sent(PatientBirthDate="20110405", AcquisitionDateTime=f"20260314{clock}")

    assert home.AcquisitionDateTime == f"{home.StudyDate}{left}"


def test_binary_numbers_are_searched_like_decimal_strings() -> None:
    born = persons(PatientBirthDate=BORN, PatientID="4711815")

    def is_left(keyword: str, vr: str, raw: bytes) -> bool:
        return clean_value(keyword, vr, raw, born) == raw

    assert not is_left("TablePosition", "FD", struct.pack("<d", 4711815))
    assert not is_left("TablePosition", "FD", struct.pack("<2d", 1.5, 610405))
    assert not is_left("CTDIvol", "FD", struct.pack("<d", 504.1961))
    assert not is_left("CalciumScoringMassFactorPatient", "FL", struct.pack("<f", 610405))
    assert not is_left("EchoTrainLength", "IS", b"50461 ")
    assert not is_left("AcquisitionMatrix", "US", struct.pack("<4H", 0, 256, 256, 50461))
    assert is_left("TablePosition", "FD", struct.pack("<d", -471.25))
    assert is_left("LargestImagePixelValue", "xs", struct.pack("<H", 4095))


def test_every_number_that_is_kept_is_needed_or_emptied() -> None:
    """A number that the engine keeps and the gate finds would block the series."""
    rows = [row for one in IMAGE_CLASSES for row in every_row(table_of(one))]
    written = {
        row.keyword
        for row in rows
        if row.action is Action.KEEP and row.vr in ("DS", "IS") and row.keyword not in NEEDED
    }
    born = persons(PatientID="4711")

    assert len(written) > 30
    assert {one for one in written if clean_value(one, "DS", b"4711", born)} == set()


# --- words ----------------------------------------------------------------------------------------

LEFT_OF_KERNELS = [
    ("B30f Wu", "Wu^Li", "B30f"),
    ("B30f WU", "Wu^Li", "B30f"),
    ("B30f wu", "wu^li", "B30f"),
    ("Wu30f", "Wu^Li", ""),
    ("B30f Lee", "Lee^Ann", "B30f"),
    ("B30f Nobody", "Wu^Li", "B30f"),
    ("B30f W u L", "Wu^Li", "B30f"),
    ("Br40f 4711", "Wu^Li", "Br40f"),
    ("A1B2 C3", "Wu^Li", ""),
    ("B30f Mueller", "Müller^Jo", "B30f"),
    ("Mu40f", "Mu^Jo", ""),
    ("Li40", "Wu^Li=吴^丽=Wú^Lí", ""),
    ("STANDARD", "Standard^Ann", "STANDARD"),
    ("Chest Ann", "Chest^Ann", ""),
]


@pytest.mark.parametrize(("kernel", "name", "left"), LEFT_OF_KERNELS)
def test_only_the_name_of_a_kernel_is_sent(kernel: str, name: str, left: str) -> None:
    home = sent(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=name,
        PatientID="A1B2C3",
        AccessionNumber="4711",
        ConvolutionKernel=kernel,
    )

    assert (home.ConvolutionKernel or "") == left


@pytest.mark.parametrize(
    "kernel",
    [
        *"STANDARD SOFT LUNG BONE DETAIL EDGE CHST B C YA UB".split(),
        *"B30f I30f Br38f Qr40s Hr64 FC21 FL03 FC08-H".split(),
    ],
)
def test_real_kernels_are_sent_unchanged(kernel: str) -> None:
    assert sent(ConvolutionKernel=kernel).ConvolutionKernel == kernel


@pytest.mark.parametrize(
    ("maker", "model"),
    [
        ("SIEMENS", "SOMATOM Definition AS+"),
        ("Siemens Healthineers", "SOMATOM go.Open Pro"),
        ("GE MEDICAL SYSTEMS", "Optima CT580 RT"),
        ("GE MEDICAL SYSTEMS", "LightSpeed16"),
        ("Philips Medical Systems, Inc.", "Brilliance Big Bore"),
        ("Philips", "Ingenuity CT"),
        ("TOSHIBA_MEC", "Aquilion/LB"),
        ("Canon Medical Systems", "Aquilion ONE"),
        ("UIH", "uCT 780"),
        ("Hitachi Medical Corporation", "Supria"),
        ("CMS, Inc.", "XiO"),
        ("Varian Medical Systems", "TrueBeam"),
        ("Elekta", "Unity"),
    ],
)
def test_manufacturers_and_models_are_sent_unchanged(maker: str, model: str) -> None:
    home = sent(Manufacturer=maker, ManufacturerModelName=model)

    assert (home.Manufacturer, home.ManufacturerModelName) == (maker, model)


@pytest.mark.parametrize(
    ("model", "left"),
    [
        ("SOMATOM Apollo Mehta", "SOMATOM"),
        ("Scanner of Lee", "Scanner"),
        ("Sensation 64 (Wu)", "Sensation 64"),
        ("Sensation 4711815", ""),
        ("Wu", ""),
        ("Rosenhof 3", "3"),
    ],
)
def test_only_known_words_of_a_model_are_sent(model: str, left: str) -> None:
    home = sent(PatientName="Wu^Lee", ManufacturerModelName=model)

    assert (home.ManufacturerModelName or "") == left


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "MR WU"], "ORIGINAL\\PRIMARY\\AXIAL\\MR"),
        (["ORIGINAL", "PRIMARY", "LEE", "HELICAL"], "ORIGINAL\\PRIMARY\\\\HELICAL"),
        (["DERIVED", "SECONDARY", "MPR", "CSA MPR"], "DERIVED\\SECONDARY\\MPR\\CSA MPR"),
        (["ORIGINAL", "PRIMARY", "M", "ND", "DIS2D"], "ORIGINAL\\PRIMARY\\M\\ND\\DIS2D"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "LI", "ND"], "ORIGINAL\\PRIMARY\\AXIAL\\\\ND"),
    ],
)
def test_only_known_words_of_an_image_type_are_sent(said: list[str], left: str) -> None:
    home = sent(PatientName="Wu^Lee", ImageType=said)

    assert "\\".join(home.ImageType) == left


def test_a_defined_term_stays_even_if_it_is_a_name() -> None:
    said = {"RescaleType": "HU", "RotationDirection": "CW", "PatientPosition": "HFS"}

    home = sent(PatientName="Hu^Cw", OperatorsName="Hfs^Original", **said)

    assert {keyword: home[keyword].value for keyword in said} == said
    assert home.ImageType[0] == "ORIGINAL"


@pytest.mark.parametrize("keyword", ["RotationDirection", "RescaleType", "LossyImageCompression"])
def test_a_word_that_is_not_a_defined_term_is_not_sent(keyword: str) -> None:
    assert not sent(**{keyword: "MEHTA"})[keyword].value


INSTITUTIONS = [
    ("Pancreas Centre", "BodyPartExamined", "PANCREAS"),
    ("Siemens Chest Clinic", "Manufacturer", "SIEMENS"),
    ("Helical CT Centre", "ImageType", ["ORIGINAL", "PRIMARY", "HELICAL"]),
    ("Standard Hospital", "ConvolutionKernel", "STANDARD"),
    ("Philips Medical Systems", "Manufacturer", "Philips Medical Systems"),
]


@pytest.mark.parametrize(("institution", "keyword", "value"), INSTITUTIONS)
def test_a_common_word_stays_even_if_it_is_the_hospitals_name(
    institution: str, keyword: str, value: object
) -> None:
    for place in ("InstitutionName", "InstitutionalDepartmentName"):
        assert sent(**{place: institution, keyword: value})[keyword].value == value


# Of each the engine knows names or numbers; written by hand.
NAMING = {
    **dict.fromkeys(
        """
        PatientName OtherPatientNames PatientBirthName PatientMotherBirthName OperatorsName
        ReferringPhysicianName PerformingPhysicianName NameOfPhysiciansReadingStudy
        PhysiciansOfRecord RequestingPhysician ResponsiblePerson ConsultingPhysicianName
        HumanPerformerName ScheduledPerformingPhysicianName VerifyingObserverName
        """.split(),
        "Zo^Qa",
    ),
    **dict.fromkeys(
        """
        PatientID AccessionNumber StudyID OtherPatientIDs IssuerOfPatientID AdmissionID
        MedicalRecordLocator PatientAddress PatientTelephoneNumbers
        """.split(),
        "Zo 4711",
    ),
}


@pytest.mark.parametrize("keyword", NAMING)
def test_every_element_of_persons_and_cases_is_searched_in_kept_texts(keyword: str) -> None:
    said = {keyword: NAMING[keyword]}
    number = 4711 if "4711" in NAMING[keyword] else 0
    others = {"PatientID": "P", "AccessionNumber": "", "StudyID": ""}

    known = persons(**(others | said))

    assert known.names_someone(b"zo")
    assert known.names_someone(b"4711") == bool(number)
    assert not sent(**(others | said), ConvolutionKernel="Zo40f").ConvolutionKernel


@pytest.mark.parametrize("text", ["for Lee", "WU'S", "lindq\\vist", "Lindqvist's", "see 4711"])
def test_a_retained_text_that_names_the_patient_is_found(text: str) -> None:
    said = {"PatientName": "Wu^Lee^Lindqvíst", "PatientID": "4711"}

    home = sent(RETAINED, **said, AcquisitionProtocolDescription=text)

    assert "AcquisitionProtocolDescription" in home
    assert not home.AcquisitionProtocolDescription


def test_a_retained_text_is_sent_if_it_names_nobody() -> None:
    home = sent(RETAINED, AcquisitionProtocolDescription="4D gated, slow pitch")

    assert home.AcquisitionProtocolDescription == "4D gated, slow pitch"


def test_names_are_read_at_every_depth_and_in_every_spelling() -> None:
    known = persons(
        SpecificCharacterSet="ISO_IR 192",
        RequestAttributesSequence=[item(RequestingPhysician="Øster^Åsa=大^山")],
        OperatorsName="O'Brien^Jürgen",
    )

    for word in "oster oester asa aasa obrien brien jurgen juergen".split():
        assert known.names_someone(word.encode()), word


def test_a_name_outside_its_character_set_is_read_in_common_ones() -> None:
    raw = ct_slice(PatientName="Lind^Bj?rk")
    header = header_of(raw)
    data = header.data.replace(b"Bj?rk", b"Bj\xf6rk").replace(b"ISO_IR 100", b"ISO_IR 192")

    assert Persons.of(read_header(data, complete=True)).names_someone(b"bjork")


def test_every_kept_text_is_cleaned() -> None:
    """No kept text may hold any word: each has a format or a vocabulary."""
    texts = {
        row.keyword: row
        for one in IMAGE_CLASSES
        for row in every_row(policy_for(one))
        if row.action is Action.KEEP and row.vr in ("CS", "LO", "SH", "ST", "LT")
    }

    assert len(texts) > 100
    for keyword, row in texts.items():
        kept = clean_value(keyword, row.vr, b"QUOMODO", NOBODY)
        assert not kept, f"{keyword}: name its words in vocabulary._KINDS or value_shapes._SHAPES"
        assert tag_for_keyword(keyword) == row.tag


def test_the_elements_that_scale_pet_counts_are_kept() -> None:
    home = sent(
        SOPClassUID=PT_IMAGE,
        Modality="PT",
        Units="BQML",
        DecayFactor="1.01268",
        FrameReferenceTime="1048857.9232493",
        ActualFrameDuration="180000",
        DoseCalibrationFactor="33763100",
        ScatterCorrectionMethod="Convolution subtraction",
        RadiopharmaceuticalInformationSequence=[
            item(RadionuclideTotalDose="433344096", RadionuclideHalfLife="6586.2")
        ],
    )

    (drug,) = home.RadiopharmaceuticalInformationSequence
    assert (drug.RadionuclideTotalDose, drug.RadionuclideHalfLife) == (433344096, 6586.2)
    assert (home.FrameReferenceTime, home.ActualFrameDuration) == (1048857.9232493, 180000)
    assert home.ScatterCorrectionMethod == "Convolution subtraction"
    assert re.fullmatch("33763100", str(home.DoseCalibrationFactor))


@pytest.mark.parametrize(
    "named",
    """
    ContentQualification=PRODUCT ContentQualification=SERVICE EchoPulseSequence=SPIN
    TimeOfFlightInformationUsed=FALSE AcquisitionType=SEQUENCED KSpaceFiltering=TUKEY
    RespiratoryCyclePosition=UNDETERMINED VolumetricProperties=SAMPLED Spoiling=RF_AND_GRADIENT
    AcquisitionContrast=FLUID_ATTENUATED MagnetizationTransfer=OFF_RESONANCE MRAcquisitionType=1D
    """.split(),
)
def test_a_value_of_the_standard_stays(named: str) -> None:
    keyword, value = named.split("=")

    assert clean_value(keyword, "CS", value.encode(), Persons()) == value.encode()


def test_a_filter_named_after_a_person_stays_only_in_its_attribute() -> None:
    assert clean_value("KSpaceFiltering", "CS", b"FERMI", Persons()) == b"FERMI"
    assert clean_value("RotationDirection", "CS", b"FERMI", Persons()) == b""


# --- single values --------------------------------------------------------------------------------

PATIENT = Persons(
    words=frozenset({b"wu", b"mehta", b"flash4711"}),
    ids=frozenset({b"flash4711", b"10to12"}),
    numbers=frozenset({"4711", "417", "4711815", "471181", "90210700"}),
    clocks=frozenset({"110405", "123456", "081530", "11040525"}),
)


@pytest.mark.parametrize(
    ("keyword", "vr", "raw", "stays"),
    [
        # the largest measurement
        ("KVP", "DS", b"99999", True),
        ("KVP", "DS", b"100000", False),
        ("KVP", "DS", b"-99999.5", False),
        ("ExposureTime", "IS", b"999999", True),
        ("ExposureTime", "IS", b"1000000 ", False),
        # numbers of the patient, in one value or split over several
        ("SeriesNumber", "IS", b"417 ", False),
        ("InstanceNumber", "IS", b"417 ", True),
        ("InstanceNumber", "IS", b"4711", False),
        ("WindowCenter", "DS", b"40\\ 4711 \\80", False),
        ("WindowCenter", "DS", b"4711\\815", False),
        ("WindowCenter", "DS", b"47.1\\1815", False),
        ("WindowCenter", "DS", b"47.1\\18.15", False),
        ("WindowCenter", "DS", b"4\\71181 ", True),
        ("AcquisitionDuration", "DS", b"902107.00 ", True),  # not 90210700
        ("WindowCenter", "DS", b"47\\12 ", True),
        ("WindowCenter", "DS", b"\\\\", True),
        ("RescaleSlope", "DS", b"4711", True),  # needed
        ("PatientAge", "AS", b"047Y", True),
        ("FrameIncrementPointer", "AT", b"\x54\0\x80\0", True),
        ("SelectorAttribute", "AT", b"\x54\0\x80\0", True),
        ("SOPClassUID", "UI", b"1.2.4711", True),
        # binary numbers, also with a pad byte
        ("TablePosition", "FD", struct.pack("<d", 4711) + b"\0\0", False),
        ("TablePosition", "FD", struct.pack("<2d", 1, 2) + b"\0\0", True),
        ("ReferencedFrameNumbers", "UL", struct.pack("<2I", 1, 4711), False),
        ("TagAngleFirstAxis", "SL", struct.pack("<i", -4711), False),
        ("LargestPixelValue", "SS", struct.pack("<h", -4711), False),
        ("FrameAcquisitionNumber", "US", struct.pack("<H", 4711), False),
        ("FrameAcquisitionNumber", "US", struct.pack("<H", 4712), True),
        # texts
        ("StationName", "SH", b"for mehta ", False),
        ("StationName", "SH", b"CT 2", True),
        ("BodyPartExamined", "CS", b"PELVIS", True),
        ("ManufacturerModelName", "LO", b"Flash 4711", False),
        ("ImageType", "CS", b"FLASH\\M", True),
        ("RotationDirection", "CS", b"CW", True),
        ("MultienergyDetectorType", "CS", b"10_TO_12", True),  # a term of the standard, as a whole
        ("Manufacturer", "LO", b"caf\xe9", False),
        # times
        ("StudyTime", "TM", b"11:04:06", True),
        ("StudyTime", "TM", b"083000.110406 ", True),
    ],
)
def test_a_value_is_kept_whole_or_removed(
    keyword: str, vr: str, raw: bytes, *, stays: bool
) -> None:
    assert (clean_value(keyword, vr, raw, PATIENT) == raw) == stays


@pytest.mark.parametrize(
    ("clock", "left"),
    [
        ("110405", "1104"),
        ("11:04:05.5", "1104"),
        ("11:04:06", "11:04:06"),
        ("093000.110405", "093000"),
        ("09:30:00.123456", "09:30:00"),
        ("08.1530", "08"),  # not a time; the digits together are those of a date
        ("110405.25", "1104"),
        ("110406.25", "110406.25"),
        ("", ""),
    ],
)
def test_a_time_of_day_loses_what_equals_a_number_of_the_patient(clock: str, left: str) -> None:
    assert clean_time_of_day(clock, PATIENT) == left


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b" 110405\0", b""),
        (b"110405\0", b"1104"),
        (b"110405 ", b"1104"),
        (b"083000.110405 ", b"083000"),
        (b"0830", b"0830"),
    ],
)
def test_a_time_that_is_cut_has_no_padding(raw: bytes, left: bytes) -> None:
    assert clean_value("StudyTime", "TM", raw, PATIENT) == left
