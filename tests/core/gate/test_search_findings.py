"""A slice as the engine sends it has no finding; each change of it has its own, and no other."""

import io
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

from drawcli.core.gate.identifiers import KnownIdentifiers
from drawcli.core.gate.search import Leak, Search
from drawcli.core.gate.similar_headers import SimilarHeaders
from drawcli.core.gate.slices import PackageForm
from tests.core.files import CT, ROOT, as_bytes, ct_slice, item

METHOD = ["drawcli 1.0", "DICOM PS3.15 2025b Annex E, keep-list, options as coded"]
SENT: dict[str, object] = {
    "PatientName": "DEID^ABCDEFGHIJKLMNOP",
    "PatientID": "DEID-ABCDEFGHIJKLMNOP",
    "StudyID": "ABCDEF",
    **dict.fromkeys(("PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"), ""),
    "PatientIdentityRemoved": "YES",
    "LongitudinalTemporalInformationModified": "MODIFIED",
    "DeidentificationMethod": METHOD,
    "DeidentificationMethodCodeSequence": [item(CodeValue="113100", CodingSchemeDesignator="DCM")],
    "ContributingEquipmentSequence": [item(Manufacturer="DRAW", SoftwareVersions="1.0")],
    **dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), "20250315"),
    "SpecificCharacterSet": "ISO_IR 192",
    "SOPInstanceUID": "2.25.1",
    "StudyInstanceUID": "2.25.2",
    "SeriesInstanceUID": "2.25.3",
    "FrameOfReferenceUID": "2.25.4",
}


def source(**values: object) -> Dataset:
    usual: dict[str, object] = {
        "PatientName": "Kulkarnee^Li",
        "PatientID": "MRN-7734021",
        "InstitutionName": "Klinik Rosenhof",
        "StationName": "CTAWP68001",
        "OperatorsName": "कुलकर्णी",
        "SpecificCharacterSet": "ISO_IR 192",
        "ConcatenationUID": "1.2.3",
        "PatientComments": "walks with Waldemar",
    }
    return dcmread(io.BytesIO(as_bytes(ct_slice(**usual | values))))


def sent(**values: object) -> Dataset:
    out = io.BytesIO()
    with disable_value_validation():  # a careless engine could write anything
        one = ct_slice(**SENT | values)
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.ImplementationClassUID = UID("2.25.5")
        one.file_meta.ImplementationVersionName = "DRAWCLI_1.0"
        one.save_as(out, enforce_file_format=True)
    return dcmread(io.BytesIO(out.getvalue()))


@cache
def known_from(**values: str) -> KnownIdentifiers:
    known = KnownIdentifiers()
    known.learn("/store/ward/1.dcm", source(**values))
    return known


def search_for(**values: str) -> Search:
    known = known_from(**values)
    return Search(known, known.words_to_find(), known.days_to_find("20250315"))


def found(*slices: Dataset, whole: bool = False) -> set[tuple[str, str]]:
    search = search_for()
    with disable_value_validation():
        for one in slices:
            search.search_slice(one)
    if whole:
        search.check_whole()
    return {(leak.check, leak.where) for leak in search.found}


def test_a_slice_as_it_is_sent_has_no_finding() -> None:
    assert found(sent(), whole=True) == set()


