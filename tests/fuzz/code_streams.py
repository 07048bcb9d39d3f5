"""Compressed pixel data: cleaned by the engine, split by the privacy gate, indexed by frame."""

import re
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from typing import Final

from drawcli.core.dicom.codestream import RLE, FrameLayout, clean_pixel_data
from drawcli.core.dicom.header import Incomplete, NotDicom
from drawcli.core.dicom.streaming import end_of_fragments
from drawcli.core.frames.decoding import SampleFormat, decode_frame
from drawcli.core.frames.fragments import clean_frame, codestream_of, index_frames
from drawcli.core.gate.compressed import has_content, split_picture
from drawcli.errors import SeriesRefused
from tests.fuzz.targets import READ, UNITS, Units, target

_BASE: Final = "1.2.840.10008.1.2.4."
_END: Final = bytes.fromhex("FEFFDDE000000000")
_ITEM: Final = bytes.fromhex("FEFF00E0")
BEGINNINGS: Final = (b"\xff\xd8", b"\xff\x4f")
MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # that ends a scan
SIDE: Final = 4  # rows and columns of each frame


def layout_of(data: bytes) -> FrameLayout:
    """Return the layout that the first byte of an input selects."""
    first = data[0] if data else 0
    return FrameLayout(SIDE, SIDE, 1 + first // 16 % 2, 1 + first % 3)


def fragments(data: bytes) -> list[bytes]:
    """Return the first byte of an input, each fragment with its head, and the rest."""
    found, rest = [data[:1]], data[1:]
    while rest[:4] == _ITEM and len(rest) > 8:
        end = 8 + int.from_bytes(rest[4:8], "little")
        found.append(rest[:end])
        rest = rest[end:]
    return [*found, rest]


def pieces(data: bytes) -> list[bytes]:
    """Return the fragments; of a JPEG frame the head and SOI, then each segment and scan."""
    first, *given, rest = fragments(data)
    found = [first]
    for one in given:
        ends = [*segment_ends(one[8:])]
        found += [one[: 8 + ends[0]], *(one[8 + a : 8 + b] for a, b in pairwise(ends))]
    return [*found, rest]


def segment_ends(frame: bytes) -> Iterator[int]:
    """Yield the end of SOI, of each segment, and of the entropy-coded bytes after SOS."""
    at = 2 if frame.startswith(BEGINNINGS[0]) else len(frame)
    yield at
    while frame[at : at + 1] == b"\xff":
        if frame[at + 1 : at + 2] == b"\xff":  # a fill byte
            at += 1
            continue
        is_scan = frame[at + 1 : at + 2] == b"\xda"
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
        yield min(at, len(frame))
        if is_scan:
            marker = MARKER.search(frame, at)
            at = marker.start() if marker else len(frame)
            yield min(at, len(frame))
        if frame[at : at + 2] == b"\xff\xd9":
            break
    if at < len(frame):
        yield len(frame)


def whole(messages: list[bytes]) -> bytes:
    """Return an input of these pieces, the length of each fragment as it is."""
    if not messages:
        return b""
    first, *others = messages
    *others, rest = others or [b""]
    made, fragment = first, b""
    for one in [*others, _ITEM]:
        if one.startswith(_ITEM):
            size = (len(fragment) - 8).to_bytes(4, "little") if len(fragment) >= 8 else b""
            made, fragment = made + fragment[:4] + size + fragment[8:], one
        else:
            fragment += one
    return made + rest


def check(data: bytes, syntax: str, name: str) -> None:
    """Clean the pixel data of an input, and compare them with what the gate reads."""
    layout, value = layout_of(data), data[1:]
    with suppress(NotDicom):
        ranges = index_frames(BytesIO(value), 0, layout.frames, syntax)
        assert len(ranges) == layout.frames
        assert all(start < end for start, end in ranges)
        for start, end in ranges:
            with suppress(NotDicom):
                one = clean_frame(value[start:end], syntax, layout)
                if len(codestream_of(one)) < len(value):
                    check_decoder(codestream_of(one), syntax)
    try:
        cleaned = b"".join(clean_pixel_data(BytesIO(value).read, syntax, layout))
    except NotDicom:
        return
    assert end_of_fragments(BytesIO(value), 0) == len(cleaned) <= len(value)
    before, after = (one[: len(cleaned) - len(_END)] for one in (value, cleaned))
    assert cleaned.endswith(_END)
    assert len(after) == len(before)
    assert b"".join(clean_pixel_data(BytesIO(cleaned).read, syntax, layout)) == cleaned
    # The gate, by other code: the same picture and nothing beside it, or it refuses the file.
    pixels = layout.rows * layout.columns
    try:
        picture, rest = split_picture(after, syntax, pixels)
        original = split_picture(before, syntax, pixels)[0]
    except (ValueError, IndexError):
        assert not is_usual(value, syntax, layout.frames)
        return
    if is_usual(value, syntax, layout.frames):
        assert not has_content(rest, syntax)
        assert b"".join(picture) == b"".join(original)
        assert not is_jpeg(syntax) or scans_in(value) == layout.frames
    READ[name] += 1


def is_jpeg(syntax: str) -> bool:
    return syntax.removeprefix(_BASE) in ("50", "70", "80")


def scans_in(value: bytes) -> int:
    """Return how many scans there are, by segments of the test."""
    frames = list[bytes]()
    for one in fragments(b"\0" + value)[2:-1]:
        if one[8:10] == BEGINNINGS[0]:
            frames.append(b"")
        frames[-1] += one[8:]
    at_segments = [frame[at:] for frame in frames for at in {*segment_ends(frame)}]
    return sum(
        one.startswith(b"\xff") and one.lstrip(b"\xff").startswith(b"\xda") for one in at_segments
    )


def is_usual(value: bytes, syntax: str, frames: int) -> bool:
    """Return whether the fragments alone determine where each frame begins."""
    _, _, *given = fragments(b"\0" + value)
    begins = [one[8:10] in BEGINNINGS or syntax == RLE for one in given[:-1]]
    return begins[:1] == [True] and sum(begins) == frames and (syntax != RLE or all(begins))


def check_decoder(frame: bytes, syntax: str) -> None:
    """Decode a frame, if the server could not: never more pixels than the header says."""
    if syntax in (f"{_BASE}70", f"{_BASE}80"):
        with suppress(SeriesRefused, Incomplete):
            form = SampleFormat(SIDE, SIDE, 8, 8, signed=False)
            assert len(decode_frame(frame, syntax, form)) == form.frame_bytes


@target
def jpeg_stream(data: bytes) -> None:
    """JPEG Baseline."""
    check(data, f"{_BASE}50", "jpeg_stream")


@target
def jpeg_lossless_stream(data: bytes) -> None:
    """JPEG Lossless, which is decoded."""
    check(data, f"{_BASE}70", "jpeg_lossless_stream")


@target
def jpeg_ls_stream(data: bytes) -> None:
    """JPEG-LS, which is decoded."""
    check(data, f"{_BASE}80", "jpeg_ls_stream")


@target
def jpeg_2000_stream(data: bytes) -> None:
    """JPEG 2000."""
    check(data, f"{_BASE}90", "jpeg_2000_stream")


@target
def rle_stream(data: bytes) -> None:
    """RLE."""
    check(data, RLE, "rle_stream")


for _name in ("jpeg", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "rle"):
    UNITS[f"{_name}_stream"] = Units(pieces, whole)
