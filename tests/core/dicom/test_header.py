"""The header reader against pydicom, on real, made and broken files."""

import io
import random
import struct
import warnings
from collections.abc import Sequence as Many
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_has_tag, repeater_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.dicom.header import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_DATA,
    Element,
    Header,
    Incomplete,
    NotDicom,
    items,
    read_header,
)
from drawcli.core.dicom.tags import tag_text
from tests.core.files import as_bytes, ct_slice, item
from tests.core.real_data import needs_real, real_files, unpacked

ARCHIVES = (
    "series/philips_ct_study_S21610.tar.xz",
    "rt/mr_t2_mim_sts001_raw.tar.xz",
    "rt/xio_oraw_lung1-002.tar.xz",
)
SEQUENCE_END = bytes.fromhex("FEFFDDE000000000")
ITEM_END = bytes.fromhex("FEFF0DE000000000")
OPEN_ITEM = bytes.fromhex("FEFF00E0FFFFFFFF")


def read_by_pydicom(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # real files are full of small faults
        return dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)


def agree(header: Header, elements: Many[Element], dataset: Dataset, *, explicit: bool) -> int:
    """Compare tag, VR and raw value at every depth; return the number of elements."""
    assert [element.tag for element in elements] == sorted(int(tag) for tag in dataset.keys())  # noqa: SIM118 - iterating would decode
    count = len(elements)
    for element in elements:
        raw = dataset.get_item(element.tag)
        assert raw is not None
        if isinstance(raw, RawDataElement):
            assert (raw.VR or "") == element.vr.decode()
            if not element.undefined:
                assert (raw.value or b"") == header.data[element.value : element.end]
        if raw.VR == "SQ" or (raw.VR is None and dataset[element.tag].VR == "SQ"):
            inner = explicit and element.vr != b"UN"
            inside = list(items(header.data, element, explicit=inner))
            theirs = dataset[element.tag].value
            assert len(inside) == len(theirs)
            for ours, other in zip(inside, theirs, strict=True):
                count += agree(header, ours, other, explicit=inner)
    return count


