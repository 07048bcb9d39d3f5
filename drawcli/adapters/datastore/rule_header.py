"""The headers of a series as the text that rules compare.

The first file is decoded. The others are compared with it as bytes, and an element that differs is
decoded when a rule asks for it.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Final, TypeVar

from drawcli.adapters.datastore.element_texts import (
    Texts,
    head_in,
    head_of,
    texts_of_elements,
    texts_of_file,
)
from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.differing import HeaderModel
from drawcli.core.series.facts import series_facts
from drawcli.errors import SeriesRefused, SourceUnsettled

_Value = TypeVar("_Value")
_MORE: Final = 4096  # bytes that the header of another slice may be longer
# What the decoding of other elements depends on: SpecificCharacterSet, BitsAllocated,
# PixelRepresentation, LUTDescriptor.
_CONTEXT: Final = frozenset({0x00080005, 0x00280100, 0x00280103, 0x00283002})
_REPEATING: Final = (0x50, 0x54, 0x60)  # first byte of groups: curves, waveforms, overlays
_CREATORS: Final = range(0x10, 0x100)  # elements of a private group


def header_of(
    crosswalk: Crosswalk,
    today: date,
    counted: Callable[[Iterable[str], str], Iterable[str]] = lambda paths, _unit: paths,
) -> RuleHeader:
    """Return the elements of a series, and the facts computed from it, for rules."""
    paths = [file.path for file in crosswalk.files]
    shared = shared_elements(counted(paths, "files read"))
    facts = series_facts(crosswalk, shared.values, today)
    return RuleHeader(ChainMap(facts, shared.values), shared.mixed, today)  # type: ignore[arg-type] # read only


def shared_elements(paths: Iterable[str]) -> RuleHeader:
    """Return the elements that all files of a series share, as text by path.

    Elements that differ are in `mixed`. Values are decoded by pydicom with the character set of
    the file; for paths see `element_texts`.

    Raises
    ------
    SourceUnsettled
        If a file cannot be read.
    SeriesRefused
        If its header cannot be parsed.
    """
    first, *others = dict.fromkeys(paths)
    header, texts = _decode_file(first)
    model = _Model(texts, header)
    files = [_read_slice(path, model) for path in others]
    elements = _Elements(model, files)
    return RuleHeader(
        _ByPath(elements.first, elements.shared), _ByPath(elements.differing, elements.mixed)
    )


def header_of_file(path: str) -> Header:
    """Return the header of an image file.

    Raises
    ------
    OSError
        If the file cannot be read.
    SeriesRefused
        If it is no DICOM file, or cut off.
    """
    try:
        with Path(path).open("rb") as stream:
            return read_or_convert(stream)[0]
    except (Incomplete, NotDicom):
        raise SeriesRefused("the header of a file cannot be read") from None


class _Model:
    """The first file, with which the others are compared."""

    def __init__(self, texts: Texts, header: Header | None) -> None:
        self.texts: dict[str, Texts] = _by_head(texts)
        self.header: HeaderModel | None = None  # None: the others are decoded whole
        if header is not None:
            with suppress(NotDicom):
                self.header = HeaderModel(header)

    def differing(self, path: str) -> dict[int, bytes | None] | None:
        """Return the elements of another file that differ; None if it must be decoded whole."""
        if self.header is None:
            return None
        try:
            with Path(path).open("rb", buffering=0) as stream:
                found = self.header.differing(stream.read(self.header.end + _MORE) or b"")
        except OSError as err:
            raise _unreadable(err) from None
        except (Incomplete, NotDicom):
            return None
        return None if any(map(_changes_others, found)) else found

    def decode(self, elements: list[bytes], group: int) -> Texts:
        """Decode elements of one group with those of this file that they depend on."""
        assert self.header is not None  # noqa: S101 - without it nothing differs by elements
        header = self.header.header
        context = (
            header.data[element.start : element.end]
            for element in header.elements.values()
            if element.tag in _CONTEXT
            or (element.tag >> 16 == group and group & 1 and element.tag & 0xFFFF in _CREATORS)
        )
        whole = sorted(map(_with_tag, [*context, *elements]))
        return texts_of_elements(b"".join(raw for *_, raw in whole), explicit=header.explicit)


class _Slice:
    """A file whose header was compared with the first."""

    def __init__(self, model: _Model, differing: Mapping[int, bytes | None]) -> None:
        self._model = model
        self._differing = differing

    @cached_property
    def _tags(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for tag in self._differing:
            found.setdefault(head_of(tag), []).append(tag)
        return found

    @property
    def heads(self) -> Iterable[str]:
        """The heads of elements that may differ from those of the first file."""
        return self._tags

    def texts(self, head: str) -> Texts:
        """Return the elements with a head."""
        if head not in self._tags:
            return self._model.texts.get(head, {})
        raw = [part for tag in self._tags[head] if (part := self._differing[tag]) is not None]
        if not raw:
            return {}
        try:
            found = self._model.decode(raw, self._tags[head][0] >> 16)
        except pydicom_errors():
            return {}  # a value that its VR does not allow matches no rule
        return {path: values for path, values in found.items() if head_in(path) == head}


class _Decoded:
    """A file that was decoded whole."""

    def __init__(self, model: _Model, texts: Texts) -> None:
        self._texts = _by_head(texts)
        of_first = model.texts
        self.heads = [
            head for head in self._texts | of_first if self._texts.get(head) != of_first.get(head)
        ]

    def texts(self, head: str) -> Texts:
        """Return the elements with a head."""
        return self._texts.get(head, {})


class _Elements:
    """The elements of all files; those that differ are decoded once asked for."""

    def __init__(self, model: _Model, files: list[_Slice | _Decoded]) -> None:
        self.first = model.texts
        self._files = files
        self.differing = frozenset(head for file in files for head in file.heads)
        self._compared: dict[str, tuple[Texts, dict[str, list[tuple[str, ...]]]]] = {}

    def shared(self, head: str) -> Texts:
        """Return the elements with a head that all files share."""
        return self._compare(head)[0] if head in self.differing else self.first.get(head, {})

    def mixed(self, head: str) -> Mapping[str, list[tuple[str, ...]]]:
        """Return those that differ, with the texts of each file."""
        return self._compare(head)[1] if head in self.differing else {}

    def _compare(self, head: str) -> tuple[Texts, dict[str, list[tuple[str, ...]]]]:
        if head not in self._compared:
            first = self.first.get(head, {})
            each = [first, *(file.texts(head) for file in self._files)]
            shared = {
                path: values
                for path, values in first.items()
                if all(one.get(path) == values for one in each)
            }
            other = dict.fromkeys(path for one in each for path in one if path not in shared)
            mixed = {path: [one.get(path, ()) for one in each] for path in other}
            self._compared[head] = shared, mixed
        return self._compared[head]


class _ByPath(Mapping[str, _Value]):
    """Elements by path, found by the head of the path.

    Parameters
    ----------
    heads
        Every head.
    having
        Returns the elements with a head.
    """

    def __init__(self, heads: Iterable[str], having: Callable[[str], Mapping[str, _Value]]) -> None:
        self._heads = heads
        self._having = having

    def __getitem__(self, path: str) -> _Value:
        return self._having(head_in(path))[path]

    def __iter__(self) -> Iterator[str]:
        for head in self._heads:
            yield from self._having(head)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _read_slice(path: str, model: _Model) -> _Slice | _Decoded:
    """Compare a file with the first."""
    differing = model.differing(path)
    if differing is not None:
        return _Slice(model, differing)
    return _Decoded(model, _decode_file(path)[1])


def _decode_file(path: str) -> tuple[Header | None, Texts]:
    """Return the header of a file, None if the file had to be converted, and its texts."""
    try:
        with Path(path).open("rb") as stream:
            header, whole = read_or_convert(stream)
            stream.seek(0)
            texts = texts_of_file(stream if whole is None else BytesIO(whole))
            return (header if whole is None else None), texts
    except OSError as err:
        raise _unreadable(err) from None
    except (Incomplete, NotDicom):
        raise SeriesRefused("the header of a file cannot be read") from None
    except pydicom_errors() as err:
        kind = type(err).__name__  # its message quotes values
        raise SeriesRefused(f"the header of a file cannot be decoded ({kind})") from None


def _unreadable(err: OSError) -> SourceUnsettled:
    return SourceUnsettled(f"a file of the series cannot be read: {err.strerror}")


def _changes_others(tag: int) -> bool:
    """Return whether the decoding of other elements may depend on an element."""
    group, number = tag >> 16, tag & 0xFFFF
    return tag in _CONTEXT or group >> 8 in _REPEATING or bool(group & 1 and number in _CREATORS)


def _by_head(texts: Texts) -> dict[str, Texts]:
    found: dict[str, Texts] = {}
    for path, values in texts.items():
        found.setdefault(head_in(path), {})[path] = values
    return found


def _with_tag(element: bytes) -> tuple[int, int, bytes]:
    """Return an element behind its group and number."""
    return int.from_bytes(element[:2], "little"), int.from_bytes(element[2:4], "little"), element
