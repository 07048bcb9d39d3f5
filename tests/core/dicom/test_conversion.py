"""Irregular files: read as pydicom and dcmtk read them, or refused."""

import io
import random
import re
import shutil
import struct
import subprocess
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.streaming import check_trailing_elements, read_or_convert
from drawcli.core.gate.pydicom_elements import pixel_digest, pydicom_errors, read_source
from tests.core.files import as_bytes, ct_slice, item
from tests.core.real_data import needs_real, real_files

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
PIXELS = bytes(range(8))
MODALITY = b"\x08\0\x60\0CS\2\0CT"
THICKNESS = b"\x18\0\x50\0DS\6\0003.000 "
ASKED = {  # what scan and engine go by, as texts
    "SOPClassUID": tags.SOPClassUID,
    "SOPInstanceUID": tags.SOPInstanceUID,
    "Modality": tags.Modality,
    "StudyDate": tags.StudyDate,
    "PatientID": tags.PatientID,
    "PatientName": tags.PatientName,
    "StudyInstanceUID": tags.StudyInstanceUID,
    "SeriesInstanceUID": tags.SeriesInstanceUID,
    "FrameOfReferenceUID": tags.FrameOfReferenceUID,
    "ImagePositionPatient": tags.ImagePositionPatient,
    "ImageOrientationPatient": tags.ImageOrientationPatient,
    "PixelSpacing": tags.PixelSpacing,
}
NUMBERS = {"Rows": tags.Rows, "Columns": tags.Columns, "BitsAllocated": tags.BitsAllocated}
MUTATIONS = 1500
FOR_DCMTK = 40  # of these: each starts a process

needs_dcmtk = pytest.mark.skipif(
    shutil.which("dcmdump") is None, reason="needs dcmdump (Debian package dcmtk)"
)


def usual(**values: object) -> bytes:
    nested = item(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID="1.2.4")
    return as_bytes(
        ct_slice(PixelData=PIXELS, SourceImageSequence=[nested, nested], **values), "explicit"
    )


def read(data: bytes) -> tuple[Header, bytes]:
    """Return the header and the pixels of a file, as scan and engine read them."""
    header, whole = read_or_convert(io.BytesIO(data))
    stream = io.BytesIO(data if whole is None else whole)
    if header.pixels is None:
        return header, b""
    check_trailing_elements(stream, header, header.pixels.end, len(stream.getvalue()))
    return header, stream.getvalue()[header.pixels.value : header.pixels.end]


def texts(header: Header) -> dict[str, str]:
    return {name: header.text(tag) for name, tag in ASKED.items()}


def data_set_at(data: bytes) -> int:
    return data.index(b"\x08\0\5\0")


def named(syntax: str, data: bytes) -> bytes:
    """Return a file with another transfer syntax in its file meta."""
    head = data[data_set_at(data) :]
    meta = b"\2\0\x10\0UI" + struct.pack("<H", len(syntax) + len(syntax) % 2)
    return bytes(128) + b"DICM" + meta + syntax.encode() + b"\0" * (len(syntax) % 2) + head


