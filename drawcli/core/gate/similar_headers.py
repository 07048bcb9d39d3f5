"""Headers of a series that are the same as an earlier one except for the values of some elements.

For the privacy gate, which shares no code with the de-identifier. pydicom reads the first header
of a series, and each header with a difference in an element that was the same so far. These headers
give the elements that may differ and the bytes between them. If another header has the same bytes
between these elements, pydicom would read the same from it except for their values. Only these
values are searched then: all others were searched before.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from drawcli.core.gate.needed import needed_among
from drawcli.core.gate.plain_values import plain_texts
from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    PIXEL_KEY,
    Piece,
    are_pixels_plain,
    pieces,
    pixel_key,
    undecoded_value,
)

if TYPE_CHECKING:
    from pydicom import Dataset

_CHARACTER_SET, _MODALITY = 0x00080005, 0x00080060
# Elements that decide how a file is searched: where they differ, pydicom reads the whole header.
_DECIDING: Final = frozenset(
    {
        *(0x00020010, _CHARACTER_SET),  # TransferSyntaxUID, SpecificCharacterSet
        *(0x00080016, _MODALITY, 0x00080020),  # SOPClassUID, Modality, StudyDate
        *(0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280008),  # size of the pixels
        PIXEL_DATA,
    }
)
_META: Final = 0x0002  # group of the file meta
_META_LENGTH: Final = 0x00020000  # pydicom decodes it when it reads a file
_META_START: Final = 132  # bytes: preamble and prefix
_META_LENGTH_KEYWORD: Final = "FileMetaInformationGroupLength"
_META_LENGTH_HEAD: Final = b"\2\0\0\0UL"
_HEAD: Final = 8  # bytes before a value; 12 in explicit VR with a length of 4 bytes
_LONG_HEAD: Final = 12


class VaryingElement(NamedTuple):
    """An element at the top level of a header, or in its file meta."""

    tag: int
    vr: str | None  # as pydicom has read it; None in implicit VR
    keyword: str
    kind: str  # the VR of the dictionary, if the file has none
    value: bytes
    start: int  # of the value in the file
    head: bytes  # the bytes before the length
    width: int  # of the length, bytes
    is_meta: bool

    def where(self, above_meta: str) -> str:
        """Return the place as a finding names it."""
        return above_meta + self.keyword if self.is_meta else self.keyword


class Similar:
    """A header that differs from one that was read in the values of some elements.

    Attributes
    ----------
    start, end
        The offsets of the pixels in the file.
    key
        The result of `pixel_key`.
    needed
        The result of `needed_keywords`.
    """

    def __init__(self, common: "CommonHeader", values: list[bytes], start: int) -> None:
        self._common, self._values = common, values
        self._texts = [
            plain_texts(one.kind, raw) for one, raw in zip(common.varying, values, strict=True)
        ]
        self.start, self.end = start, start + common.pixel_length
        self.needed = common.needed
        self.key = tuple([one if n < 0 else values[n] for n, one in common.key])

    def is_plain(self, keywords: AbstractSet[str]) -> bool:
        """Return whether the differing values of some elements are plain."""
        texts = zip(self._common.varying, self._texts, strict=True)
        return not any(text is None and one.keyword in keywords for one, text in texts)

    def plain(self, keywords: AbstractSet[str], above_meta: str = "") -> dict[str, str]:
        """Return the differing values of some elements as plain text, by their place."""
        texts = zip(self._common.varying, self._texts, strict=True)
        elements = ((one.where(above_meta), text) for one, text in texts if text is not None)
        return {where: "\\".join(text) for where, text in elements if where in keywords}

    def pieces(self, seen: set[Any], above_meta: str = "") -> Iterator[Piece]:
        """Yield the differing elements as `pydicom_elements.pieces` does."""
        is_unread, charset = False, self._common.character_set
        for one, raw, texts in zip(self._common.varying, self._values, self._texts, strict=True):
            mark = (
                (None, above_meta, one.tag, one.vr, raw or "None")
                if one.is_meta
                else (charset, "", one.tag, one.vr, raw or "None")
            )
            if mark in seen:
                continue
            if texts is None or not one.keyword:
                is_unread = True
                continue
            seen.add(mark)
            yield Piece(one.where(above_meta), one.tag, one.keyword, one.kind, texts, raw)
        if is_unread:
            meta, dataset = self._datasets()
            yield from pieces(meta, seen, above_meta)
            yield from pieces(dataset, seen)

    def _datasets(self) -> "tuple[Dataset, Dataset]":
        """Return file meta and data set as pydicom would read them, without the pixels."""
        from pydicom import Dataset
        from pydicom.tag import BaseTag

        both: list[dict[Any, Any]] = [dict(part) for part in self._common.parts]
        for one, raw in zip(self._common.varying, self._values, strict=True):
            if one.tag != _META_LENGTH:
                part, tag = both[not one.is_meta], BaseTag(one.tag)
                part[tag] = part[tag]._replace(value=raw, length=len(raw))
        meta, dataset = (Dataset(part) for part in both)
        dataset.set_original_encoding(*self._common.encoding)
        return meta, dataset


class CommonHeader(NamedTuple):
    """What headers have in common, and the elements in which they may differ."""

    varying: list[VaryingElement]
    steps: list[tuple[bytes, int]]  # the bytes up to each length, and its width
    last: bytes  # the bytes up to the pixels
    length: int  # bytes up to the pixels, of the header that was read
    pixel_length: int
    key: list[tuple[int, Any]]  # `pixel_key`: number in `varying` or -1, value
    needed: list[str]
    character_set: bytes | str | None
    parts: list[dict[Any, Any]]  # file meta, data set: as read, undecoded
    encoding: tuple[Any, ...]

    @classmethod
    def of(cls, raw: bytes, dataset: "Dataset", varying: list[VaryingElement]) -> Self:
        """Return what a header as read has in common with others, and what may differ."""
        steps, at = [], 0
        for one in varying:
            steps.append((raw[at : one.start - one.width], one.width))
            at = one.start + len(one.value)
        pixels: Any = dataset.get_item(PIXEL_DATA)
        parts = [
            {tag: held for tag, held in part.items() if tag not in (_META_LENGTH, PIXEL_DATA)}
            for part in (dataset.file_meta, dataset)
        ]
        numbers = {one.tag: number for number, one in enumerate(varying)}
        values = zip(PIXEL_KEY, pixel_key(dataset), strict=True)
        return cls(
            varying,
            steps,
            raw[at : pixels.value_tell],
            pixels.value_tell,
            pixels.length,
            [(numbers.get(tag, -1), value) for tag, value in values],
            needed_among({*map(int, dataset.keys())}, _modality(dataset)),
            undecoded_value(dataset, _CHARACTER_SET),
            parts,
            (*dataset.original_encoding, dataset.original_character_set),
        )

    def match(self, raw: bytes) -> Similar | None:
        """Return the header if it differs only in the values of these elements; else None."""
        at, values = 0, []
        for same, width in self.steps:
            if not raw.startswith(same, at):
                return None
            at += len(same) + width
            length = int.from_bytes(raw[at - width : at], "little")
            values.append(raw[at : at + length])
            at += length
        return Similar(self, values, at + len(self.last)) if raw.startswith(self.last, at) else None


class SimilarHeaders:
    """Finds the headers of a series that differ in few values from those read before.

    `plain` names the elements whose differing values must be plain, else a header does not match.
    """

    def __init__(self, plain: AbstractSet[str] = frozenset()) -> None:
        self._plain = plain | {_META_LENGTH_KEYWORD}
        self._elements: dict[int, VaryingElement | None] = {}  # of the header that was read last
        self._varying: set[int] = set()  # tags
        self._common: CommonHeader | None = None

    @property
    def length(self) -> int:
        """The bytes up to the pixels of the header that was read last; 0 if there is none."""
        return 0 if self._common is None else self._common.length

    def match(self, raw: bytes) -> Similar | None:
        """Return a header that differs from the last one in known elements only; else None.

        `raw` is a file, or its beginning.
        """
        similar = None if self._common is None else self._common.match(raw)
        return similar if similar is not None and similar.is_plain(self._plain) else None

    def learn(self, raw: bytes, dataset: "Dataset") -> None:
        """Add a file that pydicom has read, before anything in it is decoded."""
        self._common = None
        if not are_pixels_plain(dataset, raw):
            return
        elements = {
            int(tag): _element(raw, held)
            for part in (dataset.file_meta, dataset)
            for tag, held in part.items()
        }
        if raw.startswith(_META_LENGTH_HEAD + b"\4\0", _META_START):
            elements[_META_LENGTH] = _length_of_meta(raw)
        if elements.keys() == self._elements.keys():
            pairs = ((tag, self._elements[tag], one) for tag, one in elements.items())
            self._varying |= {tag for tag, one, other in pairs if _may_vary(one, other)}
        self._elements = elements
        varying = [one for tag in self._varying if (one := elements.get(tag)) is not None]
        self._common = CommonHeader.of(raw, dataset, sorted(varying, key=lambda one: one.start))


def _modality(dataset: "Dataset") -> str:
    value = undecoded_value(dataset, _MODALITY) or b""
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else value


def _may_vary(one: VaryingElement | None, other: VaryingElement | None) -> bool:
    """Return whether two headers have the same element with different values."""
    if one is None or other is None or one.tag in _DECIDING:
        return False
    return one.head == other.head and one.value != other.value


def _length_of_meta(raw: bytes) -> VaryingElement:
    start, head, keyword = _META_START + _HEAD, _META_LENGTH_HEAD, _META_LENGTH_KEYWORD
    raw_length = raw[start : start + 4]
    return VaryingElement(_META_LENGTH, "UL", keyword, "UL", raw_length, start, head, 2, True)  # noqa: FBT003 - of the file meta


def _element(raw: bytes, held: Any) -> VaryingElement | None:
    """Return the place of an element as pydicom has read it; None if it may not differ."""
    from pydicom.datadict import dictionary_VR, keyword_for_tag

    value, start = held.value or b"", getattr(held, "value_tell", None)  # None: decoded
    if start is None or not raw.startswith(value, start):
        return None
    tag, vr = int(held.tag), held.VR
    if vr is None and not held.is_implicit_VR:
        return None
    in_file = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    keyword = keyword_for_tag(held.tag)
    kind = vr or (dictionary_VR(held.tag) if keyword else "")
    short = start - _HEAD
    if held.is_implicit_VR:
        head, width = raw[short : start - 4], 4
        is_whole = head == in_file
    elif raw[short : short + 4] == in_file and raw[short + 4 : short + 6] == vr.encode():
        head, width = raw[short : start - 2], 2
        is_whole = True
    else:
        head, width = raw[start - _LONG_HEAD : start - 4], 4
        is_whole = head[:6] == in_file + vr.encode()
    is_whole = is_whole and int.from_bytes(raw[start - width : start], "little") == len(value)
    if not is_whole:
        return None
    is_meta = tag >> 16 == _META
    return VaryingElement(tag, vr, keyword, kind, value, start, head, width, is_meta)
