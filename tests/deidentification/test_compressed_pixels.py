"""Comments within compressed pixels are removed, or the series is refused."""

import struct
from pathlib import Path
from typing import Final

import pytest

from tests.deidentification import engine
from tests.deidentification.search import Judge
from tests.deidentification.test_midi_b import PERSON
from tests.deidentification.usual import usual

JPEG: Final = {
    "baseline": "1.2.840.10008.1.2.4.50",
    "extended": "1.2.840.10008.1.2.4.51",
    "lossless": "1.2.840.10008.1.2.4.57",
    "lossless, first order": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
}
JPEG_2000: Final = {"lossless": "1.2.840.10008.1.2.4.90", "lossy": "1.2.840.10008.1.2.4.91"}
COMMENT, APPLICATION = 0xFFFE, range(0xFFE0, 0xFFF0)  # ITU-T T.81 table B.1
_START, _END = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, content: bytes) -> bytes:
    """Return a marker segment: the length counts itself, and not the marker."""
    return struct.pack(">HH", marker, len(content) + 2) + content


def jpeg(extra: bytes = b"") -> bytes:
    """Return a JPEG codestream (ITU-T T.81 B.2), with further segments after its start."""
    frame = segment(0xFFC3, bytes([12, 0, 2, 0, 2, 1, 1, 0x11, 0]))
    table = segment(0xFFC4, bytes([0, 0, 1, *[0] * 14, 0]))
    scan = segment(0xFFDA, bytes([1, 1, 0, 1, 0, 0])) + b"\x15\x2a\x54"
    whole = _START + extra + frame + table + scan + _END
    return whole + b"\0" * (len(whole) % 2)


def jpeg_2000(extra: bytes = b"") -> bytes:
    """Return the frame of a JPEG 2000 codestream (ITU-T T.800 A.2), with more in its header."""
    size = struct.pack(">HIIIIIIIIHBBB", 0, 2, 2, 0, 0, 2, 2, 0, 0, 1, 11, 1, 1)
    style = segment(0xFF52, bytes([0, 0, 0, 1, 0, 0, 4, 4, 0, 1]))
    quantization = segment(0xFF5C, bytes([0x40, 0x60]))
    part = b"\x80\x80"
    tile = segment(0xFF90, struct.pack(">HIBB", 0, 12 + 2 + len(part), 0, 1)) + b"\xff\x93" + part
    head = b"\xff\x4f" + segment(0xFF51, size) + extra + style + quantization
    whole = head + tile + _END
    return whole + b"\0" * (len(whole) % 2)


def check(pixels: bytes, syntax: str, path: Path) -> None:
    file = usual(PERSON, "CT", 0, 0)
    file.pixels, file.compressed = pixels, syntax
    path.write_bytes(file.written())
    assert Judge(PERSON).leaks(path.read_bytes()) != set()

    try:
        raw = engine.one(path)
    except engine.REFUSED:
        return

    assert Judge(PERSON).leaks(raw) == set()  # the pixels are looked at, too


@pytest.mark.parametrize("syntax", JPEG.values(), ids=JPEG.keys())
@pytest.mark.parametrize("marker", [COMMENT, *APPLICATION], ids=lambda marker: f"{marker:04X}")
def test_a_comment_in_jpeg_pixels_is_not_sent(marker: int, syntax: str, tmp_path: Path) -> None:
    said = f"Exif\0\0{PERSON.patient_id} {PERSON.hospital} {PERSON.born:%Y-%m-%d}".encode()

    check(jpeg(segment(marker, said)), syntax, tmp_path / "1.dcm")


@pytest.mark.parametrize("syntax", JPEG.values(), ids=JPEG.keys())
def test_bytes_after_a_jpeg_codestream_are_not_sent(syntax: str, tmp_path: Path) -> None:
    said = f"{PERSON.patient_id} {PERSON.hospital}".encode()

    check(jpeg() + said + b" " * (len(said) % 2), syntax, tmp_path / "1.dcm")


@pytest.mark.parametrize("syntax", JPEG_2000.values(), ids=JPEG_2000.keys())
@pytest.mark.parametrize("binary", [0, 1])
def test_a_comment_in_jpeg_2000_pixels_is_not_sent(
    binary: int, syntax: str, tmp_path: Path
) -> None:
    said = f"{PERSON.patient_id} {PERSON.hospital}".encode()

    check(jpeg_2000(segment(0xFF64, struct.pack(">H", binary) + said)), syntax, tmp_path / "1.dcm")