def same_as_pydicom(data: bytes) -> int:
    header = read_header(data, complete=True)
    elements = list(header.elements.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return agree(header, elements, read_by_pydicom(data), explicit=header.explicit)


def refusal(data: bytes) -> str:
    try:
        read_header(data, complete=True)
    except NotDicom as err:
        return str(err)
    except Incomplete:
        return "incomplete"
    return ""


@needs_real
@pytest.mark.sweep
def test_real_files_read_as_pydicom_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    paths = [*real_files(), *(path for name in ARCHIVES for path in unpacked(name, tmp_path))]
    files = elements = 0

    for path in paths:
        data = path.read_bytes()
        if not refusal(data) and path.name != "DICOMDIR-nooffset":  # its last item is cut short
            files += 1
            elements += same_as_pydicom(data)

    assert files > 600
    assert elements > 50_000


@needs_real
def test_real_files_are_refused_with_a_reason() -> None:
    refused = {path.name: why for path in real_files() if (why := refusal(path.read_bytes()))}

    assert {
        "html_error_page.dcm": "not a DICOM file",
        "zero_byte.dcm": "not a DICOM file",
        "preamble_only.dcm": "incomplete",
        "truncated_in_header.dcm": "incomplete",
        "MR_small_bigendian.dcm": "big endian",
        "image_dfl.dcm": "deflated",
        "CT_small_deflated.dcm": "deflated",
        "SC_rgb_jpeg.dcm": "the data set is not in the named transfer syntax",
    }.items() <= refused.items()
    assert len(refused) < 40


VALUES = {
    "LO": st.text("ABC ^=\\", max_size=12),
    "UI": st.from_regex(r"1(\.[1-9]{1,3}){1,5}", fullmatch=True),
    "US": st.integers(0, 65535),
    "FD": st.floats(-1e6, 1e6),
    "OB": st.binary(max_size=9).map(lambda raw: raw + b"\0" * (len(raw) % 2)),
    "UT": st.text("xyz ", max_size=30),
    "UN": st.binary(max_size=8).map(lambda raw: raw + b"\0" * (len(raw) % 2)),
}
TAGS = st.integers(0x0009, 0x7FDF).flatmap(
    lambda group: st.integers(0x1000, 0xFEFF).map(lambda number: group << 16 | number)
)


@st.composite
def datasets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    """Draw a data set; sequences and items have defined or undefined lengths."""
    made = Dataset()
    for tag in draw(st.sets(TAGS, max_size=5)):
        vr = draw(st.sampled_from([*VALUES, *(["SQ"] * (2 if depth else 0))]))
        if vr == "UN" and (dictionary_has_tag(tag) or repeater_has_tag(tag)):
            vr = "OB"  # pydicom would read the bytes as the type it knows for the tag
        if vr != "SQ":
            made.add_new(tag, vr, draw(VALUES[vr]))
            continue
        inside = draw(st.lists(datasets(depth - 1), max_size=3))
        for one in inside:
            one.is_undefined_length_sequence_item = draw(st.booleans())
        made.add_new(tag, "SQ", Sequence(inside))
        made[tag].is_undefined_length = draw(st.booleans())
    return made


@pytest.mark.sweep
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(datasets(), st.sampled_from(["explicit", "implicit"]))
def test_made_files_read_as_pydicom_reads_them(dataset: Dataset, syntax: str) -> None:
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    data = as_bytes(dataset, syntax)

    assert same_as_pydicom(data) >= len(dataset)
    assert same_as_pydicom(data[data.index(b"DICM") + 4 :]) >= len(dataset)


def test_a_data_set_without_preamble_and_file_meta_is_read() -> None:
    whole = as_bytes(ct_slice(), "implicit")
    bare = whole[whole.index(b"\x08\0\x05\0") :]

    header = read_header(bare)

    assert (header.transfer_syntax, header.explicit) == (IMPLICIT_LITTLE, False)
    assert header.text(0x00100020) == "PID-0815"
    assert header.pixels is not None
    assert header.data[header.pixels.value :] == bytes(8)


def test_only_the_header_is_needed() -> None:
    whole = as_bytes(ct_slice(PixelData=bytes(4096)))
    start = whole.index(b"\xe0\x7f\x10\0OW")

    header = read_header(whole[: start + 12])

    assert header.pixels == Element(
        PIXEL_DATA, b"OW", start, start + 12, start + 4108, undefined=False
    )
    assert header.number(0x00280010) == 2


def test_values_are_given_without_padding_and_missing_ones_as_nothing() -> None:
    header = read_header(as_bytes(ct_slice(PatientID="odd", Rows=513)), complete=True)

    assert (header.raw(0x00100020), header.text(0x00100020)) == (b"odd ", "odd")
    assert (header.number(0x00280010), header.number(0x00280009)) == (513, None)
    assert (header.raw(0x00104000), header.text(0x00104000)) == (None, "")


def test_a_value_of_undefined_length_is_not_returned() -> None:
    patient_id = encode(0x00100020, b"UN", b"", explicit=True)[:-4] + b"\xff" * 4
    inner = encode(0x00081155, b"UI", b"1.2", explicit=False)  # what UN hides is implicit
    hidden = patient_id + OPEN_ITEM + inner + ITEM_END + SEQUENCE_END
    first = encode(0x00080060, b"CS", b"CT", explicit=True)

    header = read_header(first + hidden, complete=True)

    assert header.raw(0x00100020) is None
    assert header.elements[0x00100020].end == len(first + hidden)


def test_a_delimiter_has_no_value_despite_its_length() -> None:
    inner = encode(0x00081155, b"UI", b"1.2", explicit=True)
    odd_end = ITEM_END[:4] + b"\x08\0\0\0"
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    content = (OPEN_ITEM + inner + odd_end) * 2 + SEQUENCE_END
    data = encode(0x00080060, b"CS", b"CT", explicit=True) + sequence + content

    found = read_header(data, complete=True).elements[0x00081140]

    assert found.end == len(data)
    assert [len(one) for one in items(data, found, explicit=True)] == [1, 1]


def test_the_content_of_vr_un_is_implicit() -> None:
    inner = encode(0x00081155, b"UI", b"1.2.3", explicit=False)
    content = encode_item(inner)
    head = encode(0x00081140, b"UN", content, explicit=True)
    header = read_header(encode(0x00080060, b"CS", b"CT", explicit=True) + head, complete=True)

    ((element,),) = items(header.data, header.elements[0x00081140], explicit=False)

    assert header.data[element.value : element.end] == b"1.2.3\0"


def broken(name: str) -> bytes:
    """Return a file with one fault."""
    first = encode(0x00080060, b"CS", b"CT", explicit=True)
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    meta = bytes(128) + b"DICM"
    return {
        "no vr": first + b"\x10\0\x20\0??\x02\0AB",
        "out of order": first + encode(0x00080008, b"CS", b"X", explicit=True),
        "twice": first + first,
        "stray end": first + SEQUENCE_END + first,
        "stray item": first + encode_item(b""),
        "no item": first + sequence + first + SEQUENCE_END,
        "item not closed": first + sequence + OPEN_ITEM + first + SEQUENCE_END,
        "named otherwise": meta
        + encode(0x00020010, b"UI", IMPLICIT_LITTLE.encode(), explicit=True)
        + first,
        "meta without end": meta + b"\x02\0\x02\x01OB\0\0\xff\xff\xff\xff",
        "too deep": first + (sequence + OPEN_ITEM) * 40,
    }[name]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("no vr", "(0010,0020) has no known VR"),
        ("out of order", "elements out of order"),
        ("twice", "elements out of order"),
        ("stray end", "elements out of order"),
        ("stray item", "elements out of order"),
        ("no item", "a sequence with something other than items"),
        ("item not closed", "an item with something other than elements"),
        ("named otherwise", "the data set is not in the named transfer syntax"),
        ("meta without end", "file meta of undefined length"),
        ("too deep", "sequences nested too deep"),
    ],
)
def test_a_broken_header_is_refused_with_a_reason(fault: str, why: str) -> None:
    assert refusal(broken(fault)) == why


