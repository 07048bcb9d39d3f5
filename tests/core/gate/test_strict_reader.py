"""The gate's reader compared with pydicom and dcmtk: the same values, or a refusal."""

import io
import json
import random
import re
import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence, config, dcmread
from pydicom.datadict import dictionary_VR

from drawcli.core.gate import strict_reader
from drawcli.core.gate.strict_reader import (
    DataSet,
    Elements,
    Malformed,
    decode_text,
    is_character_set,
)
from tests.core.gate.test_structure_set import Trip, bytes_changed, digits_changed, explicit
from tests.core.real_data import needs_real, real_files
from tests.structure_sets import RT_STRUCTURE_SET, structure_set

MUTATIONS = 400  # of each kind, in each form
CHARACTER_SET = 0x00080005
FOR_DCMTK = 25  # of these: each starts a process
NAMES = ["Bladder", "Rectum"]
STRUCTURES = frozenset({0x30060010, 0x30060012, 0x30060014, 0x30060016})
STRUCTURES |= {0x30060020, 0x30060039, 0x30060040, 0x30060080}
Values = list[tuple[tuple[int, ...], bytes]]

needs_dcmtk = pytest.mark.skipif(
    shutil.which("dcm2json") is None, reason="needs dcm2json (Debian package dcmtk)"
)


def by_us(file: DataSet, elements: Elements, above: tuple[int, ...] = ()) -> Iterator[Any]:
    """Yield path and bytes of every value, in the lists of structures at every depth."""
    for tag in elements:
        if tag in STRUCTURES:
            for number, item in enumerate(file.items(elements, tag)):
                yield from by_us(file, item, (*above, tag, number))
        elif not is_sequence(tag) and tag != CHARACTER_SET:
            yield (*above, tag), (file.raw(elements, tag) or b"").rstrip(b" \0")


def by_pydicom(dataset: Dataset, above: tuple[int, ...] = ()) -> Iterator[Any]:
    for tag in sorted(dataset.keys()):
        if tag in STRUCTURES:
            value = dataset[tag].value
            if not isinstance(value, Sequence):
                raise TypeError
            for number, item in enumerate(value):
                yield from by_pydicom(item, (*above, int(tag), number))
        elif not is_sequence(tag) and tag != CHARACTER_SET:  # decoded when the file is opened
            raw = dataset.get_item(tag).value or b""
            yield (*above, int(tag)), raw.rstrip(b" \0") if isinstance(raw, bytes) else b"sequence"


def is_sequence(tag: int) -> bool:
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def read_by_us(data: bytes) -> Values | None:
    try:
        file = DataSet(data)
        return list(by_us(file, file.elements))
    except Malformed:
        return None


def read_by_pydicom(data: bytes) -> Values | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(by_pydicom(dcmread(io.BytesIO(data), force=True)))
    except Exception:  # noqa: BLE001 - whatever pydicom raises is a refusal
        return None


@pytest.fixture(autouse=True)
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


@pytest.fixture(scope="module")
def good() -> bytes:
    return structure_set(Trip().sent, NAMES)


FORMS = pytest.mark.parametrize("form", [bytes, explicit], ids=["implicit", "explicit"])


@pytest.mark.sweep
@FORMS
@pytest.mark.parametrize("mutated", [bytes_changed, digits_changed])
def test_a_damaged_structure_set_is_read_as_pydicom_reads_it_or_refused(
    good: bytes, form: Callable[[bytes], bytes], mutated: Callable[..., bytes]
) -> None:
    dice, data = random.Random(20260314), form(good)  # noqa: S311 - to be the same each time
    read = 0

    for _ in range(MUTATIONS):
        damaged = mutated(bytearray(data), dice)
        ours, theirs = read_by_us(damaged), read_by_pydicom(damaged)
        if ours is None or theirs is None:
            continue
        read += 1
        assert ours == theirs

    assert read > MUTATIONS / 8


