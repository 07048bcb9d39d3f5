"""One file of the datastore: what its header says, or why it is no image. Never changed.

Why it is none is a named reason. Some of them may stand for a slice of a series: those are told.
"""

from dataclasses import replace
from io import BytesIO
from typing import Final, NamedTuple

from drawcli.core.deid.profile import IMAGE_CLASSES
from drawcli.core.dicom.header import NO_DICOM, PREAMBLE_LENGTH, Header, Incomplete, NotDicom
from drawcli.core.dicom.instance import Slice, is_padded, slice_of
from drawcli.core.dicom.streaming import (
    FIRST_READ,
    ElementStream,
    check_trailing_elements,
    end_of_fragments,
    read_or_convert,
)

# Why a file may still be, or become, a slice of the series that lies beside it.
UNREAD: Final = frozenset(
    {"empty-file", "blank-file", "truncated-header", "permission-denied", "unreadable-file"}
    | {"vanished", "unreadable-dicom", "no-series-uid", "no-sop-class", "unfinished-copy"}
    | {"lost-link"}
)
# Why the system did not give us a file; everything else was read, and is not read again.
NOT_GIVEN: Final = frozenset({"permission-denied", "unreadable-file", "vanished"})
_UNFINISHED: Final = (".part", ".partial", ".filepart", ".crdownload", ".incomplete", ".tmp")
_PREFIX_LOST: Final = (b"\x02\0\0\0", b"\x02\0\1\0", b"\x02\0\2\0", b"\x08\0\5\0")


class File(NamedTuple):
    """A file as the listing of its folder has it."""

    name: str
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int  # of the last change of anything, where the system tells it


def read_stream(stream: ElementStream, path: str, listed: File) -> Slice | str:
    """Read the header of an open file that is not empty: a slice, or why it is none."""
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
    one = slice_of(header, path=path, size=size, mtime_ns=listed.mtime_ns)
    if not one.sop_class and header.pixels is not None:
        return "no-sop-class"
    if not one.series_uid and one.sop_class in IMAGE_CLASSES:
        return "no-series-uid"
    source = stream if whole is None else BytesIO(whole)
    if one.pixels_extra and is_padded(source, header, one.pixels_extra):
        one = replace(one, pixels_extra=0)
    if header.pixels is not None and header.pixels.undefined:
        one = replace(one, pixels_missing=_fragments_missing(source, header, size))
    return one if whole is None else replace(one, size=listed.size)


def _not_dicom(begin: bytes, path: str, what: str) -> str:
    """Return the reason of a file that is no header we read.

    A copy over a network may give a file its size first, and its bytes later, or its name last.
    """
    if not any(begin):
        return "blank-file"
    if what != NO_DICOM or begin[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] in _PREFIX_LOST:
        return "unreadable-dicom"
    return "unfinished-copy" if path.lower().endswith(_UNFINISHED) else "not-dicom"


def _fragments_missing(stream: ElementStream, header: Header, size: int) -> int:
    """Return how many bytes compressed pixels lack at least."""
    try:
        end = end_of_fragments(stream, header.pixels.value if header.pixels else 0)
    except (Incomplete, NotDicom):
        return 1
    return max(end - size, 0)
