"""What a job waits for, and the command that resumes it."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from drawcli.core.jobs.job import FINISHED, EventKind, Job, State
from drawcli.errors import FIRST_RUN, MODEL_CHANGED
from drawcli.system.durations import duration

_WAITS_FOR: Final = {
    State.WAITING: "the series to be complete",
    State.FOUND: "the next run: match",
    State.UNMATCHED: "a rule that matches it",
    State.AMBIGUOUS: "rules that agree on a template",
    State.EXCLUDED: "nothing: excluded by a rule",
    State.MATCHED: "the next run: deidentify",
    State.PACKAGED: "the next run: upload",
    State.UPLOADED: "the server's contours",
    State.SEGMENTED: "the next run: fetch",
    State.FETCHED: "the next run: reidentify",
    State.DELIVERED: "the confirmation to the server",
    State.DONE: "nothing",
    State.CANCELLED: "nothing: cancelled",
}
_TAKEN_UP: Final = {
    State.WAITING: "cancel JOB",  # the next scan resumes it once the cause is fixed
    State.UPLOADED: "retry JOB",
    State.SEGMENTED: "retry JOB",
}
_ASKS_TO_CHOOSE: Final = frozenset(
    {"changed-after-upload", "privacy-gate", FIRST_RUN, MODEL_CHANGED}
)


def waits_for(job: Job, now: datetime) -> str:
    """Return what a job waits for, with the reason where there is one."""
    if job.held:
        return f"a user: {job.reason}"
    what = "its files to be readable" if job.of_folder else _WAITS_FOR[job.state]
    if job.state is State.WAITING and job.let_pass and not job.of_folder:
        what = "the next run: scan"
    if job.due_at is not None and job.due_at > now:
        what = f"another try in {duration(job.due_at - now)}"
        if job.state is State.UPLOADED:
            what = f"the server's contours, next poll in {duration(job.due_at - now)}"
    if job.reason and job.state is State.WAITING and not job.of_folder:
        return job.reason
    return f"{what}: {job.reason}" if job.reason else what


def open_groups(jobs: Iterable[Job], now: datetime) -> list[tuple[int, str]]:
    """Return how many jobs are not finished, and what they wait for, by state and reason.

    A text of several jobs is that of the first. Series that a rule excludes wait for nothing.
    """
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        if job.held:
            groups.setdefault((), []).append(job)
        elif job.state not in FINISHED | {State.EXCLUDED}:
            groups.setdefault((list(State).index(job.state), job.reason_code or ""), []).append(job)
    return [(len(groups[key]), _group_text(groups[key][0], now)) for key in sorted(groups)]


def _group_text(job: Job, now: datetime) -> str:
    if job.held:
        return "held: 'drawcli quarantine' shows why, and what to do"
    if job.state is State.UNMATCHED:
        return "unmatched: 'drawcli status --unmatched' shows the nearest rules"
    return f"{job.state}: {waits_for(job, now)}"


def way_out(job: Job) -> str:
    """Return the command that resumes a job that waits for a user; "" if none is needed."""
    words = _command(job)
    return f"drawcli {words.replace('JOB', job.id)}" if words else ""


def _command(job: Job) -> str:
    if (job.reason_code or "").startswith("vault-"):
        return "vault rebuild JOB"
    if job.state in (State.UNMATCHED, State.AMBIGUOUS):
        return "assign JOB TEMPLATE"
    if not job.held:
        return ""
    if job.of_folder:
        return "show JOB --identify"
    if job.reason_code in _ASKS_TO_CHOOSE:
        return "show JOB"
    named = re.search(rf"'drawcli ([a-z ]+ {job.id}[^']*)'", job.hint or "")
    return named[1] if named is not None else _TAKEN_UP.get(job.state, "release JOB")


def held_since(job: Job) -> datetime:
    """Return when a held job was held."""
    times = (event.at for event in reversed(job.events) if event.kind is EventKind.HELD)
    return next(times, job.since)


def delivered_at(job: Job) -> datetime | None:
    """Return when the structure set of a job was last delivered."""
    came = (event.at for event in reversed(job.events) if event.reached(State.DELIVERED))
    return next(came, job.since if job.state in (State.DELIVERED, State.DONE) else None)


def last_touched(job: Job) -> datetime:
    """Return the time of the last event of a job."""
    return max([job.since, *(event.at for event in job.events[-1:])])
