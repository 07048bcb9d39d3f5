"""Read the images of a series with their pixels into a stack."""

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from drawcli.adapters.datastore.images import open_slice
from drawcli.adapters.state.progress import ItemCounter, no_counting
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import NATIVE, Header
from drawcli.core.dicom.instance import Slice, slice_of
from drawcli.core.series.crosswalk import SourceFile, header_digest
from drawcli.errors import ConfigError, SeriesRefused
from drawcli.system.packages import install_hint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from drawcli.core.pictures.stack import Stack

_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053
_PHOTOMETRIC: Final = 0x00280004
_MOST_BYTES: Final = 512 << 20  # of a series in memory: larger series are subsampled
_DECODERS: Final = {  # packages to install, by prefix of the transfer syntax
    "1.2.840.10008.1.2.4.8": "pyjpegls",
    "1.2.840.10008.1.2.4.9": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.20": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.": "pylibjpeg pylibjpeg-libjpeg",
}


@dataclass(frozen=True, slots=True)
class Images:
    """A series as it is in the datastore now."""

    stack: "Stack"
    modality: str
    inverse: bool  # MONOCHROME1: the lowest value is white
    changed: int  # files that differ from those that were sent


def read_images_of(files: Sequence[SourceFile], counted: ItemCounter = no_counting) -> Images:
    """Read the images of a series: each file once, with the stored pixel values.

    Raises
    ------
    SourceUnsettled
        If a file no longer exists.
    SeriesRefused
        If an image cannot be decoded, or has no position or orientation.
    ConfigError
        If the decoder of the compression is not installed.
    """
    from drawcli.core.pictures.stack import Stack

    reader = _Reader(files)
    for file in counted(files, "images read"):
        reader.read(file)
    first = reader.first
    plane = first.planes[0]
    stack = Stack.of(
        reader.pixels,
        positions=reader.positions,
        orientation=plane.orientation or (),
        spacing=reader.spacing(plane.spacing or (1.0, 1.0)),
        scales=reader.scales,
    )
    return Images(stack, first.modality, reader.inverse, reader.changed)


