"""The search of the gate in single data sets; whole packages are in test_gate.py."""

import re
from datetime import date, timedelta
from io import BytesIO

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGLosslessSV1

from drawcli.core.deid import value_shapes, vocabulary
from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS
from drawcli.core.deid.profile import Action, Choices, every_row, policy_for, table_of
from drawcli.core.dicom.sop_classes import CT_IMAGE, IMAGE_CLASSES
from drawcli.core.gate.identifiers import COMMON, KnownIdentifiers
from drawcli.core.gate.known_terms import KERNELS, MAKERS, TERMS, ordinary_words
from drawcli.core.gate.needed import needed_keywords
from drawcli.core.gate.search import Leak, Search
from tests.core.files import ROOT, as_bytes, ct_slice, item, parsed
from tests.deidentification.test_compressed_pixels import jpeg, segment

STUDY = date(2026, 3, 14)


def known(**values: object) -> KnownIdentifiers:
    """Return the identifiers of one source file."""
    made = KnownIdentifiers()
    made.learn("/store/ward/Muster_Maria/1.dcm", parsed(as_bytes(ct_slice(**values))))
    return made


def test_the_own_implementation_class_in_a_received_file_is_no_finding() -> None:
    made, other = KnownIdentifiers(), UID("2.25.77")
    own = UID(IMPLEMENTATION_CLASS)
    for uid in (own, other):
        source = parsed(as_bytes(ct_slice()))
        source.file_meta.ImplementationClassUID = uid
        made.learn("/store/1.dcm", source)

    assert other in made.uids
    assert own not in made.uids


@pytest.mark.parametrize(
    ("sent", "moved"),
    [
        (f"{STUDY - timedelta(weeks=52):%Y%m%d}", True),
        (f"{STUDY - timedelta(weeks=520):%Y%m%d}", True),
        ("20000101", True),
        (f"{STUDY:%Y%m%d}", False),
        (f"{STUDY - timedelta(weeks=51):%Y%m%d}", False),
        (f"{STUDY - timedelta(weeks=521):%Y%m%d}", False),
        (f"{STUDY - timedelta(days=365):%Y%m%d}", False),
        (f"{STUDY + timedelta(weeks=52):%Y%m%d}", False),
        ("", True),
        ("soon", False),
    ],
)
def test_a_date_is_shifted_by_the_policy_or_removed(sent: str, *, moved: bool) -> None:
    assert known().is_moved(sent) is moved


def test_a_shifted_date_without_one_in_the_source_is_a_finding() -> None:
    without = known(StudyDate="")

    assert without.is_moved("")
    assert not without.is_moved("20250315")


def test_only_dates_produced_by_the_shift_are_allowed() -> None:
    said = known(PatientBirthDate="20250314", SeriesDate="20260315")

    days = said.days_to_find("20250315")  # 52 weeks before the study

    close = {f"{STUDY + timedelta(days=n):%Y%m%d}" for n in range(-14, 15)}
    assert days == {"20250314", *close}


def test_a_date_close_to_the_study_may_result_from_the_shift() -> None:
    long_after = f"{STUDY + timedelta(weeks=52, days=3):%Y%m%d}"

    days = known(SeriesDate=long_after).days_to_find("20250315")  # 52 weeks before the study

    assert f"{STUDY + timedelta(days=3):%Y%m%d}" not in days


def test_words_of_scanners_and_body_parts_are_not_searched() -> None:
    said = known(StudyDescription="pelvis boost in ward Rosenhof", StationName="SIEMENS_4711")

    words = said.words_to_find()

    assert {"boost", "rosenhof", "muster", "maria", "ward"} <= words | {"muster", "maria"}
    assert not {"pelvis", "siemens", "4711", "acme"} & words


def test_a_word_of_the_scanner_is_not_searched() -> None:
    said = known(StudyDescription="axial acme study", StationName="ACME")

    assert not {"acme", "axial"} & said.words_to_find()


