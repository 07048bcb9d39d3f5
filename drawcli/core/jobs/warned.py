"""Jobs that were delivered with warnings, until a user has seen these."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.errors import UsageError

WARNING: Final = "warning: "  # the beginning of a note
CHECKS: Final = f"{WARNING}acceptance checks"  # a note; the findings are its sentence
SEEN: Final = "warnings seen"  # a note, signed by the user
_DELIVERED: Final = frozenset({State.DELIVERED, State.DONE})


def with_findings(job: Job, at: datetime, texts: Iterable[str]) -> Job:
    """Return a job with the warnings of the acceptance checks in its history, if there are any."""
    said = "; ".join(texts)
    known = any((event.code, event.why) == (CHECKS, said) for event in job.events)
    return job.noted(at, CHECKS, said) if said and not known else job


def unseen_warnings(job: Job) -> list[str]:
    """Return the warnings about a delivered job that nobody has marked as seen."""
    found: list[str] = []
    for event in job.events if job.state in _DELIVERED else ():
        if event.kind is EventKind.NOTED and event.code == SEEN:
            found.clear()
        elif event.kind is EventKind.NOTED and event.code.startswith(WARNING):
            found.append(event.why or event.code.removeprefix(WARNING))
    return found


def seen(job: Job, *, at: datetime) -> Job:
    """Return a job with its warnings marked as seen; UsageError if it has none."""
    if not unseen_warnings(job):
        raise UsageError(
            f"job {job.id} has no warnings to mark as seen",
            hint="'drawcli status --state warnings' lists the deliveries with warnings.",
        )
    return job.noted(at, SEEN)
