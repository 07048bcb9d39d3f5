"""The functional groups of multi-frame images, and the slices that they are split into."""

import warnings
from io import BytesIO
from math import isclose
from typing import Any, Final

from pydicom import Dataset, dcmread

from drawcli.adapters.datastore.images import pixel_end
from drawcli.core.deid.profile import policy_for
from drawcli.core.dicom.encoding import encode_pixel_head
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.dicom.multiframe import frames_of
from drawcli.core.dicom.sop_classes import MULTI_FRAME
from drawcli.core.frames.attributes import sent_class
from drawcli.core.frames.split import SplitImage
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.errors import SeriesRefused
from tests.fuzz import dicom_tree
from tests.fuzz.image_files import check_places, elements_of, with_elements
from tests.fuzz.targets import READ, UNITS, Units, target

_SYNTAX: Final = "1.2.840.10008.1.2.1"
_MOST: Final = 64  # frames that are looked at
_GEOMETRY: Final = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)
UNITS["functional_groups"] = Units(elements_of, with_elements, dicom_tree.altered)


@target
def functional_groups(data: bytes) -> None:
    """A multi-frame image: each slice has the geometry of its frame, as pydicom reads it."""
    try:
        header = read_header(data, complete=True)
    except (NotDicom, Incomplete):
        return
    facts = frames_of(header)
    if facts is None:
        assert header.text(0x00080016) not in MULTI_FRAME
        return
    assert len(facts.planes) <= len(data) // 8
    try:
        end = pixel_end(BytesIO(data), header)  # elements behind the pixels are refused
        image = SplitImage(header, policy_for(sent_class(header.text(0x00080016))))
    except SeriesRefused:
        return
    assert image.count == len(facts.planes)
    assert image.frame_bytes > 0
    whole = read_by_pydicom(data[:end])  # of other bytes there it makes elements, too
    head = encode_pixel_head(2, 16, explicit=header.explicit)
    for number in range(1, min(image.count, _MOST) + 1):
        one = image.header_of(number, head, header.transfer_syntax)
        check_places(one, 0)
        again = read_header(beginning(one) + one.data, complete=True)
        assert [*again.elements] == sorted(one.elements)
        assert one.text(0x00080016) == sent_class(header.text(0x00080016))
        assert one.text(0x00200013) == str(number)
        assert one.text(0x00280008) == ""
        if whole is not None:
            check_geometry(one, whole, number)
    READ["functional_groups"] += 1


def beginning(header: Header) -> bytes:
    """Return preamble and file meta for a data set."""
    name = header.transfer_syntax.encode("ascii", "surrogateescape")
    name += bytes(len(name) % 2)
    head = b"\x02\0\x10\0UI" + len(name).to_bytes(2, "little")
    return bytes(128) + b"DICM" + head + name


def read_by_pydicom(data: bytes) -> Dataset | None:
    """Return an image as pydicom reads it; None if it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dcmread(BytesIO(data), force=True)
        except pydicom_errors():
            return None


def check_geometry(one: Header, whole: Dataset, number: int) -> None:
    """Compare position, orientation and spacing of a slice with those of the frame."""
    for group, keyword in _GEOMETRY:
        expected = value_of(whole, number, group, keyword)
        raw = one.text({"ImagePositionPatient": 0x00200032}.get(keyword) or _tag(keyword))
        if expected is not None:
            found = [float(part) for part in raw.split("\\")]
            assert len(found) == len(expected)
            assert all(map(isclose, found, expected))


def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) or 0


def value_of(whole: Dataset, number: int, group: str, keyword: str) -> list[float] | None:
    """Return the numbers of a frame by its own groups or the shared ones; None if unreadable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            own = whole.PerFrameFunctionalGroupsSequence[number - 1]
            shared = whole.get("SharedFunctionalGroupsSequence") or [Dataset()]
            items: Any = (own if group in own else shared[0])[group].value
            return [float(part) for part in items[0][keyword].value]
        except pydicom_errors():
            return None
