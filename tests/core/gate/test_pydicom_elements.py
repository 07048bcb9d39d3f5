import io
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    Piece,
    are_pixels_plain,
    can_be_deferred,
    compression_of,
    end_of_pixels,
    in_little_endian,
    pieces,
    pixel_digest,
    pixels_of,
    pydicom_errors,
    read_source,
    texts_of,
    transfer_syntax_of,
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
    assert end_of_pixels(ct_slice()) == -1  # not read from a file


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
        ("X\0 ", ["X"]),
        (b"\xe9\0", ["é\0"]),
        ([1, 2], ["1", "2"]),
        (7, ["7"]),
        ("", [""]),
    ],
)
def test_any_value_is_returned_as_texts(value: object, texts: list[str]) -> None:
    assert texts_of(value) == texts


ENCODINGS = {
    ExplicitVRLittleEndian: (False, True),
    ImplicitVRLittleEndian: (True, True),
    ExplicitVRBigEndian: (False, False),
}


def encoded(one: Dataset, implicit: bool, little: bool, stated: str) -> bytes:  # noqa: FBT001
    """Return a file whose data set is in one encoding, and its file meta states another."""
    coded = stated.encode() + b"\0" * (len(stated) % 2)
    head = b"\2\0\x10\0UI" + struct.pack("<H", len(coded)) + coded
    out = io.BytesIO()
    one.save_as(out, implicit_vr=implicit, little_endian=little)
    return bytes(128) + b"DICM" + head + out.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=str)
@pytest.mark.parametrize("stated", [*ENCODINGS, DeflatedExplicitVRLittleEndian])
def test_a_source_is_read_whatever_syntax_it_names(
    encoding: tuple[bool, bool], stated: str
) -> None:
    raw = encoded(ct_slice(ImageComments="by Dr Tambe"), *encoding, stated)

    for whole in (raw, raw[128:]):
        source = read_source(whole)

        assert source.original_encoding[1] is encoding[1]
        assert (source.PatientName, source.Rows) == ("Muster^Maria", 2)
        assert source.ImageComments == "by Dr Tambe"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=str)
