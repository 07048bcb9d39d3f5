import io
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.uid import RLELossless

from drawcli.core.gate.pydicom_elements import (
    Piece,
    end_of_pixels,
    pieces,
    pixel_digest,
    pydicom_errors,
    texts_of,
    undecoded_value,
)
from tests.core.files import as_bytes, ct_slice, item
from tests.core.real_data import REAL, needs_real


def read(one: Dataset) -> Dataset:
    """Return a data set read from bytes, undecoded."""
    return dcmread(io.BytesIO(as_bytes(one)))


def by_place(dataset: Dataset) -> dict[str, Piece]:
    return {piece.where: piece for piece in pieces(dataset, set())}


def test_every_element_comes_with_its_place_and_its_texts() -> None:
    inner = item(PersonName="Tambe^Priyanka")
    one = ct_slice(
        ReferencedImageSequence=Sequence([item(OperatorIdentificationSequence=Sequence([inner]))])
    )

    found = by_place(read(one))

    place = "ReferencedImageSequence/OperatorIdentificationSequence/PersonName"
    assert found[place].texts == ["Tambe^Priyanka"]
    assert found["ReferencedImageSequence"].vr == "SQ"
    assert found["ImageType"].texts == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert found["Rows"].texts == ["2"]
    assert found["PatientID"].raw == b"PID-0815"
    assert "PixelData" not in found


def test_elements_without_a_keyword_are_named_by_their_tag() -> None:
    one = ct_slice()
    one.private_block(0x0029, "ACME", create=True).add_new(1, "LO", "secret")

    found = by_place(read(one))

    assert found["(0029,1001)"].texts == ["secret"]
    assert found["(0029,0010)"].tag == 0x00290010


def test_sequences_that_look_alike_to_pydicom_are_both_read() -> None:
    """Its text of a long value is "Array of ... elements", whatever they are."""
    seen: set[Any] = set()
    found = []
    for content in (b"nothing" * 10, b"Kulkarnee!" * 7):
        one = ct_slice(MACParametersSequence=Sequence([item(EncryptedContent=content)]))
        one["MACParametersSequence"].is_undefined_length = True
        found += [piece.raw for piece in pieces(read(one), seen)]

    assert b"nothing" * 10 in found
    assert b"Kulkarnee!" * 7 in found


def test_a_damaged_element_in_a_sequence_of_undefined_length_has_no_vr() -> None:
    inner = item(RevolutionTime=0.5)
    one = ct_slice(CTExposureSequence=Sequence([inner]))
    one["CTExposureSequence"].is_undefined_length = True
    raw = as_bytes(one)
    number = struct.pack("<d", 0.5)
    at = raw.index(b"FD\x08\0" + number)
    raw = raw[: at + 2] + b"\x0c\0" + b"#07.05.1939#" + raw[at + 12 :]

    found = by_place(dcmread(io.BytesIO(raw)))

    assert found["CTExposureSequence/RevolutionTime"].vr == ""
    assert found["CTExposureSequence/RevolutionTime"].texts == ["#07.05.1939#"]


def test_pixels_of_an_icon_are_an_element_like_any_other() -> None:
    icon = item(PixelData=b"\1\2")
    icon["PixelData"].VR = "OB"

    found = by_place(read(ct_slice(IconImageSequence=Sequence([icon]))))

    assert "IconImageSequence/PixelData" in found


def test_elements_seen_before_are_not_yielded_again() -> None:
    seen: set[Any] = set()
    list(pieces(read(ct_slice()), seen))

    again = list(pieces(read(ct_slice(InstanceNumber="2")), seen))

    assert [piece.where for piece in again] == ["InstanceNumber"]


def test_the_same_bytes_in_another_element_or_vr_are_yielded() -> None:
    seen: set[Any] = set()
    list(pieces(read(ct_slice(StudyDescription="same")), seen))

    elsewhere = read(ct_slice(SeriesDescription="same"))
    other_kind = read(ct_slice(StudyDescription="same"))
    other_kind["StudyDescription"].VR = "ST"

    assert [piece.where for piece in pieces(elsewhere, seen)] == ["SeriesDescription"]
    assert [piece.where for piece in pieces(other_kind, seen)] == ["StudyDescription"]


def test_a_value_that_its_vr_does_not_allow_is_returned_as_bytes() -> None:
    raw = as_bytes(ct_slice())
    rows = b"\x28\0\x10\0US\2\0\2\0"
    spoilt = dcmread(io.BytesIO(raw.replace(rows, b"\x28\0\x10\0US\3\0abc")))

    piece = by_place(spoilt)["Rows"]

    assert (piece.vr, piece.texts, piece.raw) == ("", ["abc"], b"abc")


def test_the_digest_is_of_the_pixels_and_their_place() -> None:
    one = pixel_digest(read(ct_slice()))

    assert pixel_digest(read(ct_slice(PatientName="Other^Name", InstanceNumber="9"))) == one
    assert pixel_digest(read(ct_slice(PixelData=bytes(7) + b"\1"))) != one
    assert pixel_digest(read(ct_slice(ImagePositionPatient=["-250", "-250", "1"]))) != one
    assert pixel_digest(Dataset()) != one


def test_a_file_ends_after_its_pixels() -> None:
    raw = as_bytes(ct_slice())

    assert end_of_pixels(dcmread(io.BytesIO(raw))) == len(raw)
    assert end_of_pixels(dcmread(io.BytesIO(raw + b"behind"))) == len(raw)
    assert end_of_pixels(Dataset()) == -1


@needs_real
def test_a_file_with_encapsulated_pixels_ends_after_their_delimiter() -> None:
    seen = 0
    for path in sorted((REAL / "odd/dicom2nifti/generic/compressed_rle").rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            dataset = dcmread(io.BytesIO(raw))
            assert dataset.file_meta.TransferSyntaxUID == RLELossless
            end = end_of_pixels(dataset)
            assert raw[end - 8 : end] == b"\xfe\xff\xdd\xe0\0\0\0\0"
            seen += 1
    assert seen == 4


def test_reading_raw_bytes_does_not_decode_a_value() -> None:
    dataset = read(ct_slice())

    assert undecoded_value(dataset, 0x00100020) == b"PID-0815"
    assert undecoded_value(dataset, 0x00104000) is None
    assert dataset.PatientID == "PID-0815"
    assert undecoded_value(dataset, 0x00100020) == "PID-0815"


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, [""]),
        ("a ", ["a"]),
        (b"\xe9\0", ["é\0"]),
        ([1, 2], ["1", "2"]),
        (7, ["7"]),
        ("", [""]),
    ],
)
def test_any_value_is_returned_as_texts(value: object, texts: list[str]) -> None:
    assert texts_of(value) == texts


@needs_real
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_else_is_raised_by_any_real_file() -> None:
    errors = pydicom_errors()
    read_well = 0
    for path in sorted(Path(REAL / "odd/pydicom_bundled").rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = dcmread(path, force=True)
            list(pieces(dataset, set()))
        except errors:
            continue
        read_well += 1

    assert read_well > 150