def read_by_dcmtk(data: bytes, folder: Path) -> dict[tuple[int, ...], list[str]] | None:
    """Return the text values of a file as read by dcmtk."""
    path = folder / "damaged.dcm"
    path.write_bytes(data)
    done = subprocess.run(["dcm2json", path], capture_output=True, check=False)
    if done.returncode:
        return None
    return dict(_of_json(json.loads(done.stdout.decode("utf-8", "replace"))))


def _of_json(item: dict[str, Any], above: tuple[int, ...] = ()) -> Iterator[Any]:
    for name, element in item.items():
        tag, values = int(name, 16), element.get("Value", [])
        if element["vr"] == "SQ":
            for number, inside in enumerate(values):
                yield from _of_json(inside, (*above, tag, number))
        elif element["vr"] in ("UI", "CS", "IS", "SH"):
            yield (*above, tag), [str(one).strip(" \0") for one in values]


@pytest.mark.sweep
@needs_dcmtk
@FORMS
def test_a_damaged_structure_set_is_read_as_dcmtk_reads_it_or_refused(
    good: bytes, form: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    dice, data = random.Random(7), form(good)  # noqa: S311 - to be the same each time
    read = 0

    while read < FOR_DCMTK:
        damaged = digits_changed(bytearray(data), dice)
        ours = read_by_us(damaged)
        theirs = read_by_dcmtk(damaged, tmp_path)
        if ours is None or theirs is None:
            continue
        read += 1
        known = dict(ours)
        for path, values in theirs.items():
            if values and path in known:
                text = known[path].decode("latin-1")
                told = [part.strip(" \0") for part in text.split("\\")]
                assert told == values or list(map(_number, told)) == list(map(_number, values))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


@needs_real
def test_structure_sets_of_every_vendor_are_read_as_pydicom_reads_them() -> None:
    read = 0
    for path in real_files():
        data = path.read_bytes()
        if RT_STRUCTURE_SET.encode() not in data[:4096]:
            continue
        ours = read_by_us(data)
        if ours is not None:
            read += 1
            assert ours == read_by_pydicom(data)

    assert read > 12


def element(tag: int, value: bytes, length: int | None = None) -> bytes:
    """Return an element of implicit VR, perhaps with a wrong length."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def item_of(content: bytes, length: int | None = None) -> bytes:
    return element(0xFFFEE000, content, length)


END = element(0xFFFEE0DD, b"")
CLASS = element(0x00080016, b"1.2.3\0")
NUMBER = element(0x30060022, b"1 ")
AMBIGUOUS = {
    "an element twice": CLASS + CLASS,
    "an element twice with other bytes": CLASS + element(0x00080016, b"1.2.4\0"),
    "elements out of order": element(0x00080060, b"CT") + CLASS,
    "an odd length": element(0x00080016, b"1.2", 3),
    "a length beyond the end": element(0x00080016, b"1.2.3\0", 600),
    "a delimiter at the top": CLASS + element(0xFFFEE00D, b""),
    "a sequence without an end": CLASS + element(0x30060020, item_of(NUMBER), 0xFFFFFFFF),
    "a sequence of no items": CLASS + element(0x30060020, NUMBER, 0xFFFFFFFF),
    "bytes behind the end": CLASS + b"\0\0\0\0",
    "a number of undefined length": element(0x00080050, item_of(NUMBER) + END, 0xFFFFFFFF),
    "the same in explicit VR": struct.pack("<HH2sHI", 8, 0x50, b"UT", 0, 0xFFFFFFFF) + END,
}

SAID = {
    "an element twice": "SOPClassUID (0008,0016) occurs twice or out of order",
    "elements out of order": "SOPClassUID (0008,0016) occurs twice or out of order",
    "an odd length": "SOPClassUID (0008,0016) has an odd length",
    "a length beyond the end": (
        "SOPClassUID (0008,0016) is cut off, or longer than the item around it"
    ),
    "a delimiter at the top": "ItemDelimitationItem (FFFE,E00D) occurs twice or out of order",
    "a sequence without an end": (
        "StructureSetROISequence (3006,0020) does not consist of whole items"
    ),
    "bytes behind the end": "the data end inside an element",
}


@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_what_two_readers_could_read_differently_is_refused(fault: str) -> None:
    with pytest.raises(Malformed, match=re.escape(SAID.get(fault, "("))):
        DataSet(AMBIGUOUS[fault])


def delimited(*items: bytes) -> bytes:
    """Return items, with a sequence delimiter after the first."""
    return items[0] + element(0xFFFEE0DD, b"") + b"".join(items[1:])


ROI_SEQUENCE = "StructureSetROISequence (3006,0020)"
ROI_NUMBER = "ROINumber (3006,0022)"
IN_ITEMS = {
    "a sequence that ends before its length": (
        delimited(item_of(NUMBER), item_of(NUMBER)),
        f"{ROI_SEQUENCE} ends before its length does",
    ),
    "an element twice": (item_of(NUMBER + NUMBER), f"{ROI_NUMBER} occurs twice or out of order"),
    "elements out of order": (
        item_of(element(0x30060026, b"A ") + NUMBER),
        f"{ROI_NUMBER} occurs twice or out of order",
    ),
    "an item longer than its sequence": (
        item_of(NUMBER, 20),
        f"an item of {ROI_SEQUENCE} reaches beyond the sequence",
    ),
    "an element longer than its item": (
        item_of(element(0x30060022, b"1 ", 4)),
        f"{ROI_NUMBER} is cut off, or longer than the item around it",
    ),
    "something else than an item": (NUMBER, f"{ROI_SEQUENCE} does not consist of whole items"),
    "an item of another group": (
        element(0x3006E000, NUMBER),
        f"{ROI_SEQUENCE} does not consist of whole items",
    ),
    "the end of an item without its beginning": (
        element(0xFFFEE00D, b""),
        f"{ROI_SEQUENCE} does not consist of whole items",
    ),
    "an item that ends early": (
        item_of(NUMBER, 9),
        f"{ROI_NUMBER} is cut off, or longer than the item around it",
    ),
    "an item of undefined length without an end": (
        item_of(NUMBER, 0xFFFFFFFF),
        "an item has no end",
    ),
    "an end of an item that has a length": (
        item_of(NUMBER, 0xFFFFFFFF) + element(0xFFFEE00D, b"1 "),
        "ItemDelimitationItem (FFFE,E00D) occurs twice or out of order",
    ),
}


@pytest.mark.parametrize("fault", IN_ITEMS)
def test_an_item_that_is_ambiguous_is_refused(fault: str) -> None:
    items, said = IN_ITEMS[fault]
    file = DataSet(CLASS + element(0x30060020, items))

    with pytest.raises(Malformed, match=re.escape(said)):
        list(file.items(file.elements, 0x30060020))


def test_sequences_nested_without_end_are_refused() -> None:
    inside = b""
    for _ in range(40):
        inside = element(0x30060020, item_of(inside, 0xFFFFFFFF), 0xFFFFFFFF)

    with pytest.raises(Malformed, match="too deep"):
        DataSet(CLASS + inside)


def in_sequences(content: bytes, times: int) -> bytes:
    """Return some bytes in nested sequences of undefined length."""
    for _ in range(times):
        item = element(0xFFFEE000, content, 0xFFFFFFFF) + element(0xFFFEE00D, b"")
        content = element(0x30060020, item + END, 0xFFFFFFFF)
    return content


def test_sequences_are_nested_up_to_16_times() -> None:
    file = DataSet(CLASS + in_sequences(b"", 16) + element(0x300E0002, b"A "))

    assert file.text(file.elements, 0x300E0002) == "A"
    with pytest.raises(Malformed, match="sequences are nested too deep"):
        DataSet(CLASS + in_sequences(b"", 17))


@pytest.mark.parametrize(
    ("times", "is_decodable"), [(0, False), (1, False), (16, False), (17, True), (1_000, True)]
)
def test_a_character_set_is_searched_for_in_16_nested_sequences(
    times: int, *, is_decodable: bool
) -> None:
    """With lengths they may be nested deeper, which must cost no recursion."""
    content = element(CHARACTER_SET, b"utf_16")
    for _ in range(times):
        content = element(0x30060020, item_of(content))
    file = DataSet(CLASS + content if times else content + CLASS)

    assert all(file.is_decodable(file.elements, tag) for tag in file.elements) is is_decodable


def test_bytes_that_only_begin_like_an_item_name_no_character_set() -> None:
    file = DataSet(CLASS + element(0x00090010, b"\xfe\xff\0\xe0" + b"\xff" * 6))

    assert file.is_decodable(file.elements, 0x00090010)


def long_element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Return an element of explicit VR with a length of 32 bits."""
    size = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value


EXPLICIT_CLASS = struct.pack("<HH2sH", 8, 0x16, b"UI", 6) + b"1.2.3\0"
EXPLICIT_NUMBER = struct.pack("<HH2sH", 0x3006, 0x22, b"IS", 2) + b"1 "


def numbers_in(data: bytes, tag: int = 0x30060020) -> list[str]:
    file = DataSet(data)
    assert file.text(file.elements, 0x00080016) == "1.2.3"
    return [file.text(one, 0x30060022) for one in file.items(file.elements, tag)]


@pytest.mark.parametrize(
    ("vr", "number"), [(b"SQ", EXPLICIT_NUMBER), (b"UN", NUMBER)], ids=["SQ", "UN"]
)
def test_a_sequence_of_unknown_vr_holds_implicit_vr(vr: bytes, number: bytes) -> None:
    items = item_of(number) + item_of(number + element(0x30060026, b"") if vr == b"UN" else number)
    open_ended = item_of(number, 0xFFFFFFFF) + element(0xFFFEE00D, b"") + items + END

    assert numbers_in(EXPLICIT_CLASS + long_element(0x30060020, vr, items)) == ["1", "1"]
    assert numbers_in(EXPLICIT_CLASS + long_element(0x30060020, vr, open_ended, 0xFFFFFFFF)) == [
        "1",
        "1",
        "1",
    ]


@pytest.mark.parametrize("vr", b"OB OD OF OL OV OW SV UC UN UR UT UV".split())
def test_a_value_of_a_long_vr_may_have_more_than_64_kilobytes(vr: bytes) -> None:
    file = DataSet(EXPLICIT_CLASS + long_element(0x30060022, vr, bytes(70_000)))

    assert file.raw(file.elements, 0x30060022) == bytes(70_000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x10\0\x10\0PN\0\0", "not a DICOM file"),
        (b"", "not a DICOM file"),
        (bytes(128) + b"dicm" + CLASS, "not a DICOM file"),
        (
            EXPLICIT_CLASS + long_element(0x30060022, b"OB", b"")[:-2],
            f"{ROI_NUMBER} is cut off, or longer than the item around it",
        ),
        (
            EXPLICIT_CLASS + long_element(0x30060022, b"OB", b"A"),
            f"{ROI_NUMBER} has an odd length",
        ),
        (
            EXPLICIT_CLASS + long_element(0x30060022, b"XX", b""),
            f"{ROI_NUMBER} has no known VR",
        ),
    ],
)
def test_a_file_that_is_damaged_is_refused_with_its_element(data: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=re.escape(said)):
        DataSet(data)


