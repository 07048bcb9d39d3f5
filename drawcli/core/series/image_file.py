"""Reading a file of the datastore: its header, or the reason why it is not an image.

Files whose reason is in `UNREAD` may be slices of a series; they are reported.
"""

from dataclasses import replace
from io import BytesIO
from typing import Final, NamedTuple

from drawcli.core.dicom.header import NO_DICOM, PREAMBLE_LENGTH, Header, Incomplete, NotDicom
from drawcli.core.dicom.instance import Slice, is_padded, slice_of
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.dicom.streaming import (
    FIRST_READ,
    ElementStream,
    check_trailing_elements,
    end_of_fragments,
    read_or_convert,
)

# Reasons of files that may be, or become, slices of a series in the same folder.
UNREAD: Final = frozenset(
    {"empty-file", "blank-file", "truncated-header", "permission-denied", "unreadable-file"}
    | {"vanished", "unreadable-dicom", "no-series-uid", "no-sop-class", "unfinished-copy"}
    | {"lost-link"}
)
# Reasons of files that could not be read; files with other reasons are not read again.
NOT_GIVEN: Final = frozenset({"permission-denied", "unreadable-file", "vanished"})
_UNFINISHED: Final = (".part", ".partial", ".filepart", ".crdownload", ".incomplete", ".tmp")
_PREFIX_LOST: Final = (b"\x02\0\0\0", b"\x02\0\1\0", b"\x02\0\2\0", b"\x08\0\5\0")


class File(NamedTuple):
    """A file of a folder listing."""

    name: str
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int


def read_stream(stream: ElementStream, path: str, listed: File) -> Slice | str:
    """Return the slice of an open file that is not empty, or the reason why it is none."""
    try:
        header, whole = read_or_convert(stream)
        size = listed.size if whole is None else len(whole)
        if header.pixels is not None and not header.pixels.undefined and header.pixels.end < size:
            source = stream if whole is None else BytesIO(whole)
            check_trailing_elements(source, header, header.pixels.end, size)
    except NotDicom as err:
        stream.seek(0)
        return _not_dicom(stream.read(FIRST_READ) or b"", path, str(err))
    except Incomplete:
        return "truncated-header"
    slice_ = slice_of(header, path=path, size=size, mtime_ns=listed.mtime_ns)
    if not slice_.sop_class and header.pixels is not None:
        return "no-sop-class"
    if not slice_.series_uid and slice_.sop_class in IMAGE_CLASSES:
        return "no-series-uid"
    source = stream if whole is None else BytesIO(whole)
    if slice_.pixels_extra and is_padded(source, header, slice_.pixels_extra):
        slice_ = replace(slice_, pixels_extra=0)
    if header.pixels is not None and header.pixels.undefined:
        slice_ = replace(slice_, pixels_missing=_fragments_missing(source, header, size))
    return slice_ if whole is None else replace(slice_, size=listed.size)


def _not_dicom(begin: bytes, path: str, problem: str) -> str:
    """Return the reason of a file that cannot be read as DICOM.

    A copy over a network may set the size of a file before its bytes, and its name last.
    """
    if not any(begin):
        return "blank-file"
    if problem != NO_DICOM or begin[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] in _PREFIX_LOST:
        return "unreadable-dicom"
    return "unfinished-copy" if path.lower().endswith(_UNFINISHED) else "not-dicom"


def _fragments_missing(stream: ElementStream, header: Header, size: int) -> int:
    """Return the least number of bytes that compressed pixels lack."""
    try:
        end = end_of_fragments(stream, header.pixels.value if header.pixels else 0)
    except (Incomplete, NotDicom):
        return 1
    return max(end - size, 0)
