import io
import struct
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.uid import generate_uid

from drawcli.adapters.gate import Leak, findings
from drawcli.errors import SeriesRefused, SourceUnsettled
from drawcli.sandbox.patients import Person, identifying_values
from tests.adapters.packages import (
    TEMPLATE,
    as_bytes,
    as_dataset,
    contents,
    packaged,
    repacked,
    with_element,
)
from tests.conftest import HEAD_NECK, PELVIS, THORAX
from tests.core.real_data import REAL, needs_real, unpacked
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct

Plant = Callable[[Dataset], object]


@pytest.fixture
def slices(tmp_path: Path) -> list[Path]:
    """Write a planning CT of the pelvis: two small slices full of identifiers."""
    return write_planning_ct(tmp_path / "source", PELVIS, slices=2, size=16, seed=1)


@pytest.fixture
def package(tmp_path: Path, slices: list[Path]) -> Path:
    return packaged(slices, tmp_path / "package.zip")


def seen(package: Path, sources: list[Path], form: str = "") -> list[tuple[str, str]]:
    """Return what the gate finds, as plain pairs."""
    return [(one.check, one.where) for one in findings(package, map(str, sources), form=form)]


def first_slice(members: dict[str, bytes]) -> str:
    return next(name for name in members if name.endswith(".dcm"))


Found = Callable[[dict[str, bytes]], list[tuple[str, str]]]
FoundIn = Callable[[Plant], list[tuple[str, str]]]


@pytest.fixture
def found(tmp_path: Path, slices: list[Path]) -> Found:
    """Return a function that tells what the gate finds in a package of these members."""
    return lambda members: seen(repacked(members, tmp_path / "planted.zip"), slices)


@pytest.fixture
def found_in(package: Path, found: Found) -> FoundIn:
    """Return a function that changes the first slice of the package and tells what is found."""
    return lambda plant: found(changed(contents(package), plant))


def changed(members: dict[str, bytes], plant: Plant) -> dict[str, bytes]:
    """Change the first slice of a package."""
    name = first_slice(members)
    dataset = as_dataset(members[name])
    plant(dataset)
    return members | {name: as_bytes(dataset)}


@pytest.mark.parametrize("person", [PELVIS, HEAD_NECK, THORAX], ids=lambda one: one.site)
@pytest.mark.parametrize("kind", [write_planning_ct, write_mr, write_pt], ids=["CT", "MR", "PT"])
@pytest.mark.parametrize("fixed_dates", [False, True], ids=["shifted", "fixed"])
def test_a_clean_package_of_a_phantom_passes(
    tmp_path: Path, person: Person, kind: Callable[..., list[Path]], *, fixed_dates: bool
) -> None:
    slices = kind(tmp_path / "source", person, slices=2, size=16, seed=1)

    package = packaged(slices, tmp_path / "package.zip", fixed_dates=fixed_dates)

    assert seen(package, slices, form="ward-7_2.25.4711.zip") == []


@pytest.mark.parametrize("person", [PELVIS, HEAD_NECK, THORAX], ids=lambda one: one.site)
def test_descriptions_that_a_site_lets_out_pass_cleaned(tmp_path: Path, person: Person) -> None:
    slices = write_planning_ct(tmp_path / "source", person, slices=2, size=16, seed=1)
    kept = ("SeriesDescription", "StudyDescription", "ProtocolName")

    package = packaged(slices, tmp_path / "package.zip", descriptors=kept)

    assert as_dataset(contents(package)[first_slice(contents(package))]).StudyDescription
    assert seen(package, slices) == []


