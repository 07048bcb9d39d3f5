"""The timeline of one job: events, times, durations and attempts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from drawcli.core.jobs.job import Event, EventKind, Job, State


class Moment(NamedTuple):
    """One event of a job."""

    at: datetime
    what: str  # the state reached, or `held: code`, `failed: code`, `released` ...
    after: timedelta | None  # since the event before; None for the first
    attempt: int  # number of the failure in a row; 0: no failure
    why: str  # one sentence, where there is one
    by: str = ""  # the user who did it

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "at": self.at.isoformat(),
            "what": self.what,
            "seconds_after": None if self.after is None else round(self.after.total_seconds(), 3),
            "attempt": self.attempt or None,
            "why": self.why or None,
            "by": self.by or None,
        }


class Stay(NamedTuple):
    """The time that a job spent in a state before the next."""

    state: State
    following: State
    begun: datetime
    ended: datetime

    @property
    def span(self) -> timedelta:
        """The duration, at least zero even if the clock was set back."""
        return max(self.ended - self.begun, timedelta())


def moments(job: Job) -> Iterator[Moment]:
    """Yield the events of a job, oldest first."""
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
            by=event.by,
        )
        before = event


def stays(job: Job) -> Iterator[Stay]:
    """Yield the time that a job spent in each state that it has left."""
    events = [event for event in job.events if event.kind is EventKind.REACHED]
    reached = [(State(event.code), event.at) for event in events]
    for (state, begun), (following, ended) in pairwise(reached):
        yield Stay(state, following, begun, ended)