def test_big_endian_is_refused_with_and_without_file_meta() -> None:
    dataset = item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.3", Rows=2)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)

    assert refusal(out.getvalue()) == "big endian"
    assert refusal(out.getvalue().replace(ExplicitVRBigEndian.encode() + b"\0", b"")) != ""


def sequence_with(content: bytes) -> tuple[bytes, Element]:
    data = encode(0x00081140, b"SQ", content, explicit=True) + encode(
        0x00100020, b"LO", b"behind", explicit=True
    )
    return data, read_header(data, complete=True).elements[0x00081140]


@pytest.mark.parametrize(
    "content",
    [
        encode_item(b"")[:-2] + b"\x08\0",  # the item is longer than its sequence
        encode_item(encode(0x00081155, b"UI", b"1.2", explicit=True))[:-2],
        encode_item(encode(0x00081155, b"UI", b"1.2", explicit=True)[:-3] + b"\0"),
        encode_item(b"\x08\0"),
        encode_item(b"") + b"\0\0",
        OPEN_ITEM + encode(0x00081155, b"UI", b"1.2", explicit=True),
        encode_item(ITEM_END),
    ],
)
def test_an_item_never_ends_after_its_sequence(content: bytes) -> None:
    data, sequence = sequence_with(content)

    with pytest.raises(NotDicom):
        list(items(data, sequence, explicit=True))