def test_no_text_that_the_policy_keeps_is_a_finding_for_its_own_words() -> None:
    """A kept element whose own words the gate finds would block every series."""
    texts = {"CS": "SOMEWORD", "LO": "Someword", "SH": "Someword"}
    rows = [row for one in IMAGE_CLASSES for row in every_row(table_of(one))]
    kept = {row.tag: row for row in rows if row.action is Action.KEEP and row.vr in texts}
    assert len(kept) > 20

    for row in kept.values():
        if row.keyword in ("BurnedInAnnotation", "SpecificCharacterSet"):
            continue  # the one has a form of its own, the other must be a real one
        said = known(**{row.keyword: texts[row.vr], "StationName": "ELSEWHERE"})
        search = Search(said, said.words_to_find(), set())
        search.search_slice(parsed(as_bytes(ct_slice(**{row.keyword: texts[row.vr]}))))
        is_found = Leak("source-text", row.keyword) in search.found
        assert not is_found, f"add {row.keyword} to _OPEN in core/gate/identifiers.py"


def test_descriptions_are_those_of_the_policy() -> None:
    words = frozenset({"StudyDescription", "SeriesDescription", "ProtocolName"})
    rows = policy_for(CT_IMAGE, Choices(descriptors=words)).values()
    descriptions = [row for row in rows if row.action is Action.CLEAN]
    assert {row.keyword for row in descriptions} == words

    for row in descriptions:
        said = known(**{row.keyword: "Rosenhof"})
        search = Search(said, said.words_to_find(), set())
        search.search_slice(parsed(as_bytes(ct_slice(**{row.keyword: "Rosenhof Muster"}))))
        assert Leak("source-text", row.keyword) not in search.found
        assert Leak("personal", row.keyword) in search.found


def test_the_hospital_is_found_even_in_elements_of_the_scanner() -> None:
    place = {"InstitutionName": "Rosenhof Klinik", "ImageType": ["ORIGINAL", "PRIMARY", "ROSENHOF"]}

    said = known(**place)
    search = Search(said, said.words_to_find(), set())
    search.search_slice(parsed(as_bytes(ct_slice(ImageType=place["ImageType"]))))

    assert Leak("institution", "ImageType") in search.found


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("ward-7_2.25.123456789012.zip", []),
        ("muster.zip", ["personal"]),
        ("PID0815", ["personal"]),
        ("x 29.2.1964", ["date"]),
        (f"{ROOT}.3", ["uid"]),
        ("a@b.org", ["mail"]),
        ("name: Bladder", []),
    ],
)
def test_a_text_of_the_site_is_searched(text: str, checks: list[str]) -> None:
    said = known()
    search = Search(said, said.words_to_find(), said.days_to_find("20250315"))

    search.search_site_text(text, "form")

    assert sorted(search.found) == [Leak(check, "form") for check in checks]


def test_an_id_within_the_digits_of_a_stand_in_is_no_finding() -> None:
    said = known(PatientID="456789")
    search = Search(said, set(), set())

    search.search_site_text("ward-7_2.25.123456789012.zip", "form")

    assert not search.found


# --- what leaves with a slice, as the gate alone sees it ------------------------------------------


def found_in(said: KnownIdentifiers, **sent: object) -> set[Leak]:
    """Return the findings in a slice, except those on the slice as a whole."""
    search = Search(said, said.words_to_find(), said.days_to_find("20250315"))
    with disable_value_validation():  # nobody keeps a careless engine from writing anything
        search.search_slice(parsed(as_bytes(ct_slice(**(CLEAN | sent)))))
    return {one for one in search.found if one.where.partition("/")[0] in sent}


CLEAN = {  # as the engine writes them
    **dict.fromkeys(("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"), "2.25.1"),
    "FrameOfReferenceUID": "2.25.4",
    "Manufacturer": "SIEMENS",
}


