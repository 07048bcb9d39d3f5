"""Waiting times of jobs after failures, and the limits after which they are held."""

from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

from drawcli.core.jobs.job import Job, State
from drawcli.errors import AWAY, NeedsPerson, ServerUnavailable, TryLater
from drawcli.system.printable import counted

GIVE_UP_AFTER: Final = 12  # failures of one step not caused by the server
LONGEST_WAIT: Final = timedelta(hours=6)
_SHORT_WAIT: Final = timedelta(minutes=15)  # notices soon that a server or share is back
_JITTER: Final = 0.25  # fraction of a wait; spreads the retries of jobs that failed together
_LEAST_TRIES: Final = 3  # before the deadline of the server holds a job
_SERVERS_PART: Final = frozenset({State.UPLOADED, State.SEGMENTED, State.DELIVERED})


def backoff(tries: int) -> timedelta:
    """Return the wait after a failure with `tries` failures before it.

    >>> [str(backoff(n)) for n in (0, 1, 2, 12)]
    ['0:01:00', '0:02:00', '0:04:00', '6:00:00']
    """
    return min(timedelta(minutes=2 ** min(tries, 20)), LONGEST_WAIT)


def wait_after(err: TryLater, tries: int, job_id: str) -> timedelta:
    """Return how long a job waits: the time that the server asked for, or our back-off.

    The back-off is reduced by up to a quarter, by a fixed fraction per job and try.
    """
    if err.wait_seconds is not None:
        return min(timedelta(seconds=err.wait_seconds), LONGEST_WAIT)
    wait = min(backoff(tries), _SHORT_WAIT) if is_blameless(err) else backoff(tries)
    share = crc32(f"{job_id} {tries}".encode()) / (1 << 32)
    return wait * (1 - _JITTER * share)


def is_blameless(err: TryLater) -> bool:
    """Return whether a resource is unreachable, so that the job did not cause the error."""
    return isinstance(err, ServerUnavailable) or err.code in AWAY


def failed_too_long(
    job: Job, err: TryLater, tries: int, *, now: datetime, deadline: timedelta
) -> NeedsPerson | None:
    """Return the error that holds a job after a failure, or None if it is to be retried.

    A server that keeps answering with errors has until the deadline. An unreachable server is
    waited for; every run reports it.
    """
    if not is_blameless(err):
        if tries + 1 < GIVE_UP_AFTER:
            return None
        text = f"gave up after {GIVE_UP_AFTER} tries: {err}"
        again = f"'drawcli retry {job.id}' tries again; the log has each failure."
        return NeedsPerson(text, code=err.code, hint=err.hint or again)
    since = job.since if job.uploaded_at is None else max(job.since, job.uploaded_at)
    if job.state not in _SERVERS_PART or now - since <= deadline or tries + 1 < _LEAST_TRIES:
        return None
    hours = deadline / timedelta(hours=1)
    return NeedsPerson(
        f"no result from the server within {counted(hours, 'hour')}; the last answer: {err}",
        code="deadline",
        hint=f"Ask the DRAW administrator. 'drawcli retry {job.id}' goes on asking.",
    )