REAL_SERIES = [
    "rt/oncentra_rtkit/*",
    "rt/monaco_proknow_nopreamble/CT/*",
    "rt/cerr_pyCERR_pat_2/*",
    "rt/eclipse_ariartm_anondicom/*",
    "rt/mim_ibsi_sts002/CT/image/*",
    "rt/mim_ibsi_sts002/MR_T1/image/*",
    "rt/mim_ibsi_sts002/PET/image/*",
    "odd/dicom2nifti/generic/compressed_rle/*/*",
    "odd/dicom2nifti/hitachi/anatomical/001_implicit/*",
    "odd/dicom2nifti/failing/gantrytilting/001/*",
    "odd/dcm_qa_decubitus/*/*/*",
    "phi/flywheel_penn_prisma/dicom/6_anat_acq_vnavsetter_T1w/*",
]


def images(pattern: str) -> list[Path]:
    """Return the image files of one real series."""
    found = []
    for path in sorted(REAL.glob(pattern)):
        if path.is_file():
            header = dcmread(path, force=True, stop_before_pixels=True, specific_tags=["Modality"])
            found += [path] if header.get("Modality") in ("CT", "MR", "PT") else []
    return found


@pytest.mark.sweep
@needs_real
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("pattern", REAL_SERIES)
def test_a_clean_package_of_a_real_series_passes(tmp_path: Path, pattern: str) -> None:
    slices = images(pattern)

    package = packaged(slices, tmp_path / "package.zip")

    assert len(slices) > 0
    assert seen(package, slices) == []


@needs_real
def test_a_clean_package_of_a_large_real_series_passes(tmp_path: Path) -> None:
    files = unpacked("rt/mr_t2_mim_sts001_raw.tar.xz", tmp_path / "source")
    slices = [path for path in files if path.parent.name == "image"]

    package = packaged(slices, tmp_path / "package.zip")

    assert len(slices) == 40
    assert seen(package, slices) == []


def nested(keyword: str, **values: object) -> Plant:
    def plant(dataset: Dataset) -> None:
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(dataset, keyword, Sequence([item]))

    return plant


def deeper(dataset: Dataset) -> None:
    inner, outer = Dataset(), Dataset()
    inner.PersonName = PELVIS.name
    outer.PersonIdentificationCodeSequence = Sequence([inner])
    dataset.PerformingPhysicianIdentificationSequence = Sequence([outer])


def _soon_after(day: str) -> str:
    return f"{datetime.strptime(day, '%Y%m%d').astimezone() + timedelta(days=5):%Y-%m-%d}"


def element(keyword: str, value: object) -> Plant:
    return lambda dataset: setattr(dataset, keyword, value)


def meta(keyword: str, value: object) -> Plant:
    return lambda dataset: setattr(dataset.file_meta, keyword, value)


def private(dataset: Dataset) -> None:
    dataset.private_block(0x0029, "ACME", create=True).add_new(1, "LO", "nothing")


def private_sequence(dataset: Dataset) -> None:
    dataset.private_block(0x0029, "ACME", create=True).add_new(1, "SQ", Sequence([]))


def private_within(dataset: Dataset) -> None:
    item = Dataset()
    item.add_new(0x00290010, "LO", "ACME")
    dataset.ReferencedImageSequence = Sequence([item])


def icon(dataset: Dataset) -> None:
    item = Dataset()
    item.PixelData = bytes(8)
    item["PixelData"].VR = "OW"
    dataset.IconImageSequence = Sequence([item])


