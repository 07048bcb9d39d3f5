"""Search a finished package for data of the patient.

The sources are read first: their headers for what identifies the patient, and where their pixels
are. Then each member is inflated, and its pixels are compared with those of its source.
"""

import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import EINVAL
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.gate.members import (
    has_no_extra_bytes,
    read_member,
    read_slices,
)
from drawcli.adapters.gate.sources import (
    SourceReader,
    comparing,
    learn_untaken,
    opened,
    source_of,
    take_source_of,
)
from drawcli.core.gate.identifiers import KnownIdentifiers
from drawcli.core.gate.markers import MUST_BE
from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    are_pixels_plain,
    end_of_pixels,
    pixel_digest,
    pixel_key,
    pydicom_errors,
    undecoded_value,
)
from drawcli.core.gate.search import Leak, Search
from drawcli.core.gate.similar_headers import Similar, SimilarHeaders
from drawcli.core.gate.slices import PackageForm, digest_of_slice, slices_of
from drawcli.core.gate.whole_elements import check_parts, is_whole
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from pydicom import Dataset

_TEMPLATE: Final = "template.yml"
_LARGEST_MEMBER: Final = 256 << 20  # bytes; it is read whole
_PREAMBLE: Final = 128  # bytes
_STATED_UID: Final = "MediaStorageSOPInstanceUID"
_MUST_BE_PLAIN: Final = {where.rpartition("/")[2] for where in MUST_BE} | {_STATED_UID}
_DAMAGE: Final = (zlib.error, EOFError, NotImplementedError, UnicodeError, OverflowError)


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
        form_of_slices = _form(package)
        known = KnownIdentifiers.for_site(retained, form_of_slices)
        for learn in SourceReader(form_of_slices).read_all(sources):
            with comparing():
                learn(known)
        try:
            with _damage_found(), zipfile.ZipFile(package) as archive:
                search = _search(archive, package.stat().st_size, known, others)
        except zipfile.BadZipFile:
            return [Leak("unreadable", "zip")]
        learn_untaken(known)
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
        with (
            _damage_found(),
            zipfile.ZipFile(package) as archive,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            for info in archive.infolist():
                if info.file_size > _LARGEST_MEMBER:
                    raise UsageError(
                        f"{package}: a member is too large to be searched",
                        hint="No package of drawcli has such a member: do not send it.",
                    )
                dataset = _dataset(archive.read(info)) if info.filename.endswith(".dcm") else None
                if dataset is not None:
                    digests |= {pixel_digest(dataset), digest_of_slice(dataset)}
            form = _form(package)
            for paths in series:
                if any(not digests.isdisjoint(_digests(path, form)) for path in paths):
                    return list(paths)
    except (OSError, zipfile.BadZipFile) as err:
        text = getattr(err, "strerror", None) or "is not a readable zip"
        raise UsageError(f"{package}: {text}") from None
    return []


@contextmanager
def _damage_found() -> Iterator[None]:
    """Raise BadZipFile also for other errors that damaged bytes cause in zipfile."""
    try:
        yield
    except _DAMAGE:
        raise zipfile.BadZipFile from None
    except RuntimeError as err:
        if "encrypted" not in str(err):  # such as that no thread can be started
            raise
        raise zipfile.BadZipFile from None
    except OSError as err:
        if err.errno != EINVAL:  # of an offset before the beginning of the file
            raise
        raise zipfile.BadZipFile from None


def _search(
    archive: zipfile.ZipFile, size: int, known: KnownIdentifiers, wanted: Sequence[str]
) -> Search:
    """Search every part of the zip."""
    infos = archive.infolist()
    slices = [info for info in infos if info.filename.endswith(".dcm")]
    others = [info for info in infos if not info.filename.endswith(".dcm")]
    first = _dataset(read_member(archive, slices[0])) if slices else None
    sent_date = "" if first is None else _study_date(first)
    search = Search(known, known.words_to_find(), known.days_to_find(sent_date))
    if not known.is_moved(sent_date):
        search.add("date", "StudyDate")
    if [info.filename for info in others] != [*wanted] or not has_no_extra_bytes(archive, size):
        search.add("members", "zip")
    for info in others:
        search.search_site_text(info.filename, "zip")
        search.search_site_text(read_member(archive, info).decode("utf-8"), "template")
    like = SimilarHeaders(_MUST_BE_PLAIN)
    for name, raw in read_slices(archive, slices):
        similar = None if known.by_slice else like.match(raw)
        if similar is None or not _search_similar(name, raw, similar, search):
            _search_slice(name, raw, like, search)
    return search


def _search_similar(name: str, raw: bytes, similar: Similar, search: Search) -> bool:
    """Search a slice that differs in few values from one before.

    Return False, and do nothing, if it must be read by pydicom.
    """
    uids = similar.plain({"SOPInstanceUID", _STATED_UID})
    if uids.keys() != {"SOPInstanceUID", _STATED_UID} or similar.end != len(raw):
        return False
    if not take_source_of(raw, similar.start, similar.key, search.known):
        return False
    search.paired += 1
    search.search_similar(similar)
    _check_around(name, raw, uids["SOPInstanceUID"], uids[_STATED_UID], search)
    return True


def _search_slice(name: str, raw: bytes, like: SimilarHeaders, search: Search) -> None:
    """Search a slice: its name, the data set, and the bytes around it."""
    dataset = _dataset(raw)
    if dataset is None:
        search.add("unreadable", "slice")
        return
    end = end_of_pixels(dataset)
    if not is_whole(raw, implicit=bool(dataset.original_encoding[0])):
        search.add("unreadable", "slice")
    like.learn(raw, dataset)
    try:
        if _is_taken(raw, dataset, search.known):
            search.paired += 1
            search.search_elements(dataset)
        else:
            search.search_slice(dataset)
        sop_uid = str(dataset.get("SOPInstanceUID", ""))
        stated = str(dataset.file_meta.get(_STATED_UID, ""))
    except pydicom_errors():
        search.add("unreadable", "slice")
        return
    _check_around(name, raw, sop_uid, stated, search)
    if end != len(raw):
        search.add("behind-pixels", "(7FE0,0010)")


def _is_taken(raw: bytes, dataset: "Dataset", known: KnownIdentifiers) -> bool:
    """Return whether the pixels of a slice, as read, are those of a source."""
    if known.by_slice or not are_pixels_plain(dataset, raw):
        return False
    end = end_of_pixels(dataset)
    start = end - len(undecoded_value(dataset, PIXEL_DATA) or b"")
    return end == len(raw) and take_source_of(raw, start, pixel_key(dataset), known)


def _check_around(name: str, raw: bytes, sop_uid: str, stated: str, search: Search) -> None:
    """Check the name of a slice, its preamble, and the UID in its file meta."""
    if any(raw[:_PREAMBLE]):
        search.add("preamble", "preamble")
    if name != f"{sop_uid}.dcm":
        search.add("member-name", "zip")
    if stated != sop_uid:
        search.add("file-meta", f"file meta/{_STATED_UID}")


def _form(package: Path) -> PackageForm:
    """Return how the slices of a package are, by its first one."""
    try:
        with _damage_found(), zipfile.ZipFile(package) as archive:
            names = (name for name in archive.namelist() if name.endswith(".dcm"))
            first = next(names, "")
            dataset = _dataset(archive.read(first)) if first else None
            return PackageForm() if dataset is None else PackageForm.of(dataset)
    except (OSError, zipfile.BadZipFile):
        return PackageForm()  # the search reports it


def _digests(path: str, form: PackageForm) -> list[bytes]:
    source = source_of(path)
    with comparing():
        if form.differs_from(source):
            slices = slices_of(source, lambda: opened(path), form)
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
        check_parts(raw)
        return dcmread(BytesIO(raw))
    except pydicom_errors():
        return None
