"""The files of a series, compared with the first of them.

The first file is decoded. The others are compared with it as bytes, and an element that differs is
decoded when it is first needed.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Final

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
from drawcli.core.gate.whole_elements import check_parts
from drawcli.core.series.differing import HeaderModel
from drawcli.errors import SeriesRefused, SourceUnsettled

_MORE: Final = 4096  # bytes that the header of another slice may be longer
# What the decoding of other elements depends on: SpecificCharacterSet, BitsAllocated,
# PixelRepresentation, LUTDescriptor.
_CONTEXT: Final = frozenset({0x00080005, 0x00280100, 0x00280103, 0x00283002})
_REPEATING: Final = (0x50, 0x54, 0x60)  # first byte of groups: curves, waveforms, overlays
_CREATORS: Final = range(0x10, 0x100)  # elements of a private group


def read_files(paths: Iterable[str]) -> "tuple[dict[str, Texts], list[ComparedFile]]":
    """Return the elements of the first of some files, by head, and the other files.

    Paths are taken from the iterable one by one, as the files are read.

    Raises
    ------
    SourceUnsettled
        If a file cannot be read.
    SeriesRefused
        If its header cannot be parsed.
    """
    each = iter(paths)
    header, texts = _decode_file(next(each))
    model = _Model(texts, header)
    return model.texts, [_read_slice(path, model) for path in each]


class _Model:
    """The first file, with which the others are compared."""

    def __init__(self, texts: Texts, header: Header | None) -> None:
        self.texts: dict[str, Texts] = by_head(texts)
        self.header: HeaderModel | None = None  # None: the others are decoded whole
        if header is not None:
            with suppress(NotDicom):
                self.header = HeaderModel(header)

    def differing(self, path: str) -> dict[int, bytes | None] | None:
        """Return the elements of another file that differ; None if it must be decoded whole."""
        if self.header is None:
            return None
        try:
            with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - one call per file
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
        self._texts = by_head(texts)
        of_first = model.texts
        self.heads = [
            head for head in self._texts | of_first if self._texts.get(head) != of_first.get(head)
        ]

    def texts(self, head: str) -> Texts:
        """Return the elements with a head."""
        return self._texts.get(head, {})


ComparedFile = _Slice | _Decoded


def by_head(texts: Texts) -> dict[str, Texts]:
    """Return elements by the head of their path."""
    found: dict[str, Texts] = {}
    for path, values in texts.items():
        found.setdefault(head_in(path), {})[path] = values
    return found


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
            check_parts(header.data)
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


def _with_tag(element: bytes) -> tuple[int, int, bytes]:
    """Return an element behind its group and number."""
    return int.from_bytes(element[:2], "little"), int.from_bytes(element[2:4], "little"), element