@pytest.mark.parametrize(
    ("keyword", "uid"),
    [
        ("FrameOfReferenceUID", "1.2.840.10008.2026.3.14.10.15.30.4711.815"),
        ("FrameOfReferenceUID", "1.2.840.10008.1.4.1.1"),
        ("SynchronizationFrameOfReferenceUID", "1.2.840.10008.1.4.1.1"),
        ("SynchronizationFrameOfReferenceUID", f"{ROOT}.4"),
        ("ConcatenationUID", "1.2.840.10008.1.2.1"),
        ("ConcatenationUID", "2.25.99"),  # one of the source's
    ],
)
def test_a_uid_that_is_no_stand_in_is_found(keyword: str, uid: str) -> None:
    said = known(ConcatenationUID="2.25.99")

    assert Leak("uid", keyword) in found_in(said, **{keyword: uid})


def test_a_uid_registered_for_its_element_is_no_finding() -> None:
    reference = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="2.25.7"
    )
    utc = {"SynchronizationFrameOfReferenceUID": "1.2.840.10008.15.1.1"}

    assert found_in(known(**utc), SourceImageSequence=[reference], **utc) == set()


def test_a_reference_to_an_unregistered_class_is_found() -> None:
    reference = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2.4711", ReferencedSOPInstanceUID="2.25.7"
    )

    found = found_in(known(), SourceImageSequence=[reference])

    assert found == {Leak("uid", "SourceImageSequence/ReferencedSOPClassUID")}


def test_a_uid_under_the_dicom_root_is_found_in_a_text() -> None:
    own = "1.2.840.10008.2026.3.14"

    found = found_in(known(FrameOfReferenceUID=own), ImageType=["ORIGINAL", "PRIMARY", own])

    assert Leak("uid", "ImageType") in found


SHORT = [
    ("ConvolutionKernel", "B30f Wu"),
    ("ConvolutionKernel", "B30f WU"),
    ("ConvolutionKernel", "Lee"),
    ("ConvolutionKernel", "Wu30f"),
    ("ConvolutionKernel", "B30f 4711"),
    ("ManufacturerModelName", "Sensation Lee"),
    ("ManufacturerModelName", "Wu-64"),
    ("Manufacturer", "SIEMENS Lee"),
    ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "LEE"]),
    ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "WU ND"]),
    ("RotationDirection", "LEE"),
    ("RescaleType", "WU"),
    ("ScatterCorrectionMethod", "by Wu"),
    ("ConvolutionKernel", "A1 B2-C3"),
    ("ConvolutionKernel", ["lindq", "vist"]),
    ("ConvolutionKernel", "Oehrn"),
    ("ImageComments", "Lee"),
]


@pytest.mark.parametrize(("keyword", "value"), SHORT)
def test_a_name_or_a_number_is_found_in_every_kept_text(keyword: str, value: object) -> None:
    said = known(
        PatientName="Wu^Lee^Lindqvíst",
        PatientID="4711",
        AccessionNumber="A1B2C3",
        OperatorsName="Öhrn^A",
    )

    assert Leak("personal", keyword) in found_in(said, **{keyword: value})


FIGURES = [
    ("SeriesNumber", "4711815"),
    ("SeriesNumber", "417"),
    ("AcquisitionTime", "610405"),
    ("StudyTime", "093000.610405"),
    ("AcquisitionDateTime", "20250315610405"),
    ("SliceLocation", "5041961"),
    ("SliceLocation", "504.1961"),
    ("WindowCenter", "4711"),
    ("WindowCenter", ["471", "1815"]),
    ("InstanceNumber", "4711815"),
    ("AcquisitionNumber", "4711815"),
    ("LargestImagePixelValue", 4711),
    ("TablePosition", 4711815.0),
    ("TablePosition", 610405.0),
    ("RescaleSlope", "4711815"),
    ("ImagePositionPatient", ["4711815", "0", "0"]),
]


