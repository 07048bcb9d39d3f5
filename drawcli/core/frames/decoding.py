"""Decode compressed frames, for codings that the server does not read.

The decoders are packages of the extra `decompress`. A frame is cleaned before, and its size and
depth must be those of the header, so that a damaged frame cannot ask for any amount of memory.

References
----------
PS3.5 8.2 (native and encapsulated pixels); ITU-T T.81 B.2.2, T.87 C.2.2 (frame headers), T.800
A.5.1 (SIZ).
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Self

from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom import tags
from drawcli.core.dicom.codestream import JPEG, RLE
from drawcli.core.dicom.header import NATIVE, Header, NotDicom
from drawcli.errors import SeriesRefused
from drawcli.system.failures import check_memory

# The codings that the server reads.
SENT_AS_THEY_ARE: Final = NATIVE | {RLE, f"{JPEG}50", f"{JPEG}90", f"{JPEG}91"}
LARGEST_FRAME: Final = 64 << 20  # bytes, decoded; 5,700 pixels wide and high
_GREY: Final = "MONOCHROME2"  # no conversion of colours
_BITS_STORED: Final = 0x00280101
_HIGH_BIT: Final = 0x00280102


class Codec(NamedTuple):
    """A decoder: the package to install, and a function that returns little endian bytes."""

    package: str
    decode: Callable[[bytes], bytes]


def _charls(frame: bytes) -> bytes:
    import jpeg_ls  # type: ignore[import-untyped]

    return bytes(jpeg_ls.decode_pixel_data(frame)[0])


def _libjpeg(frame: bytes) -> bytes:
    from libjpeg.utils import decode_pixel_data

    return bytes(decode_pixel_data(frame, version=2, photometric_interpretation=_GREY))


def _openjpeg(frame: bytes) -> bytes:
    from openjpeg.utils import decode_pixel_data

    return bytes(decode_pixel_data(frame, version=2))


_LIBJPEG: Final = Codec("pylibjpeg-libjpeg", _libjpeg)
_CHARLS: Final = Codec("pyjpegls", _charls)
_OPENJPEG: Final = Codec("pylibjpeg-openjpeg", _openjpeg)
_CODECS: Final = {
    **dict.fromkeys(("51", "57", "70"), _LIBJPEG),
    **dict.fromkeys(("80", "81"), _CHARLS),
    **dict.fromkeys(("201", "202", "203"), _OPENJPEG),
}
_SOC: Final = b"\xff\x4f"  # start of a JPEG 2000 codestream
_SOF, _SOF_LS = 0xC0, 0xF7  # markers FFCn, FFF7
_NO_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})  # of these DHT, JPG, DAC


class SampleFormat(NamedTuple):
    """How the pixels of an image are stored."""

    rows: int
    columns: int
    allocated: int  # bits of a pixel: 8, 16 or 32
    stored: int  # of these the lowest that are used
    signed: bool

    @classmethod
    def of(cls, header: Header) -> Self:
        """Return the format that a header states.

        Raises
        ------
        NotDicom
            If it is no format of grey values, in the lowest bits.
        """
        numbers = (tags.Rows, tags.Columns, tags.BitsAllocated, _BITS_STORED)
        rows, columns, allocated, stored = (header.number(tag) or 0 for tag in numbers)
        lowest = header.number(_HIGH_BIT) == stored - 1
        sign = header.number(tags.PixelRepresentation)
        fits = allocated in (8, 16, 32) and 1 <= stored <= allocated and rows and columns
        if not (fits and lowest and sign in (0, 1)):
            raise NotDicom("the bits of its pixels are not described as grey values")
        return cls(rows, columns, allocated, stored, signed=sign == 1)

    @property
    def frame_bytes(self) -> int:
        """The length of an uncompressed frame."""
        return self.rows * self.columns * self.allocated // 8


def codec_of(transfer_syntax: str) -> Codec | None:
    """Return the decoder of a coding that the server does not read; None for others."""
    return _CODECS.get(transfer_syntax.removeprefix(JPEG))


def decode_frame(frame: bytes, transfer_syntax: str, form: SampleFormat) -> bytes:
    """Return the pixels of a frame, little endian, in the bits that the header states.

    Raises
    ------
    SeriesRefused
        If the decoder is not installed, or cannot decode the frame, or the frame is too large.
    MemoryError
        If there is not enough memory for the frame.
    """
    name, codec = SYNTAXES[transfer_syntax], _CODECS[transfer_syntax.removeprefix(JPEG)]
    if _stated(frame) != (form.rows, form.columns, 1) or _depth(frame) > form.allocated:
        raise _undecodable(name, "a frame has another size or depth than the header says")
    if form.frame_bytes > LARGEST_FRAME:
        raise _undecodable(name, f"a frame has more than {LARGEST_FRAME >> 20} MiB")
    try:
        raw = codec.decode(frame)
    except ImportError:
        raise _missing(name, codec.package) from None
    except (RuntimeError, ValueError, TypeError, OverflowError):
        check_memory(form.frame_bytes)
        raise _undecodable(name, "the decoder reports an error") from None
    return _in_format(raw, form, name)


def _in_format(raw: bytes, form: SampleFormat, name: str) -> bytes:
    """Return decoded pixels in the allocated bits, with the sign in all unused ones."""
    import numpy as np

    pixels = form.rows * form.columns
    size = len(raw) // pixels
    if size not in (1, 2, 4) or len(raw) != size * pixels:
        raise _undecodable(name, "a frame is not as large as the header says")
    values = np.frombuffer(raw, f"<u{size}").astype(np.int64)
    values &= (1 << form.stored) - 1
    if form.signed:
        values -= (values >> (form.stored - 1)) << form.stored
    return values.astype(f"<{'i' if form.signed else 'u'}{form.allocated // 8}").tobytes()


def _stated(frame: bytes) -> tuple[int, int, int]:
    """Return rows, columns and components by the frame's own header."""
    at = _frame_header(frame)
    if frame[:2] == _SOC:
        across, down, left, upper = (
            int.from_bytes(frame[at + n : at + n + 4], "big") for n in (6, 10, 14, 18)
        )
        return down - upper, across - left, int.from_bytes(frame[at + 38 : at + 40], "big")
    rows, columns = (int.from_bytes(frame[at + n : at + n + 2], "big") for n in (5, 7))
    return rows, columns, frame[at + 9] if at + 9 < len(frame) else 0


