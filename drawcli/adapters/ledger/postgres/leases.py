"""The claims of this process: renewed by a thread, and released after the process has ended."""

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawcli.adapters.ledger.postgres.claims import ClaimTable, LeaseHolder
from drawcli.adapters.ledger.postgres.hosts import note_host
from drawcli.core.jobs.leases import HeldLeases, Lease
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import DrawcliError
from drawcli.system.platforms import is_alive

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_log = logging.getLogger(__name__)


def steady_seconds() -> float:
    """Return the time of a clock that is never set and that runs while the machine sleeps, s."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass
class Leases:
    """The claims of this process, renewed by a thread with a connection of its own."""

    table: ClaimTable
    held: HeldLeases
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _renewing: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, database: "Database", site: str, holder: LeaseHolder, seconds: float) -> "Leases":
        """Return the claims of a process, none yet; `seconds` is the length of a lease."""
        return cls(ClaimTable(database, site, holder, seconds), HeldLeases(seconds))

    @property
    def holder(self) -> LeaseHolder:
        """The process, as the database names it."""
        return self.table.holder

    @property
    def seconds(self) -> float:
        """The length of a lease, s."""
        return self.table.seconds

    def claim(self, job_id: str) -> Lease | None:
        """Claim a job; None if it is not in the ledger yet.

        Raises
        ------
        Busy
            If another host, or another process, has claimed it.
        """
        asked = steady_seconds()
        fence = self.table.claim(job_id)
        if fence is None:
            if self.table.exists(job_id):
                raise Busy
            return None
        with self._lock:
            lease = self.held.granted(job_id, fence, asked)
        self._start()
        return lease

    def release(self, lease: Lease) -> None:
        """Release a job; if the database does not answer, the lease ends by itself."""
        with self._lock:
            is_ours = self.held.held.get(lease.job_id) is lease
            self.held.given_up(lease)
        if is_ours:
            with suppress(DrawcliError):
                self.table.release([(lease.job_id, lease.fence)])

    def release_dead(self) -> int:
        """Release the jobs of ended processes of this host; return their number.

        A process has ended if the system has no process with its id. This is known only of
        processes since the same start of the machine, and in the same container. The leases of
        others end by themselves.
        """
        if not self.table.holder.boot:
            return 0
        dead = [(id_, fence) for id_, fence, pid in self.table.of_this_host() if not is_alive(pid)]
        if dead:
            self.table.release(dead)
        return len(dead)

    def fence_of(self, job_id: str) -> int | None:
        """Return the fence of a job that is claimed; None if it is not."""
        with self._lock:
            return self.held.fence_of(job_id)

    def written(self, job_id: str, asked: float, *, last: bool) -> None:
        """Note that a job was written, which extends the lease, or as the `last` releases it."""
        with self._lock:
            lease = self.held.held.get(job_id)
            if lease is not None and last:
                self.held.given_up(lease)
            elif lease is not None:
                self.held.extended([lease], {job_id}, asked)

    def is_safe(self, job_id: str) -> bool:
        """Return whether a transfer may begin for a job now: its lease has not ended."""
        with self._lock:
            return self.held.is_safe(job_id, steady_seconds())

    def is_lost(self, job_id: str) -> bool:
        """Return whether a claim of this process is no longer the latest, by the database."""
        fence = self.fence_of(job_id)
        return fence is not None and not self.table.is_latest(job_id, fence)

    def renew(self, database: "Database | None" = None) -> None:
        """Extend all leases in one statement; note and log those that are lost."""
        with self._lock:
            leases = self.held.to_renew()
        if not leases:
            return
        asked = steady_seconds()
        kept = self.table.renew([(one.job_id, one.fence) for one in leases], database)
        with self._lock:
            lost = self.held.extended(leases, kept, asked)
        for lease in lost:
            _log.warning("job=%s the lease ended, and another process has the job", lease.job_id)

    def _start(self) -> None:
        if self._renewing is None or not self._renewing.is_alive():
            self._renewing = threading.Thread(target=self._renew_often, name="leases", daemon=True)
            self._renewing.start()

    def _renew_often(self) -> None:
        with self.table.database.another() as own:
            while not self._stop.wait(self.held.between_renewals):
                with suppress(DrawcliError):  # a lease ends if the database stays away
                    self.renew(own)
                    note_host(own, self.table.site, self.holder)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.join(timeout=5)
