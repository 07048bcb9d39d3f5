"""Packed facts are unpacked unchanged."""

from pathlib import Path

import pytest

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.core.dicom.header import read_header
from drawcli.core.dicom.instance import Slice, slice_of
from drawcli.core.dicom.instance_json import pack_slice, unpack_slice
from tests.conftest import PELVIS
from tests.core.files import as_bytes, ct_slice
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.planning import write_planning_ct


def again(one: Slice) -> Slice:
    made = pack_slice(one)
    return unpack_slice(made.shared, made.own, path=one.path, size=one.size, mtime_ns=one.mtime_ns)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None},
        {"PatientName": "M\xfcller^J\xf6rg", "SeriesDescription": "Scout"},
        {"ImagePositionPatient": ["-250.123456789", "1e-7", "-0"], "ImageType": None},
    ],
)
def test_a_slice_comes_back_as_it_was(values: dict[str, object]) -> None:
    data = as_bytes(ct_slice(**values))
    one = slice_of(read_header(data), path="/x/\udcff.dcm", size=len(data), mtime_ns=5)

    assert again(one) == one


def test_a_multi_frame_image_comes_back_with_its_frames(tmp_path: Path) -> None:
    classic = write_planning_ct(tmp_path / "classic", PELVIS, slices=4, size=16)
    (tmp_path / "multi").mkdir()
    write_enhanced(tmp_path / "multi" / "1.dcm", PELVIS, classic)
    (one,) = read_datastore([tmp_path / "multi"]).slices

    assert one.frames is not None
    assert len(one.planes) == 4
    assert again(one) == one


def test_slices_of_a_series_share_most_of_what_is_known() -> None:
    first, second = (
        pack_slice(
            slice_of(read_header(as_bytes(ct_slice(**values))), path="x", size=1, mtime_ns=1)
        )
        for values in ({}, {"SOPInstanceUID": "1.2", "ImagePositionPatient": ["0", "0", "3"]})
    )

    assert first.shared == second.shared
    assert first.own != second.own
    assert len(first.own) < 200
