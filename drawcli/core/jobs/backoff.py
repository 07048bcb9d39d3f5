"""How long a job waits after a failure, and when that has gone on for too long."""

from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

from drawcli.core.jobs.job import Job, State
from drawcli.errors import AWAY, NeedsPerson, ServerUnavailable, TryLater

GIVE_UP_AFTER: Final = 12  # failed tries of one step that the server is not to blame for
LONGEST_WAIT: Final = timedelta(hours=6)
_SHORT_WAIT: Final = timedelta(minutes=15)  # a server or share that comes back is soon noticed
_JITTER: Final = 0.25  # of a wait: jobs that failed together are not tried again together
_LEAST_TRIES: Final = 3  # before a job is held for which the server does not do its part
_SERVERS_PART: Final = frozenset({State.UPLOADED, State.SEGMENTED, State.DELIVERED})


def backoff(tries: int) -> timedelta:
    """Return how long to wait after `tries` failures before this one.

    >>> [str(backoff(n)) for n in (0, 1, 2, 12)]
    ['0:01:00', '0:02:00', '0:04:00', '6:00:00']
    """
    return min(timedelta(minutes=2 ** min(tries, 20)), LONGEST_WAIT)


def wait_after(err: TryLater, tries: int, job_id: str) -> timedelta:
    """Return how long a job waits: as long as the server asks for, or by our own back-off.

    Ours is up to a quarter shorter, by an amount that is each job's own and the same each time.
    """
    if err.wait_seconds is not None:
        return min(timedelta(seconds=err.wait_seconds), LONGEST_WAIT)
    wait = min(backoff(tries), _SHORT_WAIT) if is_blameless(err) else backoff(tries)
    share = crc32(f"{job_id} {tries}".encode()) / (1 << 32)
    return wait * (1 - _JITTER * share)


def is_blameless(err: TryLater) -> bool:
    """Tell whether something is out of reach, and the job itself is not to blame."""
    return isinstance(err, ServerUnavailable) or err.code in AWAY


def failed_too_long(
    job: Job, err: TryLater, tries: int, *, now: datetime, deadline: timedelta
) -> NeedsPerson | None:
    """Return why a person is asked after a failure; None where the job goes on trying.

    A server that answers, and does not do its part, is given as long as one that is at work. One
    that cannot be reached is waited for: every run says so.
    """
    if not is_blameless(err):
        if tries + 1 < GIVE_UP_AFTER:
            return None
        text = f"gave up after {GIVE_UP_AFTER} tries: {err}"
        return NeedsPerson(text, code=err.code, hint=err.hint)
    since = job.since if job.uploaded_at is None else max(job.since, job.uploaded_at)
    if job.state not in _SERVERS_PART or now - since <= deadline or tries + 1 < _LEAST_TRIES:
        return None
    hours = deadline / timedelta(hours=1)
    return NeedsPerson(
        f"the server has not done its part within {hours:g} hours; the last answer: {err}",
        code="deadline",
        hint=f"Ask the server's administrator; 'drawcli release {job.id}' goes on asking.",
    )
