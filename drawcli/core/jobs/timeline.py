"""The story of one job: what happened when, how long it took, at which try."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from drawcli.core.jobs.job import Event, EventKind, Job, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened to a job."""

    at: datetime
    what: str  # a state that was reached, or `held: code`, `failed: code`, `released` ...
    after: timedelta | None  # since what happened before; None for the first
    attempt: int  # how many-th failure in a row it was; 0: none
    why: str  # one sentence, where there is one

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "at": self.at.isoformat(),
            "what": self.what,
            "seconds_after": None if self.after is None else round(self.after.total_seconds(), 3),
            "attempt": self.attempt or None,
            "why": self.why or None,
        }


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a job stood in a state before it came to the next."""

    state: State
    following: State
    begun: datetime
    ended: datetime

    @property
    def span(self) -> timedelta:
        """How long; not below zero, whatever clocks did."""
        return max(self.ended - self.begun, timedelta())


def moments(job: Job) -> Iterator[Moment]:
    """Yield what happened to a job, the first first."""
    before: Event | None = None
    failures = 0
    for event in job.events:
        failures = failures + 1 if event.kind is EventKind.FAILED else 0
        yield Moment(
            at=event.at,
            what=event.what,
            after=None if before is None else event.at - before.at,
            attempt=failures,
            why=event.why,
        )
        before = event


def stays(job: Job) -> Iterator[Stay]:
    """Yield how long a job stood in each state that it has left."""
    events = [event for event in job.events if event.kind is EventKind.REACHED]
    reached = [(State(event.code), event.at) for event in events]
    for (state, begun), (following, ended) in pairwise(reached):
        yield Stay(state, following, begun, ended)
