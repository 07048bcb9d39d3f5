"""What becomes of each element of a planning image before it leaves: the de-identification policy.

The tables of `table_single_frame.py`, read, and with the choices of a site applied to them. The
engine in `engine.py` does what the rows say and knows no element itself.

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
from typing import Final

from drawcli.core.deid import table_functional_groups, table_single_frame, value_shapes
from drawcli.core.deid.table_multiframe import converted_table, enhanced_table
from drawcli.core.dicom import tags

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
PT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_PT: Final = "1.2.840.10008.5.1.4.1.1.130"
CONVERTED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.2"
CONVERTED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.4"
CONVERTED_PT: Final = "1.2.840.10008.5.1.4.1.1.128.1"
MULTI_FRAME: Final = {
    ENHANCED_CT: "CT",
    ENHANCED_MR: "MR",
    ENHANCED_PT: "PT",
    CONVERTED_CT: "CT",
    CONVERTED_MR: "MR",
    CONVERTED_PT: "PT",
}
IMAGE_CLASSES: Final = {CT_IMAGE: "CT", MR_IMAGE: "MR", PT_IMAGE: "PT", **MULTI_FRAME}

EDITION: Final = "2026c"
PROFILE: Final = "113100"
CHARACTERISTICS: Final = "113108"
MODIFIED_DATES: Final = "113107"

# Present in every slice even if the source lacks them: Type 2, and the server's GPU job reads them.
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
# File meta, directories, the patient, requests, visits, results: nothing there says how to segment.
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

    KEEP = "keep"  # the bytes as they are; empty where they do not look as they should
    UID = "uid"  # replaced consistently
    REGISTERED = "registered"  # stays where it is what the attribute has to name; else replaced
    DATE = "date"  # moved back by the patient's offset, or fixed
    TIME = "time"  # kept with moved dates, midnight with fixed ones
    EMPTY = "empty"  # present, without a value
    NAME = "name"  # DEID^ and the patient's pseudonym
    PATIENT = "patient"  # DEID- and the patient's pseudonym
    STUDY = "study"  # derived from Study Instance UID
    CLEAN = "clean"  # only the words of a fixed vocabulary are kept
    ITEMS = "items"  # the sequence is rebuilt from the rows named for its items
    CODE = "code"  # known codes alone, with the meaning that their scheme gives them
    DUMMY = "dummy"  # a value that says nothing, where the attribute must have one
    SET = "set"  # a value of our own


@dataclass(frozen=True, slots=True, eq=False)
class PolicyRow:
    """One line of the policy."""

    tag: int
    vr: str  # of PS3.6; "xs" stands for US or SS
    keyword: str
    action: Action
    source: str  # where the standard defines the attribute
    type: int  # 1: must have a value; 2: must be there; 3: may be left out (PS3.5 7.4)
    option: str = ""  # the code of the option under which it stays
    items: "Mapping[int, PolicyRow]" = field(default_factory=lambda: MappingProxyType({}))


Rows = Mapping[int, PolicyRow]
_PSEUDONYMS: Final = frozenset({Action.NAME, Action.PATIENT, Action.STUDY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the policy leaves to a site."""

    fixed_dates: bool = False
    characteristics: bool = True  # sex, age, size, weight stay: option 113108
    descriptors: frozenset[str] = frozenset()  # keywords that are let out, cleaned
    remove: frozenset[str] = frozenset()  # keywords that do not leave, besides
    retain: tuple[tuple[str, str], ...] = ()  # keyword and the reason why it leaves all the same

    @property
    def claims(self) -> tuple[str, ...]:
        """The codes of what is claimed: the profile, then its options (CID 7050)."""
        characteristics = (CHARACTERISTICS,) if self.characteristics else ()
        return (PROFILE, *characteristics, *(() if self.fixed_dates else (MODIFIED_DATES,)))


USUAL: Final = Choices()


