"""Queries of the study root model: levels, matching and return keys. Pure: no file, no network.

The rules are those of PS3.4 C.2.2.2 (matching) and C.4.1 (hierarchical queries).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword

LEVELS: Final = ("STUDY", "SERIES", "IMAGE")
UNIQUE_KEYS: Final = {
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_STUDY_KEYS: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("OtherPatientIDs", "PatientComments", "EthnicGroup", "PatientAge", "PatientWeight"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "NameOfPhysiciansReadingStudy"),
    *("AdmittingDiagnosesDescription", "PatientSize", "ProcedureCodeSequence"),
)
_SERIES_KEYS: Final = (
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDate", "SeriesTime", "SeriesDescription"),
    *("Modality", "BodyPartExamined", "ProtocolName", "StationName", "Manufacturer"),
    *("ManufacturerModelName", "InstitutionName", "PerformingPhysicianName", "OperatorsName"),
    *("FrameOfReferenceUID", "PatientPosition", "Laterality", "RequestAttributesSequence"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
_DEPTH_OF: Final = {
    tag_for_keyword(keyword): depth
    for depth, keywords in enumerate((_STUDY_KEYS, _SERIES_KEYS))
    for keyword in keywords
}
_NO_WILDCARDS: Final = frozenset("DA TM DT UI IS DS US UL SS SL FL FD AT".split())
_RANGES: Final = frozenset({"DA", "TM", "DT"})
_CONTROL: Final = frozenset({"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"})


class BadQuery(ValueError):
    """The identifier of a query or retrieval is not valid at its level."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A study, a series or an instance: the headers of its instances, at least one."""

    level: str
    headers: tuple[Dataset, ...]

    def element(self, tag: int) -> DataElement | None:
        """Return an attribute at this level or above; None if it is absent or of a lower level."""
        if tag in _COMPUTED:
            _depth, value = _COMPUTED[tag]
            return DataElement(tag, dictionary_VR(tag), value(self.headers))
        return self.headers[0].get(tag)


def entities(headers: Iterable[Dataset], level: str) -> list[Entity]:
    """Group headers into the entities of a level, in the order of their first instances."""
    groups: dict[str, list[Dataset]] = {}
    for header in headers:
        groups.setdefault(str(header[UNIQUE_KEYS[level]].value), []).append(header)
    return [Entity(level, tuple(group)) for group in groups.values()]


def find(headers: Iterable[Dataset], query: Dataset, level: str) -> list[Dataset]:
    """Return an answer for each entity of a level that matches a query, with its return keys.

    Keys of lower levels are ignored (see `unsupported_keys`); all upper keys are matched.
    """
    keys = [key for key in _keys(query) if _depth_of(key.tag) <= LEVELS.index(level)]
    return [
        _answer(entity, keys)
        for entity in entities(headers, level)
        if all(matches(key, entity.element(key.tag)) for key in keys)
    ]


def select(headers: Iterable[Dataset], query: Dataset, level: str) -> list[Dataset]:
    """Return the headers of the instances that a retrieval names by unique keys.

    Raises
    ------
    BadQuery
        If a unique key of the level or of an upper one is missing.
    """
    check_upper_keys(query, level)
    if not query.get(UNIQUE_KEYS[level]):
        raise BadQuery(f"{UNIQUE_KEYS[level]} is missing")
    keys = [query[UNIQUE_KEYS[name]] for name in LEVELS[: LEVELS.index(level) + 1]]
    return [header for header in headers if all(matches(key, header.get(key.tag)) for key in keys)]


def other_study(headers: Iterable[Dataset], chosen: list[Dataset]) -> list[Dataset]:
    """Return the header of an instance of a study that was not asked for, in a list."""
    studies = {header.StudyInstanceUID for header in chosen}
    return [header for header in headers if header.StudyInstanceUID not in studies][:1]


def level_of(query: Dataset) -> str:
    """Return the level of an identifier; raise BadQuery if it has none of the study root."""
    level = str(query.get("QueryRetrieveLevel", "")).strip()
    if level not in LEVELS:
        raise BadQuery("QueryRetrieveLevel is not STUDY, SERIES or IMAGE")
    return level