@pytest.mark.parametrize(
    ("values", "checks"),
    [
        ({"ImageComments": "by Kulkarnee"}, "personal"),
        ({"ImageComments": "for Li"}, "personal"),
        ({"ImageComments": "कुलकर्णी"}, "personal"),
        ({"ImageComments": "mrn 77.34 021"}, "personal"),
        ({"ImageComments": "CTAWP 68001"}, "source-text"),
        ({"ImageComments": "scan of Waldemar"}, "source-text"),
        ({"ImageComments": "at Rosenhof"}, "institution"),
        ({"ImageComments": "a@b.org"}, "mail"),
        ({"ImageComments": "ask 943 476 5919"}, "number"),
        ({"ImageComments": "seen 14.3.2026"}, "date"),
        ({"ImageComments": f"see {ROOT}.4"}, "uid"),
        ({"ImageComments": "see 1.2.3"}, ""),  # too short to mean the UID
        ({"ImageComments": "helical scan of a thorax"}, ""),
        ({"Manufacturer": "Kulkarnee"}, "personal"),
        ({"Manufacturer": "Kulkarneewerke"}, "personal"),
        ({"Manufacturer": "at Li"}, "personal"),
        ({"Manufacturer": "MRN 7734021"}, "number? personal"),
        ({"Manufacturer": "Waldemar"}, "source-text"),
        ({"Manufacturer": "Rosenhof"}, "institution"),
        ({"Manufacturer": "a@b.org"}, "mail"),
        ({"Manufacturer": "943 476 5919"}, "number"),
        ({"Manufacturer": "14.3.2026"}, "date"),
        ({"Manufacturer": f"{ROOT}.4"}, "uid"),
        ({"SeriesDescription": "Waldemar"}, ""),  # descriptions are sent cleaned
        ({"SeriesDescription": "of Li"}, "personal"),
        ({"SeriesDescription": "at Rosenhof"}, "institution"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LI"]}, "personal"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "KULKA", "RNEE"]}, "personal"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "WALDEMAR"]}, "source-text"),
        ({"BodyPartExamined": "KULKARNEE"}, "personal"),
        ({"FrameOfReferenceUID": f"{ROOT}.4"}, "uid"),
        ({"FrameOfReferenceUID": ""}, ""),
        ({"FrameOfReferenceUID": "2.25.x"}, "uid"),
        ({"FrameOfReferenceUID": "2.25.7734021"}, ""),  # by chance: it is a stand-in
        ({"SeriesNumber": "7734021"}, "personal"),
        ({"TablePosition": 7734021.0}, "personal"),
        ({"WindowCenter": ["773", "4021"]}, "personal"),
        ({"WindowCenter": ["773", "4022"]}, ""),
        ({"AcquisitionTime": "640229"}, "personal"),
        ({"StudyTime": "640229"}, "personal"),
        ({"AcquisitionDateTime": "20250315640229"}, "personal"),
        ({"AcquisitionDateTime": "20260314120000"}, "date"),
        ({"AcquisitionDateTime": "64022900"}, ""),
        ({"ContentDate": "20260314"}, "date"),
        ({"ContentDate": "Kulkarnee"}, "personal"),
        ({"SeriesDate": "19640229"}, "date"),
        ({"DeidentificationMethod": ["drawcli 1.0", "Kulkarnee"]}, "marker"),
        ({"PatientName": "DEID^KULKARNEE"}, "marker"),
        ({"StudyID": "kulkarnee"}, "marker"),
        ({"PatientIdentityRemoved": "NO"}, "marker"),
        ({"LongitudinalTemporalInformationModified": "UNMODIFIED"}, "marker"),
        ({"BurnedInAnnotation": "NO"}, ""),
        ({"BurnedInAnnotation": "YES"}, "marker"),
        ({"StudyInstanceUID": f"{ROOT}.2"}, "marker"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "marker"),  # MR, and the source is CT
        ({"PixelData": b"\0\0\0\0\0\0\0\1"}, ""),
    ],
    ids=str,
)
def test_each_value_has_its_finding(values: dict[str, object], checks: str) -> None:
    (keyword,) = values
    expected = {(one.rstrip("?"), keyword) for one in checks.split()}

    leaks = found(sent(**values))

    if "?" in checks:
        assert leaks & expected
    else:
        assert leaks == expected


@pytest.mark.parametrize(
    ("keyword", "meaning", "checks"),
    [
        ("AnatomicRegionSequence", "Waldemar", ["source-text"]),
        ("AnatomicRegionSequence", "Li", []),  # the words are those of the scheme
        ("AnatomicRegionSequence", "Kulkarnee", ["personal"]),
        ("RequestedProcedureCodeSequence", "Li", ["personal"]),
        ("DeidentificationMethodCodeSequence", "by somebody", ["marker"]),
        ("ContributingEquipmentSequence", "by somebody", ["marker"]),
    ],
)
def test_the_words_of_a_code_are_searched(keyword: str, meaning: str, checks: list[str]) -> None:
    where = f"{keyword}/CodeMeaning"

    leaks = found(sent(**{keyword: [item(CodeMeaning=meaning)]}))

    assert leaks == {(check, where) for check in checks}


@pytest.mark.parametrize(
    ("value", "numbered"), [("39607008", True), ("943476591", False), ("39607009", False)]
)
def test_a_long_number_is_none_of_a_person_if_it_is_a_code(value: str, *, numbered: bool) -> None:
    leaks = found(sent(AnatomicRegionSequence=[item(CodeValue=value)]))

    assert leaks == (set() if numbered else {("number", "AnatomicRegionSequence/CodeValue")})


def planted(tag: int, vr: str, value: Any, *, meta: bool = False) -> Dataset:
    one = sent()
    (one.file_meta if meta else one).add_new(tag, vr, value)
    return one


@pytest.mark.parametrize(
    ("one", "leak"),
    [
        (planted(0x00290010, "LO", "ACME"), ("private", "(0029,0010)")),
        (planted(0x00090010, "LO", "ACME"), ("private", "(0009,0010)")),
        (planted(0x00080000, "UL", 4), ("group", "(0008,0000)")),
        (planted(0x00080001, "UL", 4), ("", "")),
        (planted(0x60003000, "OW", bytes(4)), ("group", "OverlayData")),
        (planted(0x60FE3000, "OW", bytes(4)), ("group", "OverlayData")),
        (planted(0x50003000, "OW", bytes(4)), ("group", "CurveData")),
        (planted(0x00041130, "CS", "A"), ("group", "FileSetID")),
        (planted(0x7FE10010, "LO", "A"), ("private", "(7FE1,0010)")),
        (planted(0x7FE20010, "LO", "A"), ("behind-pixels", "VariablePixelData")),
        (
            planted(0x00020016, "AE", "AE1", meta=True),
            ("file-meta", "file meta/SourceApplicationEntityTitle"),
        ),
        (
            planted(0x00020100, "UI", "2.25.1", meta=True),
            ("file-meta", "file meta/PrivateInformationCreatorUID"),
        ),
        (
            planted(0x00020012, "UI", "1.2.3", meta=True),
            ("uid", "file meta/ImplementationClassUID"),
        ),
        (
            planted(0x00020013, "SH", "PYDICOM", meta=True),
            ("marker", "file meta/ImplementationVersionName"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_an_element_that_no_slice_may_have_is_found(one: Dataset, leak: tuple[str, str]) -> None:
    assert found(one) == ({leak} if leak[0] else set())


def test_a_missing_mark_is_found() -> None:
    for keyword in ("DeidentificationMethodCodeSequence", "ContributingEquipmentSequence"):
        one = sent()
        delattr(one, keyword)
        assert found(one) == {("marker", keyword)}
    one = sent()
    del one.PatientIdentityRemoved
    assert found(one) == {("marker", "PatientIdentityRemoved")}
    one = sent()
    del one.file_meta.ImplementationVersionName
    assert found(one) == {("marker", "file meta/ImplementationVersionName")}
    one = sent()
    del one.SOPClassUID
    assert found(one) == {("marker", "SOPClassUID")}


def test_an_icon_and_an_undecodable_value_are_found() -> None:
    icon = item(PixelData=bytes(2))
    icon["PixelData"].VR = "OW"
    assert found(sent(IconImageSequence=[icon])) == {("group", "IconImageSequence/PixelData")}
    raw = io.BytesIO()
    sent().save_as(raw)
    spoilt = raw.getvalue().replace(b"\x28\0\x10\0US\2\0\2\0", b"\x28\0\x10\0US\3\0\2\0 ")
    assert ("undecodable", "Rows") in found(dcmread(io.BytesIO(spoilt)))


def test_the_package_has_each_slice_of_its_sources_once() -> None:
    whole = found(sent(), whole=True)
    other = sent(PixelData=bytes(7) + b"\1", SOPInstanceUID="2.25.9")
    pixels = ("pixels", "(7FE0,0010)")

    assert whole == set()
    assert found(whole=True) == {pixels}
    assert found(other, whole=True) == {pixels}
    assert found(sent(), sent(), whole=True) >= {pixels}
    assert found(sent(), sent(SOPInstanceUID="2.25.9"), whole=True) == {
        *(pixels, ("uids", "SOPInstanceUID"))
    }
    without = sent()
    del without.KVP
    assert found(without, whole=True) == {("missing", "KVP")}


def test_slices_are_of_one_study_and_series() -> None:
    known = KnownIdentifiers()
    for number in (1, 2):
        known.learn(f"/store/ward/{number}.dcm", source())
    search = Search(known, set(), set())
    search.search_slice(sent())
    search.search_slice(sent(SOPInstanceUID="2.25.9", SeriesInstanceUID="2.25.10"))
    search.check_whole()

    assert search.found == {Leak("uids", "SeriesInstanceUID")}


def test_slices_whose_pixels_are_paired_count() -> None:
    search = search_for()
    search.known = replace(search.known, pixels=Counter())
    search.paired = 1
    search.search_elements(sent())
    search.check_whole()
    assert search.found == set()

    search.paired = 2
    search.check_whole()
    assert search.found == {Leak("uids", "SOPInstanceUID")}


def test_a_slice_that_differs_in_few_values_is_searched_like_the_others() -> None:
    like, search, similar_ones = SimilarHeaders(), search_for(PatientBirthDate="19121005"), 0
    wrong = {4: {"ContentTime": "121005"}, 5: {"SOPInstanceUID": f"{ROOT}.7"}}
    for number in range(1, 6):
        values = {"SOPInstanceUID": f"2.25.{number * 7}", "ContentTime": f"12000{number}"}
        one = sent(**(values | wrong.get(number, {})))
        raw = io.BytesIO()
        one.save_as(raw)
        similar = like.match(raw.getvalue())
        if similar is None:
            dataset = dcmread(io.BytesIO(raw.getvalue()))
            like.learn(raw.getvalue(), dataset)
            search.search_elements(dataset)
        else:
            similar_ones += 1
            search.search_similar(similar)

    assert similar_ones == 3
    assert search.found == {
        Leak("personal", "ContentTime"),
        Leak("marker", "SOPInstanceUID"),
        Leak("uid", "file meta/MediaStorageSOPInstanceUID"),
    }
    assert search.uids["SOPInstanceUID"] == {
        *(f"2.25.{number * 7}" for number in range(1, 5)),
        f"{ROOT}.7",
    }
    assert search.needed["Rows"] == 5


def test_the_version_in_the_file_meta_is_checked_also_where_it_is_a_number() -> None:
    like, search, raws = SimilarHeaders(), search_for(), list[bytes]()
    for number in range(3):
        one, out = sent(), io.BytesIO()
        one.file_meta.ImplementationVersionName = f"1234567{number}"
        one.save_as(out)
        raws.append(out.getvalue().replace(b"\2\0\x13\0SH", b"\2\0\x13\0IS"))
    for raw in raws[:2]:
        like.learn(raw, dcmread(io.BytesIO(raw)))
    similar = like.match(raws[2])
    assert similar is not None

    search.search_similar(similar)

    assert search.found == {Leak("marker", "file meta/ImplementationVersionName")}


def test_a_slice_of_a_frame_is_compared_with_it() -> None:
    frames = source(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        NumberOfFrames=2,
        PixelData=b"ABCDEFGHIJKLMNOP",
        PerFrameFunctionalGroupsSequence=[item(FrameContentSequence=[item()]) for _ in range(2)],
    )
    known = KnownIdentifiers(form=PackageForm(CT, ExplicitVRLittleEndian))
    known.learn("/store/ward/1.dcm", frames)
    pixels = ("pixels", "(7FE0,0010)")

    def leaks(**values: object) -> set[tuple[str, str]]:
        search = Search(known, known.words_to_find(), known.days_to_find("20250315"))
        for number, picture in enumerate((b"ABCDEFGH", b"IJKLMNOP"), start=1):
            usual = {"InstanceNumber": str(number), "SOPInstanceUID": f"2.25.{number}"}
            search.search_slice(sent(PixelData=picture, **(usual | values)))
        search.check_whole()
        return {(leak.check, leak.where) for leak in search.found}

    assert leaks() == set()
    assert leaks(NumberOfFrames="1") == {("marker", "NumberOfFrames")}
    assert leaks(InstanceNumber="1") == {pixels}
    assert leaks(RescaleSlope="2") == {pixels}


def test_bytes_beside_compressed_pixels_are_found() -> None:
    frame = b"\xff\xd8\xff\xfe\0\x0bKulkarnee\xff\xda\0\2x\xff\xd9"
    one = sent(PixelData=encapsulate([frame]))
    one.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    assert found(one) == {("beside-pixels", "(7FE0,0010)")}


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("by Kulkarnee", ["personal"]),
        ("MRN.7734021", ["personal"]),
        ("2.25.7734021", []),
        ("2.25.77 Kulkarnee", ["personal"]),
        ("Kulka2.25.77rnee", ["personal"]),
        ("a@b.org", ["mail"]),
        ("2026-03-14", ["date"]),
        (f"{ROOT}.4", ["uid"]),
        ("Bladder at Rosenhof for Li", []),
    ],
)
def test_a_text_of_the_site_is_searched_for_the_patient(text: str, checks: list[str]) -> None:
    search = search_for()

    search.search_site_text(text, "form")

    assert search.found == {Leak(check, "form") for check in checks}


def test_the_name_of_a_patient_may_be_a_common_word() -> None:
    search = search_for(PatientName="Brain^Axial")

    search.search_site_text("axial brain", "form")

    assert search.found == set()
    assert CT in search.known.sop_classes