@cache
def policy_for(sop_class: str, choices: Choices = USUAL) -> Rows:
    """Return the rows for one SOP class as a site has chosen, by tag.

    Raises
    ------
    KeyError
        Where images of the class are not sent.
    """
    rows = dict(table_of(sop_class))
    lines = _parsed(table_single_frame.DESCRIPTORS)
    rows |= {row.tag: row for row in lines if row.keyword in choices.descriptors}
    rows |= {row.tag: row for row in (_retained(*one) for one in choices.retain)}
    return _chosen(rows, choices)


@cache
def table_of(sop_class: str) -> Rows:
    """Return the rows for one SOP class before a site has chosen anything, by tag."""
    return {row.tag: row for row in _parsed(_TABLES[sop_class])}


def fingerprint(sop_class: str, choices: Choices = USUAL) -> str:
    """Return which policy images of a class leave by: 16 hex digits, the same for the same rows."""
    digest = hashlib.sha256(f"dates fixed: {choices.fixed_dates}".encode("ascii"))
    for row in every_row(policy_for(sop_class, choices)):
        digest.update(f"\n{row.tag:08X} {row.vr} {row.action} {len(row.items)}".encode("ascii"))
    return digest.hexdigest()[:16]


def every_row(rows: Rows) -> Iterator[PolicyRow]:
    """Yield rows and, behind each sequence, those of its items, at every depth."""
    for row in rows.values():
        yield row
        yield from every_row(row.items)


def check_removable(keyword: str) -> None:
    """Raise ValueError where a site cannot have an attribute removed.

    What single slices can do without, multi-frame images can: their Types are mostly conditional.
    """
    rows = _rows_of(keyword, _TABLES.keys() - MULTI_FRAME) or _rows_of(keyword, MULTI_FRAME)
    if not rows:
        raise ValueError(f"{keyword} does not leave anyway, or is no DICOM keyword")
    if any(row.type == 1 or row.action in _PSEUDONYMS | {Action.SET} for row in rows):
        raise ValueError(f"{keyword} is needed: an image without it cannot be used")


def check_retainable(keyword: str, reason: str) -> None:
    """Raise ValueError where a site cannot let an attribute out, or does not say why."""
    from drawcli.core.dicom.dictionary import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no DICOM keyword of PS3.6")
    if any(tag in table_of(one) for one in _TABLES.keys() - MULTI_FRAME):
        raise ValueError(f"{keyword} is a matter of the policy already")
    vr, group = dictionary_VR(tag), tag >> 16
    if not value_shapes.has_shape(vr) or vr in ("UI", "AT") or group in _NEVER_RETAINED:
        raise ValueError(f"{keyword} may hold what identifies a person ({vr}); it never leaves")
    if len(reason.split()) < _SHORTEST_REASON:
        raise ValueError(f"say in a few words why {keyword} leaves; the statement quotes it")


def _rows_of(keyword: str, classes: Iterable[str]) -> list[PolicyRow]:
    return [row for one in classes for row in every_row(table_of(one)) if row.keyword == keyword]


def _chosen(rows: Rows, choices: Choices) -> Rows:
    after = (_choice(row, choices) for row in rows.values())
    return MappingProxyType({row.tag: row for row in after if row is not None})


def _choice(row: PolicyRow, choices: Choices) -> PolicyRow | None:
    """Return a row as a site has chosen it; None where the element does not leave."""
    unwanted = row.keyword in choices.remove or (
        row.option == CHARACTERISTICS and not choices.characteristics
    )
    if unwanted:
        return None if row.type > 2 else replace(row, action=Action.EMPTY)  # noqa: PLR2004
    if choices.fixed_dates and row.keyword in _ONLY_MOVED:
        return None
    if row.action is Action.TIME and not choices.fixed_dates:
        return replace(row, action=Action.KEEP)
    return replace(row, items=_chosen(row.items, choices)) if row.items else row


def _retained(keyword: str, reason: str) -> PolicyRow:
    from drawcli.core.dicom.dictionary import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 - check_retainable has looked
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
