"""Tasks of the workers: the next step of a job, and the queue that it waits in.

A task names a site, a step and a job. When it runs, the ledger decides whether the step is still
due; a task can be lost or run twice without harm.
"""

from typing import Final, NamedTuple

from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State

SCAN: Final = "scan"
TIDY: Final = "tidy"  # what a run does at its end
STEP_OF: Final[dict[State, str]] = {
    State.FOUND: "match",
    **dict.fromkeys(sorted(RULES_DECIDE), "match"),
    State.MATCHED: "deidentify",
    State.PACKAGED: "upload",
    State.UPLOADED: "poll",
    State.SEGMENTED: "fetch",
    State.FETCHED: "reidentify",
    State.DELIVERED: "poll",  # the confirmation to the server
    State.DONE: "poll",  # the confirmation of tasks that were replaced
    State.CANCELLED: "poll",
}
JOB_STEPS: Final = ("poll", "fetch", "reidentify", "match", "deidentify", "upload")
KINDS: Final = (SCAN, *JOB_STEPS, TIDY)  # kinds of work; each has a queue
LONG_STEPS: Final = frozenset({"deidentify", "upload"})  # of seconds to minutes
_FIRST: Final = 1_000_000  # added to the urgency of what comes before all new series
_HIGHEST: Final = 100_000  # of the priority of a job, as far as tasks take it into account
_LONGEST_HOST: Final = 28  # characters; PostgreSQL notifies of queues with at most 40


class QueueTask(NamedTuple):
    """A step of a job, or of the site if `job_id` is ""."""

    site: str
    step: str
    job_id: str = ""
    host: str = ""  # of a task that only this host can do

    @property
    def key(self) -> str:
        """The key of the task; no two waiting tasks have the same."""
        return f"{self.site}/{self.step}/{self.job_id or self.host}"

    @property
    def queue(self) -> str:
        """The queue of the task."""
        return queue_of(self.step, self.host)


def queue_of(step: str, host: str = "") -> str:
    """Return the queue of a kind of work, or that of one host for it.

    >>> queue_of("upload"), queue_of("upload", "ct-room-2")
    ('upload', 'upload@ct-room-2')
    """
    import hashlib

    if len(host) > _LONGEST_HOST:
        digest = hashlib.sha256(host.encode()).hexdigest()[:8]
        host = f"{host[: _LONGEST_HOST - 9]}-{digest}"
    return f"{step}@{host}" if host else step


def urgency(step: str, priority: int = 0) -> int:
    """Return how urgent a task is; of two waiting tasks, that with the larger number runs first.

    Results are delivered before new series are sent, as in a run; then the priority of the job
    counts. Tasks of the same urgency run in the order of their age.

    >>> urgency("fetch") > urgency("deidentify", 5) > urgency("deidentify", 4) == urgency("poll", 4)
    True
    """
    is_first = step in ("fetch", "reidentify", SCAN, TIDY)
    return is_first * _FIRST + max(-_HIGHEST, min(priority, _HIGHEST))


def step_for(job: Job) -> str | None:
    """Return the step that a job needs next; None if it needs none, or a scan."""
    if job.held or job.state is State.WAITING:
        return None
    if job.state in FINISHED and not job.replaced:
        return None
    return STEP_OF[job.state]


def states_of(step: str) -> list[State]:
    """Return the states in which jobs need a step."""
    return [state for state, one in STEP_OF.items() if one == step]