PERFORMING = "PerformingPhysicianIdentificationSequence"
FOREIGN_NAME = "कुलकर्णी"
PLANTED: dict[str, tuple[Plant, set[tuple[str, str]]]] = {
    "the name": (element("PatientName", PELVIS.name), {("marker", "PatientName")}),
    "the id": (element("PatientID", PELVIS.patient_id), {("marker", "PatientID")}),
    "the name in a text": (
        element("PatientComments", "this is ASHOK's scan"),
        {("personal", "PatientComments")},
    ),
    "a name within a word": (
        element("ImageComments", "xxKulkarneexx"),
        {("personal", "ImageComments")},
    ),
    "a name without its accents": (
        element("ImageComments", "JOGLEKÁR"),
        {("personal", "ImageComments")},
    ),
    "a name in its own script": (
        element("ImageComments", FOREIGN_NAME),
        {("personal", "ImageComments")},
    ),
    "a name in a description": (
        element("SeriesDescription", "Pelvis Kulkarnee"),
        {("personal", "SeriesDescription")},
    ),
    "a name in a code string": (
        element("BodyPartExamined", "KULKARNEE"),
        {("personal", "BodyPartExamined")},
    ),
    "a name where the maker stands": (
        element("Manufacturer", "SIEMENS for Kulkarnee"),
        {("personal", "Manufacturer")},
    ),
    "the id otherwise separated": (
        element("ImageComments", "mrn in:77 34.021"),
        {("personal", "ImageComments")},
    ),
    "the id as a number": (element("SeriesNumber", "7734021"), {("personal", "SeriesNumber")}),
    "the id as a decimal": (element("TableHeight", "7734021"), {("personal", "TableHeight")}),
    "the phone number": (element("ImageComments", "99999 00417"), {("personal", "ImageComments")}),
    "the hospital": (
        element("InstitutionName", PELVIS.institution),
        {("institution", "InstitutionName")},
    ),
    "the station": (element("StationName", PELVIS.station), {("source-text", "StationName")}),
    "a mail address": (element("ImageComments", "a.b@c.org"), {("mail", "ImageComments")}),
    "a number of somebody": (
        element("ImageComments", "ask 943 476 5919"),
        {("number", "ImageComments")},
    ),
    "a day close to the study": (
        element("ImageComments", f"seen on {_soon_after(PELVIS.study_date)}"),
        {("date", "ImageComments")},
    ),
    "the birth date": (
        element("PatientBirthDate", PELVIS.birth_date),
        {("marker", "PatientBirthDate")},
    ),
    "the study date": (element("StudyDate", PELVIS.study_date), {("date", "StudyDate")}),
    "a date and time": (
        element("AcquisitionDateTime", f"{PELVIS.study_date}091241"),
        {("date", "AcquisitionDateTime")},
    ),
    "the birth date in words": (
        element("ImageComments", "born 19 Aug 1954"),
        {("date", "ImageComments")},
    ),
    "the birth date with dots": (
        element("ImageComments", "19.8.1954"),
        {("date", "ImageComments")},
    ),
    "a name in a date": (element("ContentDate", "Kulkarnee"), {("personal", "ContentDate")}),
    "a name in a time": (element("ContentTime", "Kulkarnee"), {("personal", "ContentTime")}),
    "a uid that is no stand-in": (
        element("FrameOfReferenceUID", "1.2.276.0.7230010.3.1.4.8"),
        {("uid", "FrameOfReferenceUID")},
    ),
    "a name in a sequence": (
        nested("RequestAttributesSequence", ScheduledProcedureStepDescription="Ashok K"),
        {("personal", "RequestAttributesSequence/ScheduledProcedureStepDescription")},
    ),
    "a name in a sequence in a sequence": (
        deeper,
        {
            (
                "personal",
                f"{PERFORMING}/PersonIdentificationCodeSequence/PersonName",
            )
        },
    ),
    "a private element": (private, {("private", "(0029,0010)"), ("private", "(0029,1001)")}),
    "a private sequence": (
        private_sequence,
        {("private", "(0029,0010)"), ("private", "(0029,1001)")},
    ),
    "a private element in an item": (
        private_within,
        {("private", "ReferencedImageSequence/(0029,0010)")},
    ),
    "an overlay": (
        lambda dataset: dataset.add_new(0x60003000, "OW", bytes(4)),
        {("group", "OverlayData")},
    ),
    "a curve": (
        lambda dataset: dataset.add_new(0x50003000, "OW", bytes(4)),
        {("group", "CurveData")},
    ),
    "an icon": (icon, {("group", "IconImageSequence/PixelData")}),
    "a digital signature": (
        lambda dataset: dataset.add_new(0xFFFAFFFA, "SQ", Sequence([])),
        {("group", "DigitalSignaturesSequence"), ("behind-pixels", "(7FE0,0010)")},
    ),
    "padding behind the pixels": (
        lambda dataset: dataset.add_new(0xFFFCFFFC, "OB", b"\0\0"),
        {("group", "DataSetTrailingPadding"), ("behind-pixels", "(7FE0,0010)")},
    ),
    "burned in": (element("BurnedInAnnotation", "YES"), {("marker", "BurnedInAnnotation")}),
    "another method": (
        element("DeidentificationMethod", "by hand"),
        {("marker", "DeidentificationMethod")},
    ),
    "a code that is not claimed": (
        nested("DeidentificationMethodCodeSequence", CodeValue="113101"),
        {("marker", "DeidentificationMethodCodeSequence/CodeValue")},
    ),
    "a name in a code": (
        nested("DeidentificationMethodCodeSequence", CodeMeaning="by Tambe"),
        {("marker", "DeidentificationMethodCodeSequence/CodeMeaning")},
    ),
    "another class": (
        element("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
        {("marker", "SOPClassUID")},
    ),
    "a sender in the file meta": (
        meta("SourceApplicationEntityTitle", "ACME"),
        {("file-meta", "file meta/SourceApplicationEntityTitle")},
    ),
    "a name in the file meta": (
        meta("ImplementationVersionName", "KULKARNEE"),
        {("marker", "file meta/ImplementationVersionName")},
    ),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # some of it is just that
@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_in_a_good_package_is_found_by_its_name_and_place(
    found_in: FoundIn, what: str
) -> None:
    plant, wanted = PLANTED[what]

    told = set(found_in(plant))

    assert told >= wanted
    assert {where for _, where in told} == {where for _, where in wanted}


def test_a_slice_that_pydicom_writes_again_is_as_clean_as_before(found_in: FoundIn) -> None:
    assert found_in(lambda _dataset: None) == []


@pytest.mark.parametrize("value", identifying_values(PELVIS))
def test_every_identifying_value_of_the_patient_is_found(found_in: FoundIn, value: str) -> None:
    told = found_in(element("ImageComments", f"a remark {value} here"))

    assert {where for _, where in told} == {"ImageComments"}


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_every_original_uid_is_found(slices: list[Path], found_in: FoundIn, keyword: str) -> None:
    uid = dcmread(slices[0])[keyword].value

    told = found_in(nested("ReferencedImageSequence", ReferencedSOPInstanceUID=uid))

    assert told == [("uid", "ReferencedImageSequence/ReferencedSOPInstanceUID")]


@pytest.mark.parametrize(
    ("uid", "keyword", "text"),
    [
        ("2.25.1234567", "FrameOfReferenceUID", "{}"),
        ("1.3.6.1.4.1.9590.100.1.2.3", "FrameOfReferenceUID", "{}"),
        ("1.3.46.67058.1.2", "ManufacturerModelName", "C {}"),
    ],
)
def test_a_uid_of_the_source_is_found_whatever_it_looks_like(
    slices: list[Path], found_in: FoundIn, uid: str, keyword: str, text: str
) -> None:
    renamed(slices, DeviceUID=uid)

    assert found_in(element(keyword, text.format(uid))) == [("uid", keyword)]


REQUIRED = [
    "PatientName",
    "PatientID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "PatientBirthDate",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "LongitudinalTemporalInformationModified",
]


@pytest.mark.parametrize("keyword", REQUIRED)
def test_what_has_to_be_there_is_missed(found_in: FoundIn, keyword: str) -> None:
    assert found_in(lambda dataset: delattr(dataset, keyword)) == [("marker", keyword)]


@pytest.mark.parametrize(
    ("planted", "wanted"),
    [
        ((0x00204000, b"UN", b"Kulkarnee "), {("personal", "ImageComments")}),
        ((0x00280009, b"OB", b"\1\2Kulkarnee\3"), {("personal", "FrameIncrementPointer")}),
        (
            (0x00280106, b"US", b"Kulkarnee"),
            {("undecodable", "SmallestImagePixelValue"), ("personal", "SmallestImagePixelValue")},
        ),
        ((0x00204000, b"LT", FOREIGN_NAME.encode()), {("personal", "ImageComments")}),
        ((0x00080000, b"UL", b"\0\0\0\0"), {("group", "(0008,0000)")}),
    ],
)
def test_what_no_honest_writer_writes_is_found_too(
    package: Path,
    found: Found,
    planted: tuple[int, bytes, bytes],
    wanted: set[tuple[str, str]],
) -> None:
    members = contents(package)
    name = first_slice(members)
    members[name] = with_element(members[name], *planted)

    told = set(found(members))

    assert told >= wanted
    assert {where for _, where in told} == {where for _, where in wanted}


def test_a_name_in_another_encoding_than_the_slice_names_is_found(tmp_path: Path) -> None:
    slices = write_planning_ct(tmp_path / "source", HEAD_NECK, slices=2, size=16, seed=1)
    members = contents(packaged(slices, tmp_path / "package.zip"))
    name = first_slice(members)
    latin = "Lindqvíst".encode("latin-1")
    ascii_only = members[name].replace(b"ISO_IR 100", b"ISO_IR 6  ")
    members[name] = with_element(ascii_only, 0x00204000, b"LT", latin + b" ")

    found = seen(repacked(members, tmp_path / "planted.zip"), slices)

    assert ("personal", "ImageComments") in found


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda raw: b"Ashok" + raw[5:], [("preamble", "preamble")]),
        (lambda raw: raw + b"Ashok", [("behind-pixels", "(7FE0,0010)")]),
        (lambda raw: raw + b"\0", [("behind-pixels", "(7FE0,0010)")]),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), [("pixels", "(7FE0,0010)")]),
        (lambda raw: raw[:-2], [("behind-pixels", "(7FE0,0010)"), ("pixels", "(7FE0,0010)")]),
    ],
    ids=["preamble", "text behind", "byte behind", "another pixel", "pixels cut"],
)
def test_the_bytes_around_the_data_set_are_looked_at(
    package: Path,
    found: Found,
    change: Callable[[bytes], bytes],
    wanted: list[tuple[str, str]],
) -> None:
    members = contents(package)
    name = first_slice(members)

    assert found(members | {name: change(members[name])}) == wanted


