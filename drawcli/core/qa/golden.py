"""Golden cases: fixed scans that are sent again, and what came back compared with last time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison, check_types

_SAME: Final = (ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED, ContourOutcome.EMPTY)


class GoldenOutcome(StrEnum):
    """What a run of a golden case has shown, or what a person has said to it."""

    REFERENCE = "reference"  # the first contours: later ones are compared with them
    UNCHANGED = "unchanged"  # the same contours, within 0.01 mm
    CHANGED = "changed"  # others than last time
    STILL_CHANGED = "still-changed"  # the same as at the last change, which nobody has accepted
    FAILED = "failed"  # nothing came back that could be compared
    ACCEPTED = "accepted"  # a person has looked; the new contours are the reference


_AFTER_FAILURE: Final = timedelta(days=1)
_PENDING: Final = (GoldenOutcome.CHANGED, GoldenOutcome.STILL_CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """A scan as it was sent, kept by drawcli."""

    id: str  # 12 hex digits
    template: str
    models: tuple[int, ...]
    added_at: datetime
    zip_sha256: str
    zip_bytes: int
    template_digest: str  # `Template.contours_digest`
    key_id: str | None = None  # of the site key that sealed its crosswalk
    modality: str | None = None
    slices: int | None = None

    def as_plain(self) -> dict[str, Any]:
        """Return the case as a JSON object."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {"added_at": self.added_at.isoformat(), "models": list(self.models)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a case from what `as_plain` returned; raise ValueError if it is none."""
        try:
            facts = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
            facts["added_at"] = datetime.fromisoformat(plain["added_at"])
            made = cls(**facts | {"models": tuple(map(int, plain["models"]))})
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a golden case: {err}") from None
        check_types(made)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenResult:
    """One run of a case, or one acceptance. Times are UTC; nothing here is of a patient."""

    at: datetime
    case: str
    template: str
    outcome: GoldenOutcome
    job: str = ""  # of the golden ledger; "" if no job has brought it
    catalogue_digest: str = ""
    since: datetime | None = None  # of the contours that it was compared with
    structures: tuple[StructureComparison, ...] = ()  # those that differ: A before, B now
    note: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {
            "at": self.at.isoformat(),
            "since": self.since and self.since.isoformat(),
            "outcome": str(self.outcome),
            "structures": [one.as_plain() for one in self.structures],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a result from what `as_plain` returned; raise ValueError if it is none."""
        try:
            facts = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
            since = facts.get("since")
            facts |= {
                "at": datetime.fromisoformat(plain["at"]),
                "since": since and datetime.fromisoformat(since),
                "outcome": GoldenOutcome(plain["outcome"]),
                "structures": tuple(
                    map(StructureComparison.from_plain, plain.get("structures", ()))
                ),
            }
            made = cls(**facts)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not the result of a golden case: {err}") from None
        check_types(made)
        return made


def last_results(results: Iterable[GoldenResult]) -> dict[str, GoldenResult]:
    """Return the last result of each case; results in order of time."""
    return {one.case: one for one in results}


def last_runs(results: Iterable[GoldenResult]) -> dict[str, GoldenResult]:
    """Return the last result of each case that a job of its own has brought."""
    return last_results(one for one in results if one.job)


def changed_templates(results: Iterable[GoldenResult]) -> dict[str, GoldenResult]:
    """Return the templates with a change that nobody has accepted, each with its last result.

    A run that failed says nothing about the contours; one that returns the reference again ends
    the change.
    """
    known = (one for one in results if one.outcome is not GoldenOutcome.FAILED)
    last = last_results(known).values()
    return {one.template: one for one in last if one.outcome in _PENDING}


def why_due(
    last: GoldenResult | None, *, catalogue_digest: str, now: datetime, every: timedelta
) -> str:
    """Return why a case is to be sent now; "" if it is not.

    Parameters
    ----------
    last
        The last run of the case.
    catalogue_digest
        Of the server's present entries of its models; "" if it is unknown.
    now, every
        The time, and how long a result holds.
    """
    if last is None:
        return "never sent by drawcli qa golden"
    if catalogue_digest and catalogue_digest != last.catalogue_digest:
        return "the catalogue entry of a model has changed"
    age = abs(now - last.at)  # of a time to come if the clock was wrong then
    if last.outcome is GoldenOutcome.FAILED and age >= _AFTER_FAILURE:
        return "the last run failed"
    return f"last sent {last.at:%Y-%m-%d}" if age >= every else ""


def differing(structures: Iterable[StructureComparison]) -> tuple[StructureComparison, ...]:
    """Return the structures whose contours are not the same."""
    return tuple(one for one in structures if one.outcome not in _SAME)
