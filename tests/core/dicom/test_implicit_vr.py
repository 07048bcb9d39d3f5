"""Data sets in the default transfer syntax have the same values for every reader."""

import io
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from drawcli.core.dicom.header import DEEPEST, NotDicom, read_header
from drawcli.core.dicom.implicit_vr import encode_implicit_vr
from drawcli.core.gate.pydicom_elements import pydicom_errors
from tests.conftest import PELVIS
from tests.core.real_data import needs_real, real_files
from tests.phantoms.planning import write_planning_ct
from tests.structure_sets import structure_set


def explicit(dataset: Dataset) -> bytes:
    """Return a data set as a file in Explicit VR Little Endian."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.481.3")
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    out = io.BytesIO()
    dataset.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return out.getvalue()


def read_as_implicit(data: bytes) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset = dcmread(io.BytesIO(data), force=True)
    dataset.file_meta = meta
    return dataset


def converted(data: bytes) -> bytes:
    return encode_implicit_vr(read_header(data, complete=True))


@pytest.fixture
def contours(tmp_path: Path) -> bytes:
    """Return a structure set in explicit VR with every form that a value may have."""
    slices = [
        dcmread(one) for one in write_planning_ct(tmp_path, PELVIS, slices=4, size=16, seed=1)
    ]

    def change(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName = "Kulkarnée^Zoë"
        dataset.StructureSetDescription = "x" * 1023
        dataset.OperatorsName = None
        dataset.ContributingEquipmentSequence = []
        dataset.add(DataElement(0x00189074, "DT", "20261114120000.5"))
        dataset.add(DataElement(0x00280010, "US", 512))
        dataset.add(DataElement(0x00189089, "FD", [0.1, -1e-9]))
        dataset.ROIContourSequence.is_undefined_length = True
        dataset.ROIContourSequence[0].is_undefined_length_sequence_item = True

    return explicit(
        dcmread(io.BytesIO(structure_set(slices, ["Bladder", "Rectum"], change=change)))
    )


def test_every_value_is_the_same_element_by_element(contours: bytes) -> None:
    before, after = dcmread(io.BytesIO(contours)), read_as_implicit(converted(contours))

    assert after == before  # VR and value of each element, at every depth
    assert len(after) == len(before) > 20


def test_the_encoded_data_set_is_implicit_vr(contours: bytes) -> None:
    data = converted(contours)

    assert b"SQ\0\0" in contours
    assert b"SQ\0\0" not in data
    assert data[:8] == b"\x08\0\x05\0\x0a\0\0\0"


def test_coordinates_too_long_for_their_vr_stay_whole(contours: bytes) -> None:
    """They are written as UN in explicit VR (PS3.5 6.2.2), and are DS again without it."""
    before = dcmread(io.BytesIO(contours))
    contour = before.ROIContourSequence[0].ContourSequence[0]
    values = [f"{number}.125" for number in range(30_000)]
    contour.add(DataElement(0x30060050, "UN", "\\".join(values).encode()))

    after = read_as_implicit(converted(explicit(before)))

    contour = after.ROIContourSequence[0].ContourSequence[0]
    assert contour["ContourData"].VR == "DS"
    assert [str(value) for value in contour.ContourData] == values


def test_a_sequence_of_vr_un_is_implicit_already_and_stays(contours: bytes) -> None:
    inside = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x10\0\x20\0\4\0\0\0" + b"4711"
    inside += b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    unknown = b"\x11\x30\x10\x10UN\0\0\xff\xff\xff\xff" + inside

    data = converted(contours + unknown)

    assert data.endswith(b"\x11\x30\x10\x10\xff\xff\xff\xff" + inside)


def test_a_value_that_would_be_read_differently_is_not_converted(contours: bytes) -> None:
    dataset = dcmread(io.BytesIO(contours))
    dataset.add(DataElement(0x30060084, "US", 3))  # ReferencedROINumber is IS: digits

    with pytest.raises(NotDicom, match=r"\(3006,0084\) is US where PS3\.6 has IS"):
        converted(explicit(dataset))


def test_pixels_are_not_converted(contours: bytes) -> None:
    with pytest.raises(NotDicom, match="pixels"):
        converted(contours + b"\xe0\x7f\x10\0OB\0\0\0\0\0\0")


def test_sequences_without_end_are_not_followed() -> None:
    data = b""
    for _ in range(DEEPEST + 2):
        item = b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data
        data = b"\x06\x30\x10\0SQ\0\0" + len(item).to_bytes(4, "little") + item
    whole = bytes(128) + b"DICM" + b"\x08\0\x60\0CS\x08\0RTSTRUCT" + data

    with pytest.raises(NotDicom, match="too deep"):
        converted(whole)


@needs_real
@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom finds fault with most of them
def test_real_structure_sets_have_the_same_values() -> None:
    """Most of them are in implicit VR; those are written in explicit VR first, by pydicom."""
    seen = 0
    for path in real_files():
        try:
            original = dcmread(path, force=True)
            if original.get("Modality") != "RTSTRUCT":
                continue
            data = explicit(original) if original.is_implicit_VR else path.read_bytes()
            before = dcmread(io.BytesIO(data))
            after = read_as_implicit(converted(data))
        except pydicom_errors():
            continue
        for dataset in (before, after):
            dataset.remove_private_tags()
        assert after == before, path.name
        seen += 1

    assert seen >= 10
