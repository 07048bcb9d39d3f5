"""Compressed frames lose comments and nothing else; the gate finds every remaining one.

The frames are written by hand, segment by segment, so that every margin can be filled.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.pixels.encoders.native import _encode_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom.codestream import RLE, FrameLayout, clean_pixel_data
from drawcli.core.dicom.header import NotDicom
from drawcli.core.gate.compressed import has_content, split_picture
from tests.core.real_data import REAL, needs_real

BASE = "1.2.840.10008.1.2.4."
NAME = b"Muster^Maria"
END = bytes.fromhex("FEFFDDE000000000")
ONE = FrameLayout(4, 4, 1, 1)
JPEG = [f"{BASE}{number}" for number in (50, 51, 57, 70)]
JPEG_LS = [f"{BASE}80", f"{BASE}81"]
JPEG_2000 = [f"{BASE}{number}" for number in (90, 91, 201, 202, 203)]
STARTS = {"50": 0xC0, "51": 0xC1, "57": 0xC3, "70": 0xC3, "80": 0xF7, "81": 0xF7}


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + pack(">H", len(body) + 2) + body


def jpeg(syntax: str, *, extra: bytes = b"", tail: bytes = b"") -> bytes:
    """Return a frame of the JPEG family; `extra` stands before the first table."""
    kind = syntax.removeprefix(BASE)
    tables = segment(0xC4, bytes([0, 1]) + bytes(15) + b"\x05")
    if kind in ("80", "81"):
        tables = segment(0xF8, b"\x01" + bytes(10))
    elif kind in ("50", "51"):
        tables += segment(0xDB, bytes(65))
    start = segment(STARTS[kind], pack(">BHHB", 8, 4, 4, 1) + bytes([1, 0x11, 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 0, 0, 0]))
    coded = b"\x12\x34\xff\x00\x56" if kind not in ("80", "81") else b"\x12\x34\xff\x7f\x56"
    return b"\xff\xd8" + extra + tables + start + scan + coded + b"\xff\xd9" + tail


def jpeg_2000(*, extra: bytes = b"", tail: bytes = b"", whole: bool = True) -> bytes:
    """Return a codestream with one tile; `whole`: its header states its length."""
    coded = b"\x01\x02\x03\xff\x01"
    length = 12 + 2 + len(coded) if whole else 0
    tile = segment(0x90, pack(">HIBB", 0, length, 0, 1)) + b"\xff\x93" + coded
    size = segment(0x51, bytes(34) + pack(">H", 1) + bytes(3))
    sizes = size + segment(0x52, bytes(10)) + segment(0x5C, b"\x40\x40")
    return b"\xff\x4f" + sizes + extra + tile + b"\xff\xd9" + tail


def tile_lengths(*lengths: int) -> bytes:
    """Return a TLM with the lengths of tile-parts, four bytes each."""
    return segment(0x55, b"\0\x40" + b"".join(pack(">I", one) for one in lengths))


SEGMENTS_2000 = {  # as each of them has to be
    0x50: b"\0\2\0\0" + bytes(2),
    0x51: bytes(34) + pack(">H", 1) + bytes(3),
    0x52: bytes(10),
    0x53: bytes(7),
    0x5C: b"\x40\x40",
    0x5D: b"\0\x40\x40",
    0x5E: bytes(3),
    0x63: bytes(4),
}


def rle(*, unused: bytes = b"", slack: bytes = b"") -> bytes:
    """Return a frame of 4 x 4 pixels of one byte."""
    head = pack("<2I", 1, 64) + unused
    return head.ljust(64, b"\0") + b"\x0f" + bytes(range(16)) + slack


def frame_of(syntax: str) -> bytes:
    if syntax == RLE:
        return rle(slack=b"\0")
    return jpeg_2000() if syntax in JPEG_2000 else jpeg(syntax)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + pack("<I", len(value)) + value


def wrapped(*fragments: bytes, table: bytes = b"") -> bytes:
    return b"".join(map(item, (table, *fragments))) + END


def clean(value: bytes, syntax: str, raster: FrameLayout = ONE) -> bytes:
    return b"".join(clean_pixel_data(BytesIO(value).read, syntax, raster))


def margins(value: bytes, syntax: str, raster: FrameLayout = ONE) -> tuple[bytes, bool]:
    """Return the picture by the gate, and whether there is other data."""
    picture, rest = split_picture(value.removesuffix(END), syntax, raster.rows * raster.columns)
    return b"".join(picture), has_content(rest, syntax)


ALL = [RLE, *JPEG, *JPEG_LS, *JPEG_2000]
PLANTED = [
    *((syntax, jpeg(syntax, extra=segment(0xFE, NAME))) for syntax in (*JPEG, *JPEG_LS)),
    *((syntax, jpeg(syntax, tail=NAME)) for syntax in (*JPEG, *JPEG_LS)),
    *((JPEG[0], jpeg(JPEG[0], extra=segment(0xE0 + n, NAME))) for n in range(16)),
    (JPEG[0], jpeg(JPEG[0], extra=b"\xff\xff" + segment(0xFE, NAME))),
    (JPEG[0], jpeg(JPEG[0]) + jpeg(JPEG[0], extra=segment(0xFE, NAME))),
    *((syntax, jpeg_2000(extra=segment(0x64, b"\0\1" + NAME))) for syntax in JPEG_2000),
    (JPEG_2000[0], jpeg_2000(tail=NAME)),
    (JPEG_2000[0], jpeg_2000(tail=NAME + b"\xff\xd9", whole=False)),
    (JPEG_2000[0], jpeg_2000(extra=segment(0x57, NAME))),
    (JPEG_2000[0], jpeg_2000(extra=segment(0x58, NAME))),
    (JPEG_2000[0], jpeg_2000(extra=segment(0x64, NAME), whole=False)),
    (RLE, rle(unused=NAME)),
    (RLE, rle(slack=NAME)),
    (RLE, rle(slack=b"M")),
]


@pytest.mark.parametrize(("syntax", "frame"), PLANTED)
def test_a_name_outside_the_picture_is_removed_and_the_picture_is_unchanged(
    syntax: str, frame: bytes
) -> None:
    value = wrapped(frame)

    after = clean(value, syntax)

    assert NAME not in after
    assert len(after) == len(value)
    assert margins(value, syntax) == (margins(after, syntax)[0], True)
    assert margins(after, syntax)[1] is False
    assert clean(after, syntax) == after


@pytest.mark.parametrize(
    "extra",
    [*(segment(marker, body) for marker, body in SEGMENTS_2000.items()), tile_lengths(19)],
    ids=bytes.hex,
)
def test_needed_segments_of_a_codestream_stay(extra: bytes) -> None:
    value = wrapped(jpeg_2000(extra=extra))

    assert clean(value, JPEG_2000[0]) == value


@pytest.mark.parametrize("syntax", ALL)
def test_a_frame_without_comments_is_unchanged(syntax: str) -> None:
    value = wrapped(frame_of(syntax))

    assert clean(value, syntax) == value


def test_every_syntax_of_the_statement_can_be_cleaned() -> None:
    assert set(ALL) == {one for one in SYNTAXES if one > "1.2.840.10008.1.2.1"}


@pytest.mark.parametrize("syntax", ALL)
def test_frames_are_split_by_the_offset_table(syntax: str) -> None:
    frame = frame_of(syntax) + bytes(len(frame_of(syntax)) % 2)
    table = pack("<2I", 0, 8 + len(frame))

    value = wrapped(frame, frame, table=table)

    assert clean(value, syntax, ONE._replace(frames=2)) == value


@pytest.mark.parametrize("syntax", [*JPEG, *JPEG_LS, *JPEG_2000])
@pytest.mark.parametrize("with_table", [True, False])
def test_a_frame_in_pieces_is_one_frame(syntax: str, *, with_table: bool) -> None:
    frame = (
        jpeg_2000(extra=segment(0x64, NAME))
        if syntax in JPEG_2000
        else jpeg(syntax, extra=segment(0xFE, NAME))
    )
    pieces = [frame[:10], frame[10:20], frame[20:]]  # the name lies across a border
    length = 3 * 8 + len(frame)
    table = pack("<2I", 0, length) if with_table else b""

    after = clean(wrapped(*pieces, *pieces, table=table), syntax, ONE._replace(frames=2))

    assert NAME not in after.replace(item(b"")[:4], b"")
    assert margins(after, syntax)[1] is False
    assert len(after) == len(wrapped(*pieces, *pieces, table=table))


@pytest.mark.parametrize(
    ("syntax", "value", "told"),
    [
        (JPEG[0], b"", "without a delimiter"),
        (JPEG[0], item(b"")[:6], "without a delimiter"),
        (JPEG[0], item(b"") + item(jpeg(JPEG[0]))[:-3], "end within a fragment"),
        (JPEG[0], item(b"") + b"\x10\x00\x10\x00\x00\x00\x00\x00", "something other"),
        (JPEG[0], wrapped(), "0 frames, the header says 1"),
        (JPEG[0], wrapped(jpeg(JPEG[0]), table=b"\0\0"), "table of the pixel data"),
        (JPEG[0], wrapped(jpeg(JPEG[0]), table=bytes(8)), "one offset for each frame"),
        (JPEG[0], wrapped(jpeg(JPEG[0]), table=pack("<I", 4)), "does not start at the first"),
        (JPEG[0], wrapped(bytes(20)), "start with the JPEG marker"),
        (JPEG[0], wrapped(jpeg(JPEG[2])), "unknown segment FFC3"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=segment(0xCC, b"AC"))), "unknown segment FFCC"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=NAME)), "between its segments"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=b"\xff\xfe\xff\xff")), "longer than the frame"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=b"\xff\xfe\0\0")), "longer than the frame"),
        (JPEG[0], wrapped(jpeg(JPEG[0])[:-2]), "is cut off"),
        (JPEG[0], wrapped(b"\xff\xd8\xff\xd9"), "have one picture"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=segment(0xDD, NAME))), "needed length"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=segment(0xDB, bytes(65) + NAME))), "needed length"),
        (JPEG[0], wrapped(jpeg(JPEG[0], extra=segment(0xC4, bytes(17) + NAME))), "needed length"),
        (JPEG_LS[0], wrapped(jpeg(JPEG_LS[0], extra=segment(0xF8, b"\2" + NAME))), "length"),
        (JPEG_LS[0], wrapped(jpeg(JPEG_LS[0], extra=segment(0xDB, bytes(65)))), "needed length"),
        (JPEG_2000[0], wrapped(b"\0\0\0\x0cjP  \r\n\x87\n"), "JP2 file"),
        (JPEG_2000[0], wrapped(jpeg(JPEG[0])), "start with the JPEG 2000"),
        (
            JPEG_2000[0],
            wrapped(jpeg_2000(extra=segment(0x60, NAME))),
            "FF60 of a JPEG 2000 frame is unknown",
        ),
        (JPEG_2000[0], wrapped(jpeg_2000(extra=NAME)), "between its segments"),
        *(
            (JPEG_2000[0], wrapped(jpeg_2000(extra=segment(marker, body + NAME))), "longer than")
            for marker, body in SEGMENTS_2000.items()
        ),
        (JPEG_2000[0], wrapped(jpeg_2000(extra=tile_lengths(20))), "than announced"),
        (JPEG_2000[0], wrapped(jpeg_2000(extra=segment(0x55, b"\0\x40" + NAME))), "than announced"),
        (JPEG_2000[0], wrapped(jpeg_2000(extra=b"\xff\x93" + NAME)), "has no header"),
        (JPEG[0], wrapped(jpeg(JPEG[0]).replace(b"\xff\xd9", jpeg(JPEG[0])[2:])), "one scan"),
        (JPEG[0], item(b"") + item(jpeg(JPEG[0])) + END[:5], "without a delimiter"),
        (JPEG_2000[0], wrapped(jpeg_2000()[:-2]), "longer than the frame"),
        (JPEG_2000[0], wrapped(b"\xff\x4f\xff\xd9"), "has no tiles"),
        (JPEG_2000[0], wrapped(jpeg_2000()[:-2] + b"\xff\xff\xd9"), "between its segments"),
        (JPEG_2000[0], wrapped(b"\xff\x4f\xff\x93\xff\xd9"), "longer than the frame"),
        (RLE, wrapped(rle()[:40]), "is cut off"),
        (RLE, wrapped(pack("<2I", 2, 64) + rle()[8:]), "one segment for each byte"),
        (RLE, wrapped(pack("<2I", 1, 60) + rle()[8:]), "not in order"),
        (RLE, wrapped(rle()[:-1]), "longer than its segment"),
        (RLE, wrapped(rle()[:64] + b"\x01\x02\x03"), "before its last pixel"),
        (RLE, wrapped(rle()[:64] + b"\x81\x02" * 9), "longer than its segment"),
    ],
)
def test_invalid_frames_are_refused_with_a_reason(syntax: str, value: bytes, told: str) -> None:
    with pytest.raises(NotDicom, match=told):
        clean(value, syntax)


def test_more_frames_than_announced_are_refused() -> None:
    frame = rle(slack=b"\0")

    with pytest.raises(NotDicom, match="3 frames, the header says 2"):
        clean(wrapped(frame, frame, frame), RLE, ONE._replace(frames=2))


@pytest.mark.sweep
@given(st.sampled_from(PLANTED), st.data())
def test_a_damaged_frame_is_refused_or_cleaned(
    planted: tuple[str, bytes], data: st.DataObject
) -> None:
    syntax, frame = planted
    value = bytearray(wrapped(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(value)), st.integers(0, len(value))))

    try:
        after = clean(bytes(value[:cut]), syntax)
    except NotDicom:
        return

    assert margins(after, syntax)[1] is False


@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    bits=st.sampled_from([8, 16, 32]),
    data=st.data(),
)
def test_rle_frames_of_pydicom_are_unchanged(
    rows: int, columns: int, bits: int, data: st.DataObject
) -> None:
    size = rows * columns * bits // 8
    raw = data.draw(st.binary(min_size=size, max_size=size))
    frame = bytes(_encode_frame(raw, _runner(rows, columns, bits)))
    value = wrapped(frame)

    after = clean(value, RLE, FrameLayout(rows, columns, bits // 8, 1))

    assert after == value


def _runner(rows: int, columns: int, bits: int) -> Any:
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.uid import RLELossless

    runner = EncodeRunner(RLELossless)
    options: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
        "number_of_frames": 1,
        "planar_configuration": 0,
    }
    runner.set_options(**options)
    return runner


@needs_real
@pytest.mark.sweep
def test_real_frames_decode_to_the_same_pixels() -> None:
    """Only segments that every decoder ignores are overwritten."""
    pytest.importorskip("libjpeg", reason="decoders are in the dev extra")
    pytest.importorskip("openjpeg")
    pytest.importorskip("jpeg_ls")
    compared: Counter[str] = Counter()
    for dataset in filter(None, map(read, compressed_files())):
        syntax, value = str(dataset.file_meta.TransferSyntaxUID), bytes(dataset.PixelData)
        try:
            after = clean(value.removesuffix(END) + END, syntax, raster_of(dataset))
        except NotDicom:
            continue
        before = decoded(dataset)
        dataset.PixelData = after
        if before is not None:
            assert decoded(dataset) == before, UID(syntax).name
            compared[syntax] += after.removesuffix(END) != value.removesuffix(END)
    assert len(compared) > 8
    assert sum(compared.values()) > 10  # frames that had something to lose


def decoded(dataset: Dataset) -> bytes | None:
    """Return the pixels; None if no decoder reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pixel_array(dataset).tobytes()
        except Exception:  # noqa: BLE001 - of another's file, by another's decoder
            return None