@pytest.mark.parametrize(("keyword", "value"), FIGURES)
def test_a_number_of_the_patient_is_found_among_numbers(keyword: str, value: object) -> None:
    ids = [item(PatientID="417")]
    said = known(
        PatientID="MRN 4711",
        AccessionNumber="47-11-815",
        PatientBirthDate="19610405",
        OtherPatientIDsSequence=ids,
    )

    assert Leak("personal", keyword) in found_in(said, **{keyword: value})


@pytest.mark.parametrize("number", ["1", "12", "200", "512", "1024", "2000"])
def test_a_short_record_number_is_no_finding_among_the_numbers_of_a_scan(number: str) -> None:
    scan = {
        "InstanceNumber": number[:3],
        "SliceLocation": f"-{number[:3]}.0",
        "Rows": int(number),
        "WindowCenter": ["40", number[:2]],
        "PixelSpacing": [number, number],
        "ImagePositionPatient": [f"-{number}", f"-{number}", "0"],
        "RescaleIntercept": f"-{number}",
        "SliceThickness": number,
    }
    search = Search(said := known(PatientID=number), said.words_to_find(), set())

    for keyword, value in scan.items():
        search.search_slice(parsed(as_bytes(ct_slice(**(CLEAN | {keyword: value})))))

    assert {one for one in search.found if one.check == "personal"} == set()


HEADER_WORDS = [
    ("Pancreas Centre", "BodyPartExamined", "PANCREAS"),
    ("Siemens Chest Clinic", "Manufacturer", "SIEMENS"),
    ("Siemens Chest Clinic", "BodyPartExamined", "CHEST"),
    ("Helical CT Centre", "ImageType", ["ORIGINAL", "PRIMARY", "HELICAL"]),
    ("Research", "ContentQualification", "RESEARCH"),
    ("Head and Neck Institute", "BodyPartExamined", "HEADNECK"),
    ("Standard Hospital", "ConvolutionKernel", "STANDARD"),
    ("GE Medical Systems", "Manufacturer", "GE MEDICAL SYSTEMS"),
    ("Original Primary Care", "ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]),
    ("Norm Static Emission Clinic", "CorrectedImage", ["NORM", "DECY"]),
]


@pytest.mark.parametrize(("place", "keyword", "value"), HEADER_WORDS)
@pytest.mark.parametrize("of", ["InstitutionName", "InstitutionalDepartmentName", "StationName"])
def test_a_common_word_is_no_finding_even_if_it_is_the_hospitals_name(
    of: str, place: str, keyword: str, value: object
) -> None:
    said = known(**{of: place[:16] if of == "StationName" else place, keyword: value})

    assert found_in(said, **{keyword: value}) == set()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ConvolutionKernel", "Rosenhof"),
        ("ManufacturerModelName", "Rosenhof 64"),
        ("ConvolutionKernel", "B30 Hospital"),
        ("ImageComments", "Hospital"),
    ],
)
def test_other_words_of_the_hospital_are_found(keyword: str, value: str) -> None:
    said = known(InstitutionName="Standard Hospital Rosenhof", **{keyword: value})

    assert Leak("institution", keyword) in found_in(said, **{keyword: value})


@pytest.mark.parametrize("name", ["Hu^Cw", "Head^Axial", "Original^Primary", "Sk^Sp", "No^Yes"])
def test_a_defined_term_is_no_finding_even_if_it_is_the_patients_name(name: str) -> None:
    terms = {
        "RescaleType": "HU",
        "RotationDirection": "CW",
        "BodyPartExamined": "HEAD",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SequenceVariant": ["SK", "SP"],
        "LossyImageCompression": "00",
        "RecognizableVisualFeatures": "YES",
    }

    assert found_in(known(PatientName=name), **terms) == set()


@pytest.mark.parametrize(
    ("keyword", "vr", "plain", "also"),
    [
        ("ConvolutionKernel", "SH", "bone", KERNELS),
        ("ConvolutionKernel", "SH", "lindqvist", frozenset()),
        ("BodyPartExamined", "CS", "bone", TERMS),
        ("RescaleType", "LO", "hu", TERMS),
        ("Manufacturer", "LO", "siemens", MAKERS),
        ("ManufacturerModelName", "LO", "bone", MAKERS),
        ("ImageComments", "LT", "bone", frozenset()),
    ],
)
def test_the_ordinary_words_are_those_of_the_element(
    keyword: str, vr: str, plain: str, also: frozenset[str]
) -> None:
    kernel = also is KERNELS

    assert ordinary_words(keyword, vr, plain) == (also if kernel else COMMON | also)


