"""The record of a delivered structure set and the clinical one: what is kept for charts.

A record holds no value of a patient: job, template, digests, outcomes and figures. Clinical ROIs
that belong to no delivered one are counted, and listed only if their names are of TG-263: a person
may have typed anything into the others.
"""

import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison, check_types
from drawcli.core.templates.tg263 import is_standard, plain_name

DRAWN: Final = frozenset(  # outcomes that count in charts
    {
        ContourOutcome.UNTOUCHED,
        ContourOutcome.RENAMED,
        ContourOutcome.EDITED,
        ContourOutcome.REDRAWN,
    }
)
_TIMES: Final = ("at", "delivered_at")
_SHOWN_DIGITS: Final = 12
_TARGETS: Final = ("GTV", "CTV", "PTV", "ITV", "IGTV", "ICTV")
_TARGET: Final = re.compile(  # with a number or a dose in cGy: other words may be a name
    rf"(?:{'|'.join(_TARGETS)})[np]?[0-9]{{0,2}}(?:_(?:High|Mid|Low|L|R|[0-9]{{2,4}}))*"
)


class PairStatus(StrEnum):
    """What is known about the clinical structure set of a delivered series."""

    COMPARED = "compared"  # found, and compared
    WAITING = "waiting"  # found, not approved yet
    MISSING = "missing"  # none was found yet
    UNCLEAR = "unclear"  # several, none preferred
    CHANGED = "changed"  # the series has changed since it was sent
    FAILED = "failed"  # one of the two files cannot be read or compared
    CLOSED = "closed"  # none was found while the job had its files


def version_of(template_digest: str, catalogue_digest: str, drawcli: str) -> str:
    """Return the version that contours come from: 12 hex digits.

    It changes with the template, the catalogue entries of its models, and with the first two
    numbers of the version of drawcli.
    """
    release = ".".join(drawcli.split(".")[:2])
    text = f"{template_digest}\n{catalogue_digest}\n{release}"
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN_DIGITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """The quality assurance of one delivered job. Times are UTC; digests are SHA-256 in hex."""

    job: str
    status: PairStatus
    at: datetime  # of this record
    delivered_at: datetime
    template: str
    modality: str | None = None
    template_digest: str = ""  # of the template that was sent: `Template.contours_digest`
    catalogue_digest: str = ""  # of the entries of its models: `Catalogue.digest_of`
    drawcli: str = ""  # version that delivered
    rules_commit: str | None = None
    a_sha256: str = ""  # the delivered file
    b_sha256: str = ""  # the clinical file
    chosen_by: str = ""  # only, approved, edited, predecessor, plan, newest
    approval: str = ""  # ApprovalStatus (300E,0002) of the clinical set
    others: int = 0  # further structure sets of the series
    passed_over: tuple[str, ...] = ()  # the reason of each: see `candidates.PassedOver`
    note: str = ""  # one sentence: why there is no comparison
    structures: tuple[StructureComparison, ...] = ()
    unpaired: int = 0  # clinical ROIs that belong to no delivered one and are not listed

    @property
    def version(self) -> str:
        """The version that the contours come from: see `version_of`."""
        return version_of(self.template_digest, self.catalogue_digest, self.drawcli)

    def as_plain(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain |= {name: plain[name].isoformat() for name in _TIMES}
        plain["status"] = str(self.status)
        plain["structures"] = [structure.as_plain() for structure in self.structures]
        plain["passed_over"] = list(self.passed_over)
        return plain | {"version": self.version}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a record from what `as_plain` returned; unknown fields are left out.

        Raises
        ------
        ValueError
            If it is not a record.
        """
        try:
            facts = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
            facts |= {name: datetime.fromisoformat(plain[name]) for name in _TIMES}
            facts["status"] = PairStatus(plain["status"])
            structures = plain.get("structures", ())
            facts["structures"] = tuple(map(StructureComparison.from_plain, structures))
            facts["passed_over"] = tuple(map(str, plain.get("passed_over", ())))
            record = cls(**facts)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a record of quality assurance: {err}") from None
        check_types(record)
        return record

    @property
    def content_digest(self) -> str:
        """The SHA-256 of what the record says, without its time."""
        text = json.dumps(self.as_plain() | {"at": None}, sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def recordable(
    structures: Iterable[StructureComparison], aliases: Iterable[str] = ()
) -> tuple[tuple[StructureComparison, ...], int]:
    """Return structures without names that a person may have typed, and how many were left out.

    Kept are names that belong to a delivered structure, aliases of the settings and names of
    TG-263, in the forms of TG-263 that leave no room for other words.
    """
    known = {alias.casefold() for alias in aliases}
    kept, unpaired = [], 0
    for one in structures:
        if one.outcome is ContourOutcome.ADDED and not _is_nobodys(one.name, known):
            unpaired += 1
            continue
        parts = (one.name_b or "").split(", ")
        same = plain_name(one.name)
        is_clear = all(plain_name(part) == same or _is_nobodys(part, known) for part in parts)
        kept.append(one if is_clear else replace(one, name_b=None))
    return tuple(kept), unpaired


def _is_nobodys(name: str, known: Container[str]) -> bool:
    """Return whether a name cannot be that of a person."""
    if name.casefold() in known or _TARGET.fullmatch(name):
        return True
    return "^" not in name and not name.startswith(_TARGETS) and is_standard(name)


def drawn_structures(record: PairRecord) -> list[StructureComparison]:
    """Return the structures that count in charts: both sets have contours of the same ROI."""
    return [structure for structure in record.structures if structure.outcome in DRAWN]