def big_endian(data: bytes) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    dataset.file_meta.TransferSyntaxUID = UID(BIG)
    dataset.PixelData = bytes(PIXELS[at ^ 1] for at in range(len(PIXELS)))
    out = io.BytesIO()
    dcmwrite(out, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    return out.getvalue()


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    whole = named(DEFLATED, data)
    at = data_set_at(whole)
    return whole[:at] + deflate.compress(whole[at:]) + deflate.flush()


def implicit_meta(data: bytes) -> bytes:
    syntax = EXPLICIT.encode() + b"\0"
    meta = b"\2\0\x10\0" + struct.pack("<I", len(syntax)) + syntax
    return bytes(128) + b"DICM" + meta + data[data_set_at(data) :]


def out_of_order(data: bytes) -> bytes:
    assert MODALITY in data
    without = data.replace(MODALITY, b"", 1)
    at = without.index(b"\x28\0\2\0US")
    return without[:at] + MODALITY + without[at:]


def long_unknown(data: bytes) -> bytes:
    return data.replace(THICKNESS, b"\x18\0\x50\0ZZ\0\0\6\0\0\0003.000 ")


def padded_big(data: bytes) -> bytes:
    return big_endian(data) + b"\xff\xfc\xff\xfcOB\0\0\0\0\0\4\0\0\0\0"


USUAL_ELSE: dict[str, Callable[[bytes], bytes]] = {
    "big endian": big_endian,
    "big endian, misnamed": lambda data: named_big(EXPLICIT, data),
    "big endian, padded": padded_big,
    "deflated": deflated,
    "explicit, named implicit": lambda data: named(IMPLICIT, data),
    "explicit, named big endian": lambda data: named(BIG, data),
    "explicit, named deflated": lambda data: named(DEFLATED, data),
    "file meta in implicit VR": implicit_meta,
    "no preamble": lambda data: data[132:],
    "prefix without preamble": lambda data: data[128:],
    "no file meta": lambda data: data[data_set_at(data) :],
    "preamble and no file meta": lambda data: data[:132] + data[data_set_at(data) :],
    "an element twice, the same": lambda data: data.replace(MODALITY, 2 * MODALITY, 1),
    "out of order": out_of_order,
    "unknown VR": lambda data: data.replace(THICKNESS[:4] + b"DS", THICKNESS[:4] + b"ZZ"),
    "unknown VR with a long length": long_unknown,
    "zeros behind the pixels": lambda data: data + bytes(512),
}


def named_big(syntax: str, data: bytes) -> bytes:
    whole = big_endian(data)
    at = whole.index(b"\0\x08\0\5CS")
    return named(syntax, data)[: data_set_at(named(syntax, data))] + whole[at:]


@pytest.mark.parametrize("kind", USUAL_ELSE)
def test_irregular_files_are_read_like_regular_ones(kind: str) -> None:
    data = usual()
    odd = USUAL_ELSE[kind](data)

    header, pixels = read(odd)

    assert odd != data
    assert texts(header) == texts(read(data)[0])
    assert pixels == PIXELS
    assert header.number(tags.Rows) == header.number(tags.Columns) == 2
    assert header.transfer_syntax == EXPLICIT


@pytest.mark.parametrize("kind", USUAL_ELSE)
def test_the_gate_reads_the_same_patient_and_pixels_by_itself_or_refuses(kind: str) -> None:
    odd = USUAL_ELSE[kind](usual())

    source = by_pydicom(odd)
    if source is None:
        assert kind.startswith("unknown VR")  # pydicom knows one form of it only
        return
    assert source.PatientID == "PID-0815"
    assert pixel_digest(source) == pixel_digest(read_source(usual()))


def twice(data: bytes) -> bytes:
    return data.replace(MODALITY, MODALITY + MODALITY[:-2] + b"MR", 1)


REFUSED: dict[str, Callable[[bytes], bytes]] = {
    "an element with two values": twice,
    "an element with two values, big endian": lambda data: twice_big(data),  # noqa: PLW0108 - defined below
    "two transfer syntaxes": lambda data: (
        data[:132] + named(BIG, data)[132 : data_set_at(named(BIG, data))] + data[132:]
    ),
    "an element of the header behind the pixels": lambda data: data + b"\x10\0\x20\0LO\2\0X ",
    "an element of the header behind big endian pixels": lambda data: (
        big_endian(data) + b"\0\x10\0\x20LO\0\2X "
    ),
    "compressed by name, big endian": lambda data: named_big("1.2.840.10008.1.2.4.70", data),
}


def twice_big(data: bytes) -> bytes:
    whole, one = big_endian(data), b"\0\x08\0\x60CS\0\2CT"
    assert one in whole
    return whole.replace(one, one + one[:-2] + b"MR")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_two_readers_could_read_differently_is_refused(kind: str) -> None:
    with pytest.raises(NotDicom):
        read(REFUSED[kind](usual()))


def test_ambiguous_big_endian_pixels_are_dropped() -> None:
    data = big_endian(usual(BitsAllocated=32))

    header, pixels = read(data)

    assert header.text(tags.Modality) == "CT"
    assert (header.pixels, pixels) == (None, b"")


def test_a_deflate_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.core.dicom.conversion.LARGEST", 8 << 20)
    deflate = zlib.compressobj(level=9, wbits=-15)
    packed = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(12)) + deflate.flush()
    whole = named(DEFLATED, usual())

    with pytest.raises(NotDicom, match="too large"):
        read(whole[: data_set_at(whole)] + packed)


