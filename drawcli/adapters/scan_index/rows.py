"""Rows of the scan index. Times are nanoseconds."""

from typing import NamedTuple

from drawcli.core.dicom.instance_json import Packed
from drawcli.core.series.verdict import Verdict


class FolderRow(NamedTuple):
    """A folder at the last scan."""

    id: int
    digest: bytes | None  # of its listing; None while something in it is not final
    stamp: str
    calm: int  # first scan with this listing, ns


class FileRow(NamedTuple):
    """A file at the last scan."""

    size: int
    mtime_ns: int
    ctime_ns: int
    since: int  # first scan that found it unchanged since, by our clock, ns
    final: bool  # not read again while unchanged
    reason: str | None
    series: int | None


class UnreadRow(NamedTuple):
    """A file that could not be read."""

    name: bytes  # keyed hash of its name
    size: int
    since: int  # as in FileRow
    reason: str


class NamingFile(NamedTuple):
    """A structure set that names a series or a frame of reference."""

    folder: int
    name: bytes  # keyed hash of its name
    size: int
    mtime_ns: int


class FileEntry(NamedTuple):
    """A file with the header that was read, or the reason why there is none."""

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    since: int
    final: bool
    found: Packed | str


class SeriesRow(NamedTuple):
    """A series at the last scan."""

    id: int
    first: int  # first scan with a file of it, by our clock, ns
    since: int  # first scan with the present files, by our clock, ns
    stale: bool
    key: str
    key_id: str
    digest: str
    stamp: str
    modality: str
    files: int
    newest: int  # latest mtime, ns
    verdict: Verdict
    wishes: int  # number of the folder settings used for the verdict
    contoured: bool = False  # whether a structure set of the datastore references it
