"""The headers of a series as the text that rules compare."""

import warnings
from collections.abc import Callable, Iterable
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.facts import series_facts
from drawcli.errors import SeriesRefused, SourceUnsettled

_ASCII: Final = ("", "ISO_IR 6", "ISO 2022 IR 6")
_DEEPEST_RULE: Final = 3  # levels of nested sequences


def header_of(
    crosswalk: Crosswalk,
    today: date,
    counted: Callable[[Iterable[str], str], Iterable[str]] = lambda paths, _unit: paths,
) -> RuleHeader:
    """Return the elements of a series, and the facts computed from it, for rules."""
    paths = [file.path for file in crosswalk.files]
    shared = shared_elements(counted(paths, "files read"))
    facts = series_facts(crosswalk, shared.values, today)
    return RuleHeader({**shared.values, **facts}, shared.mixed, today)


def shared_elements(paths: Iterable[str]) -> RuleHeader:
    """Return the elements that all files of a series share, as text by path.

    Elements that differ are in `mixed`. Values are decoded by pydicom with the character set of
    the file. Items of sequences have paths such as "RequestAttributesSequence.0.Keyword"; with "*"
    in place of the number the path stands for all items.

    Raises
    ------
    SourceUnsettled
        If a file cannot be read.
    SeriesRefused
        If pydicom cannot parse it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of pydicom quote values
        headers = [_text_elements(path) for path in dict.fromkeys(paths)]
    first, *others = headers
    shared = {
        path: values
        for path, values in first.items()
        if all(other.get(path) == values for other in others)
    }
    differing = {path for header in headers for path in header} - shared.keys()
    mixed = {path: [one.get(path, ()) for one in headers] for path in differing}
    return RuleHeader(shared, mixed)


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


def _text_elements(path: str) -> dict[str, tuple[str, ...]]:
    from pydicom import dcmread

    try:
        with Path(path).open("rb") as stream:
            whole = read_or_convert(stream)[1]
            stream.seek(0)
            usual = stream if whole is None else BytesIO(whole)
            return _read_elements(dcmread(usual, stop_before_pixels=True, force=True))
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
    except (Incomplete, NotDicom):
        raise SeriesRefused("the header of a file cannot be read") from None
    except pydicom_errors() as err:
        kind = type(err).__name__  # its message quotes values
        raise SeriesRefused(f"the header of a file cannot be decoded ({kind})") from None


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
    for number, item in enumerate(items or ()) if keyword and depth < _DEEPEST_RULE else ():
        for path, values in _decoded(item, depth + 1).items():
            found[f"{keyword}.{number}.{path}"] = values
            found[f"{keyword}.*.{path}"] = found.get(f"{keyword}.*.{path}", ()) + values
    return found


def _path_of(element: Any) -> str:
    """Return the path of an element in rules: its keyword, or tag with private creator."""
    tag = element.tag
    if element.keyword:
        return str(element.keyword)
    if tag.is_private and element.private_creator:
        return f"({tag.group:04x},{element.private_creator.upper()},{tag.element & 0xFF:02x})"
    return "" if tag.is_private else f"({tag.group:04x},{tag.element:04x})"