def with_meta(syntax: str, data: bytes, *, preamble: bool = True) -> bytes:
    coded = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = struct.pack("<HH2sH", 2, 0x10, b"UI", len(coded)) + coded
    return (bytes(128) + b"DICM" if preamble else b"") + head + data


EXPLICIT_SYNTAX, IMPLICIT_SYNTAX = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.mark.parametrize("preamble", [False, True])
def test_the_data_set_is_in_the_syntax_that_the_file_meta_names(*, preamble: bool) -> None:
    for syntax, data in ((EXPLICIT_SYNTAX, EXPLICIT_CLASS), (IMPLICIT_SYNTAX, CLASS)):
        file = DataSet(with_meta(syntax, data, preamble=preamble))

        assert (file.has_preamble, file.syntax) == (preamble, syntax)
        assert file.text(file.meta, 0x00020010) == syntax
        assert file.text(file.elements, 0x00080016) == "1.2.3"
        assert file.raw(file.elements, 0x00080018) is None
        assert file.text(file.elements, 0x00080018) == ""
        assert DataSet(data).syntax == syntax
    with pytest.raises(Malformed, match="not in the transfer syntax that the file names"):
        DataSet(with_meta(EXPLICIT_SYNTAX, CLASS))
    with pytest.raises(Malformed, match="not in the transfer syntax that the file names"):
        DataSet(with_meta(IMPLICIT_SYNTAX, EXPLICIT_CLASS))
    with pytest.raises(
        Malformed, match="its transfer syntax is not Implicit or Explicit VR Little Endian"
    ):
        DataSet(with_meta("1.2.840.10008.1.2.2", EXPLICIT_CLASS))