def test_pixels_that_have_changed_places_are_found(package: Path, found: Found) -> None:
    members = contents(package)
    first, second, *_ = sorted(members)
    one, two = as_dataset(members[first]), as_dataset(members[second])
    one.PixelData, two.PixelData = two.PixelData, one.PixelData
    members |= {first: as_bytes(one), second: as_bytes(two)}

    assert found(members) == [("pixels", "(7FE0,0010)")]


@pytest.mark.parametrize("days", [0, 7, 363, 365, 521 * 7, -364])
def test_dates_that_are_not_moved_as_they_should_are_found(
    package: Path, found: Found, days: int
) -> None:
    studied = datetime.strptime(PELVIS.study_date, "%Y%m%d").astimezone()
    sent = f"{studied - timedelta(days=days):%Y%m%d}"
    members = contents(package)
    for name in [name for name in members if name.endswith(".dcm")]:
        dataset = as_dataset(members[name])
        for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            setattr(dataset, keyword, sent)
        members[name] = as_bytes(dataset)

    assert ("date", "StudyDate") in found(members)


@pytest.mark.parametrize("keyword", ["Rows", "KVP", "PatientPosition", "ImageOrientationPatient"])
def test_what_one_slice_lacks_of_its_source_is_found(found_in: FoundIn, keyword: str) -> None:
    assert found_in(lambda dataset: delattr(dataset, keyword)) == [("missing", keyword)]


