"""The slices of a series as they are sent: de-identified, one a file, in a coding that is read.

Uncompressed single-frame files are streamed as they are stored. Frames of multi-frame images and
codings that the server does not decode are done by `sent_frames`.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import IO, Final

from drawcli.adapters.datastore.images import (
    CheckedPixels,
    open_slice,
    pixel_crc32,
    pixel_end,
    reader_at,
)
from drawcli.adapters.package import Member, read_range
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.profile import Choices
from drawcli.core.dicom import tags
from drawcli.core.dicom.codestream import FrameLayout, clean_pixel_data
from drawcli.core.dicom.header import NATIVE, Header, NotDicom
from drawcli.core.dicom.instance import is_padded, pixels_extra, slice_of
from drawcli.core.dicom.multiframe import number_of_frames
from drawcli.core.dicom.sop_classes import MULTI_FRAME
from drawcli.core.frames import attributes
from drawcli.core.series.crosswalk import Crosswalk, SourceFile, header_digest
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.verdict import Readiness
from drawcli.errors import SeriesRefused
from drawcli.pipeline.sent_frames import (
    FrameSource,
    decoded_pixels,
    is_decoded,
    uncompressed,
    unsettled,
)

# Headers of several slices are read, then their pixels: each kind of work in a warm cache.
_MOST_BEGUN: Final = 16  # slices; their files are open
_MOST_BYTES_BEGUN: Final = 16 << 20  # of their files, as a bound of their headers
_HOLD_TEXT: Final = "a multi-frame image, and deidentify.multiframe is hold"
_HOLD_HINT: Final = (
    "Set deidentify.multiframe: split in drawcli.yaml, then run 'drawcli retry'. Or export the "
    "series as single-frame images."
)


def sent_class(sop_class: str, choices: Choices) -> str:
    """Return the SOP class in which images of a class are sent."""
    return sop_class if choices.multiframe == "whole" else attributes.sent_class(sop_class)


def deidentify_slices(
    crosswalk: Crosswalk, replacements: Replacements, files: dict[str, SourceFile]
) -> Iterator[Member]:
    """Yield the de-identified slices of a series in the order of their new UIDs.

    Parameters
    ----------
    crosswalk
        The series, as a scan saw it.
    replacements
        The replacements for the patient's values.
    files
        Filled with the sources as they were read, by path.

    Raises
    ------
    SeriesRefused, SourceUnsettled
        If a slice cannot be de-identified, or has changed since the scan.
    """
    if replacements.choices.multiframe != "whole" and _has_frames(crosswalk):
        yield from _split(crosswalk, replacements, files)
        return
    named = sorted((replacements.uid(file.sop_uid), file) for file in crosswalk.files)
    begun, size = list[Member](), 0
    for stand_in, file in named:
        content = _slice(file, crosswalk, replacements, files)
        begun.append((f"{stand_in}.dcm", chain([next(content)], content)))
        size += file.size
        if len(begun) >= _MOST_BEGUN or size > _MOST_BYTES_BEGUN:
            yield from begun
            begun, size = [], 0
    yield from begun


def header_as_sent(
    path: str, stream: IO[bytes], header: Header, replacements: Replacements
) -> bytes:
    """Return the de-identified header of an image; of a multi-frame image that of its first frame.

    Raises
    ------
    SeriesRefused, NotDicom
        If the image cannot be sent.
    """
    choices = replacements.choices
    if header.text(tags.SOPClassUID) in MULTI_FRAME and choices.multiframe != "whole":
        if choices.multiframe == "hold":
            raise _held()
        return FrameSource(path, stream, header, replacements).first_header()
    sent = uncompressed(header) if is_decoded(header, choices) else header
    return deidentify_header(sent, replacements)


def _held() -> SeriesRefused:
    return SeriesRefused(_HOLD_TEXT, code="multiframe-held", hint=_HOLD_HINT)


def _has_frames(crosswalk: Crosswalk) -> bool:
    """Return whether the images of a series are of a multi-frame SOP class."""
    stream, header = open_slice(crosswalk.files[0].path)
    stream.close()
    return header.text(tags.SOPClassUID) in MULTI_FRAME


def _split(
    crosswalk: Crosswalk, replacements: Replacements, files: dict[str, SourceFile]
) -> Iterator[Member]:
    """Yield the frames of multi-frame images as slices."""
    if replacements.choices.multiframe == "hold":
        raise _held()
    members: dict[str, Iterator[bytes]] = {}
    for file in crosswalk.files:
        stream, header = open_slice(file.path)
        with closing(stream):
            status = os.fstat(stream.fileno())
            check_unchanged(file, status, stream, header, crosswalk)
            pixel_end(stream, header)
            source = FrameSource(file.path, stream, header, replacements)
            crc32 = pixel_crc32(stream, header)
            files[file.path] = _as_read(file, status, header, crc32)
        members |= {f"{uid}.dcm": source.frame(uid, n) for uid, n in source.numbers.items()}
    yield from sorted(members.items())


def _slice(
    file: SourceFile,
    crosswalk: Crosswalk,
    replacements: Replacements,
    files: dict[str, SourceFile],
) -> Iterator[bytes]:
    """Yield one de-identified slice: the new header, then the pixels."""
    stream, header = open_slice(file.path)
    with closing(stream):
        before = os.fstat(stream.fileno())
        check_unchanged(file, before, stream, header, crosswalk)
        end, check = pixel_end(stream, header), None
        try:
            if is_decoded(header, replacements.choices):
                yield deidentify_header(uncompressed(header), replacements)
                yield decoded_pixels(stream, header)
            else:
                yield deidentify_header(header, replacements)
                check = CheckedPixels(read_pixels(stream, header, end))
                yield from check
        except NotDicom as err:
            raise SeriesRefused(f"a slice cannot be de-identified: {err}") from None
        is_whole = header.transfer_syntax in NATIVE and not pixels_extra(header)
        crc32 = check.crc32 if check and is_whole else pixel_crc32(stream, header)
        files[file.path] = _as_read(file, before, header, crc32)
        if os.fstat(stream.fileno()).st_ctime_ns != before.st_ctime_ns:
            raise unsettled()


def _as_read(
    file: SourceFile, before: os.stat_result, header: Header, pixels_crc32: int
) -> SourceFile:
    """Return a source with what tells later whether it is unchanged."""
    return file._replace(
        header_sha256=header_digest(header),
        pixels_crc32=pixels_crc32,
        ctime_ns=before.st_ctime_ns,
    )


def read_pixels(stream: IO[bytes], header: Header, end: int) -> Iterator[bytes]:
    """Yield the pixels: native ones as stored, compressed ones without extra data."""
    assert header.pixels is not None  # noqa: S101 - pixel_end refuses a file without
    start, is_native = header.pixels.value, header.transfer_syntax in NATIVE
    if is_native == header.pixels.undefined:
        raise NotDicom("pixels do not match the transfer syntax")
    if is_native:
        yield from read_range(stream, start, end - pixels_extra(header))
        return
    raster = FrameLayout(
        rows=header.number(tags.Rows) or 0,
        columns=header.number(tags.Columns) or 0,
        bytes_allocated=(header.number(tags.BitsAllocated) or 0) // 8,
        frames=number_of_frames(header),
    )
    yield from clean_pixel_data(reader_at(stream, start), header.transfer_syntax, raster)


def check_unchanged(
    file: SourceFile,
    status: os.stat_result,
    stream: IO[bytes],
    header: Header,
    crosswalk: Crosswalk,
) -> None:
    """Raise an error if a file has changed since the scan, or cannot be sent."""
    size, mtime_ns = status.st_size, status.st_mtime_ns
    now = slice_of(header, path=file.path, size=size, mtime_ns=mtime_ns)
    seen = (file.sop_uid, crosswalk.series_uid, crosswalk.study_uid, crosswalk.patient_id)
    same = (now.sop_uid, now.series_uid, now.study_uid, now.patient_id) == seen
    if not same or (size, mtime_ns) != (file.size, file.mtime_ns):
        raise unsettled()
    if now.pixels_extra and is_padded(stream, header, now.pixels_extra):
        now = replace(now, pixels_extra=0)
    kind = slice_kind(now)
    if kind.readiness is not Readiness.READY:
        raise SeriesRefused(kind.text, code=kind.code)
