"""The replacements for one patient, and what is recorded for re-identification."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword

from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.persons import Persons
from drawcli.core.deid.profile import USUAL, Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import Header, NotDicom, read_header
from drawcli.core.dicom.sop_classes import MR_IMAGE
from tests.core.files import CT, ROOT, ct_slice, header_of, item, parsed
from tests.deidentification.writing import Cell, File, Tree, text

KEY = StandIns(b"site key of the tests, 32 bytes.")
YEAR = timedelta(weeks=52)


def of(choices: Choices = USUAL, /, **values: object) -> Replacements:
    return Replacements.of(header_of(ct_slice(**values)), KEY, choices)


def test_replacements_depend_on_patient_and_issuer() -> None:
    one = of(PatientID="P", IssuerOfPatientID="KH-2")

    assert one.pseudonym == KEY.pseudonym("P", "KH-2")
    assert one.shift == KEY.shift("P", "KH-2")
    assert one.persons.names_someone(b"muster")
    assert (one.uids, one.frame_numbers, one.dates) == ({}, {}, {})


def test_a_patient_without_an_id_is_known_by_the_study() -> None:
    unknown = of(PatientID=" ", StudyInstanceUID="1.2.3")

    assert unknown.pseudonym == KEY.pseudonym("1.2.3", "")
    assert unknown.shift == KEY.shift("1.2.3", "")


def test_fixed_dates_have_no_shift() -> None:
    fixed = of(Choices(fixed_dates=True))

    assert fixed.shift is None
    assert fixed.choices == Choices(fixed_dates=True)


def test_a_uid_and_a_frame_are_recorded_with_their_originals() -> None:
    one = of()
    frame = KEY.own_uid("frame", "1.2.3", "7")

    assert one.uid("1.2.3") == KEY.uid("1.2.3")
    assert one.frame_uid("1.2.3", 7) == frame
    assert one.uids == {KEY.uid("1.2.3"): "1.2.3", frame: "1.2.3"}
    assert one.frame_numbers == {frame: 7}


@pytest.mark.parametrize(
    ("description", "left"),
    [
        ("CT Hand child pelvis", "CT pelvis"),
        ("hand", ""),
        ("pelvis 12 mm", "pelvis mm"),  # a number of the patient, too
        ("CT pelvis", "CT pelvis"),
    ],
)
def test_a_word_of_the_vocabulary_is_removed_if_it_is_the_patients_name(
    description: str, left: str
) -> None:
    known = Persons(words=frozenset({b"child", b"hand"}), numbers=frozenset({"12"}))

    assert Replacements(KEY, "A" * 16, YEAR, persons=known).without_names(description) == left


@pytest.mark.parametrize(
    ("value", "vr", "moved"),
    [
        ("20260314", "DA", "20250315"),
        ("2026.03.14", "DA", "20250315"),
        ("20260314083000.5+0100", "DT", "20250315083000.5"),
        ("20260314110405", "DT", "202503151104"),  # the birth date, as a time of day
        ("20260314083000", "DA", ""),
        ("soon", "DT", ""),
    ],
)
def test_a_date_is_moved_and_recorded(value: str, vr: str, moved: str) -> None:
    one = Replacements(KEY, "A" * 16, YEAR, persons=Persons(clocks=frozenset({"110405"})))

    assert one.date(value, vr) == moved
    assert one.dates == ({moved: value} if moved else {})


@pytest.mark.parametrize(
    ("value", "vr", "fixed"),
    [
        ("20260314", "DA", "20000101"),
        ("20260314083000.5", "DT", "20000101"),
        ("20261314", "DA", ""),
        ("soon", "DT", ""),
        ("", "DA", ""),
    ],
)
def test_a_fixed_date_reveals_nothing_and_is_not_recorded(value: str, vr: str, fixed: str) -> None:
    one = Replacements(KEY, "A" * 16, None)

    assert (one.date(value, vr), one.dates) == (fixed, {})


# --- whole headers --------------------------------------------------------------------------------


def after(header: Header, replacements: Replacements, sop_uid: str = "") -> Dataset:
    return parsed(deidentify_header(header, replacements, sop_uid) + bytes(8))


def unlike_headers() -> Iterator[Header]:
    """Yield slices of one patient that differ in what a rewritten element depends on."""
    reference = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3")
    for syntax in ("explicit", "implicit"):
        for values in (
            {},
            {"StudyInstanceUID": "1.2.9"},
            {"SOPClassUID": MR_IMAGE},
            {"PixelRepresentation": 1},
        ):
            made = ct_slice(
                ReferencedImageSequence=[reference], AcquisitionNumber="4711", PatientID="P 4711"
            )
            for keyword, value in values.items():
                setattr(made, keyword, value)
            made.add_new("SmallestImagePixelValue", "US", 0)
            yield header_of(made, syntax)


@pytest.mark.parametrize("remembered", [4096, 3, 0])
def test_cached_values_of_other_slices_change_nothing(
    remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.core.deid.engine._MOST_REMEMBERED", remembered)
    headers = list(unlike_headers())
    alone = [deidentify_header(one, Replacements.of(one, KEY)) for one in headers]

    shared = Replacements.of(headers[0], KEY)

    assert len(set(alone)) == len(headers)
    assert [deidentify_header(one, shared) for one in (*headers, *headers)] == [*alone, *alone]
    most = max(remembered + max(len(one.elements) for one in headers), 1)
    assert all(len(known) <= most for known in shared.known.values())


def test_a_slice_has_the_uid_that_it_is_given() -> None:
    header = header_of(ct_slice(SOPInstanceUID="1.2.3.4"))
    known = Replacements.of(header, KEY)

    named = after(header, known, "2.25.77")

    assert named.SOPInstanceUID == named.file_meta.MediaStorageSOPInstanceUID == "2.25.77"
    assert after(header, known).SOPInstanceUID == KEY.uid("1.2.3.4")


def test_the_study_id_of_a_package_replaces_that_of_the_study() -> None:
    header = header_of(ct_slice())
    known = Replacements.of(header, KEY)

    assert after(header, known).StudyID == KEY.study_id(f"{ROOT}.2")
    assert after(header, replace(known, study_id="PACKAGE", known={})).StudyID == "PACKAGE"


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
@pytest.mark.parametrize("extra", [2, 300])
def test_bytes_after_the_image_are_not_announced(syntax: str, extra: int) -> None:
    whole = header_of(ct_slice(PixelData=bytes(8)), syntax)
    longer = header_of(ct_slice(PixelData=bytes(8 + extra)), syntax)

    assert deidentify_header(longer, Replacements.of(longer, KEY)) == (
        deidentify_header(whole, Replacements.of(whole, KEY))
    )


def test_a_class_that_is_not_sent_is_refused() -> None:
    header = header_of(ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.1"))

    with pytest.raises(NotDicom, match=r"^not an image of an accepted SOP class$"):
        deidentify_header(header, Replacements.of(header, KEY))


def bare_slice(**values: bytes) -> Header:
    """Return a slice that has little else than these values, as they are."""
    tree: Tree = {0x00080016: text("UI", CT), 0x00080018: text("UI", "1.2.3")}
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        tree[tag] = Cell(dictionary_VR(tag), value)
    return read_header(File(tree, {}, bytes(8)).written(), complete=True)


def test_each_of_several_values_is_replaced_without_its_padding() -> None:
    header = bare_slice(
        FrameOfReferenceUID=b"1.2\0\\ X1.3X \\", StudyDate=b"20260314 \\\\ 20260315"
    )
    known = replace(Replacements.of(header, KEY), shift=YEAR)

    sent = read_header(deidentify_header(header, known) + bytes(8), complete=True)

    uids = f"{KEY.uid('1.2')}\\{KEY.uid('X1.3X')}\\"
    assert sent.text(0x00200052) == uids
    assert sent.text(0x00080020) == "20250315\\\\20250316"


@pytest.mark.parametrize("choices", [USUAL, Choices(fixed_dates=True)])
def test_missing_and_empty_elements_have_no_value_afterwards(choices: Choices) -> None:
    for header in (bare_slice(), bare_slice(FrameOfReferenceUID=b"", StudyTime=b"")):
        sent = after(header, Replacements.of(header, KEY, choices))

        assert (sent.StudyDate, sent.StudyTime, sent.PatientSex) == ("", "", "")
        assert sent.get("FrameOfReferenceUID", "") == ""


@pytest.mark.parametrize("tag", [0x00200052, 0x00080070, 0x00180060, 0x00080020])
def test_a_sequence_under_the_tag_of_a_value_is_emptied(tag: int) -> None:
    inside = {0x00100010: text("PN", "Muster")}
    tree = {
        0x00080016: text("UI", CT),
        0x00080018: text("UI", "1.2.3"),
        tag: Cell("UN", [inside], undefined=True),
    }
    header = read_header(File(tree, {}, bytes(8)).written(), complete=True)

    raw = deidentify_header(header, Replacements.of(header, KEY))

    assert b"Muster" not in raw
    assert not parsed(raw + bytes(8))[tag].value
