"""The elements and items of an image at all depths: within their bound and beyond.

Counted by the reader that sends images, by the one that converts them first, and by the gate.
"""

import struct
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.adapters.gate import package_search, sources
from drawcli.core.dicom import layout_reader, streaming
from drawcli.core.dicom.header import NotDicom, read_header
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.frames.groups import FrameGroups
from drawcli.core.gate import whole_elements
from drawcli.core.gate.header_diff import compare_headers
from drawcli.core.gate.pydicom_elements import read_source
from drawcli.core.gate.whole_elements import TooManyParts, check_parts
from drawcli.errors import SeriesRefused
from tests.bounds.data_sets import element, item, sequence
from tests.cli.conftest import Run
from tests.conftest import PELVIS, Site
from tests.core.files import CT, as_bytes, ct_slice
from tests.core.files import item as data_set
from tests.phantoms.planning import write_planning_ct

CODES = 0x00400275  # RequestAttributesSequence
COMMENT = 0x00401400  # RequestedProcedureComments
PRIVATE = 0x00431000
UNDEFINED = 0xFFFFFFFF
EMPTY = item(b"")
LAST = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
ITEM_LAST = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
MANY = 400
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
PIXELS = b"\xe0\x7f\x10\0"


def undefined(vr: bytes, inside: bytes, tag: int = CODES) -> bytes:
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, UNDEFINED)
    return head + inside + LAST


def open_item(inside: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED) + inside + ITEM_LAST


def numbers(count: int, *, implicit: bool = False) -> bytes:
    """Return elements without a value."""
    tags = range(0x00400300, 0x00400300 + count)
    if implicit:
        return b"".join(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 0) for tag in tags)
    return b"".join(element(tag, b"LO", b"") for tag in tags)


CUT_OFF = struct.pack("<HH2sH", 0x0040, 0x0300, b"LO", 5_000)
LONG_SEQUENCE = struct.pack("<HH2sHI", 0x0040, 0x0300, b"SQ", 0, 5_000)
LIKE_A_VR = int.from_bytes(b"NO", "little")  # a length
IMPLICIT = b"".join(
    struct.pack("<HHI", 0x0040, 0x0400 + n, size) + b"\xff" * size
    for n, size in enumerate([4, LIKE_A_VR, 4])
)

# What is put into an image, with its elements and items.
FORMS = {
    "empty items": (sequence(CODES, [b""] * MANY), MANY + 1),
    "items without a length": (undefined(b"SQ", open_item(numbers(MANY))), MANY + 2),
    "elements": (sequence(CODES, [numbers(MANY)]), MANY + 2),
    "items in items": (sequence(CODES, [sequence(CODES, [b""] * MANY)]), MANY + 3),
    "a sequence behind another": (
        sequence(CODES, [numbers(1)]) + sequence(CODES + 1, [b""] * MANY),
        MANY + 4,
    ),
    "unknown, of implicit VR": (
        undefined(b"UN", item(numbers(MANY, implicit=True)), PRIVATE),
        MANY + 2,
    ),
    "behind an element that reaches beyond its sequence": (
        sequence(CODES, [sequence(CODES, [CUT_OFF]) + numbers(MANY)]),
        MANY + 5,
    ),
    "behind a sequence that reaches beyond the one around it": (
        sequence(CODES, [sequence(CODES, [LONG_SEQUENCE]) + numbers(MANY)]),
        MANY + 5,
    ),
    "explicit VR behind implicit VR": (
        sequence(CODES, [undefined(b"UN", item(IMPLICIT), PRIVATE) + numbers(MANY)]),
        MANY + 7,
    ),
    "implicit VR in an unknown element of a known tag": (
        undefined(b"UN", item(IMPLICIT + numbers(MANY, implicit=True)), COMMENT),
        MANY + 5,
    ),
    "unknown, with a length": (element(PRIVATE, b"UN", EMPTY * MANY), MANY + 1),
}


