"""A header before and after de-identification, element by element."""

import io
from hashlib import sha256

import pytest
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from drawcli.core.gate.header_diff import ElementDiff, compare_headers
from tests.core.files import CT, ct_slice, item

MR = "1.2.840.10008.5.1.4.1.1.4"


def raw(dataset: Dataset, **meta: object) -> bytes:
    """Return the bytes of a data set, with pixels or without, and of the stated file meta."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in meta.items():
        setattr(dataset.file_meta, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    return out.getvalue()


def rows(before: Dataset, after: Dataset) -> list[tuple[object, ...]]:
    """Return the elements of the data sets: all but those of the file meta."""
    found = [row for row in compare_headers(raw(before), raw(after)) if row.tag >> 16 != 2]
    return [(row.depth, row.keyword, row.vr, row.what, row.before, row.after) for row in found]


@pytest.mark.parametrize(
    ("before", "after", "row"),
    [
        ({"Modality": "CT"}, {"Modality": "CT"}, ("Modality", "CS", "kept", "CT", "CT")),
        ({"PatientName": "A^B"}, {}, ("PatientName", "PN", "removed", "A^B", None)),
        ({}, {"PatientName": "A^B"}, ("PatientName", "PN", "added", None, "A^B")),
        ({"PatientName": "A^B"}, {"PatientName": ""}, ("PatientName", "PN", "emptied", "A^B", "")),
        ({"PatientID": "1"}, {"PatientID": "2"}, ("PatientID", "LO", "replaced", "1", "2")),
        ({"StudyDate": "20260314"}, {"StudyDate": "20250315"}, None),
        (
            {"AcquisitionDateTime": "20260314"},
            {"AcquisitionDateTime": "20250315"},
            ("AcquisitionDateTime", "DT", "moved", "20260314", "20250315"),
        ),
        (
            {"SOPInstanceUID": "1.2.3"},
            {"SOPInstanceUID": "2.25.7"},
            ("SOPInstanceUID", "UI", "stand-in", "1.2.3", "2.25.7"),
        ),
        ({"SOPClassUID": CT}, {"SOPClassUID": MR}, ("SOPClassUID", "UI", "replaced", CT, MR)),
        (
            {"ImageType": ["A", "B"]},
            {"ImageType": ["A", "B"]},
            ("ImageType", "CS", "kept", r"A\B", r"A\B"),
        ),
        ({"StudyTime": None}, {"StudyTime": None}, ("StudyTime", "TM", "kept", "", "")),
    ],
)
def test_each_change_of_an_element_is_named(
    before: dict[str, object], after: dict[str, object], row: tuple[str, ...] | None
) -> None:
    moved = ("StudyDate", "DA", "moved", "20260314", "20250315")

    assert rows(item(**before), item(**after)) == [(0, *(row or moved))]


def test_binary_values_are_reported_by_length_and_digest() -> None:
    one, other, empty = Dataset(), Dataset(), Dataset()
    for dataset, value in ((one, b"ABCD"), (other, b"ABCE"), (empty, b"")):
        dataset.add_new(0x00282000, "OB", value)  # ICCProfile
    said, said_of_other = (
        f"4 bytes, {sha256(value).hexdigest()[:8]}" for value in (b"ABCD", b"ABCE")
    )

    assert rows(one, other) == [(0, "ICCProfile", "OB", "replaced", said, said_of_other)]
    assert rows(one, empty) == [(0, "ICCProfile", "OB", "emptied", said, "")]


def test_items_are_compared_one_by_one_at_every_depth() -> None:
    code = [item(CodeValue="T-D", CodeMeaning="Kulkarnee")]
    before = item(
        AnatomicRegionSequence=[
            item(CodeValue="1", PrimaryAnatomicStructureSequence=code),
            item(CodeValue="2"),
        ]
    )
    after = item(AnatomicRegionSequence=[item(CodeValue="3"), item(CodeValue="2"), item()])
    after.AnatomicRegionSequence[2].CodeMeaning = "new"

    sequence = "AnatomicRegionSequence"
    assert rows(before, after) == [
        (0, sequence, "SQ", "built anew", "2 items", "3 items"),
        (1, "CodeValue", "SH", "replaced", "1", "3"),
        (1, "PrimaryAnatomicStructureSequence", "SQ", "removed", "1 item", None),
        (2, "CodeValue", "SH", "removed", "T-D", None),
        (2, "CodeMeaning", "LO", "removed", "Kulkarnee", None),
        (1, "CodeValue", "SH", "kept", "2", "2"),
        (1, "CodeMeaning", "LO", "added", None, "new"),
    ]


def test_a_sequence_that_is_added_or_emptied_is_reported_with_its_items() -> None:
    full, empty = item(AnatomicRegionSequence=[item(CodeValue="1")]), Dataset()
    empty.AnatomicRegionSequence = Sequence([])
    sequence = "AnatomicRegionSequence"

    assert rows(Dataset(), full) == [
        (0, sequence, "SQ", "added", None, "1 item"),
        (1, "CodeValue", "SH", "added", None, "1"),
    ]
    assert rows(full, empty) == [
        (0, sequence, "SQ", "built anew", "1 item", "0 items"),
        (1, "CodeValue", "SH", "removed", "1", None),
    ]


def test_the_file_meta_comes_first_and_the_pixels_are_left_out() -> None:
    before = raw(ct_slice(), SourceApplicationEntityTitle="WARD7")
    after = raw(ct_slice(), ImplementationVersionName="DRAWCLI_1")

    found = compare_headers(before, after)

    syntax = ExplicitVRLittleEndian
    assert [row for row in found if row.tag >> 16 == 2] == [
        ElementDiff(0, 0x00020010, "TransferSyntaxUID", "UI", "kept", syntax, syntax),
        ElementDiff(0, 0x00020013, "ImplementationVersionName", "SH", "added", None, "DRAWCLI_1"),
        ElementDiff(0, 0x00020016, "SourceApplicationEntityTitle", "AE", "removed", "WARD7", None),
    ]
    assert [row.tag for row in found] == sorted(row.tag for row in found)
    assert "PixelData" not in {row.keyword for row in found}
    assert {row.what for row in found if row.tag >> 16 > 2} == {"kept"}


def test_private_and_undecodable_elements_are_reported() -> None:
    one, other = Dataset(), Dataset()
    for dataset, text in ((one, "Kulkarnee"), (other, "")):
        dataset.private_block(0x0029, "ACME", create=True).add_new(1, "LO", text)
    assert rows(one, other) == [
        (0, "", "LO", "kept", "ACME", "ACME"),
        (0, "", "LO", "emptied", "Kulkarnee", ""),
    ]
    long = raw(item(Rows=2)).replace(b"US\2\0\2\0", b"US\3\0\2\0\0")  # 3 bytes for 16 bits

    (found,) = [row for row in compare_headers(long, raw(Dataset())) if row.keyword == "Rows"]

    assert (found.vr, found.what, found.before) == ("UN", "removed", "(cannot be decoded)")


def test_a_sequence_may_become_an_element_of_another_vr() -> None:
    text = Dataset()
    text.add_new(0x00081140, "LO", "ab")
    sequence = item(ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2")])

    for before, after, removed in ((sequence, text, True), (text, sequence, False)):
        found = [row for row in compare_headers(raw(before), raw(after)) if row.tag >> 16 == 8]

        what = {(row.depth, row.keyword): row.what for row in found}
        assert what[0, "ReferencedImageSequence"] == ("built anew" if removed else "replaced")
        inside = {(1, "ReferencedSOPInstanceUID"): "removed"} if removed else {}
        assert {at: one for at, one in what.items() if at[0]} == inside


def test_a_file_that_pydicom_cannot_read_is_an_error_without_its_values() -> None:
    whole = raw(item(PatientName="Kulkarnee^Ashok"))
    deflated = b"1.2.840.10008.1.2.1.99"  # what follows cannot be inflated
    damaged = bytes(128) + b"DICM\2\0\x10\0UI\x16\0" + deflated + b"Kulkarnee" * 4

    for before, after in ((damaged, whole), (whole, damaged)):
        with pytest.raises(ValueError, match=r"^pydicom cannot read it: error$"):
            compare_headers(before, after)
