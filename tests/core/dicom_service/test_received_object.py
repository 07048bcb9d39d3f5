"""The first elements of a data set, and the head of its file."""

import random
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from drawcli.core.dicom.header import Incomplete, NotDicom
from drawcli.core.dicom_service.received_object import (
    ObjectFacts,
    ObjectUids,
    file_head,
    read_uids,
)
from tests.dicom_sender import CT, EXPLICIT, IMPLICIT, data_set, explicit


def written(*, implicit: bool) -> bytes:
    """Return a data set by pydicom with nested sequences of both kinds before its series."""
    data, code = Dataset(), Dataset()
    code.CodeValue = "1"
    data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID = CT, "1.2.3", "1.2.4"
    data.LanguageCodeSequence = Sequence([code])
    data["LanguageCodeSequence"].is_undefined_length = True
    data.ReferencedImageSequence = Sequence([code, Dataset()])
    data.PatientName = "A^B"
    data.Rows = 3
    encoded = encode(data, is_implicit_vr=implicit, is_little_endian=True)
    assert encoded is not None
    return encoded


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_the_uids_are_read_past_sequences_from_as_few_bytes_as_hold_them(syntax: str) -> None:
    whole = written(implicit=syntax == ImplicitVRLittleEndian)
    wanted = ObjectUids(CT, "1.2.3", "1.2.4")
    read = 0
    for length in range(len(whole)):
        try:
            assert read_uids(whole[:length], syntax) == wanted
            read += 1
        except Incomplete:
            assert read == 0

    assert read > 5


def test_a_data_set_in_another_transfer_syntax_than_negotiated_is_refused() -> None:
    with pytest.raises((NotDicom, Incomplete)):
        read_uids(written(implicit=True), EXPLICIT, complete=True)


def test_a_second_value_of_an_element_is_refused() -> None:
    twice = explicit(0x00080018, b"UI", b"1.2.9") + data_set("1.2.3")

    with pytest.raises(NotDicom):
        read_uids(twice, EXPLICIT)


def test_file_meta_in_a_data_set_is_refused() -> None:
    with pytest.raises(NotDicom):
        read_uids(explicit(0x00020010, b"UI", IMPLICIT.encode()) + data_set("1.2.3"), EXPLICIT)


def test_any_bytes_are_read_or_refused_and_name_no_path() -> None:
    whole, dice = data_set("1.2.3"), random.Random(24)  # noqa: S311 - damage, no secret
    for _ in range(5000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(200)] = dice.choice(b"\0\1./\\\xff\x08UI:9")
        try:
            uids = read_uids(bytes(damaged), EXPLICIT)
        except (NotDicom, Incomplete):
            continue
        assert set("".join(uids)) <= set("0123456789.")


def test_the_head_is_read_by_others() -> None:
    head = file_head(ObjectFacts(CT, "1.2.3", EXPLICIT, "CT 1"))
    read = dcmread(BytesIO(head + data_set("1.2.3")))

    assert read.preamble == bytes(128)
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == "1.2.3"
    assert read.file_meta.SourceApplicationEntityTitle == "CT 1"
    assert read.file_meta.TransferSyntaxUID == EXPLICIT
