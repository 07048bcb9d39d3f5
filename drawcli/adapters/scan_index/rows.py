"""What the scan index remembers of folders, files and series. Times are nanoseconds."""

from typing import NamedTuple

from drawcli.core.dicom.instance_json import Packed
from drawcli.core.series.verdict import Verdict


class FolderRow(NamedTuple):
    """A folder as it was seen last."""

    id: int
    digest: bytes | None  # of its listing; None while something in it is not final
    stamp: str
    calm: int  # when it was first seen so, ns


class FileRow(NamedTuple):
    """A file as it was seen last."""

    size: int
    mtime_ns: int
    ctime_ns: int
    since: int  # when our clock first saw it so, ns
    final: bool  # it is not read again while unchanged
    reason: str | None
    series: int | None


class UnreadRow(NamedTuple):
    """A file that could not be read."""

    name: bytes  # the keyed hash of its name
    size: int
    since: int  # when our clock first saw it so, ns
    reason: str


class FileEntry(NamedTuple):
    """A file that was read now, and what came of it."""

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    since: int
    final: bool
    found: Packed | str


class SeriesRow(NamedTuple):
    """A series as it was judged last."""

    id: int
    first: int  # when our clock first saw a file of it, ns
    since: int  # when our clock first saw the files as they are, ns
    stale: bool
    key: str
    key_id: str
    digest: str
    stamp: str
    modality: str
    files: int
    newest: int  # the latest mtime, ns
    verdict: Verdict
    wishes: int  # which settings it was judged by: a number of the survey's
