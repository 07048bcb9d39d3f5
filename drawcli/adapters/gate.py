"""The privacy gate: an independent search of the finished package for patient data.

It shares no code with the de-identifier: zipfile reads the zip, pydicom the members and the
sources, and the identifying values are taken from the sources. Every byte is covered: between the
members of the zip, and in a member preamble, file meta, elements at every level, pixels, and the
end after them.
"""

import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from drawcli.core.gate.identifiers import KnownIdentifiers
from drawcli.core.gate.pydicom_elements import (
    can_be_deferred,
    end_of_pixels,
    pixel_digest,
    pydicom_errors,
    read_source,
)
from drawcli.core.gate.search import Leak, Search
from drawcli.core.gate.slices import PackageForm, digest_of_slice, slices_of
from drawcli.errors import SeriesRefused, SourceUnsettled, UsageError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Leak", "find_source_series", "findings"]

_TEMPLATE: Final = "template.yml"
_PREAMBLE: Final = 128  # bytes
_LARGE: Final = 16 << 20  # bytes: larger than the file of any single slice
_DEFERRED: Final = 1 << 20  # bytes: a larger value of a large file is not read at once
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
    """Search a finished package for data of the patient.

    Parameters
    ----------
    package
        The zip.
    sources
        The files from which it was made.
    form
        The name of the zip and the form fields that are sent with it.
    retained
        Keywords of elements that the site also sends; they are searched like all others.
    others
        The exact members besides the slices.

    Returns
    -------
    list
        Leaks, sorted and unique; empty if the package may be sent.

    Raises
    ------
    SourceUnsettled
        If a source cannot be read.
    SeriesRefused
        If pydicom cannot parse a source.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of pydicom quote values
        known = KnownIdentifiers.for_site(retained, _form(package))
        for path, source in _ahead(_source, sources):
            with _comparing():
                known.learn(path, source, partial(_opened, path))
        try:
            with zipfile.ZipFile(package) as archive:
                search = _search(archive, package.stat().st_size, known, others)
        except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError):
            return [Leak("unreadable", "zip")]
    search.search_site_text(form, "form")
    search.check_whole()
    return sorted(search.found)


def find_source_series(package: Path, series: Iterable[Sequence[str]]) -> list[str]:
    """Return the files of the series whose pixels a package contains; empty if there is none.

    Pixels and positions are compared, so the key with which it was made is not needed.

    Raises
    ------
    UsageError
        If the package does not exist or is not a zip.
    """
    digests: set[bytes] = set()
    try:
        with zipfile.ZipFile(package) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in archive.namelist():
                dataset = _dataset(archive.read(name)) if name.endswith(".dcm") else None
                if dataset is not None:
                    digests |= {pixel_digest(dataset), digest_of_slice(dataset)}
            form = _form(package)
            for paths in series:
                if any(not digests.isdisjoint(_digests(path, form)) for path in paths):
                    return list(paths)
    except (OSError, zipfile.BadZipFile, zlib.error) as err:
        text = getattr(err, "strerror", None) or "is not a readable zip"
        raise UsageError(f"{package}: {text}") from None
    return []


def _search(
    archive: zipfile.ZipFile, size: int, known: KnownIdentifiers, wanted: Sequence[str]
) -> Search:
    """Search every part of the zip."""
    names = archive.namelist()
    slices = [name for name in names if name.endswith(".dcm")]
    others = [name for name in names if not name.endswith(".dcm")]
    first = _dataset(archive.read(slices[0])) if slices else None
    sent_date = "" if first is None else _study_date(first)
    search = Search(known, known.words_to_find(), known.days_to_find(sent_date))
    if not known.is_moved(sent_date):
        search.add("date", "StudyDate")
    if others != [*wanted] or not _has_no_extra_bytes(archive, size):
        search.add("members", "zip")
    for name in others:
        search.search_site_text(name, "zip")
        search.search_site_text(archive.read(name).decode("utf-8"), "template")
    for name, raw in _ahead(archive.read, slices):
        _search_slice(name, raw, search)
    return search


def _search_slice(name: str, raw: bytes, search: Search) -> None:
    """Search a slice: its name, the data set, and the bytes around it."""
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


def _has_no_extra_bytes(archive: zipfile.ZipFile, size: int) -> bool:
    """Return whether the zip has only its members and its directory, and no comment."""
    local, entry, end, total = 30, 46, 22, 0  # bytes of the fixed parts (APPNOTE 4.3.7, .12, .16)
    for info in archive.infolist():
        total += local + entry + 2 * len(info.filename) + info.compress_size
        total += 16 if info.flag_bits & _STREAMED else 0
    return not archive.comment and total + end == size


def _ahead(read: Callable[[str], _Read], names: Iterable[str]) -> Iterator[tuple[str, _Read]]:
    """Yield each name with its content; the next is read in a thread meanwhile."""
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
    """Return a source; the pixels of a large one stay in the file until they are compared."""
    with _opened(path) as stream:
        if os.fstat(stream.fileno()).st_size > _LARGE and (large := _large_source(path)):
            return large
        raw = stream.read()
    with _comparing():
        return read_source(raw)


def _large_source(path: str) -> "Dataset | None":
    """Return a large source without its pixels; None if it must be read as a whole."""
    from pydicom import dcmread

    try:
        dataset = dcmread(path, force=True, defer_size=_DEFERRED)
    except pydicom_errors():
        return None
    return dataset if can_be_deferred(dataset) else None


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None


def _form(package: Path) -> PackageForm:
    """Return how the slices of a package are, by its first one."""
    try:
        with zipfile.ZipFile(package) as archive:
            names = (name for name in archive.namelist() if name.endswith(".dcm"))
            first = next(names, "")
            dataset = _dataset(archive.read(first)) if first else None
            return PackageForm() if dataset is None else PackageForm.of(dataset)
    except (OSError, zipfile.BadZipFile, zlib.error):
        return PackageForm()  # the search reports it


@contextmanager
def _comparing() -> Iterator[None]:
    """Raise SeriesRefused if a source cannot be decoded, without its message."""
    try:
        yield
    except pydicom_errors() as err:
        kind = type(err).__name__
        raise SeriesRefused(f"a file of the series cannot be compared ({kind})") from None


def _digests(path: str, form: PackageForm) -> list[bytes]:
    source = _source(path)
    with _comparing():
        if form.differs_from(source):
            slices = slices_of(source, partial(_opened, path), form)
            return [one.digest for one in slices]
        return [pixel_digest(source)]


def _study_date(dataset: "Dataset") -> str:
    try:
        return str(dataset.get("StudyDate", ""))
    except pydicom_errors():
        return ""  # the search reports it


def _dataset(raw: bytes) -> "Dataset | None":
    from pydicom import dcmread

    try:
        return dcmread(BytesIO(raw))
    except pydicom_errors():
        return None