def test_the_gate_allows_every_word_that_the_engine_keeps() -> None:
    """A word that only the engine allows would block all series with it."""
    for word in vocabulary.every_word():
        parts = set(re.findall("[a-z]+|[0-9]+", word))
        known_words = TERMS | MAKERS | COMMON
        assert word in known_words or all(
            len(part) < 3 or part in known_words or part.isdigit() for part in parts
        ), word
    for part in value_shapes.body_parts():
        assert {*re.findall("[a-z0-9]+", part.lower())} <= TERMS | COMMON
    for kernel in vocabulary.KERNELS:
        assert len(kernel) == 1 or kernel.lower() in KERNELS


# --- what the sources say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientComments", "Grosseltern"),  # LT
        ("AdditionalPatientHistory", "Grosseltern"),  # LT
        ("ImageComments", "Grosseltern"),  # LT
        ("InstanceCreatorUID", None),
        ("DerivationDescription", "Grosseltern"),  # ST
        ("TextValue", "Grosseltern"),  # UT
        ("StationName", "Grosseltern"),  # SH
        ("RequestedProcedureDescription", "Grosseltern"),  # LO
        ("RetrieveAETitle", "GROSSELTERN"),  # AE
        ("RequestedProcedurePriority", "GROSSELTERN"),  # CS
        ("LongCodeValue", "Grosseltern"),  # UC
        ("RetrieveURL", "grosseltern"),  # UR
    ],
)
def test_words_of_other_texts_of_the_source_are_searched(keyword: str, value: str | None) -> None:
    if value is None:
        said, text = known(**{keyword: f"{ROOT}.77.8"}), f"{ROOT}.77.8"
    else:
        said, text = known(**{keyword: value}), "of grosseltern"

    found = found_in(said, ReasonForVisit=text)

    assert found == {Leak("uid" if value is None else "source-text", "ReasonForVisit")}


def test_undecodable_values_of_the_source_are_searched() -> None:
    raw = as_bytes(ct_slice())
    at = raw.index(b"\x28\0\x04\0")  # PhotometricInterpretation
    number = b"\x28\0\x03\0US\x0b\0Grosseltern"  # SamplesPerPixelUsed, which is two bytes
    made = KnownIdentifiers()
    made.learn("/store/1.dcm", parsed(raw[:at] + number + raw[at:]))

    assert found_in(made, ReasonForVisit="grosseltern") == {Leak("source-text", "ReasonForVisit")}


def test_values_of_the_file_meta_of_the_source_are_searched() -> None:
    source = parsed(as_bytes(ct_slice()))
    source.file_meta.SourceApplicationEntityTitle = "ROSENHOFCT"
    source.file_meta.ImplementationVersionName = "GROSSELTERN_1"
    made = KnownIdentifiers()
    made.learn("/store/1.dcm", source)

    for said in ("rosenhofct", "grosseltern_1 here"):
        assert found_in(made, ReasonForVisit=said)


# PS3.3 Types 1 and 2 of an image, and of a PET one; written by hand.
NEEDED_OF_ALL = """
    BitsAllocated BitsStored Columns FrameOfReferenceUID HighBit ImageOrientationPatient
    ImagePositionPatient ImageType InstanceNumber Modality PatientPosition PatientSex
    PhotometricInterpretation PixelRepresentation PixelSpacing RescaleIntercept RescaleSlope Rows
    SamplesPerPixel SeriesDate SeriesNumber SliceThickness
""".split()
NEEDED_OF = {
    "CT": ["KVP"],
    "MR": ["EchoTime", "RepetitionTime"],
    "PT": """
        CorrectedImage DecayCorrection DecayFactor FrameReferenceTime Units
        RadiopharmaceuticalInformationSequence
    """.split(),
}
MADE_OF = {
    "PatientPosition": "HFS",
    "EchoTime": "12",
    "RepetitionTime": "300",
    "CorrectedImage": ["NORM", "DECY"],
    "DecayCorrection": "START",
    "DecayFactor": "1.01",
    "FrameReferenceTime": "0",
    "Units": "BQML",
    "RadiopharmaceuticalInformationSequence": [],
}