class _Reader:
    """Reads one file after the other into one array."""

    pixels: "npt.NDArray[Any]"
    first: Slice
    inverse: bool

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._count = sum(file.frames for file in files)
        self._thin = 1
        self.positions: list[tuple[float, float, float]] = []
        self.scales: list[tuple[float, float]] = []
        self.changed = 0

    def read(self, file: SourceFile) -> None:
        """Read the positions and pixels of the slices of a file."""
        stream, header = open_slice(file.path)
        with closing(stream):
            facts = slice_of(header, path=file.path, size=file.size, mtime_ns=0)
            planes, begin = facts.planes, len(self.positions)
            self.changed += bool(file.header_sha256) and header_digest(header) != file.header_sha256
            if len(planes) != file.frames or not all(
                plane.position and plane.orientation for plane in planes
            ):
                raise SeriesRefused("an image has no position or orientation", code="no-geometry")
            if not begin:
                self._begin(facts, header)
            self.positions += [plane.position for plane in planes if plane.position]
            self.scales += _scales(header, file)
            self._take(stream, header, file, slice(begin, begin + file.frames))

    def spacing(self, between: Sequence[float]) -> tuple[float, float]:
        """Return the spacing of the pixels after subsampling, mm."""
        return between[0] * self._thin, between[1] * self._thin

    def _begin(self, facts: Slice, header: Header) -> None:
        import numpy as np

        self.first = facts
        self.inverse = header.text(_PHOTOMETRIC).upper() == "MONOCHROME1"
        dtype = _stored_as(header)
        rows, columns = facts.shape
        while self._count * rows * columns * dtype.itemsize / self._thin**2 > _MOST_BYTES:
            self._thin += 1
        size = [len(range(0, length, self._thin)) for length in (rows, columns)]
        self.pixels = np.empty((self._count, *size), dtype)

    def _take(self, stream: IO[bytes], header: Header, file: SourceFile, place: slice) -> None:
        shape = (header.number(tags.Rows) or 0, header.number(tags.Columns) or 0)
        if shape != self.first.shape or _stored_as(header) != self.pixels.dtype:
            raise SeriesRefused("images of one series are of different sizes", code="undecodable")
        native = header.transfer_syntax in NATIVE and header.pixels is not None
        if not native:
            self.pixels[place] = self._thinned(_decoded(file.path, header.transfer_syntax))
        elif self._thin == 1:
            _fill(stream, header, self.pixels[place])
        else:
            import numpy as np

            whole = np.empty((place.stop - place.start, *shape), self.pixels.dtype)
            _fill(stream, header, whole)
            self.pixels[place] = self._thinned(whole)

    def _thinned(self, whole: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
        return whole[..., :: self._thin, :: self._thin]


def _stored_as(header: Header) -> "np.dtype[Any]":
    """Return the type of stored pixels: 8, 16 or 32 bits, signed or unsigned."""
    import numpy as np

    bits = header.number(tags.BitsAllocated) or 0
    if bits not in (8, 16, 32) or header.number(tags.SamplesPerPixel) != 1:
        raise SeriesRefused("the pixel format of an image is not supported", code="undecodable")
    return np.dtype(f"<{'i' if header.number(tags.PixelRepresentation) else 'u'}{bits // 8}")


def _fill(stream: IO[bytes], header: Header, array: "npt.NDArray[Any]") -> None:
    """Read uncompressed pixels directly into an array."""
    if header.pixels is None:
        raise SeriesRefused("a file of the series has no pixel data", code="no-pixels")
    stream.seek(header.pixels.value)
    wanted = memoryview(array).cast("B")  # type: ignore[arg-type] # an array is a buffer
    if stream.readinto(wanted) != len(wanted):  # type: ignore[attr-defined] # files have it
        raise SeriesRefused("a file of the series ends before its pixels do", code="truncated")


def _decoded(path: str, transfer_syntax: str) -> "npt.NDArray[Any]":
    from pydicom import dcmread
    from pydicom.pixels import get_decoder  # type: ignore[attr-defined] # documented there

    try:
        decoder = get_decoder(transfer_syntax)
    except NotImplementedError:
        raise SeriesRefused("images of an unknown compression", code="undecodable") from None
    if not decoder.is_available:
        packages = next(
            (name for begin, name in _DECODERS.items() if transfer_syntax.startswith(begin)), ""
        )
        raise ConfigError(
            f"the decoder of the images is not installed ({decoder.UID.name})",
            code="decoder-missing",
            hint=install_hint(*packages.split()),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values
        try:
            pixels: npt.NDArray[Any] = decoder.as_array(dcmread(path))[0]
        except (RuntimeError, ValueError, AttributeError, KeyError, IndexError):
            text = "an image of the series cannot be decoded"
            raise SeriesRefused(text, code="undecodable") from None
    return pixels


def _scales(header: Header, file: SourceFile) -> list[tuple[float, float]]:
    """Return slope and intercept of each slice of a file."""
    if file.frames == 1 and header.raw(_SLOPE) is not None:
        return [(_number(header.text(_SLOPE), 1.0), _number(header.text(_INTERCEPT), 0.0))]
    if header.number(tags.NumberOfFrames) is None and not header.text(tags.NumberOfFrames):
        return [(1.0, 0.0)] * file.frames
    return _scales_of_frames(file)


def _scales_of_frames(file: SourceFile) -> list[tuple[float, float]]:
    """Return slope and intercept of each frame (PS3.3 C.7.6.16.2.9)."""
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = dcmread(file.path, stop_before_pixels=True)
        shared = list(whole.get("SharedFunctionalGroupsSequence") or [])
        each = list(whole.get("PerFrameFunctionalGroupsSequence") or [])
        return [_scale_in([*each[n : n + 1], *shared]) for n in range(file.frames)]


def _scale_in(groups: Sequence[Any]) -> tuple[float, float]:
    for group in groups:
        for values in group.get("PixelValueTransformationSequence") or []:
            slope, intercept = values.get("RescaleSlope"), values.get("RescaleIntercept")
            return float(slope or 1.0), float(intercept or 0.0)
    return 1.0, 0.0


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
