"""The DICOM datastore: walked and read, never changed, but for the RTSTRUCT put into it."""

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from drawcli.core import tags
from drawcli.core.burned_in import Raster
from drawcli.core.dicom import (
    ITEM,
    SEQUENCE_END,
    Header,
    Incomplete,
    NotDicom,
    read_header,
    tag_text,
)
from drawcli.core.elements import what_pydicom_raises
from drawcli.core.rules import Series
from drawcli.core.slices import Slice, slice_of
from drawcli.errors import OutOfReach, SeriesRefused, SourceUnsettled

FIRST_READ: Final = 16 << 10  # bytes: more than the header of most slices
LARGEST_HEADER: Final = 64 << 20
_DEEPEST_RULE: Final = 3  # sequences within sequences that rules can ask for
_OUR_TEMPORARY: Final = ".drawcli-"


@dataclass(slots=True)
class Walk:
    """What a walk over the datastore found: the images, and what else by kind of file."""

    slices: list[Slice] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # reason -> files
    unread: Counter[str] = field(default_factory=Counter)  # folder -> files that may be slices

    def by_series(self) -> dict[str, list[Slice]]:
        """Return the slices of each series, by SeriesInstanceUID, from all folders."""
        series: dict[str, list[Slice]] = {}
        for one in self.slices:
            series.setdefault(one.series_uid, []).append(one)
        return series


def read_datastore(folders: Iterable[Path]) -> Walk:
    """Read the header of every file below some folders.

    Raises
    ------
    OutOfReach
        Where one of the folders is not there: a share that is not mounted is no empty datastore.
    """
    found = Walk()
    for folder in folders:
        _check_there(folder)
        for path in _files(folder, found.passed_over):
            _read_one(path, found)
    return found


def read_image(path: Path) -> Walk:
    """Read the header of one file."""
    found = Walk()
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name == path.name:
                _read_one(entry, found)
    return found


def open_slice(path: str) -> "tuple[IO[bytes], Header]":
    """Open a file and read its header; the caller closes the stream.

    Raises
    ------
    SourceUnsettled
        Where the file is not there (any more).
    SeriesRefused
        Where it is no longer what the scan saw.
    """
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    try:
        return stream, _header(stream)
    except (NotDicom, Incomplete) as err:
        stream.close()
        what = str(err) or "the file ends inside its header"
        raise SeriesRefused(f"a file of the series cannot be de-identified: {what}") from None
    except OSError as err:
        stream.close()
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    except BaseException:
        stream.close()
        raise


def pixel_end(stream: IO[bytes], header: Header) -> int:
    """Return the offset behind the pixel data; what may follow it is never read.

    Raises
    ------
    SeriesRefused
        Where the file ends before its pixels do.
    """
    pixels = header.pixels
    if pixels is None:
        raise SeriesRefused("a file of the series has no pixel data", code="no-pixels")
    size = os.fstat(stream.fileno()).st_size
    end = _behind_fragments(stream, pixels.value) if pixels.undefined else pixels.end
    if end > size:
        raise SeriesRefused("a file of the series ends before its pixels do", code="truncated")
    return end


def reader_at(stream: IO[bytes], offset: int) -> Callable[[int], bytes]:
    """Return how to read on from an offset, so many bytes at a time; fewer where the file ends.

    Raises
    ------
    SourceUnsettled
        Where the datastore does not give it.
    """

    def read(count: int) -> bytes:
        try:
            return stream.read(count)
        except OSError as err:
            raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None

    stream.seek(offset)
    return read