def test_values_are_padded_as_their_vr_asks() -> None:
    assert encode(0x00080018, b"UI", b"1.2", explicit=True) == b"\x08\0\x18\0UI\x04\x001.2\0"
    assert encode(0x00100020, b"LO", b"odd", explicit=True) == b"\x10\0\x20\0LO\x04\0odd "
    assert encode(0x00100020, b"LO", b"odd", explicit=False) == b"\x10\0\x20\0\x04\0\0\0odd "


def test_a_value_too_long_for_its_vr_is_refused_by_its_tag() -> None:
    with pytest.raises(NotDicom, match=r"^\(0010,0020\) is too long"):
        encode(0x00100020, b"LO", bytes(70_000), explicit=True)


def seeds() -> list[bytes]:
    """Return files with all parts that a mutation can damage."""
    nested = item(
        ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2.3")],
        RequestAttributesSequence=[item(ReferencedStudySequence=[item(AccessionNumber="A")])],
    )
    one = ct_slice(**{e.keyword: e.value for e in nested})
    one["RequestAttributesSequence"].is_undefined_length = True
    one.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    return [as_bytes(one, "explicit"), as_bytes(one, "implicit")]


def descend(header: Header, elements: Many[Element], *, explicit: bool, depth: int = 0) -> None:
    for element in elements:
        if depth < 5 and (element.vr == b"SQ" or element.undefined):
            for inside in items(header.data, element, explicit=explicit):
                descend(header, inside, explicit=explicit, depth=depth + 1)


@pytest.mark.sweep
def test_mutated_files_are_read_or_refused() -> None:
    dice = random.Random(20260314)  # noqa: S311 - to be the same each time
    outcomes = {"read": 0, "refused": 0}

    for seed in seeds():
        for _ in range(3000):
            data = bytearray(seed)
            for _ in range(dice.randint(1, 6)):
                place = dice.randrange(128, len(data))
                data[place] = dice.choice([0, 0xFF, 0xFE, dice.randrange(256)])
            data = data[: dice.choice([len(data), dice.randrange(len(data))])]
            try:
                header = read_header(bytes(data), complete=dice.random() < 0.5)
                descend(header, list(header.elements.values()), explicit=header.explicit)
                outcomes["read"] += 1
            except (NotDicom, Incomplete):
                outcomes["refused"] += 1

    assert min(outcomes.values()) > 500


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_every_shorter_file_is_incomplete(syntax: str) -> None:
    whole = as_bytes(ct_slice(), syntax)
    pixels = read_header(whole).pixels
    assert pixels is not None

    for length in range(132, pixels.value):
        with pytest.raises(Incomplete):
            read_header(whole[:length])


@given(st.binary(max_size=300))
def test_any_bytes_after_the_prefix_are_read_or_refused(tail: bytes) -> None:
    for complete in (False, True):
        try:
            header = read_header(bytes(128) + b"DICM" + tail, complete=complete)
        except (NotDicom, Incomplete):
            continue
        assert list(header.elements) == sorted(header.elements)


def test_a_thousand_sequences_in_each_other_are_refused_without_blowing_the_stack() -> None:
    opened = struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF) + OPEN_ITEM

    assert refusal(b"\x08\0\x16\0\x02\0\0\x001\0" + opened * 1000) == "sequences nested too deep"


def test_a_tag_is_written_in_hexadecimal() -> None:
    assert tag_text(0x7FE00010) == "(7FE0,0010)"
    assert ExplicitVRLittleEndian == EXPLICIT_LITTLE


def test_too_many_elements_are_refused() -> None:
    flood = b"".join(
        struct.pack("<HH2sH", 0x3101 + 2 * group, number, b"LO", 0)
        for group in range(2)
        for number in range(0x10, 0xFFFF)
    )

    with pytest.raises(NotDicom, match="more elements"):
        read_header(struct.pack("<HH2sH", 8, 0x60, b"CS", 8) + b"RTSTRUCT" + flood, complete=True)