def test_a_missing_slice_is_found(package: Path, found: Found) -> None:
    members = contents(package)
    del members[first_slice(members)]

    assert found(members) == [("pixels", "(7FE0,0010)"), ("uids", "SOPInstanceUID")]


def test_a_slice_too_many_is_found(package: Path, found: Found) -> None:
    members = contents(package)
    dataset = as_dataset(members[first_slice(members)])
    uid = generate_uid(prefix=None)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    members = {f"{uid}.dcm": as_bytes(dataset), **members}

    assert found(members) == [("pixels", "(7FE0,0010)"), ("uids", "SOPInstanceUID")]


def test_a_slice_of_another_series_is_found(found_in: FoundIn) -> None:
    other = element("SeriesInstanceUID", generate_uid(prefix=None))

    assert found_in(other) == [("uids", "SeriesInstanceUID")]


@pytest.mark.parametrize("new", ["KULKARNEE.dcm", "2.25.1.dcm", "deeper/{}", "slice_0001.dcm"])
def test_a_member_that_is_not_called_like_its_stand_in_is_found(
    package: Path, found: Found, new: str
) -> None:
    members = contents(package)
    name = first_slice(members)

    assert found({new.format(name): members.pop(name), **members}) == [("member-name", "zip")]


def test_another_uid_in_the_file_meta_is_found(
    slices: list[Path], package: Path, found: Found
) -> None:
    members = contents(package)
    name = first_slice(members)
    original = dcmread(slices[0]).SOPInstanceUID
    dataset = as_dataset(members[name])
    dataset.file_meta.MediaStorageSOPInstanceUID = original
    out = io.BytesIO()
    dataset.save_as(out)
    members[name] = out.getvalue()

    assert found(members) == [
        ("file-meta", "file meta/MediaStorageSOPInstanceUID"),
        ("uid", "file meta/MediaStorageSOPInstanceUID"),
    ]


