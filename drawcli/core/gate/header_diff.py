"""Compare a header before and after de-identification, element by element."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.gate.pydicom_elements import pydicom_errors, texts_of
from drawcli.core.gate.whole_elements import check_parts

if TYPE_CHECKING:
    from pydicom import Dataset

_BINARY: Final = frozenset("OB OD OF OL OV OW UN".split())
_PIXEL_DATA: Final = 0x7FE00010
_REGISTERED: Final = "1.2.840.10008."
_REPLACED: Final = {"UI": "stand-in", "DA": "moved", "DT": "moved"}


@dataclass(frozen=True, slots=True)
class ElementDiff:
    """One element, before and after."""

    depth: int  # number of enclosing sequences
    tag: int
    keyword: str  # "" for private and unknown elements
    vr: str
    what: str  # kept, removed, emptied, added, replaced, moved, stand-in, built anew
    before: str | None  # None if missing; may identify the patient
    after: str | None  # None if missing


def compare_headers(before: bytes, after: bytes) -> list[ElementDiff]:
    """Return the difference of each element of a header, file meta first.

    Parameters
    ----------
    before, after
        Preamble, file meta and data set up to the pixels.

    Raises
    ------
    ValueError
        If pydicom cannot read one of them, or it has too many elements and items.
    """
    from pydicom import dcmread

    check_parts(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            old, new = (
                dcmread(BytesIO(raw), force=True, stop_before_pixels=True)
                for raw in (before, after)
            )
            return [*compare_datasets(old.file_meta, new.file_meta), *compare_datasets(old, new)]
        except pydicom_errors() as err:
            raise ValueError(f"pydicom cannot read it: {type(err).__name__}") from None


def compare_datasets(before: "Dataset", after: "Dataset", depth: int = 0) -> Iterator[ElementDiff]:
    """Yield every element of two data sets in the order of tags, items included."""
    from pydicom import Dataset
    from pydicom.datadict import keyword_for_tag

    tags = sorted({int(tag) for tag in (*before.keys(), *after.keys())} - {_PIXEL_DATA})
    for tag in tags:
        old, new = _text(before, tag), _text(after, tag)
        vr = _vr(before, tag) or _vr(after, tag)
        what = _change(vr, old, new)
        yield ElementDiff(depth, tag, keyword_for_tag(tag), vr, what, old, new)
        if vr == "SQ":
            olds, news = _items(before, tag), _items(after, tag)
            for number in range(max(len(olds), len(news))):
                old_item = olds[number] if number < len(olds) else Dataset()
                new_item = news[number] if number < len(news) else Dataset()
                yield from compare_datasets(old_item, new_item, depth + 1)


def _change(vr: str, old: str | None, new: str | None) -> str:
    if new is None:
        return "removed"
    if old is None:
        return "added"
    if vr == "SQ":
        return "built anew"
    if old == new:
        return "kept"
    registered = vr == "UI" and (new or "").startswith(_REGISTERED)  # the class of a slice
    return "emptied" if not new else "replaced" if registered else _REPLACED.get(vr, "replaced")


def _vr(dataset: "Dataset", tag: int) -> str:
    try:
        return str(dataset[tag].VR) if tag in dataset else ""
    except pydicom_errors():
        return "UN"


def _items(dataset: "Dataset", tag: int) -> list[Any]:
    try:
        return list(dataset[tag].value or ()) if tag in dataset and dataset[tag].VR == "SQ" else []
    except pydicom_errors():
        return []


def _text(dataset: "Dataset", tag: int) -> str | None:
    """Return a value as text; None if the element is missing."""
    if tag not in dataset:
        return None
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            count = len(element.value or ())
            return f"{count} item{'' if count == 1 else 's'}"
        if element.VR in _BINARY and isinstance(element.value, bytes) and element.value:
            return f"{len(element.value)} bytes, {sha256(element.value).hexdigest()[:8]}"
        return "\\".join(texts_of(element.value)) if element.value is not None else ""
    except pydicom_errors():
        return "(cannot be decoded)"