def raster_of(dataset: Dataset) -> FrameLayout:
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return FrameLayout(dataset.Rows, dataset.Columns, dataset.BitsAllocated // 8, frames)


def compressed_files() -> Iterator[Path]:
    for path in sorted(REAL.rglob("*")):
        if path.is_file() and path.suffix not in (".xz", ".md", ".tsv", ".json"):
            yield path


def read(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path)
        except Exception:  # noqa: BLE001 - broken files are what the folder is for
            return None
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    return dataset if syntax in ALL and "PixelData" in dataset else None


@needs_real
def test_real_frames_lose_comments_and_keep_their_pictures() -> None:
    seen = dirty = 0
    for dataset in filter(None, map(read, compressed_files())):
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        raster = raster_of(dataset)
        value = bytes(dataset.PixelData).removesuffix(END)
        try:
            after = clean(value + END, syntax, raster)
        except NotDicom:
            continue  # colours, boxes, a syntax that is another than it says
        before = margins(value, syntax, raster)
        assert margins(after, syntax, raster) == (before[0], False), UID(syntax).name
        seen += 1
        dirty += before[1]
    assert seen > 30
    assert dirty > 10


def test_only_one_frame_is_held_in_memory() -> None:
    """The pieces are yielded while the source is read."""
    frame = rle(slack=b"\0")
    asked = 0
    source = BytesIO(wrapped(*[frame] * 50))

    def counted(count: int) -> bytes:
        nonlocal asked
        asked += count
        return source.read(count)

    pieces = clean_pixel_data(counted, RLE, ONE._replace(frames=50))
    first = b"".join(next(pieces) for _ in range(6))

    assert len(first) == 8 + 8 + len(frame)
    assert asked < 4 * (len(frame) + 8)
    assert len(b"".join(chain([first], pieces))) == len(source.getvalue())


def test_a_tile_header_without_data_is_refused_by_both_readers() -> None:
    """Each would be searched for the end of the frame: quadratic in their number."""
    start, tile = jpeg_2000(whole=False).split(b"\xff\x90", 1)
    twice = start + 2 * (b"\xff\x90" + tile[:10]) + tile[10:]

    with pytest.raises(NotDicom, match="lacks its one header"):
        clean(wrapped(twice), JPEG_2000[0])
    with pytest.raises(ValueError, match="without data"):
        margins(wrapped(twice), JPEG_2000[0])