def _depth(frame: bytes) -> int:
    """Return the bits of a sample by the frame's own header."""
    at = _frame_header(frame)
    if frame[:2] == _SOC:
        return (int.from_bytes(frame[at + 40 : at + 41], "big") & 0x7F) + 1
    return frame[at + 4]


def _frame_header(frame: bytes) -> int:
    """Return the offset of the marker SIZ or SOF; that of the end if there is none."""
    at = 2
    if frame[:2] == _SOC:
        return at
    while at + 4 <= len(frame) and frame[at] == 0xFF:  # noqa: PLR2004 - a marker
        marker = frame[at + 1]
        if marker == _SOF_LS or (marker & 0xF0 == _SOF and marker not in _NO_FRAMES):
            return at
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")  # noqa: PLR2004
    return len(frame)


def _missing(name: str, package: str) -> SeriesRefused:
    return SeriesRefused(
        f"{name} pixels cannot be decompressed: the package {package} is not installed",
        code="decoder-missing",
        hint=f"Install {package} for the Python of drawcli (extra decompress), then run "
        "'drawcli retry'. Or export the series uncompressed.",
    )


def _undecodable(name: str, why: str) -> SeriesRefused:
    return SeriesRefused(
        f"{name} pixels cannot be decompressed: {why}",
        code="undecodable",
        hint="Export the series again, uncompressed.",
    )
