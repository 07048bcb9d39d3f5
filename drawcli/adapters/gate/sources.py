"""The sources of a package: their headers, and their pixels where these are compared."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from drawcli.adapters.gate.members import read_ahead
from drawcli.core.gate.identifiers import KnownIdentifiers, StoredPixels
from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    are_pixels_plain,
    can_be_deferred,
    pixel_digest,
    pydicom_errors,
    read_source,
)
from drawcli.core.gate.similar_headers import SimilarHeaders
from drawcli.core.gate.slices import PackageForm
from drawcli.core.gate.whole_elements import TooManyParts, check_parts
from drawcli.errors import SeriesRefused, SourceUnsettled

if TYPE_CHECKING:
    from pydicom import Dataset

_LARGE: Final = 16 << 20  # bytes: larger than the file of any single slice
_DEFERRED: Final = 1 << 20  # bytes: a larger value of a large file is not read at once
_LARGEST_HEADERS: Final = (8 << 20, 64 << 20)  # bytes: of nearly all, and of all images
_SLACK: Final = 4096  # bytes by which a header may be longer than the one before
_HEADERS_AT_ONCE: Final = 16  # read by a thread before it hands them over
_MOST_TRIES: Final = 4  # sources with whose pixels those of a slice are compared

Learn = Callable[[KnownIdentifiers], None]


class SourceReader:
    """Reads the sources of a series, one after the other.

    A header that differs in few values from those before is not read by pydicom.
    """

    def __init__(self, form: PackageForm) -> None:
        self._form = form
        self._like = SimilarHeaders()

    def read_all(self, paths: Iterable[str]) -> Generator[Learn, None, None]:
        """Read sources; yield what adds each to the known identifiers. A thread reads ahead.

        Raises
        ------
        SourceUnsettled
            If it cannot be read.
        SeriesRefused
            If pydicom cannot parse it.
        """
        left = iter(paths)
        with closing(read_ahead(lambda _: self._read_some(left), repeat(None))) as parts:
            for _, learned in parts:
                if not learned:
                    return
                yield from learned

    def _read_some(self, paths: Iterator[str]) -> list[Learn]:
        """Read the next sources, up to one that is read as a whole: it takes memory."""
        learned = list[Learn]()
        for path in islice(paths, _HEADERS_AT_ONCE):
            learn, is_whole = self._read(path)
            learned.append(learn)
            if is_whole:
                break
        return learned

    def _read(self, path: str) -> tuple[Learn, bool]:
        """Read a source; return what adds it, and whether more than its header was read."""
        with opened(path) as stream, reading():
            size = os.fstat(stream.fileno()).st_size
            beginning = stream.read(self._like.length + _SLACK) if self._like.length else b""
            similar = self._like.match(beginning)
            if similar is not None and similar.end == size:
                return lambda known: known.learn_similar(path, similar), False
            if size > _LARGE and (large := _large_source(path)):
                return lambda known: known.learn(path, large, lambda: opened(path)), True
            raw = beginning + stream.read()
        with comparing():
            source = read_source(raw)
            stored = self._stored(path, source, raw)
        return lambda known: known.learn(path, source, lambda: opened(path), stored), True

    def _stored(self, path: str, source: "Dataset", raw: bytes) -> StoredPixels | None:
        """Return where the pixels of a source are, if its slice has the same bytes."""
        if self._form.differs_from(source) or not are_pixels_plain(source, raw):
            return None
        self._like.learn(raw, source)
        held: Any = source.get_item(PIXEL_DATA)
        return StoredPixels(path, held.value_tell, held.length)


def take_source_of(raw: bytes, start: int, key: object, known: KnownIdentifiers) -> bool:
    """Return whether a source has the pixels of a slice, which end the slice; take it out then.

    Parameters
    ----------
    raw
        The slice.
    start
        The offset of its pixels.
    key
        The result of `pixel_key`.
    known
        The sources; the first few with this key are compared.
    """
    sources = known.stored.get(key, [])
    for number, stored in enumerate(sources[:_MOST_TRIES]):
        if stored.length == len(raw) - start and raw.startswith(_pixels(stored), start):
            del sources[number]
            return True
    return False


def learn_untaken(known: KnownIdentifiers) -> None:
    """Add the digests of all sources whose pixels were found in no slice."""
    for sources in known.stored.values():
        for stored in sources:
            with opened(stored.path) as stream, reading():
                raw = stream.read()
            with comparing():
                known.pixels[pixel_digest(read_source(raw))] += 1


def source_of(path: str) -> "Dataset":
    """Return a source; the pixels of a large one stay in the file until they are compared."""
    with opened(path) as stream, reading():
        if os.fstat(stream.fileno()).st_size > _LARGE and (large := _large_source(path)):
            return large
        raw = stream.read()
    with comparing():
        return read_source(raw)


def _large_source(path: str) -> "Dataset | None":
    """Return a large source without its pixels; None if it must be read as a whole."""
    from pydicom import dcmread

    if not _are_pixels_near(path):
        return None
    try:
        dataset = dcmread(path, force=True, defer_size=_DEFERRED)
    except pydicom_errors():
        return None
    return dataset if can_be_deferred(dataset) else None


def _are_pixels_near(path: str) -> bool:
    """Return whether the pixels follow within the largest header; raise SeriesRefused as source."""
    with opened(path) as stream, reading():
        for size in _LARGEST_HEADERS:
            stream.seek(0)
            beginning = stream.read(size)
            with comparing():
                if check_parts(beginning):
                    return True
    return False


def _pixels(stored: StoredPixels) -> bytes:
    with opened(stored.path) as stream, reading():
        stream.seek(stored.start)
        return stream.read(stored.length)


def opened(path: str) -> BinaryIO:
    """Open a source.

    Raises
    ------
    SourceUnsettled
        If it cannot be opened.
    """
    with reading():
        return open(path, "rb", buffering=0)  # noqa: PTH123 - as fast as it can be


@contextmanager
def reading() -> Iterator[None]:
    """Raise SourceUnsettled if a source cannot be read, without its name."""
    try:
        yield
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None


@contextmanager
def comparing() -> Iterator[None]:
    """Raise SeriesRefused if a source cannot be decoded, without its message."""
    try:
        yield
    except TooManyParts as err:
        raise SeriesRefused(
            f"a file of the series cannot be compared: {err}",
            hint="No image needs so many: check the file, and export the series again.",
        ) from None
    except pydicom_errors() as err:
        kind = type(err).__name__
        raise SeriesRefused(f"a file of the series cannot be compared ({kind})") from None