def test_a_source_is_read_where_another_encoding_is_an_error(encoding: tuple[bool, bool]) -> None:
    """A length of four bytes FF is one in each byte order; the items behind it are not."""
    one = ct_slice(LanguageCodeSequence=[item(CodeMeaning="Tambe")])
    one["LanguageCodeSequence"].is_undefined_length = True
    del one.SpecificCharacterSet

    source = read_source(encoded(one, *encoding, DeflatedExplicitVRLittleEndian))

    assert source.original_encoding[1] is encoding[1]
    assert (source.PatientName, source.LanguageCodeSequence[0].CodeMeaning) == (
        "Muster^Maria",
        "Tambe",
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_that_is_an_image_in_no_encoding_is_an_error() -> None:
    for keyword in ("SOPClassUID", "StudyInstanceUID", "PixelData"):
        one = ct_slice()
        delattr(one, keyword)
        with pytest.raises(ValueError, match="no image"):
            read_source(encoded(one, False, True, ExplicitVRLittleEndian))  # noqa: FBT003
    with pytest.raises(ValueError, match="no image"):
        read_source(b"nothing of the kind " * 20)


def stating(syntax: str) -> Dataset:
    one = read(ct_slice())
    one.file_meta.TransferSyntaxUID = syntax  # type: ignore[assignment] # pydicom makes a UID of it
    return one


@pytest.mark.parametrize(
    ("syntax", "compressed", "deferred"),
    [
        ("", "", True),
        (ExplicitVRLittleEndian, "", True),
        (ImplicitVRLittleEndian, "", True),
        (ExplicitVRBigEndian, "", False),
        (DeflatedExplicitVRLittleEndian, "", False),
        (RLELossless, RLELossless, True),
    ],
)
def test_the_file_meta_states_how_pixels_are_stored(
    syntax: str, compressed: str, *, deferred: bool
) -> None:
    one = stating(syntax)

    assert transfer_syntax_of(one) == syntax
    assert compression_of(one) == compressed
    assert can_be_deferred(one) is deferred
    del one.file_meta.TransferSyntaxUID
    assert (transfer_syntax_of(one), compression_of(one)) == ("", "")
    del one.file_meta
    assert (transfer_syntax_of(one), compression_of(one)) == ("", "")
    assert can_be_deferred(one)
    del one.StudyInstanceUID
    assert not can_be_deferred(one)


def test_pixels_are_plain_if_the_slice_holds_them_as_they_are_compared() -> None:
    raw = as_bytes(ct_slice())

    assert are_pixels_plain(dcmread(io.BytesIO(raw)), raw)
    assert not are_pixels_plain(dcmread(io.BytesIO(raw)), raw[:128] + b"dicm" + raw[132:])
    assert not are_pixels_plain(dcmread(io.BytesIO(raw)), raw[:-1] + b"?")
    assert not are_pixels_plain(dcmread(io.BytesIO(raw)), raw[4:])
    assert not are_pixels_plain(dcmread(io.BytesIO(raw[:-2])), raw)
    deferred = dcmread(io.BytesIO(raw), defer_size=4)
    assert not are_pixels_plain(deferred, raw)
    assert deferred.get_item(PIXEL_DATA, keep_deferred=True).value is None  # it stays in the file
    for syntax in ("", RLELossless, ExplicitVRBigEndian):
        assert not are_pixels_plain(stating(syntax), raw)
    swapped = dcmread(io.BytesIO(raw))
    swapped.set_original_encoding(False, False)  # noqa: FBT003 - explicit VR, big endian
    assert not are_pixels_plain(swapped, raw)
    decoded = dcmread(io.BytesIO(raw))
    assert decoded.PixelData == bytes(8)
    decoded.PixelData = bytes(8)
    assert not are_pixels_plain(decoded, raw)
    without = dcmread(io.BytesIO(raw))
    del without.PixelData, without.file_meta
    assert not are_pixels_plain(without, raw)


def test_zeros_behind_native_pixels_are_padding() -> None:
    for values in ({}, {"NumberOfFrames": "1"}, {"Rows": 1, "NumberOfFrames": " 2"}):
        exact = pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH", **values)))

        assert pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH\0\0", **values))) == exact
        assert pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH\0?", **values))) != exact
        assert pixel_digest(read(ct_slice(PixelData=b"ABCDEF\0\0", **values))) != exact
    more = pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH" + bytes(8), NumberOfFrames="2")))
    assert more != pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH")))
    unclear = ct_slice(PixelData=b"ABCDEFGH" + bytes(8))
    unclear.add_new(0x00280008, "LO", "X2")
    assert pixel_digest(read(unclear)) == pixel_digest(read(ct_slice(PixelData=b"ABCDEFGH")))
    odd = {"Rows": 1, "Columns": 3, "BitsAllocated": 8}
    assert pixel_digest(read(ct_slice(PixelData=b"ABC\0", **odd))) == pixel_digest(
        read(ct_slice(PixelData=b"ABC\0\0\0", **odd))
    )
    unknown = ct_slice(PixelData=b"ABCDEFGH\0\0", Rows=None)
    assert pixel_digest(read(unknown)) != pixel_digest(
        read(ct_slice(PixelData=b"ABCDEFGH", Rows=None))
    )


def test_pixels_are_compared_in_little_endian() -> None:
    def source(kind: str) -> Dataset:
        one = ct_slice(PixelData=b"ABCDEFGH\0\0", BitsAllocated=16 if kind == "OW" else 8)
        if kind == "OB":
            one.Columns = 4
        one["PixelData"].VR = kind
        swapped = read_source(encoded(one, False, False, ExplicitVRBigEndian))  # noqa: FBT003
        assert kind == swapped.get_item(PIXEL_DATA).VR
        return swapped

    assert pixel_digest(source("OW")) == pixel_digest(read(ct_slice(PixelData=b"BADCFEHG")))
    in_bytes = {"BitsAllocated": 8, "Columns": 4}
    assert pixel_digest(source("OB")) == pixel_digest(
        read(ct_slice(PixelData=b"ABCDEFGH", **in_bytes))
    )
    assert in_little_endian(source("OW"), b"ABC") == b"BA"
    assert in_little_endian(read(ct_slice()), b"ABC") == b"ABC"
    empty = Dataset()
    empty.set_original_encoding(False, False)  # noqa: FBT003
    assert in_little_endian(empty, b"AB") == b"AB"


def test_bytes_behind_the_pixels_of_a_segment_are_beside_the_pixels() -> None:
    def pixels(behind: bytes) -> tuple[bytes, bool]:
        segments = [b"\3abcd" + behind, b"\3efgh" + behind]  # 2 x 2 pixels
        frame = struct.pack("<3I", 2, 64, 64 + len(segments[0])).ljust(64, b"\0")
        frame += b"".join(segments)
        value = b"\xfe\xff\0\xe0" + bytes(4)
        value += b"\xfe\xff\0\xe0" + struct.pack("<I", len(frame)) + frame
        one = read(ct_slice(PixelData=value))
        one.file_meta.TransferSyntaxUID = RLELossless
        return pixels_of(one)

    assert not pixels(b"\0")[1]
    assert pixels(b"\x08Kulkarnee")[1]


def test_compressed_pixels_that_cannot_be_split_are_taken_whole() -> None:
    def digest(pixels: bytes, position: str) -> tuple[bytes, bool]:
        one = read(ct_slice(PixelData=pixels, ImagePositionPatient=["0", "0", position]))
        one.file_meta.TransferSyntaxUID = RLELossless
        return pixels_of(one)

    damaged = digest(b"no items", "1")

    assert damaged[1]
    assert damaged[0] not in {digest(b"no itemz", "1")[0], digest(b"no items", "2")[0]}


def test_bytes_of_a_sequence_beside_its_items_are_an_element_that_is_not_decoded() -> None:
    for syntax in ("explicit", "implicit"):
        one = ct_slice(ReferencedImageSequence=Sequence([item(ReferencedSOPInstanceUID="1.2")]))
        raw = as_bytes(one, syntax)
        at = raw.index(b"\xfe\xff\0\xe0")
        end = at + 8 + struct.unpack("<I", raw[at + 4 : at + 8])[0]
        twice = raw[at + 8 : end]
        longer = raw[: at - 4] + struct.pack("<I", 8 + 2 * len(twice))
        longer += raw[at : at + 4] + struct.pack("<I", 2 * len(twice)) + twice + raw[at + 8 :]

        whole = [*pieces(dcmread(io.BytesIO(raw)), set())]
        found = [*pieces(dcmread(io.BytesIO(longer)), set())]

        assert not any(piece.vr == "" for piece in whole)
        (beside,) = [piece for piece in found if not piece.vr]
        assert (beside.where, beside.texts) == ("ReferencedImageSequence", [])
        assert beside.raw.endswith(twice * 2)


def test_the_text_of_an_undecodable_value_is_all_of_its_bytes() -> None:
    raw = as_bytes(ct_slice(Rows=2, StudyTime="1200"))
    spoilt = raw.replace(b"US\2\0\2\0", b"US\3\0\xe92\0", 1)

    (piece,) = [one for one in pieces(dcmread(io.BytesIO(spoilt)), set()) if not one.vr]

    assert (piece.where, piece.texts, piece.raw) == ("Rows", ["\xe92\0"], b"\xe92\0")


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