def test_undefined_lengths_are_read_like_defined_ones() -> None:
    end_of_item, end = element(0xFFFEE00D, b""), element(0xFFFEE0DD, b"")
    whole = element(0x30060020, item_of(NUMBER) + item_of(NUMBER))
    open_ended = element(
        0x30060020, 2 * (item_of(NUMBER, 0xFFFFFFFF) + end_of_item) + end, 0xFFFFFFFF
    )

    for sequence in (whole, open_ended):
        file = DataSet(CLASS + sequence)
        items = list(file.items(file.elements, 0x30060020))
        assert [file.text(one, 0x30060022) for one in items] == ["1", "1"]


def test_a_flood_of_elements_fills_no_memory() -> None:
    flood = b"".join(struct.pack("<HH2sH", 0x3101, 0x10 + n, b"LO", 0) for n in range(50_000))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(flood)) + flood
    sequence = struct.pack("<HH2sHI", 0x3006, 0x0020, b"SQ", 0, len(item)) + item
    head = struct.pack("<HH2sH", 8, 0x60, b"CS", 8) + b"RTSTRUCT"

    with pytest.raises(Malformed, match="more elements than any structure set"):
        DataSet(head + flood)
    file = DataSet(head + sequence)
    with pytest.raises(Malformed, match="more elements than any structure set"):
        list(file.items(file.elements, 0x30060020))


