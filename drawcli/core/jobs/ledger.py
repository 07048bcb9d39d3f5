"""The interface of a job ledger, whatever stores it: a file (the default) or a database."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from drawcli.core.jobs.job import Job, State
from drawcli.errors import LeaseLost


class Busy(Exception):
    """Another process works on the job."""


class ArchiveEntry(NamedTuple):
    """A job in the archive, with what a scan needs."""

    id: str
    month: str  # "2026-11", when it was finished
    state: State
    source_digest: str  # "" if the job has none

    @property
    def series_key(self) -> str:
        """The part of the id that identifies the series."""
        return self.id.partition("-")[0]

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the entry of a job."""
        return cls(job.id, f"{job.since:%Y-%m}", job.state, job.source_digest or "")


class Archive(Protocol):
    """The jobs that were finished some time ago."""

    def __len__(self) -> int:
        """Return the number of archived jobs."""
        ...

    def get(self, job_id: str) -> Job | None:
        """Return an archived job, or None."""
        ...

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return archived jobs by id."""
        ...

    def of_series(self, *series_keys: str) -> list[ArchiveEntry]:
        """Return the entries of the jobs of some series."""
        ...

    def entries(self) -> Iterator[ArchiveEntry]:
        """Yield the entry of every archived job."""
        ...

    def jobs(self, since: str = "") -> Iterator[Job]:
        """Yield every archived job from month `since` on ("2026-11")."""
        ...

    def of_month(self, month: str) -> Iterator[Job]:
        """Yield the archived jobs of one month."""
        ...

    def months(self) -> list[str]:
        """Return the months that have jobs."""
        ...

    def stamp_of(self, month: str) -> tuple[int, ...]:
        """Return what changes with each change of a month."""
        ...

    def reader(self) -> "Archive":
        """Return another one of the same jobs, for another thread."""
        ...


class LimitReached(Busy):
    """As many jobs as the site allows are in this step now."""


class SharedFacts(Protocol):
    """What the machines of a site share besides the jobs; all times are those of the database."""

    def state(self, name: str) -> str | None:
        """Return a fact about the whole site, such as its pause."""
        ...

    def set_state(self, name: str, value: str | None) -> None:
        """Set or remove (None) a fact about the whole site."""
        ...

    def set_wait(self, server: str, seconds: float, reason: str) -> None:
        """Stop uploads of all hosts of the site to a server for a time; a longer wait stays."""
        ...

    def wait_of(self, server: str) -> tuple[float, str] | None:
        """Return the remaining wait before uploads to a server, s, and its reason; None if none."""
        ...

    def workers_alive(self) -> int:
        """Return how many workers of the site have shown that they are alive within a lease."""
        ...

    def slot(self, step: str, job_id: str, limit: int) -> AbstractContextManager[None]:
        """Count a claimed job towards the limit of a step during a block.

        Raises
        ------
        LimitReached
            If so many others are in the step.
        """
        ...


class Ledger(Protocol):
    """Every job of a site, by id. Any number of processes may have it open."""

    @property
    def archive(self) -> Archive:
        """The jobs that were finished some time ago."""
        ...

    @property
    def shared(self) -> "SharedFacts | None":
        """What the machines of a site share besides the jobs; None if there is one machine."""
        ...

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes with each change of a job that is not archived."""
        ...

    def get(self, job_id: str) -> Job | None:
        """Return a job, archived or not; None if there is none of this id."""
        ...

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs that are not archived, optionally of some states, oldest state first."""
        ...

    def jobs_kept(self) -> list[Job]:
        """Return all of `jobs`; for frequent calls: jobs that have not changed are kept."""
        ...

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return jobs, archived or not, in the order of their ids."""
        ...

    def of_series(self, series_key: str) -> list[Job]:
        """Return all jobs of a series by number."""
        ...

    def all_jobs(self, since: str = "") -> Iterator[Job]:
        """Yield the jobs of `jobs`, then those of the archive from month `since` on ("2026-11")."""
        ...

    def has_jobs(self) -> bool:
        """Return whether there is any job, archived or not."""
        ...

    def keys_used(self) -> set[str]:
        """Return the ids of the site keys of open jobs; none if the ledger has that of the site."""
        ...

    def add(self, *jobs: Job) -> list[Job]:
        """Insert jobs; return those that are new. Durable on return."""
        ...

    def commit(self, job: Job, *, last: bool = False) -> Job:
        """Store a new version of a job; return it with its revision. Durable on return.

        An archived job moves back to the open ones. After the `last` version of a step the claim of
        the job is released.

        Raises
        ------
        LeaseLost
            If the claim has ended, and another machine has taken the job over.
        LedgerError
            If another process has changed the job since it was read.
        """
        ...

    def archive_finished(self, now: datetime) -> int:
        """Move jobs finished more than a day ago to the archive; return their number."""
        ...

    def keep_copy(self) -> None:
        """Keep a copy of the ledger, if it is a file."""
        ...

    def beat(self) -> None:
        """Record that this machine is active, for the other machines."""
        ...

    def claim(self, job_id: str) -> AbstractContextManager[None]:
        """Claim a job during a block, so that no other machine works on it.

        Raises
        ------
        Busy
            If another machine works on it.
        """
        ...

    def is_safe(self, job_id: str) -> bool:
        """Return whether a transfer may begin for a claimed job: its claim has not ended."""
        ...


def check_claim(ledger: Ledger, job_id: str) -> None:
    """Raise LeaseLost if no transfer may begin for a job because its claim has ended."""
    if not ledger.is_safe(job_id):
        raise LeaseLost.of(job_id)