def image(inside: bytes, *, own: bytes = b"") -> bytes:
    """Return an image with elements of group 0040 or above before its pixels."""
    raw = as_bytes(ct_slice())
    at = raw.index(PIXELS)
    return own + raw[:at] + inside + raw[at:]


def own_parts() -> int:
    """Return the elements of an image without more."""
    return len(read_header(image(b""), complete=True).elements)


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("form", FORMS)
def test_parts_of_an_image(form: str, beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, count = FORMS[form]
    monkeypatch.setattr(streaming, "MOST_PARTS", own_parts() + count - beyond)
    stream = BytesIO(image(inside))

    if beyond:
        with pytest.raises(NotDicom, match="elements and items"):
            read_or_convert(stream)
    else:
        assert read_or_convert(stream)[0].pixels is not None


@pytest.mark.parametrize("beyond", [0, 1])
def test_parts_of_an_image_of_implicit_vr(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [data_set(RequestedProcedureID="") for _ in range(MANY)]
    raw = as_bytes(ct_slice(RequestAttributesSequence=many), "implicit")
    monkeypatch.setattr(streaming, "MOST_PARTS", own_parts() + 1 + 2 * MANY - beyond)

    if beyond:
        with pytest.raises(NotDicom, match="elements and items"):
            read_or_convert(BytesIO(raw))
    else:
        read_or_convert(BytesIO(raw))


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("form", ["empty items", "elements", "items in items"])
def test_parts_of_a_converted_image(
    form: str, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, count = FORMS[form]
    twice = element(0x00431010, b"LO", b"A")  # out of order, so that the file is converted
    raw = image(element(0x00431020, b"LO", b"A") + twice + inside)
    monkeypatch.setattr(layout_reader, "MOST_PARTS", own_parts() + 2 + count - beyond)

    if beyond:
        with pytest.raises(NotDicom, match="elements and items"):
            read_or_convert(BytesIO(raw))
    else:
        assert read_or_convert(BytesIO(raw))[1] is not None


def test_structure_sets_and_other_objects_have_no_such_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "MOST_PARTS", 10)
    raw = image(FORMS["elements"][0])
    other = raw.replace(b"UI\x1a\0" + CT.encode() + b"\0", b"UI\x1a\x001.2.840.10008.5.1.4.1.1.9\0")

    with pytest.raises(NotDicom):
        read_or_convert(BytesIO(raw))
    assert other != raw
    read_or_convert(BytesIO(other))


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("form", FORMS)
def test_parts_of_a_source_of_the_gate(
    form: str, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, count = FORMS[form]
    most = own_parts() + 1 + count - beyond  # and the pixels
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", most)
    raw = image(inside)

    check_gate(raw, beyond, lambda: read_source(raw))


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_parts_of_a_source_in_other_encodings(
    syntax: str, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [data_set(RequestedProcedureID="") for _ in range(MANY)]
    dataset = ct_slice(RequestAttributesSequence=many)
    raw = encoded(dataset, syntax)
    most = own_parts() + 2 + 2 * MANY - beyond
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", most)

    check_gate(raw, beyond, lambda: read_source(raw))


def encoded(dataset: Dataset, syntax: str) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def check_gate(raw: bytes, beyond: int, read: Callable[[], object]) -> None:
    if beyond:
        with pytest.raises(TooManyParts, match="elements and items"):
            read()
        assert package_search._dataset(raw) is None
    else:
        read()
        assert package_search._dataset(raw) is not None


def test_elements_behind_the_pixels_count(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = image(b"")
    behind = b"".join(element(0xFFFC0000 + n, b"OB", b"") for n in range(MANY))
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", own_parts() + MANY)

    assert check_parts(raw + behind[12:])
    with pytest.raises(TooManyParts):
        check_parts(raw + behind)


def test_the_pixels_of_a_file_are_no_parts_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", own_parts() + 1)
    raw = as_bytes(ct_slice(PixelData=EMPTY * MANY))

    assert check_parts(raw)
    assert not check_parts(raw[: raw.index(PIXELS)])


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_large_source_is_counted_in_front_of_its_pixels(
    beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, count = FORMS["empty items"]
    path = tmp_path / "1.dcm"
    path.write_bytes(image(inside))
    monkeypatch.setattr(sources, "_LARGE", 100)
    monkeypatch.setattr(sources, "read_source", None)  # which is for others
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", own_parts() + 1 + count - beyond)

    if beyond:
        with pytest.raises(SeriesRefused, match=r"more than [0-9,]+ elements and items") as caught:
            sources.source_of(str(path))
        assert "check the file" in caught.value.hint
    else:
        assert "PixelData" in sources.source_of(str(path))


@pytest.mark.parametrize("beyond", [0, 1])
def test_parts_of_headers_that_are_compared(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, count = FORMS["empty items"]
    raw = image(inside)
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", own_parts() + 1 + count - beyond)

    if beyond:
        with pytest.raises(ValueError, match="elements and items"):
            compare_headers(raw, raw)
    else:
        assert compare_headers(raw, raw)


@pytest.mark.parametrize(
    "read",
    [lambda raw: read_or_convert(BytesIO(raw)), read_source],
    ids=["engine", "gate"],
)
def test_a_flood_of_items_fills_no_memory(read: Callable[[bytes], object]) -> None:
    raw = image(sequence(CODES, [b""]))  # imports what a reader needs
    read(raw)
    flood = image(element(CODES, b"SQ", EMPTY * (layout_reader.MOST_PARTS + 1)))
    tracemalloc.start()
    try:
        with pytest.raises((NotDicom, TooManyParts)):
            read(flood)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(flood)  # an object for each item takes 80 times its bytes


def test_rules_refuse_an_image_with_too_many_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "1.dcm"
    path.write_bytes(image(FORMS["empty items"][0]))
    assert "Modality" in shared_elements([str(path)]).values
    monkeypatch.setattr(whole_elements, "_MOST_PARTS", MANY)

    with pytest.raises(SeriesRefused, match="TooManyParts"):
        shared_elements([str(path)])


@pytest.mark.parametrize("module", [streaming, whole_elements], ids=["engine", "gate"])
def test_commands_refuse_an_image_with_too_many_parts(
    module: ModuleType, site: Site, drawcli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_planning_ct(site.folder / "flood", PELVIS, slices=4, size=8, seed=1)
    whole = paths[0].read_bytes()
    at = whole.index(PIXELS)
    paths[0].write_bytes(whole[:at] + sequence(0x60010010, [b""] * 5_000) + whole[at:])
    name = "MOST_PARTS" if module is streaming else "_MOST_PARTS"
    monkeypatch.setattr(module, name, 4_000)

    compared = drawcli("diff-header", str(paths[0]))
    sent = drawcli("deidentify", str(site.folder / "flood"), "--to", "new")

    assert (compared.code, sent.code) == (6, 6)
    assert "more than 4,000 elements and items" in compared.err
    if module is streaming:
        assert "CT of 3 files" in sent.out
        assert "1 files beside the series cannot be read" in sent.out
    else:
        assert "cannot be compared: a header has more than 4,000 elements and items" in sent.out


def test_frames_share_what_is_the_same_in_each() -> None:
    common = sequence(0x00209171, [numbers(1_000)])
    groups = element(0x52009229, b"SQ", item(common)) + element(0x52009230, b"SQ", EMPTY * 2_000)
    header = read_header(image(groups), complete=True)
    tracemalloc.start()
    try:
        frames = FrameGroups(header).frames
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [len(one) for one in frames] == [1_000] * 2_000
    assert peak < 50 * len(groups)  # one mapping of each frame with all values: 1,500 times
