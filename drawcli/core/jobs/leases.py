"""Claims of jobs with a lease: the rules for their holder.

The database enforces the other half, each rule in one statement and by its own clock:

- claim: only if no lease is valid. The fence is counted up, the lease ends after `seconds`.
- renew: only with the fence of the latest claim, and only if the job was not released.
- release: only with the fence of the latest claim.
- write: only with that fence, the revision that was read, and if the job was not released. A write
  also renews the lease.

So a late holder cannot change the database. A fence cannot stop transfers (upload, delivery,
confirmation). The holder therefore computes the end of each lease with a monotonic clock of its
own, counted from before the request, and begins no transfer after it. The two clocks may drift
apart, and that of the database may step, by less than `MARGIN` of a lease in the time of a lease.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

RENEWALS: Final = 3  # in the time of a lease
MARGIN: Final = 0.1  # of a lease


@dataclass
class Lease:
    """A claimed job."""

    job_id: str
    fence: int
    safe_until: float  # s, by the clock of the holder
    is_lost: bool = False  # another process has claimed the job


@dataclass
class HeldLeases:
    """The leases of one process, by job."""

    seconds: float  # of a lease
    held: dict[str, Lease] = field(default_factory=dict)

    @property
    def between_renewals(self) -> float:
        """The time from one renewal of all leases to the next, s."""
        return self.seconds / RENEWALS

    def safe_until(self, asked: float) -> float:
        """Return until when a lease is safe that was requested at `asked`, s of the same clock."""
        return asked + self.seconds * (1 - MARGIN)

    def granted(self, job_id: str, fence: int, asked: float) -> Lease:
        """Note a claim that the database has granted; `asked` is from before the request, s."""
        lease = self.held[job_id] = Lease(job_id, fence, self.safe_until(asked))
        return lease

    def extended(self, leases: Iterable[Lease], kept: set[str], asked: float) -> list[Lease]:
        """Note the answer to a renewal of leases: the jobs that are still claimed.

        Returns
        -------
        list
            The leases that are lost. One that was released meanwhile is not lost.
        """
        lost = []
        for lease in leases:
            if lease.job_id in kept:
                lease.safe_until = max(lease.safe_until, self.safe_until(asked))
            elif self.held.get(lease.job_id) is lease and not lease.is_lost:
                lease.is_lost = True
                lost.append(lease)
        return lost

    def given_up(self, lease: Lease) -> None:
        """Forget a claim before it is released in the database."""
        if self.held.get(lease.job_id) is lease:
            del self.held[lease.job_id]

    def to_renew(self) -> list[Lease]:
        """Return the leases to renew."""
        return [lease for lease in self.held.values() if not lease.is_lost]

    def fence_of(self, job_id: str) -> int | None:
        """Return the fence to write a job with; None if it is not claimed."""
        lease = self.held.get(job_id)
        return None if lease is None else lease.fence

    def is_safe(self, job_id: str, now: float) -> bool:
        """Return whether a transfer may begin for a job at `now`, s of the holder's clock."""
        lease = self.held.get(job_id)
        return lease is not None and not lease.is_lost and now < lease.safe_until
