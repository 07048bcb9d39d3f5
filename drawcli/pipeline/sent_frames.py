"""Frames of multi-frame images as single slices, and pixels decoded for the server.

A frame is read when its slice is written, so memory does not grow with the number of frames.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from drawcli.adapters.datastore.images import reader_at
from drawcli.adapters.package import read_range
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.profile import Choices, policy_for
from drawcli.core.dicom import tags
from drawcli.core.dicom.codestream import FrameLayout
from drawcli.core.dicom.encoding import encode_pixel_head
from drawcli.core.dicom.header import EXPLICIT_LITTLE, NATIVE, UNDEFINED, Header, NotDicom
from drawcli.core.frames.attributes import sent_class
from drawcli.core.frames.decoding import SENT_AS_THEY_ARE, SampleFormat, decode_frame
from drawcli.core.frames.fragments import clean_frame, codestream_of, index_frames
from drawcli.core.frames.split import SplitImage
from drawcli.errors import SeriesRefused, SourceUnsettled

_EXTENDED_TABLE: Final = 0x7FE00001  # ExtendedOffsetTable


def is_decoded(header: Header, choices: Choices) -> bool:
    """Return whether the pixels of an image are decoded before they are sent."""
    return choices.decompress and header.transfer_syntax not in SENT_AS_THEY_ARE


def uncompressed(header: Header) -> Header:
    """Return the header of an image after its pixels were decoded."""
    form = SampleFormat.of(header)
    start = 0 if header.pixels is None else header.pixels.start
    head = encode_pixel_head(_even(form.frame_bytes), form.allocated, explicit=True)
    data = header.data[:start] + head
    end = len(data) + _even(form.frame_bytes)
    pixels = (
        None
        if header.pixels is None
        else header.pixels._replace(value=len(data), end=end, undefined=False)
    )
    return header._replace(data=data, transfer_syntax=EXPLICIT_LITTLE, pixels=pixels)


def decoded_pixels(stream: IO[bytes], header: Header) -> bytes:
    """Return the decoded pixels of a single-frame image."""
    reader = _PixelReader(stream, header, frames=1)
    return reader.decoded(stream, 1)


class FrameSource:
    """The frames of one multi-frame file.

    Parameters
    ----------
    path, stream, header
        The file, open, and its header; of an irregular file those of the converted bytes.
    replacements
        The replacements for the patient's values.

    Raises
    ------
    SeriesRefused
        If the image cannot be split.
    """

    def __init__(
        self, path: str, stream: IO[bytes], header: Header, replacements: Replacements
    ) -> None:
        self._header, self._replacements = header, replacements
        rows = policy_for(sent_class(header.text(tags.SOPClassUID)), replacements.choices)
        self._split = SplitImage(header, rows)
        try:
            self._pixels = _PixelReader(stream, header, self._split.count)
        except NotDicom as err:
            raise SeriesRefused(f"a multi-frame image cannot be split: {err}") from None
        self._source = _Reopened(path, stream)
        self._decoded = is_decoded(header, replacements.choices)
        numbers = range(1, self._split.count + 1)
        sop_uid = header.text(tags.SOPInstanceUID)
        self.numbers = {replacements.frame_uid(sop_uid, n): n for n in numbers}

    def frame(self, sop_uid: str, number: int) -> Iterator[bytes]:
        """Yield a frame as a de-identified slice: the header, then the pixels."""
        try:
            yield deidentify_header(self.header_of(number), self._replacements, sop_uid)
            with self._source.opened() as stream:
                if self._decoded:
                    yield self._pixels.decoded(stream, number)
                elif self._pixels.native:
                    yield from self._pixels.stored(stream, number)
                else:
                    yield from self._pixels.cleaned(stream, number)
        except NotDicom as err:
            raise SeriesRefused(f"a slice cannot be de-identified: {err}") from None

    def first_header(self) -> bytes:
        """Return the first frame's header, de-identified."""
        sop_uid = next(iter(self.numbers))
        return deidentify_header(self.header_of(1), self._replacements, sop_uid)

    def header_of(self, number: int) -> Header:
        """Return the header of a frame before it is de-identified."""
        header = self._header
        native = self._pixels.native or self._decoded
        length = _even(self._split.frame_bytes) if native else UNDEFINED
        bits = header.number(tags.BitsAllocated) or 0
        head = encode_pixel_head(length, bits, explicit=header.explicit)
        syntax = EXPLICIT_LITTLE if self._decoded else header.transfer_syntax
        return self._split.header_of(number, head, syntax)


class _PixelReader:
    """Reads the pixels of one frame of a file.

    Raises
    ------
    NotDicom
        If the pixels are not those that the header describes.
    """

    def __init__(self, stream: IO[bytes], header: Header, frames: int) -> None:
        assert header.pixels is not None  # noqa: S101 - a file without was refused before
        self._header, self._start = header, header.pixels.value
        self.native = header.transfer_syntax in NATIVE
        if self.native == header.pixels.undefined:
            raise NotDicom("pixels do not match the transfer syntax")
        bits = header.number(tags.BitsAllocated) or 0
        rows, columns = header.number(tags.Rows) or 0, header.number(tags.Columns) or 0
        self._size = rows * columns * bits // 8
        self._layout = FrameLayout(rows, columns, bits // 8, frames=1)
        self._ranges: list[tuple[int, int]] = []
        if not self.native:
            table = header.raw(_EXTENDED_TABLE) or b""
            self._ranges = index_frames(stream, self._start, frames, header.transfer_syntax, table)

    def stored(self, stream: IO[bytes], number: int) -> Iterator[bytes]:
        """Yield an uncompressed frame as it is stored, padded to even length."""
        start = self._start + (number - 1) * self._size
        yield from read_range(stream, start, start + self._size)
        if self._size % 2:
            yield b"\0"

    def cleaned(self, stream: IO[bytes], number: int) -> list[bytes]:
        """Return a compressed frame as pixel data, without comments and other data."""
        start, end = self._ranges[number - 1]
        fragments = reader_at(stream, start)(end - start)
        return clean_frame(fragments, self._header.transfer_syntax, self._layout)

    def decoded(self, stream: IO[bytes], number: int) -> bytes:
        """Return a compressed frame decoded, padded to even length."""
        frame = codestream_of(self.cleaned(stream, number))
        form = SampleFormat.of(self._header)
        pixels = decode_frame(frame, self._header.transfer_syntax, form)
        return pixels + bytes(len(pixels) % 2)


class _Reopened:
    """A source that is opened for each frame, and refused if it has changed meanwhile.

    The bytes of a converted file are in memory; each reader gets a view of them.
    """

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self._path = path
        self._whole = stream.getvalue() if isinstance(stream, BytesIO) else None
        self._seen = _stamp(stream)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the source; check that it is unchanged before and after."""
        if self._whole is not None:
            yield BytesIO(self._whole)
            return
        try:
            stream = Path(self._path).open("rb")  # noqa: SIM115 - closed below
        except OSError as err:
            raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
        with stream:
            self._check(stream)
            yield stream
            self._check(stream)

    def _check(self, stream: IO[bytes]) -> None:
        if _stamp(stream) != self._seen:
            raise unsettled()


def _stamp(stream: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_ctime_ns, status.st_size


def unsettled() -> SourceUnsettled:
    """Return the error of a file that has changed while it was read, or before."""
    return SourceUnsettled(
        "a file of the series has changed since the scan",
        hint="The next scan reads the series again.",
    )


def _even(length: int) -> int:
    return length + length % 2
