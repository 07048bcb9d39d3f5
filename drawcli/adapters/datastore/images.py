"""Reading of image files."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from io import SEEK_END, BytesIO
from itertools import takewhile
from pathlib import Path
from typing import IO, Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, ascii_text, walk
from drawcli.core.dicom.streaming import check_trailing_elements, end_of_fragments, read_or_convert
from drawcli.core.series.burned_in import PixelLayout
from drawcli.errors import SeriesRefused, SourceUnsettled
from drawcli.system.failures import raise_shortage
from drawcli.system.files import CHUNK

_META_START: Final = 132  # after the preamble and its prefix
_META_GROUP, _SOURCE_TITLE = 0x0002, 0x00020016
_META_BYTES: Final = 16_384  # more than any file meta


class _Converted(BytesIO):
    """The converted bytes of a file, with the file descriptor of the original."""

    def __init__(self, whole: bytes, source: IO[bytes]) -> None:
        super().__init__(whole)
        self._source = source

    def fileno(self) -> int:
        """Return the descriptor of the original file."""
        return self._source.fileno()

    def close(self) -> None:
        """Close both."""
        self._source.close()
        super().close()


def sending_title(path: str) -> str:
    """Return the AE title that sent an image (0002,0016); "" if the file does not say it."""
    try:
        with Path(path).open("rb") as stream:
            beginning = stream.read(_META_BYTES)
        meta = walk(beginning, _META_START, len(beginning), explicit=True)
        for element in takewhile(lambda element: element.tag >> 16 == _META_GROUP, meta):
            if element.tag == _SOURCE_TITLE and beginning[:_META_START].endswith(b"DICM"):
                return ascii_text(beginning[element.value : element.end]).strip()
    except (OSError, NotDicom, Incomplete) as err:
        raise_shortage(err)
    return ""


def open_slice(path: str) -> tuple[IO[bytes], Header]:
    """Open a file and read its header; the caller closes the stream.

    Of a file in an unusual encoding, header and stream are those of the converted bytes.

    Raises
    ------
    SourceUnsettled
        If the file cannot be read.
    SeriesRefused
        If it has changed since the scan and is no image now.
    """
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    try:
        header, whole = read_or_convert(stream)
    except (NotDicom, Incomplete) as err:
        stream.close()
        text = str(err) or "the file ends inside its header"
        raise SeriesRefused(
            f"a file of the series cannot be de-identified: {text}",
            hint="Check the files, and export the series again.",
        ) from None
    except OSError as err:
        stream.close()
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    except BaseException:
        stream.close()
        raise
    return (stream if whole is None else _Converted(whole, stream)), header


def pixel_end(stream: IO[bytes], header: Header) -> int:
    """Return the offset of the end of the pixel data.

    Raises
    ------
    SeriesRefused
        If the file ends before its pixels do, or elements follow them that are not allowed there.
    """
    pixels = header.pixels
    if pixels is None:
        raise SeriesRefused("a file of the series has no pixel data", code="no-pixels")
    size = stream.seek(0, SEEK_END)
    end = _behind_fragments(stream, pixels.value) if pixels.undefined else pixels.end
    if end > size:
        raise SeriesRefused("a file of the series ends before its pixels do", code="truncated")
    try:
        check_trailing_elements(stream, header, end, size)
    except NotDicom as err:
        raise SeriesRefused(f"a file of the series cannot be de-identified: {err}") from None
    return end


def reader_at(stream: IO[bytes], offset: int) -> Callable[[int], bytes]:
    """Return a function that reads the next bytes from an offset on, as `read` of a file.

    It raises SourceUnsettled if the file cannot be read.
    """

    def read(count: int) -> bytes:
        try:
            return stream.read(count)
        except OSError as err:
            raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None

    stream.seek(offset)
    return read


def first_frame(path: str) -> tuple[bytes, PixelLayout] | None:
    """Return the first frame of an image and its pixel layout; None if it is compressed."""
    stream, header = open_slice(path)
    with closing(stream):
        rows, columns = header.number(tags.Rows) or 0, header.number(tags.Columns) or 0
        bits = header.number(tags.BitsAllocated) or 0
        if header.pixels is None or header.pixels.undefined:
            return None
        stream.seek(header.pixels.value)
        signed = header.number(tags.PixelRepresentation) == 1
        return stream.read(rows * columns * bits // 8), PixelLayout(rows, columns, bits, signed)


def _behind_fragments(stream: IO[bytes], offset: int) -> int:
    """Return the offset of the end of encapsulated pixel data."""
    try:
        return end_of_fragments(stream, offset)
    except Incomplete:
        text = "a file of the series ends before its pixels do"
        raise SeriesRefused(text, code="truncated") from None
    except NotDicom as err:
        raise SeriesRefused(str(err)) from None


class CheckedPixels:
    """Pieces of pixel data, whose CRC-32 is known when all have been taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.crc32 = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        from isal import isal_zlib

        for piece in self._pieces:
            self.crc32 = isal_zlib.crc32(piece, self.crc32)
            yield piece


def pixel_crc32(stream: IO[bytes], header: Header) -> int:
    """Return the CRC-32 of the pixel data as stored in the file.

    Raises
    ------
    SourceUnsettled, SeriesRefused
        If the file cannot be read, or ends before its pixels do.
    """
    from isal import isal_zlib

    check, end = 0, pixel_end(stream, header)
    assert header.pixels is not None  # noqa: S101 - pixel_end refuses a file without
    left, read = end - header.pixels.value, reader_at(stream, header.pixels.value)
    while left > 0 and (piece := read(min(CHUNK, left))):
        check = isal_zlib.crc32(piece, check)
        left -= len(piece)
    return int(check)
