"""The record of a delivered structure set and the clinical one: what is kept for charts.

A record holds no value of a patient: job, template, digests, outcomes and figures. Clinical ROIs
that belong to no delivered one are counted, and listed only if their names are of TG-263: a person
may have typed anything into the others.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison

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
    chosen_by: str = ""  # approved, predecessor, plan, newest, only
    approval: str = ""  # ApprovalStatus (300E,0002) of the clinical set
    others: int = 0  # further structure sets of the series
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
            return cls(**facts)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a record of quality assurance: {err}") from None

    def is_news_after(self, earlier: Self | None) -> bool:
        """Return whether the record says more than its time."""
        return earlier is None or replace(self, at=earlier.at) != earlier


def drawn_structures(record: PairRecord) -> list[StructureComparison]:
    """Return the structures that count in charts: both sets have contours of the same ROI."""
    return [structure for structure in record.structures if structure.outcome in DRAWN]
