from typing import Final

import pytest

from drawcli.core.dicom.header import Incomplete, NotDicom, read_header
from drawcli.core.series.differing import HeaderModel
from tests.core.files import as_bytes, ct_slice

_NUMBER: Final = 0x00200013
_PLACE: Final = 0x00200032
_COMMENT: Final = 0x00204000
_KERNEL: Final = 0x00181210


def slice_with(**values: object) -> bytes:
    return as_bytes(ct_slice(InstanceNumber="1", ConvolutionKernel="B30", **values))


def compared(one: bytes, other: bytes) -> set[int]:
    return set(HeaderModel(read_header(one)).differing(other))


def test_the_elements_that_differ_are_found_and_no_others() -> None:
    one = slice_with()

    assert compared(one, one) == set()
    assert compared(one, slice_with(ImagePositionPatient=[1.0, 2.0, -1003.25])) == {_PLACE}
    assert compared(one, slice_with(ImageComments="further")) == {_COMMENT}
    assert compared(slice_with(ImageComments="further"), one) == {_COMMENT}
    other = as_bytes(ct_slice(InstanceNumber="10", ImageComments="longer than it was"))
    assert compared(one, other) == {_NUMBER, _COMMENT, _KERNEL}
    assert compared(other, one) == {_NUMBER, _COMMENT, _KERNEL}


def test_a_differing_element_is_given_whole_and_a_missing_one_as_none() -> None:
    model = HeaderModel(read_header(slice_with(ImageComments="first")))

    assert model.differing(slice_with()) == {_COMMENT: None}
    (found,) = model.differing(slice_with(ImageComments="second")).values()
    assert found == b"\x20\x00\x00\x40LT\x06\x00second"


def test_bytes_that_are_no_such_header_are_refused() -> None:
    one = slice_with()
    model = HeaderModel(read_header(one))
    *_, last = model.header.elements.values()

    with pytest.raises(Incomplete):
        model.differing(one[: last.end - 1])
    with pytest.raises(NotDicom):
        model.differing(as_bytes(ct_slice(), "implicit"))
    with pytest.raises(NotDicom):
        model.differing(one[: last.end] + one[last.start :])
    without = ct_slice()
    del without.PixelData
    with pytest.raises(NotDicom):
        HeaderModel(read_header(as_bytes(without), complete=True))
