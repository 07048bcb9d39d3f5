"""The de-identification policy: the action for each element of a planning image.

Parses the tables of `table_single_frame.py` and applies the choices of a site. `engine.py` carries
out the actions and knows no element itself.

References
----------
PS3.15 Annex E, edition 2026c: Basic Application Level Confidentiality Profile (113100) with the
options *Retain Patient Characteristics* (113108) and *Retain Longitudinal Temporal Information with
Modified Dates* (113107).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple

from drawcli.core.deid import table_functional_groups, table_single_frame, value_shapes
from drawcli.core.deid.table_multiframe import converted_table, enhanced_table
from drawcli.core.dicom import tags
from drawcli.core.dicom.sop_classes import (
    CONVERTED_CT,
    CONVERTED_MR,
    CONVERTED_PT,
    CT_IMAGE,
    ENHANCED_CT,
    ENHANCED_MR,
    ENHANCED_PT,
    MR_IMAGE,
    MULTI_FRAME,
    PT_IMAGE,
)

EDITION: Final = "2026c"
PROFILE: Final = "113100"
CHARACTERISTICS: Final = "113108"
MODIFIED_DATES: Final = "113107"

# Present in every slice even if the source lacks them: Type 2, and the server reads them.
ALWAYS_PRESENT: Final = (
    tags.StudyDate,
    tags.StudyTime,
    tags.AccessionNumber,
    tags.ReferringPhysicianName,
    tags.PatientName,
    tags.PatientID,
    tags.PatientBirthDate,
    tags.PatientSex,
    tags.StudyID,
)
# Removed where dates are fixed: table E.1-1 has X for them, and the option is not claimed then.
_ONLY_MOVED: Final = frozenset(
    {
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
        "RadiopharmaceuticalStopDateTime",
    }
)
# File meta, directories, patient, requests, visits, results: not needed for segmentation.
_NEVER_RETAINED: Final = frozenset({0x0002, 0x0004, 0x0010, 0x0032, 0x0038, 0x4008})
_SHORTEST_REASON: Final = 2  # words

_SINGLE: Final = table_single_frame.COMMON + table_single_frame.SINGLE_SLICE
_TABLES: Final = {
    CT_IMAGE: _SINGLE + table_single_frame.CT,
    MR_IMAGE: _SINGLE + table_single_frame.MR,
    PT_IMAGE: _SINGLE + table_single_frame.PT,
    ENHANCED_CT: enhanced_table("", table_functional_groups.CT_GROUPS),
    ENHANCED_MR: enhanced_table(table_functional_groups.MR, table_functional_groups.MR_GROUPS),
    ENHANCED_PT: enhanced_table(table_functional_groups.PT, table_functional_groups.PT_GROUPS),
    CONVERTED_CT: converted_table("", table_functional_groups.CT_GROUPS, table_single_frame.CT),
    CONVERTED_MR: converted_table(
        table_functional_groups.MR, table_functional_groups.MR_GROUPS, table_single_frame.MR
    ),
    CONVERTED_PT: converted_table(
        table_functional_groups.PT, table_functional_groups.PT_GROUPS, table_single_frame.PT
    ),
}


class Action(StrEnum):
    """What the engine does with an element."""

    KEEP = "keep"  # unchanged; emptied if the format does not fit
    UID = "uid"  # replaced consistently
    REGISTERED = "registered"  # kept if registered for the attribute; otherwise replaced
    DATE = "date"  # shifted by the patient's offset, or fixed
    TIME = "time"  # kept with shifted dates, midnight with fixed dates
    EMPTY = "empty"  # present, without a value
    NAME = "name"  # DEID^ and the patient's pseudonym
    PATIENT = "patient"  # DEID- and the patient's pseudonym
    STUDY = "study"  # derived from Study Instance UID
    CLEAN = "clean"  # only the words of a fixed vocabulary are kept
    ITEMS = "items"  # the sequence is rebuilt from the rows of its items
    CODE = "code"  # known codes only, with the meaning of their scheme
    DUMMY = "dummy"  # a placeholder, for an attribute that must have a value
    SET = "set"  # written by drawcli


@dataclass(frozen=True, slots=True, eq=False)
class PolicyRow:
    """One line of the policy."""

    tag: int
    vr: str  # of PS3.6; "xs" is US or SS
    keyword: str
    action: Action
    source: str  # where the standard defines the attribute
    type: int  # 1: must have a value; 2: must be there; 3: may be left out (PS3.5 7.4)
    option: str = ""  # code of the PS3.15 option under which it is kept
    items: "Mapping[int, PolicyRow]" = field(default_factory=lambda: MappingProxyType({}))


Rows = Mapping[int, PolicyRow]
_PSEUDONYMS: Final = frozenset({Action.NAME, Action.PATIENT, Action.STUDY})


class Choices(NamedTuple):
    """The settings of a site that change the policy."""

    fixed_dates: bool = False
    characteristics: bool = True  # sex, age, size, weight stay: option 113108
    descriptors: frozenset[str] = frozenset()  # keywords of descriptions that are kept, cleaned
    remove: frozenset[str] = frozenset()  # keywords of further elements to remove
    retain: tuple[tuple[str, str], ...] = ()  # keyword, and the reason to keep it
    multiframe: str = "split"  # or hold; "whole": to rebuild packages of earlier versions
    decompress: bool = True  # codings that the server does not decode

    @property
    def claims(self) -> tuple[str, ...]:
        """The codes of the claimed profile and options (CID 7050)."""
        characteristics = (CHARACTERISTICS,) if self.characteristics else ()
        return (PROFILE, *characteristics, *(() if self.fixed_dates else (MODIFIED_DATES,)))


USUAL: Final = Choices()


@cache
def policy_for(sop_class: str, choices: Choices = USUAL) -> Rows:
    """Return the rows for one SOP class with the choices of a site, by tag.

    Raises
    ------
    KeyError
        If images of the class are not sent.
    """
    rows = dict(table_of(sop_class))
    lines = _parsed(table_single_frame.DESCRIPTORS)
    rows |= {row.tag: row for row in lines if row.keyword in choices.descriptors}
    rows |= {row.tag: row for row in (_retained(*pair) for pair in choices.retain)}
    return _with_choices(rows, choices)


@cache
def table_of(sop_class: str) -> Rows:
    """Return the rows for one SOP class without choices of a site, by tag."""
    return {row.tag: row for row in _parsed(_TABLES[sop_class])}


def fingerprint(sop_class: str, choices: Choices = USUAL) -> str:
    """Return 16 hex digits that identify the policy for a SOP class: equal for equal rows."""
    digest = hashlib.sha256(f"dates fixed: {choices.fixed_dates}".encode("ascii"))
    for row in every_row(policy_for(sop_class, choices)):
        digest.update(f"\n{row.tag:08X} {row.vr} {row.action} {len(row.items)}".encode("ascii"))
    return digest.hexdigest()[:16]


def every_row(rows: Rows) -> Iterator[PolicyRow]:
    """Yield rows and, after each sequence, the rows of its items, at every depth."""
    for row in rows.values():
        yield row
        yield from every_row(row.items)


def check_removable(keyword: str) -> None:
    """Raise ValueError if a site cannot remove an attribute.

    Single slices decide, if they have it: Types of multi-frame images are mostly conditional.
    """
    rows = _rows_of(keyword, _TABLES.keys() - MULTI_FRAME) or _rows_of(keyword, MULTI_FRAME)
    if not rows:
        raise ValueError(f"{keyword} is never sent, or is not a DICOM keyword")
    if any(row.type == 1 or row.action in _PSEUDONYMS | {Action.SET} for row in rows):
        raise ValueError(f"{keyword} is needed: an image without it cannot be used")


def check_retainable(keyword: str, reason: str) -> None:
    """Raise ValueError if a site cannot retain an attribute, or gives no reason."""
    from drawcli.core.dicom.dictionary import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not a DICOM keyword of PS3.6")
    if any(tag in table_of(uid) for uid in _TABLES.keys() - MULTI_FRAME):
        raise ValueError(f"{keyword} is already in the policy")
    vr, group = dictionary_VR(tag), tag >> 16
    if not value_shapes.has_shape(vr) or vr in ("UI", "AT") or group in _NEVER_RETAINED:
        raise ValueError(f"{keyword} may identify a person ({vr}); it is never sent")
    if len(reason.split()) < _SHORTEST_REASON:
        raise ValueError(f"give a reason for sending {keyword}; the statement quotes it")


def _rows_of(keyword: str, classes: Iterable[str]) -> list[PolicyRow]:
    return [row for uid in classes for row in every_row(table_of(uid)) if row.keyword == keyword]


def _with_choices(rows: Rows, choices: Choices) -> Rows:
    after = (_with_choice(row, choices) for row in rows.values())
    return MappingProxyType({row.tag: row for row in after if row is not None})


def _with_choice(row: PolicyRow, choices: Choices) -> PolicyRow | None:
    """Return a row with the choices of a site; None if the element is removed."""
    unwanted = row.keyword in choices.remove or (
        row.option == CHARACTERISTICS and not choices.characteristics
    )
    if unwanted:
        return None if row.type > 2 else replace(row, action=Action.EMPTY)  # noqa: PLR2004
    if choices.fixed_dates and row.keyword in _ONLY_MOVED:
        return None
    if row.action is Action.TIME and not choices.fixed_dates:
        return replace(row, action=Action.KEEP)
    return replace(row, items=_with_choices(row.items, choices)) if row.items else row


def _retained(keyword: str, reason: str) -> PolicyRow:
    from drawcli.core.dicom.dictionary import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 - ensured by check_retainable
    return PolicyRow(tag, dictionary_VR(tag), keyword, Action.KEEP, f"the site: {reason}", 3)


def _parsed(table: str) -> list[PolicyRow]:
    """Return the rows of a table."""
    source = ""
    rows: list[PolicyRow] = []
    inside: list[str] = []
    for line in (*table.splitlines(), "end"):
        if line.startswith("  "):
            inside.append(line[2:])
            continue
        if inside:
            items = {row.tag: row for row in _parsed("\n".join([f"# {source}", *inside]))}
            rows[-1] = replace(rows[-1], items=MappingProxyType(items))
            inside = []
        if line.startswith("# "):
            source = line.removeprefix("# ")
        elif line and line != "end":
            rows.append(_row(line, source))
    return rows


def _row(line: str, source: str) -> PolicyRow:
    tag, vr, keyword, action, kind, *option = line.split()
    return PolicyRow(int(tag, 16), vr, keyword, Action(action), source, int(kind), "".join(option))