def first_frame(path: str) -> tuple[bytes, Raster] | None:
    """Return the first frame of an image and how its pixels lie in it; None where compressed."""
    stream, header = open_slice(path)
    with closed(stream):
        rows, columns = header.number(tags.Rows) or 0, header.number(tags.Columns) or 0
        bits = header.number(tags.BitsAllocated) or 0
        if header.pixels is None or header.pixels.undefined:
            return None
        stream.seek(header.pixels.value)
        signed = header.number(tags.PixelRepresentation) == 1
        return stream.read(rows * columns * bits // 8), Raster(rows, columns, bits, signed)


def shared_elements(paths: Iterable[str]) -> Series:
    """Return the elements that every file of a series shares, as text by path.

    What differs between files is in `mixed`. Values are decoded by pydicom with the character
    set of the file; items of sequences are named as in "RequestAttributesSequence.0.Keyword", and
    all of them together with "*" in place of the number.

    Raises
    ------
    SourceUnsettled
        Where a file is not there (any more).
    SeriesRefused
        Where pydicom cannot read it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote the value they complain about
        headers = [_text_elements(path) for path in dict.fromkeys(paths)]
    first, *others = headers
    series = Series(
        (path, values)
        for path, values in first.items()
        if all(other.get(path) == values for other in others)
    )
    differing = {path for header in headers for path in header} - series.keys()
    series.mixed = {path: [one.get(path, ()) for one in headers] for path in differing}
    return series


def _text_elements(path: str) -> dict[str, tuple[str, ...]]:
    from pydicom import dcmread

    try:
        with Path(path).open("rb") as stream:
            return _decoded(dcmread(stream, stop_before_pixels=True, force=True))
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    except what_pydicom_raises() as err:
        kind = type(err).__name__  # its words quote values
        raise SeriesRefused(f"the header of a file cannot be decoded ({kind})") from None


def _decoded(dataset: Any, depth: int = 0) -> dict[str, tuple[str, ...]]:
    errors = what_pydicom_raises()
    found: dict[str, tuple[str, ...]] = {}
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            value = element.value
        except errors:
            continue  # a value that its own VR does not allow takes part in no rule
        if element.VR == "SQ":
            found |= _of_items(element.keyword, value, depth)
        elif element.VR not in ("OB", "OW", "OF", "OD", "UN"):
            many = value if isinstance(value, list | tuple) or element.VM > 1 else [value]
            found[_path_of(element)] = tuple("" if one is None else str(one) for one in many)
    found.pop("", None)
    return found


def _of_items(keyword: str, items: Any, depth: int) -> dict[str, tuple[str, ...]]:
    """Return the elements of the items of a sequence, by number and of all together."""
    found: dict[str, tuple[str, ...]] = {}
    for number, item in enumerate(items or ()) if keyword and depth < _DEEPEST_RULE else ():
        for path, values in _decoded(item, depth + 1).items():
            found[f"{keyword}.{number}.{path}"] = values
            found[f"{keyword}.*.{path}"] = found.get(f"{keyword}.*.{path}", ()) + values
    return found


def _path_of(element: Any) -> str:
    """Return the name of an element in rules: its keyword, its creator, or its tag."""
    tag = element.tag
    if element.keyword:
        return str(element.keyword)
    if tag.is_private and element.private_creator:
        return f"({tag.group:04x},{element.private_creator.upper()},{tag.element & 0xFF:02x})"
    return "" if tag.is_private else f"({tag.group:04x},{tag.element:04x})"


def _check_there(folder: Path) -> None:
    """Raise OutOfReach where a folder of the datastore cannot be listed."""
    try:
        os.scandir(folder).close()
    except OSError as err:
        missing = isinstance(err, FileNotFoundError | NotADirectoryError)
        what = "is not there" if missing else f"cannot be read: {err.strerror}"
        raise OutOfReach(
            f"the datastore {folder} {what}",
            hint="Mount it, or mend 'datastore' in drawcli.yaml.",
        ) from None


def _files(folder: Path, passed_over: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """Yield every file below a folder; a folder is entered once, however it is linked."""
    waiting, entered = [str(folder)], set[tuple[int, int]]()
    while waiting:
        here = waiting.pop()
        try:
            at = os.stat(here)  # noqa: PTH116 - one call per folder of a large store
            if (at.st_dev, at.st_ino) in entered:
                continue
            entered.add((at.st_dev, at.st_ino))
            with os.scandir(here) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            passed_over["unreadable-folder"] += 1
            continue
        for entry in inside:
            kind = _kind(entry)
            if kind == "folder":
                waiting.append(entry.path)
            elif kind == "file" and not entry.name.startswith(_OUR_TEMPORARY):
                yield entry
            elif kind == "broken":
                passed_over["unreadable-file"] += 1


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry of a folder is; links are followed."""
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() else "other"
    except OSError:  # a link to itself, or into a folder that is closed to us
        return "broken"


def _read_one(entry: os.DirEntry[str], found: Walk) -> None:
    try:
        status = entry.stat()
        with open(entry.path, "rb", buffering=0) as stream:  # noqa: PTH123 - one call per file
            header = _header(stream)
        one = slice_of(header, path=entry.path, size=status.st_size, mtime_ns=status.st_mtime_ns)
    except NotDicom as err:
        if not status.st_size:
            found.unread[os.path.dirname(entry.path)] += 1  # noqa: PTH120 - one call per file
        found.passed_over[_kind_of_refusal(str(err))] += 1
    except (Incomplete, OSError) as err:
        what = "truncated-header" if isinstance(err, Incomplete) else "unreadable-file"
        found.passed_over[what] += 1
        found.unread[os.path.dirname(entry.path)] += 1  # noqa: PTH120 - one call per file
    else:
        found.slices.append(one)


def _kind_of_refusal(text: str) -> str:
    return {"no DICOM file": "not-dicom"}.get(text, "unreadable-dicom")


def _header(stream: Any) -> Header:
    """Read as much of a file as its header needs."""
    wanted, data = FIRST_READ, b""
    while True:
        more = stream.read(wanted - len(data))
        data += more
        ended = not more
        try:
            return read_header(data, complete=ended)
        except Incomplete:
            if ended or wanted > LARGEST_HEADER:
                raise
        wanted *= 4 if len(data) >= wanted else 1


def _behind_fragments(stream: IO[bytes], offset: int) -> int:
    """Return the offset behind encapsulated pixel data (PS3.5 A.4)."""
    while True:
        stream.seek(offset)
        head = stream.read(8)
        if len(head) < 8:  # noqa: PLR2004 - tag and length
            raise SeriesRefused("a file of the series ends before its pixels do", code="truncated")
        tag = int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little")
        offset += 8
        if tag == SEQUENCE_END:
            return offset
        if tag != ITEM:
            raise SeriesRefused(f"pixel data hold {tag_text(tag)} where a fragment belongs")
        offset += int.from_bytes(head[4:], "little")


def closed(stream: IO[bytes]) -> contextlib.closing[IO[bytes]]:
    """Return a context that closes the stream of `open_slice`."""
    return contextlib.closing(stream)
