"""The rules of claims in SQL, each one statement and by the clock of the database.

`core.jobs.leases` defines them; `tests/leases` compares them with a model.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.ledger.postgres.failures import TryAgain

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES: Final = Path("/proc/self/ns/pid")

_TAKEN: Final = """fence = job.fence + 1, lease_host = %s, lease_pid = %s, lease_boot = %s,
  lease_until = drawcli.clock() + make_interval(secs => %s)"""
_FREE: Final = "(lease_until IS NULL OR lease_until <= drawcli.clock())"
_CLAIM: Final = f"""
UPDATE drawcli.job SET {_TAKEN} WHERE (site, id) = (
  SELECT site, id FROM drawcli.job WHERE site = %s AND id = %s AND {_FREE}
  FOR UPDATE SKIP LOCKED)
RETURNING fence
"""
_CLAIM_OWN: Final = _CLAIM.replace(  # the first attempt may still have the lock of the row
    _FREE, f"({_FREE} OR (lease_host, lease_pid, lease_boot) = (%s, %s, %s))"
).replace(" SKIP LOCKED", "")
_HELD: Final = """
FROM unnest(%s::text[], %s::bigint[]) AS ours(id, fence)
WHERE job.site = %s AND job.id = ours.id AND job.fence = ours.fence
"""
_RENEW: Final = f"""
UPDATE drawcli.job AS job SET lease_until = drawcli.clock() + make_interval(secs => %s)
{_HELD} AND job.lease_until IS NOT NULL RETURNING job.id
"""
_RELEASE: Final = f"UPDATE drawcli.job AS job SET lease_until = NULL {_HELD}"
_OF_HOST: Final = """
SELECT id, fence, lease_pid FROM drawcli.job
WHERE site = %s AND month IS NULL AND lease_host = %s AND lease_boot = %s
  AND lease_until > drawcli.clock()
"""


class LeaseHolder(NamedTuple):
    """Who claims jobs."""

    host: str
    pid: int
    boot: str

    @classmethod
    def present(cls, host: str) -> "LeaseHolder":
        """Return this process, on a host of a given name."""
        return cls(host, os.getpid(), boot_id())


def boot_id() -> str:
    """Return an id that only processes share that see each other's pids; "" if unknown.

    It is another one after a start of the machine, and in each container.
    """
    try:
        return f"{_BOOT.read_text('ascii').strip()} {_PROCESSES.readlink()}"
    except OSError:
        return ""


@dataclass
class ClaimTable:
    """The columns of the leases in the table of the jobs."""

    database: "Database"
    site: str
    holder: LeaseHolder
    seconds: float  # of a lease

    def claim(self, job_id: str) -> int | None:
        """Claim a job; return its fence, or None if another has claimed it or there is none."""
        values = (*self.holder, self.seconds, self.site, job_id)
        try:
            claimed = self.database.rows_once(_CLAIM, *values)
        except TryAgain:  # it may have been granted; no other thread claims a job of a file lock
            claimed = self.database.rows(_CLAIM_OWN, *values, *self.holder)
        return claimed[0][0] if claimed else None

    def exists(self, job_id: str) -> bool:
        """Return whether there is a job of this id."""
        there = "SELECT 1 FROM drawcli.job WHERE site = %s AND id = %s"
        return bool(self.database.rows(there, self.site, job_id))

    def is_latest(self, job_id: str, fence: int) -> bool:
        """Return whether a fence is that of the latest claim, and the job was not released."""
        query = (
            "SELECT 1 FROM drawcli.job WHERE site = %s AND id = %s AND fence = %s "
            "AND lease_until IS NOT NULL"
        )
        return bool(self.database.rows(query, self.site, job_id, fence))

    def renew(
        self, fences: Sequence[tuple[str, int]], database: "Database | None" = None
    ) -> set[str]:
        """Extend leases by job and fence, by another connection; return the jobs still claimed."""
        ids, counts = [job_id for job_id, _ in fences], [fence for _, fence in fences]
        rows = (database or self.database).rows(_RENEW, self.seconds, ids, counts, self.site)
        return {job_id for (job_id,) in rows}

    def release(self, fences: Sequence[tuple[str, int]]) -> None:
        """Give jobs back, by job and fence."""
        ids, counts = [job_id for job_id, _ in fences], [fence for _, fence in fences]
        self.database.rows(_RELEASE, ids, counts, self.site)

    def of_this_host(self) -> list[tuple[str, int, int]]:
        """Return the jobs with a valid lease of this host since its start: id, fence and pid."""
        rows = self.database.rows(_OF_HOST, self.site, self.holder.host, self.holder.boot)
        return [(job_id, fence, pid) for job_id, fence, pid in rows]
