"""The privacy gate: reads the finished zip as a stranger would, and looks for the patient in it.

It shares no code with the de-identifier: the zip is opened by zipfile, its members and the sources
by pydicom, and what identifies is taken from the sources themselves. Every byte is accounted for:
between the members of the zip, and of a member its preamble, file meta, elements at every depth,
pixels, and that nothing lies behind them.
"""

import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from drawcli.core.gate.identifiers import KnownIdentifiers
from drawcli.core.gate.pydicom_elements import (
    end_of_pixels,
    pixel_digest,
    pydicom_errors,
    read_source,
)
from drawcli.core.gate.search import Leak, Search
from drawcli.errors import SeriesRefused, SourceUnsettled, UsageError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Leak", "findings", "made_from"]

_TEMPLATE: Final = "template.yml"
_PREAMBLE: Final = 128  # bytes
_STREAMED: Final = 0x08  # a member's sizes follow its data, in 16 bytes
_Read = TypeVar("_Read")


def findings(
    package: Path,
    sources: Iterable[str],
    *,
    form: str = "",
    retained: Iterable[str] = (),
    others: Sequence[str] = (_TEMPLATE,),
) -> list[Leak]:
    """Look for the patient in a finished zip.

    Parameters
    ----------
    package
        The zip.
    sources
        The files it was made from.
    form
        What is sent beside it: the zip's name and the form fields.
    retained
        Keywords of what the site lets out besides; the patient is looked for in it all the same.
    others
        The members that must be there besides the slices: the template, and nothing else.

    Returns
    -------
    list
        Sorted, each once; empty where the package may leave.

    Raises
    ------
    SourceUnsettled
        Where a source is not there (any more): then nothing can be compared.
    SeriesRefused
        Where pydicom cannot read a source.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the text of pydicom's quotes the value
        known = KnownIdentifiers.for_site(retained)
        for path, source in _ahead(_source, sources):
            with _comparing():
                known.learn(path, source)
        try:
            with zipfile.ZipFile(package) as archive:
                search = _searched(archive, package.stat().st_size, known, others)
        except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError):
            return [Leak("unreadable", "zip")]
    search.search_site_text(form, "form")
    search.check_whole()
    return sorted(search.found)


def made_from(package: Path, series: Iterable[Sequence[str]]) -> list[str]:
    """Return the files of the one series whose pixels a package holds; none where there is none.

    No key is asked: a package made with any key is told by its pixels and where they lie.

    Raises
    ------
    UsageError
        Where the package is not there or no zip.
    """
    held: set[bytes] = set()
    try:
        with zipfile.ZipFile(package) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in archive.namelist():
                dataset = _dataset(archive.read(name)) if name.endswith(".dcm") else None
                held |= {pixel_digest(dataset)} if dataset is not None else set()
            for paths in series:
                if any(_digest(_source(path)) in held for path in paths):
                    return list(paths)
    except (OSError, zipfile.BadZipFile, zlib.error) as err:
        what = getattr(err, "strerror", None) or "is no zip that can be read"
        raise UsageError(f"{package}: {what}") from None
    return []


def _searched(
    archive: zipfile.ZipFile, size: int, known: KnownIdentifiers, wanted: Sequence[str]
) -> Search:
    """Return what a search finds in every part of the zip."""
    names = archive.namelist()
    slices = [name for name in names if name.endswith(".dcm")]
    others = [name for name in names if not name.endswith(".dcm")]
    first = _dataset(archive.read(slices[0])) if slices else None
    sent_date = "" if first is None else _study_date(first)
    search = Search(known, known.words_to_find(), known.days_to_find(sent_date))
    if not known.is_moved(sent_date):
        search.add("date", "StudyDate")
    if others != [*wanted] or not _nothing_between(archive, size):
        search.add("members", "zip")
    for name in others:
        search.search_site_text(name, "zip")
        search.search_site_text(archive.read(name).decode("utf-8"), "template")
    for name, raw in _ahead(archive.read, slices):
        _slice(name, raw, search)
    return search


def _slice(name: str, raw: bytes, search: Search) -> None:
    """Look at one slice: its name, what surrounds the data set, and the data set."""
    dataset = _dataset(raw)
    if dataset is None:
        search.add("unreadable", "slice")
        return
    end = end_of_pixels(dataset)
    try:
        search.search_slice(dataset)
        sop_uid = str(dataset.get("SOPInstanceUID", ""))
        stated = str(dataset.file_meta.get("MediaStorageSOPInstanceUID", ""))
    except pydicom_errors():
        search.add("unreadable", "slice")
        return
    if name != f"{sop_uid}.dcm":
        search.add("member-name", "zip")
    if any(raw[:_PREAMBLE]):
        search.add("preamble", "preamble")
    if stated != sop_uid:
        search.add("file-meta", "file meta/MediaStorageSOPInstanceUID")
    if end != len(raw):
        search.add("behind-pixels", "(7FE0,0010)")


def _nothing_between(archive: zipfile.ZipFile, size: int) -> bool:
    """Tell whether the zip consists of its members and its directory, without any remark."""
    local, entry, end, total = 30, 46, 22, 0  # bytes of the fixed parts (APPNOTE 4.3.7, .12, .16)
    for one in archive.infolist():
        total += local + entry + 2 * len(one.filename) + one.compress_size
        total += 16 if one.flag_bits & _STREAMED else 0
    return not archive.comment and total + end == size


def _ahead(read: Callable[[str], _Read], names: Iterable[str]) -> Iterator[tuple[str, _Read]]:
    """Yield each name with what was read under it; the next is read while this one is looked at."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        before = None
        for name in names:
            waiting = name, reader.submit(read, name)
            if before is not None:
                yield before[0], before[1].result()
            before = waiting
        if before is not None:
            yield before[0], before[1].result()


def _source(path: str) -> "Dataset":
    try:
        raw = Path(path).read_bytes()
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    with _comparing():
        return read_source(raw)


@contextmanager
def _comparing() -> Iterator[None]:
    """Refuse the series where a source cannot be decoded; the error's own words quote values."""
    try:
        yield
    except pydicom_errors() as err:
        kind = type(err).__name__
        raise SeriesRefused(f"a file of the series cannot be compared ({kind})") from None


def _digest(source: "Dataset") -> bytes:
    with _comparing():
        return pixel_digest(source)


def _study_date(dataset: "Dataset") -> str:
    try:
        return str(dataset.get("StudyDate", ""))
    except pydicom_errors():
        return ""  # the search will find that it cannot be read


def _dataset(raw: bytes) -> "Dataset | None":
    from pydicom import dcmread

    try:
        return dcmread(BytesIO(raw))
    except pydicom_errors():
        return None