def seeds() -> list[bytes]:
    data = usual()
    return [data, as_bytes(ct_slice(PixelData=PIXELS), "implicit")] + [
        make(data) for make in USUAL_ELSE.values()
    ]


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return a file with bytes changed, elements doubled or moved, or its end cut off."""
    changed = bytearray(data)
    match dice.randrange(4):
        case 0:
            for _ in range(dice.randint(1, 4)):
                changed[dice.randrange(len(changed))] = dice.choice((0, 1, 2, 8, 255, 67, 83))
        case 1:
            begin = dice.randrange(len(changed))
            piece = changed[begin : begin + dice.choice((8, 10, 12, 20))]
            at = dice.randrange(len(changed))
            changed[at:at] = piece
        case 2:
            begin = dice.randrange(len(changed))
            del changed[begin : begin + dice.choice((1, 2, 8, 10))]
        case _:
            places = [found.start() for found in re.finditer(rb"[A-Z]{2}..", changed, re.DOTALL)]
            if places:
                at = dice.choice(places)
                changed[at : at + 2] = dice.choice((b"UN", b"ZZ", b"SQ", b"LO", b"US", b"OB"))
    return bytes(changed)


def by_pydicom(data: bytes) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_source(data)
        except pydicom_errors():
            return None


def plain(raw: object) -> str:
    text = raw.decode("ascii", "surrogateescape") if isinstance(raw, bytes) else str(raw)
    return text.strip(" \0")


def disagreement(header: Header, dataset: Dataset) -> str:
    """Return the keyword of a value that two readers read differently; "" if none."""
    for name, tag in ASKED.items():
        ours = header.text(tag)
        if not ours or tag not in dataset:
            continue
        held = dataset.get_item(tag)
        if isinstance(held.value, bytes) and plain(held.value) != ours:
            return name
    for name, tag in NUMBERS.items():
        number = header.number(tag)
        if number is None or tag not in dataset:
            continue
        held = dataset.get_item(tag)
        raw = held.value if isinstance(held.value, bytes) else None
        if raw is not None and not getattr(held, "is_little_endian", True):
            raw = raw[::-1]
        if raw is not None and int.from_bytes(raw, "little") != number:
            return name
    return ""


def differing(files: list[bytes], dice: random.Random, count: int) -> tuple[int, list[str]]:
    """Return the number of mutated files that both read, and the differences."""
    both, differ = 0, list[str]()
    for _ in range(count):
        data = mutated(dice.choice(files), dice)
        try:
            header, _ = read(data)
        except (NotDicom, Incomplete):
            continue
        dataset = by_pydicom(data)
        if dataset is None:
            continue
        both += 1
        if found := disagreement(header, dataset):
            differ.append(found)
    return both, differ


@pytest.mark.sweep
def test_a_damaged_header_is_read_as_pydicom_reads_it_or_refused() -> None:
    both, differ = differing(seeds(), random.Random(19), MUTATIONS)  # noqa: S311 - to be the same each time

    assert both > MUTATIONS // 4  # else nothing was compared
    assert differ == []


@pytest.mark.sweep
@needs_real
def test_damaged_real_headers_are_read_as_pydicom_reads_them_or_refused() -> None:
    small = [path for path in real_files() if path.stat().st_size < 1 << 19]
    dice = random.Random(20)  # noqa: S311 - to be the same each time
    files = [path.read_bytes() for path in dice.sample(small, min(40, len(small)))]

    both, differ = differing(files, dice, MUTATIONS)

    assert both > MUTATIONS // 4
    assert differ == []


@pytest.mark.sweep
@needs_dcmtk
def test_a_damaged_header_is_read_as_dcmtk_reads_it_or_refused(tmp_path: Path) -> None:
    dice, compared = random.Random(21), 0  # noqa: S311 - to be the same each time
    for number in range(FOR_DCMTK):
        data = mutated(dice.choice(seeds()), dice)
        try:
            header, _ = read(data)
        except (NotDicom, Incomplete):
            continue
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "PatientID", "Modality"):
            tag = f"{ASKED[name] >> 16:04x},{ASKED[name] & 0xFFFF:04x}"
            done = subprocess.run(
                ["dcmdump", "-q", "-Un", "+P", tag, "-s", str(path)],
                capture_output=True,
                check=False,
            )
            told = re.search(
                rb"\(%s\) (?!UN|\?\?|OB)[A-Z]{2} \[(.*?)\]" % tag.encode(), done.stdout
            )
            if done.returncode == 0 and told and header.text(ASKED[name]):
                compared += 1
                assert plain(told[1]) == header.text(ASKED[name]), (number, name)
    assert compared > FOR_DCMTK // 2


def test_a_file_without_meta_names_no_syntax_to_others() -> None:
    """The file meta of a converted file holds only its transfer syntax."""
    _, whole = read_or_convert(io.BytesIO(big_endian(usual())))

    assert whole is not None
    meta = dcmread(io.BytesIO(whole)).file_meta
    assert isinstance(meta, FileMetaDataset)
    assert [element.keyword for element in meta] == [
        "FileMetaInformationGroupLength",
        "TransferSyntaxUID",
    ]