def check_upper_keys(query: Dataset, level: str) -> None:
    """Raise BadQuery unless each upper level is named by a single UID (PS3.4 C.4.1.2.1)."""
    for upper in LEVELS[: LEVELS.index(level)]:
        keyword = UNIQUE_KEYS[upper]
        values = _texts(query[keyword]) if keyword in query else []
        if len(values) != 1 or "*" in values[0]:
            raise BadQuery(f"{keyword} is not a single UID, at level {level}")


def unsupported_keys(query: Dataset, level: str) -> bool:
    """Tell whether a query has keys that are not matched at its level."""
    return any(_depth_of(key.tag) > LEVELS.index(level) for key in _keys(query))


def matches(key: DataElement, found: DataElement | None) -> bool:
    """Tell whether an attribute matches a key: universal, single value, list, wildcard or range."""
    if key.VR == "SQ":
        return _sequence_matches(key, found)
    wanted = _texts(key)
    if wanted in ([], ["*"]):
        return True
    values = [] if found is None else _texts(found)
    return any(_value_matches(key.VR, text, value) for text in wanted for value in values)


def _sequence_matches(key: DataElement, found: DataElement | None) -> bool:
    wanted = [item for item in key.value or [] if len(item)]
    if not wanted:
        return True
    items = [] if found is None else found.value
    return any(all(matches(part, item.get(part.tag)) for part in wanted[0]) for item in items)


def _value_matches(vr: str, wanted: str, value: str) -> bool:
    if vr in _RANGES and "-" in wanted:
        first, _, last = wanted.partition("-")
        return first <= value and (not last or value[: len(last)] <= last)
    if vr == "PN":
        wanted, value = wanted.casefold(), value.casefold()
    if vr not in _NO_WILDCARDS and ("*" in wanted or "?" in wanted):
        parts = (
            ".*" if each == "*" else "." if each == "?" else re.escape(each) for each in wanted
        )
        return re.fullmatch("".join(parts), value, re.DOTALL) is not None
    return wanted == value


def _texts(element: DataElement) -> list[str]:
    """Return the values of an element as texts without padding; none for an empty one."""
    value = element.value
    values = [] if value is None else [value] if element.VM <= 1 else list(value)
    return [text for each in values if (text := str(each).strip(" \0"))]


def _keys(query: Dataset) -> list[DataElement]:
    return [key for key in query if key.keyword not in _CONTROL and key.tag.element]


def _depth_of(tag: int) -> int:
    if tag in _COMPUTED:
        return _COMPUTED[tag][0]
    return _DEPTH_OF.get(tag, len(LEVELS) - 1)


def _answer(entity: Entity, keys: Iterable[DataElement]) -> Dataset:
    answer = Dataset()
    for key in keys:
        found = entity.element(key.tag)
        answer.add(DataElement(key.tag, key.VR, None) if found is None else found)
    if charset := entity.headers[0].get("SpecificCharacterSet"):
        answer.SpecificCharacterSet = charset
    return answer


def _counted(keyword: str) -> Callable[[tuple[Dataset, ...]], int]:
    return lambda headers: len({str(header.get(keyword)) for header in headers})


def _collected(keyword: str) -> Callable[[tuple[Dataset, ...]], list[str]]:
    return lambda headers: sorted({str(header.get(keyword, "")) for header in headers} - {""})


# Attributes that no instance has: the depth of their level, and the function of its instances.
_COMPUTED: Final[Mapping[int, tuple[int, Callable[[tuple[Dataset, ...]], object]]]] = {
    tag_for_keyword("ModalitiesInStudy") or 0: (0, _collected("Modality")),
    tag_for_keyword("SOPClassesInStudy") or 0: (0, _collected("SOPClassUID")),
    tag_for_keyword("NumberOfStudyRelatedSeries") or 0: (0, _counted("SeriesInstanceUID")),
    tag_for_keyword("NumberOfStudyRelatedInstances") or 0: (0, _counted("SOPInstanceUID")),
    tag_for_keyword("NumberOfSeriesRelatedInstances") or 0: (1, _counted("SOPInstanceUID")),
}
