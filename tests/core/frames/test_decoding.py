"""Codings that the server does not decode: decoded to the same pixels, or refused by name."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames

from drawcli.core.dicom.codestream import JPEG, RLE
from drawcli.core.frames.decoding import SENT_AS_THEY_ARE, SampleFormat, codec_of, decode_frame
from drawcli.errors import SeriesRefused
from tests.core.real_data import REAL, needs_real

LS = f"{JPEG}80"
ROWS, COLUMNS = 5, 7


def jpeg_ls(values: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]") -> bytes:
    from jpeg_ls import encode_array  # type: ignore[import-untyped]

    return bytes(encode_array(values))


def form(*, stored: int = 16, signed: bool = False, rows: int = ROWS) -> SampleFormat:
    return SampleFormat(rows, COLUMNS, 16, stored, signed)


@pytest.fixture
def values() -> "np.ndarray[tuple[int, int], np.dtype[np.uint16]]":
    return np.random.default_rng(7).integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16)


def test_pixels_are_those_that_were_encoded(
    values: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]",
) -> None:
    assert decode_frame(jpeg_ls(values), LS, form(stored=12)) == values.tobytes()


def test_the_sign_is_in_all_bits_that_are_not_stored(
    values: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]",
) -> None:
    raw = decode_frame(jpeg_ls(values), LS, form(stored=12, signed=True))

    signed = values.astype(np.int16)
    signed[signed >= 2048] -= 4096
    assert raw == signed.tobytes()


@pytest.mark.parametrize("signed", [False, True])
def test_a_codestream_of_the_jpeg_2000_family_is_decoded(*, signed: bool) -> None:
    from openjpeg.utils import encode_array  # HT-J2K has no encoder here; its header is the same

    low, high, size = (-2048, 2048, 64) if signed else (0, 4096, 64)
    kind = np.int16 if signed else np.uint16
    pixels = np.random.default_rng(7).integers(low, high, (size, size), dtype=kind)
    frame = encode_array(pixels, bits_stored=12, photometric_interpretation=2)

    stated = SampleFormat(size, size, 16, 12, signed)
    assert decode_frame(frame, f"{JPEG}201", stated) == pixels.tobytes()


@pytest.mark.parametrize(
    ("frame", "rows"),
    [("whole", ROWS + 1), ("cut", ROWS), ("none", ROWS), ("flipped", ROWS), ("no start", ROWS)],
)
def test_a_frame_that_is_not_what_the_header_says_is_refused(
    values: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]", frame: str, rows: int
) -> None:
    whole = jpeg_ls(values)
    damaged = {
        "whole": whole,
        "cut": whole[:20],
        "none": b"",
        "flipped": whole[:30] + bytes(len(whole) - 30),
        "no start": bytes(len(whole)),
    }

    with pytest.raises(SeriesRefused, match="JPEG-LS Lossless pixels cannot be decomp") as refused:
        decode_frame(damaged[frame], LS, form(rows=rows))

    assert refused.value.code == "undecodable"


@pytest.mark.parametrize(
    ("coding", "package", "module"),
    [
        ("80", "pyjpegls", "jpeg_ls"),
        ("70", "pylibjpeg-libjpeg", "libjpeg.utils"),
        ("201", "pylibjpeg-openjpeg", "openjpeg.utils"),
    ],
)
def test_a_missing_decoder_is_named(
    monkeypatch: pytest.MonkeyPatch, coding: str, package: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("drawcli.core.frames.decoding._stated", lambda _frame: (ROWS, COLUMNS, 1))
    monkeypatch.setattr("drawcli.core.frames.decoding._depth", lambda _frame: 16)

    with pytest.raises(SeriesRefused, match=rf"JPEG.*{package} is not installed") as refused:
        decode_frame(b"", f"{JPEG}{coding}", form())

    assert refused.value.code == "decoder-missing"


def test_every_coding_is_read_by_the_server_or_has_a_decoder() -> None:
    from drawcli.core.deid.table_single_frame import SYNTAXES

    assert {uid for uid in SYNTAXES if codec_of(uid) is None} == SENT_AS_THEY_ARE
    assert RLE in SENT_AS_THEY_ARE


SAME_CT = "odd/cornerstone_same_ct_16_ts/CTImage.dcm"


@needs_real
@pytest.mark.parametrize("last", ["51", "57", "70", "80", "81"])
def test_a_real_slice_is_decoded_as_pydicom_does(last: str) -> None:
    (path,) = Path(REAL).glob(f"{SAME_CT}_*_{JPEG}{last}.dcm")
    image = dcmread(path)
    (frame,) = generate_frames(image.PixelData, number_of_frames=1)
    signed = image.PixelRepresentation == 1

    raw = decode_frame(
        frame,
        f"{JPEG}{last}",
        SampleFormat(image.Rows, image.Columns, image.BitsAllocated, image.BitsStored, signed),
    )

    assert raw == image.pixel_array.tobytes()
    if last in ("57", "70", "80"):  # lossless: the twin that was never compressed
        assert raw == dcmread(REAL / SAME_CT).PixelData