@pytest.mark.parametrize(
    ("template", "check"),
    [
        (b"name: Kulkarnee\n", "personal"),
        (b"name: KULKARNEE_OAR\n", "personal"),
        (b"name: A\n# MRN-IN-7734021\n", "personal"),
        (b"name: A\n# born 1954-08-19\n", "date"),
        (b"name: A\n# ask x@example.org\n", "mail"),
        (b"name: A\n# %s\n", "uid"),
    ],
)
def test_the_template_is_looked_at(
    slices: list[Path], package: Path, found: Found, template: bytes, check: str
) -> None:
    uid = str(dcmread(slices[0]).StudyInstanceUID).encode()
    members = contents(package) | {"template.yml": template.replace(b"%s", uid)}

    assert found(members) == [(check, "template")]


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("ward-7_2.25.4711.zip", []),
        ("Kulkarnee.zip", [("personal", "form")]),
        ("x_77340_21.zip", [("personal", "form")]),
        ("x_19540819.zip", [("date", "form")]),
        ("{uid}.zip", [("uid", "form")]),
    ],
)
def test_the_form_is_looked_at(
    slices: list[Path], package: Path, form: str, wanted: list[tuple[str, str]]
) -> None:
    form = form.replace("{uid}", str(dcmread(slices[0]).SeriesInstanceUID))

    assert seen(package, slices, form) == wanted


@pytest.mark.parametrize("others", [{}, {"template.yaml": TEMPLATE}, {"notes.txt": b"hello"}])
def test_exactly_one_template_belongs_into_a_package(
    package: Path, found: Found, others: dict[str, bytes]
) -> None:
    members = contents(package)
    if not others or "template.yaml" in others:
        del members["template.yml"]

    assert found(members | others) == [("members", "zip")]