def test_an_item_has_as_many_elements_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_reader, "_MOST_ELEMENTS", 2)

    assert len(DataSet(CLASS + element(0x00080060, b"CT")).elements) == 2
    with pytest.raises(Malformed, match="more elements than any structure set"):
        DataSet(CLASS + element(0x00080060, b"CT") + NUMBER)


def test_only_blanks_and_zeros_are_no_part_of_a_character_set() -> None:
    for padded in (b"ISO_IR 100\0", b" ISO_IR 100 ", b"ISO_IR 100 \\ISO 2022 IR 126"):
        assert decode_text(b"\xe4", padded) == "\xe4"
    with pytest.raises(Malformed, match="character set"):
        decode_text(b"\xe4", b"XISO_IR 100")
    assert not is_character_set(b"\tISO_IR 100")
    assert not is_character_set(b"ISO_IR 100\n")


def test_only_blanks_and_zeros_are_no_part_of_a_text() -> None:
    file = DataSet(CLASS + element(0x00100020, b" XAX \0") + element(0x00100040, b"\tA"))

    assert file.text(file.elements, 0x00100020) == "XAX"
    assert file.text(file.elements, 0x00100040) == "\tA"
    assert is_character_set(b"ISO_IR 100 ")
    assert not is_character_set(b"XISO_IR 100")