@pytest.mark.parametrize(
    ("modality", "keyword"),
    [(modality, one) for modality, few in NEEDED_OF.items() for one in (*NEEDED_OF_ALL, *few)],
)
def test_a_missing_needed_element_is_a_finding(modality: str, keyword: str) -> None:
    whole = ct_slice(**(MADE_OF | {"Modality": modality}))
    without = ct_slice(**(MADE_OF | {"Modality": modality}))
    if keyword != "Modality":
        delattr(without, keyword)

    missing = set(needed_keywords(whole)) - set(needed_keywords(without))

    assert keyword in needed_keywords(whole)
    assert missing == ({keyword} - {"Modality"})


def test_a_slice_without_a_needed_element_is_reported() -> None:
    source = ct_slice(**(MADE_OF | {"Modality": "PT"}))
    said = KnownIdentifiers()
    said.learn("/store/1.dcm", parsed(as_bytes(source)))
    search = Search(said, set(), set())
    left = ct_slice(**(MADE_OF | CLEAN | {"Modality": "PT"}))
    del left.Units
    search.search_slice(parsed(as_bytes(left)))

    search.check_whole()

    assert Leak("missing", "Units") in search.found
    assert Leak("missing", "DecayFactor") not in search.found


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_slices_of_two_studies_or_series_in_a_package_are_reported(keyword: str) -> None:
    said = KnownIdentifiers()
    uids = {"SOPInstanceUID": ["2.25.1", "2.25.2"]}
    others = {"StudyInstanceUID": ["2.25.3", "2.25.3"], "SeriesInstanceUID": ["2.25.4", "2.25.4"]}
    good = uids | others
    wrong = good | {
        keyword: ["2.25.1", "2.25.1"] if keyword == "SOPInstanceUID" else ["2.25.8", "2.25.9"]
    }
    for number in range(2):
        raw = as_bytes(ct_slice(PixelData=bytes([number] * 8)))
        said.learn(f"/store/{number}.dcm", parsed(raw))

    told = {}
    for name, values in (("good", good), ("wrong", wrong)):
        search = Search(said, set(), set())
        for number in range(2):
            one = {key: both[number] for key, both in values.items()}
            search.search_slice(parsed(as_bytes(ct_slice(PixelData=bytes([number] * 8), **one))))
        search.check_whole()
        told[name] = {found for found in search.found if found.check == "uids"}

    assert told == {"good": set(), "wrong": {Leak("uids", keyword)}}


@pytest.mark.parametrize("said", [b"", b"Grosseltern Wu"], ids=["nothing", "a comment"])
@pytest.mark.parametrize("kind", ["comment", "application", "behind"])
def test_data_outside_compressed_pixels_is_reported(kind: str, said: bytes) -> None:
    marker = {"comment": 0xFFFE, "application": 0xFFE1}.get(kind)
    extra = segment(marker, said) if marker and said else b""
    frame = jpeg(extra) + (said if kind == "behind" else b"")
    one = ct_slice(**CLEAN, PixelData=encapsulate([frame]))
    one["PixelData"].VR = "OB"
    one["PixelData"].is_undefined_length = True
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    out = BytesIO()
    one.save_as(out, enforce_file_format=True)
    search = Search(known(), set(), set())

    search.search_slice(parsed(out.getvalue()))

    assert (Leak("beside-pixels", "(7FE0,0010)") in search.found) is bool(said)
