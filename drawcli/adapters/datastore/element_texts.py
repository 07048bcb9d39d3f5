"""The elements of a data set as text by path, decoded by pydicom.

Items of sequences have paths such as "RequestAttributesSequence.0.Keyword"; with "*" in place of
the number the path stands for all items.
"""

import warnings
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from drawcli.core.gate.pydicom_elements import pydicom_errors

Texts = dict[str, tuple[str, ...]]  # path -> values
_ASCII: Final = ("", "ISO_IR 6", "ISO 2022 IR 6")
_DEEPEST_RULE: Final = 3  # levels of nested sequences


def texts_of_file(stream: Any) -> Texts:
    """Return the elements of a file in front of its pixels; raise an error of `pydicom_errors`."""
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of pydicom quote values
        return _read_elements(dcmread(stream, stop_before_pixels=True, force=True))


def texts_of_elements(data: bytes, *, explicit: bool) -> Texts:
    """Return the elements of a little endian data set; raise an error of `pydicom_errors`."""
    from pydicom.filereader import read_dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_elements(read_dataset(BytesIO(data), not explicit, is_little_endian=True))


@lru_cache(maxsize=65_536)
def head_of(tag: int) -> str:
    """Return what the paths of an element begin with: its keyword; of private ones, group and byte.

    >>> head_of(0x00080060), head_of(0x00091003), head_of(0x00080007)
    ('Modality', '(0009,03)', '(0008,0007)')
    """
    from pydicom.datadict import keyword_for_tag

    if tag >> 16 & 1:
        return f"({tag >> 16:04x},{tag & 0xFF:02x})"
    return keyword_for_tag(tag) or f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def head_in(path: str) -> str:
    """Return the head of a path.

    >>> head_in("RequestAttributesSequence.0.CodeMeaning"), head_in("(0009,GEMS_IDEN_01,03)")
    ('RequestAttributesSequence', '(0009,03)')
    """
    if path.startswith("(") and path.count(",") > 1:
        return f"{path[:6]}{path[-3:]}"
    return path.partition(".")[0]


def _read_elements(dataset: Any) -> dict[str, tuple[str, ...]]:
    """Return the texts of a data set; without a character set they may be in UTF-8."""
    found = _decoded(dataset)
    named = dataset.get("SpecificCharacterSet") or ""
    if any(name not in _ASCII for name in ([named] if isinstance(named, str) else named)):
        return found
    return {path: tuple(map(_as_utf_8, texts)) for path, texts in found.items()}


def _as_utf_8(text: str) -> str:
    r"""Return a text whose bytes pydicom has read as Latin-1, if they are UTF-8.

    >>> _as_utf_8("LindqvÃ\xadst"), _as_utf_8("Lindqvíst")
    ('Lindqvíst', 'Lindqvíst')
    """
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _decoded(dataset: Any, depth: int = 0) -> dict[str, tuple[str, ...]]:
    errors = pydicom_errors()
    found: dict[str, tuple[str, ...]] = {}
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            value = element.value
        except errors:
            continue  # a value that its VR does not allow matches no rule
        if element.VR == "SQ":
            found |= _of_items(element.keyword, value, depth)
        elif element.VR not in ("OB", "OW", "OF", "OD", "UN"):
            many = value if isinstance(value, list | tuple) or element.VM > 1 else [value]
            found[_path_of(element)] = tuple("" if one is None else str(one) for one in many)
    found.pop("", None)
    return found


def _of_items(keyword: str, items: Any, depth: int) -> dict[str, tuple[str, ...]]:
    """Return the elements of the items of a sequence, by number and with "*"."""
    found: dict[str, tuple[str, ...]] = {}
    of_all: dict[str, list[str]] = {}
    for number, item in enumerate(items or ()) if keyword and depth < _DEEPEST_RULE else ():
        for path, values in _decoded(item, depth + 1).items():
            found[f"{keyword}.{number}.{path}"] = values
            of_all.setdefault(f"{keyword}.*.{path}", []).extend(values)
    return found | {path: tuple(values) for path, values in of_all.items()}


def _path_of(element: Any) -> str:
    """Return the path of an element in rules: its keyword, or tag with private creator."""
    tag = element.tag
    if element.keyword:
        return str(element.keyword)
    if tag.is_private and element.private_creator:
        return f"({tag.group:04x},{element.private_creator.upper()},{tag.element & 0xFF:02x})"
    return "" if tag.is_private else f"({tag.group:04x},{tag.element:04x})"