def test_a_remark_on_the_zip_is_found(slices: list[Path], package: Path) -> None:
    with zipfile.ZipFile(package, "a") as archive:
        archive.comment = b"Ashok"

    assert seen(package, slices) == [("members", "zip")]


@pytest.mark.parametrize("field", ["comment", "extra"])
def test_a_remark_on_a_member_is_found(
    tmp_path: Path, slices: list[Path], package: Path, field: str
) -> None:
    with zipfile.ZipFile(tmp_path / "planted.zip", "w") as archive:
        for name, raw in contents(package).items():
            info = zipfile.ZipInfo(name)
            if name == "template.yml":
                setattr(info, field, b"Ashok!" if field == "comment" else b"\xfe\xca\2\0hi")
            archive.writestr(info, raw)

    assert seen(tmp_path / "planted.zip", slices) == [("members", "zip")]


@pytest.mark.parametrize("where", ["before", "between"])
def test_bytes_that_no_member_owns_are_found(slices: list[Path], package: Path, where: str) -> None:
    raw = package.read_bytes()
    if where == "before":
        package.write_bytes(b"Ashok" + raw)
    else:
        end = raw.index(b"PK\5\6")
        start = struct.unpack("<I", raw[end + 16 : end + 20])[0]
        moved = raw[: end + 16] + struct.pack("<I", start + 5) + raw[end + 20 :]
        package.write_bytes(moved[:start] + b"Ashok" + moved[start:])
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None

    assert seen(package, slices) == [("members", "zip")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _raw: b"",
        lambda raw: raw[:-30],
        lambda raw: raw[:2000] + bytes([raw[2000] ^ 1]) + raw[2001:],
    ],
    ids=["empty", "truncated", "flipped"],
)
def test_a_zip_that_cannot_be_read_is_a_finding(
    slices: list[Path], package: Path, spoil: Callable[[bytes], bytes]
) -> None:
    package.write_bytes(spoil(package.read_bytes()))

    assert seen(package, slices) == [("unreadable", "zip")]


def test_a_slice_that_cannot_be_read_is_a_finding(package: Path, found: Found) -> None:
    members = contents(package)
    members[first_slice(members)] = b"no image"

    assert ("unreadable", "slice") in found(members)


def renamed(slices: list[Path], **values: str) -> list[Path]:
    """Give the patient of a series another name or number."""
    for path in slices:
        one = dcmread(path)
        for keyword in ("OtherPatientIDs", "OtherPatientNames", "PatientBirthName"):
            if keyword in one:
                del one[keyword]
        for keyword, value in values.items():
            setattr(one, keyword, value)
        one.save_as(path)
    return slices


@pytest.mark.parametrize("name", ["Siemens^Axel", "Philips^Anna", "Head^Phantom", "Heart^Mary"])
def test_a_patient_called_like_a_maker_or_an_organ_passes_clean(
    tmp_path: Path, slices: list[Path], name: str
) -> None:
    renamed(slices, PatientName=name)

    assert seen(packaged(slices, tmp_path / "package.zip"), slices) == []


def test_a_patient_called_like_a_maker_is_found_where_no_maker_stands(
    tmp_path: Path, slices: list[Path], found: Found
) -> None:
    renamed(slices, PatientName="Siemens^Axel")
    members = contents(packaged(slices, tmp_path / "package.zip"))

    told = found(changed(members, element("ImageComments", "Mr Siemens")))

    assert ("personal", "ImageComments") in told
    assert {where for _, where in told} == {"ImageComments"}


