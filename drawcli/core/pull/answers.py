"""Queries of the study root model, and their answers: strictly read, never trusted (PS3.4 C.4.1).

An archive may answer anything. What is no UID never becomes one, so that no path is made of it, and
an answer about another study or series than the one asked for is an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import readable_text
from drawcli.core.dicom.encoding import encode
from drawcli.core.dicom.header import Incomplete, NotDicom, walk
from drawcli.core.dicom_service.identifiers import uid_text
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, QueryKey

LEVEL: Final = 0x00080052
SERIES_INSTANCES: Final = 0x00201209  # Number of Series Related Instances
_UID_TAGS: Final = frozenset(
    {tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.SOPInstanceUID, tags.SOPClassUID}
)
_MOST_DIGITS: Final = 9
_LONGEST_VALUE: Final = 4096  # bytes; longer ones are no values that are compared


class BadAnswer(Exception):
    """An answer of an archive cannot be used; the text is a predicate that quotes no value."""


class ArchivedSeries(NamedTuple):
    """A series at the archive."""

    study: str  # Study Instance UID
    series: str
    modality: str
    instances: int | None = None  # that the archive counts; None: it does not say


class ArchivedInstance(NamedTuple):
    """An instance of a series at the archive."""

    sop_instance: str
    sop_class: str = ""  # "" if the archive does not say


Answer = Mapping[int, Sequence[str]]  # the values of each attribute, as text


def query_of(
    level: str, wanted: Mapping[int, str], keys: Iterable[QueryKey], today: date
) -> dict[int, str]:
    """Return the attributes of a query by tag; "" for those to be returned.

    Parameters
    ----------
    level
        STUDY, SERIES or IMAGE.
    wanted
        The UIDs of upper levels, and return keys.
    keys, today
        The keys of the settings; those of the level are asked.
    """
    asked = {key.tag: key.in_query(today) for key in keys if key.level == level}
    return {**wanted, **asked}


def encode_query(level: str, attributes: Mapping[int, str]) -> bytes:
    """Return the identifier of a query or retrieval in Implicit VR Little Endian."""
    texts = {LEVEL: level, **attributes}
    if not all(text.isascii() for text in texts.values()):
        texts[tags.SpecificCharacterSet] = "ISO_IR 192"
    return b"".join(
        encode(tag, b"UI" if tag in _UID_TAGS else b"LO", text.encode("utf-8"), explicit=False)
        for tag, text in sorted(texts.items())
    )


def decode_answer(data: bytes) -> dict[int, list[str]]:
    """Return the attributes of an identifier in Implicit VR Little Endian.

    Raises
    ------
    BadAnswer
        If it cannot be read.
    """
    try:
        elements = list(walk(data, 0, len(data), explicit=False))
    except (NotDicom, Incomplete):
        elements = []
    order = [element.tag for element in elements]
    if not order or order != sorted(set(order)):
        raise BadAnswer("sends an answer that cannot be read")
    found = {e.tag: data[e.value : e.end] for e in elements if not e.undefined}
    names = found.get(tags.SpecificCharacterSet, b"")
    return {
        tag: [readable_text(part, names) for part in raw.split(b"\\")]
        for tag, raw in found.items()
        if len(raw) <= _LONGEST_VALUE
    }


def study_in(answer: Answer) -> str:
    """Return the Study Instance UID of an answer; raise BadAnswer if there is none."""
    return _uid(answer, tags.StudyInstanceUID, "Study Instance UID")


def series_in(answer: Answer, study: str) -> ArchivedSeries:
    """Return the series of an answer; raise BadAnswer if it is not of the study asked for."""
    _check_same(answer, tags.StudyInstanceUID, study, "study")
    counted = _first(answer, SERIES_INSTANCES)
    is_number = counted.isascii() and counted.isdecimal() and len(counted) <= _MOST_DIGITS
    return ArchivedSeries(
        study=study,
        series=_uid(answer, tags.SeriesInstanceUID, "Series Instance UID"),
        modality=_first(answer, tags.Modality)[:16],
        instances=int(counted) if is_number else None,
    )


def instance_in(answer: Answer, asked: ArchivedSeries) -> ArchivedInstance:
    """Return the instance of an answer; raise BadAnswer if it is not of the series asked for."""
    _check_same(answer, tags.StudyInstanceUID, asked.study, "study")
    _check_same(answer, tags.SeriesInstanceUID, asked.series, "series")
    return ArchivedInstance(
        sop_instance=_uid(answer, tags.SOPInstanceUID, "SOP Instance UID"),
        sop_class=_as_uid(_first(answer, tags.SOPClassUID)),
    )


def mismatches(answer: Answer, keys: Iterable[QueryKey], level: str, today: date) -> list[QueryKey]:
    """Return the keys of a level that an answer does not match."""
    asked = (key for key in keys if key.level == level)
    return [key for key in asked if not key.matches(answer.get(key.tag, ()), today)]


def return_keys(level: str, asked: ArchivedSeries | None = None, study: str = "") -> dict[int, str]:
    """Return the UIDs that a query of a level names, and the attributes that it wants back."""
    if level == STUDY:
        return {tags.StudyInstanceUID: ""}
    if level == SERIES:
        return {
            tags.StudyInstanceUID: study,
            tags.SeriesInstanceUID: "",
            tags.Modality: "",
            SERIES_INSTANCES: "",
        }
    if level != IMAGE or asked is None:
        raise ValueError(f"bug: no query of level {level}")
    return {
        tags.StudyInstanceUID: asked.study,
        tags.SeriesInstanceUID: asked.series,
        tags.SOPInstanceUID: "",
        tags.SOPClassUID: "",
    }


def _uid(answer: Answer, tag: int, name: str) -> str:
    uid = _as_uid(_first(answer, tag))
    if not uid:
        raise BadAnswer(f"sends an answer without a valid {name}")
    return uid


def _check_same(answer: Answer, tag: int, asked: str, what: str) -> None:
    named = "\\".join(answer.get(tag, ())).strip(" \0")
    if named and named != asked:  # not every archive repeats it
        raise BadAnswer(f"answers for another {what} than the one asked for")


def _first(answer: Answer, tag: int) -> str:
    values = answer.get(tag, ())
    return values[0].strip(" \0") if len(values) == 1 else ""


def _as_uid(text: str) -> str:
    return uid_text(text.encode("ascii", "replace"))