@pytest.mark.parametrize("number", ["1", "12", "512", "4711", "00120", "16"])
def test_a_short_number_for_an_id_passes_clean(
    tmp_path: Path, slices: list[Path], number: str
) -> None:
    renamed(slices, PatientID=number, AccessionNumber=number, StudyID=number)

    assert seen(packaged(slices, tmp_path / "package.zip"), slices) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Li^Na", "scan of Li"),
        ("Ng^An", "id 4711"),
        ("Wang^XiaoDong=王^小东", "小东"),
    ],
)
def test_short_names_and_numbers_are_found_where_nothing_else_belongs(
    tmp_path: Path, slices: list[Path], found: Found, name: str, text: str
) -> None:
    renamed(slices, PatientName=name, PatientID="4711")
    members = contents(packaged(slices, tmp_path / "package.zip"))
    for keyword in ("ImageComments", "SeriesDescription"):
        told = found(changed(members, element(keyword, text)))

        assert ("personal", keyword) in told
        assert {where for _, where in told} == {keyword}


def test_a_day_that_the_shift_makes_of_another_is_no_finding(
    tmp_path: Path, slices: list[Path]
) -> None:
    moved = as_dataset(next(iter(contents(packaged(slices, tmp_path / "a.zip")).values())))
    renamed(slices, PatientBirthDate=moved.StudyDate)

    assert seen(packaged(slices, tmp_path / "package.zip"), slices) == []


def test_a_patient_born_on_the_day_that_fixed_dates_name_passes(
    tmp_path: Path, slices: list[Path]
) -> None:
    renamed(slices, PatientBirthDate="20000101")

    package = packaged(slices, tmp_path / "package.zip", fixed_dates=True)

    assert seen(package, slices) == []


def test_no_finding_says_what_it_found(tmp_path: Path, slices: list[Path], package: Path) -> None:
    everything = element("ImageComments", " ".join(identifying_values(PELVIS)))
    members = changed(contents(package), everything)
    members = changed(members, element("PatientName", PELVIS.name))

    leaks = findings(repacked(members, tmp_path / "planted.zip"), map(str, slices))

    said = repr(leaks)
    assert len(leaks) >= 4
    assert not [value for value in identifying_values(PELVIS) if value in said]
    assert all(isinstance(leak, Leak) for leak in leaks)


def test_the_gate_warns_nobody_of_values(
    slices: list[Path], package: Path, recwarn: pytest.WarningsRecorder
) -> None:
    number = b"\x20\x00\x11\x00IS\x02\x00"
    for path in slices:
        raw = path.read_bytes()
        at = raw.index(number) + len(number)
        path.write_bytes(raw[:at] + b"xy" + raw[at + 2 :])
    with pytest.warns(UserWarning, match="Invalid value for VR IS: 'xy'"):
        _ = dcmread(slices[0]).SeriesNumber

    assert seen(package, slices) == []
    assert [str(warning.message) for warning in recwarn.list] == []


def test_a_source_that_is_gone_is_waited_for_and_not_named(
    slices: list[Path], package: Path
) -> None:
    slices[0].unlink()

    with pytest.raises(SourceUnsettled) as caught:
        findings(package, map(str, slices))

    assert "KULKARNEE" not in str(caught.value)


def test_a_source_that_pydicom_cannot_read_is_refused_and_not_named(
    slices: list[Path], package: Path
) -> None:
    raw = slices[0].read_bytes()
    slices[0].write_bytes(raw[:132] + b"\2\0\0\0UL\3\0abc" + raw[132 + 12 :])

    with pytest.raises(SeriesRefused, match="cannot be compared") as caught:
        findings(package, map(str, slices))

    assert "KULKARNEE" not in str(caught.value)


def test_a_source_with_a_damaged_element_is_refused_and_not_named(
    slices: list[Path], package: Path
) -> None:
    raw = slices[0].read_bytes()
    at = raw.index(b"\x08\0\x60\0CS\2\0CT")  # Modality, as a sequence that it is not
    slices[0].write_bytes(raw[: at + 4] + b"SQ\0\0\2\0\0\0CT" + raw[at + 10 :])

    with pytest.raises(SeriesRefused, match="cannot be compared") as caught:
        findings(package, map(str, slices))

    assert "KULKARNEE" not in str(caught.value)
