"""Faults of the protocol; the simulation finds each of them, or it would prove nothing."""

from typing import Any

from drawcli.core.jobs.leases import HeldLeases, Lease
from tests.leases.hosts import LeaseGone, Process
from tests.leases.rows import Fences, Holder, Row, Rows, Write
from tests.leases.world import Away, Record, Thread, Version, World

MINUTES = 60.0


class WritesWithoutFence(Rows):
    def write(self, asked: Write, now: float) -> bool:
        row = self.rows[asked.job_id]
        if row.revision != asked.revision:
            return False
        self.store(row, asked, now)
        return True


class WritesAfterRelease(Rows):
    def write(self, asked: Write, now: float) -> bool:
        row = self.rows[asked.job_id]
        if row.revision != asked.revision or row.fence != asked.fence:
            return False
        self.store(row, asked, now)
        return True


class WritesWithoutRevision(Rows):
    def write(self, asked: Write, now: float) -> bool:
        row = self.rows[asked.job_id]
        if row.fence != asked.fence or row.until is None:
            return False
        self.store(row, asked, now)
        return True


class ReleasesWithoutFence(Rows):
    def release(self, fences: Fences) -> None:
        for job_id, _ in fences:
            self.rows[job_id].until = None


class RenewsWhatWasReleased(Rows):
    def renew(self, fences: Fences, now: float) -> set[str]:
        kept = {job_id for job_id, fence in fences if self.rows[job_id].fence == fence}
        for job_id in kept:
            self.rows[job_id].until = now + self.seconds
        return kept


class CountsNoFence(Rows):
    def _taken(self, row: Row, holder: Holder, now: float) -> int:
        row.holder, row.until, row.fence = holder, now + self.seconds, 1
        return row.fence


class ByHostClock(World):
    def clock_for(self, process: Process) -> float:
        """Return the clock of a host, which is minutes off and is set now and then."""
        number = int(process.holder.host[-1])
        return self.clock() + (number - 1) * 2 * MINUTES


class ForgetsClaims(World):
    def _database_stops(self) -> None:
        super()._database_stops()
        for row in self.rows.rows.values():
            if row.until is not None:
                row.fence, row.until = row.fence - 1, None


class StaleRead(Process):
    """It goes on with what it read before it claimed the job."""

    def fresh(self, listed: Version) -> Thread:
        return listed
        yield


class CountsFromAnswer(Process):
    def asked_at(self, before: float) -> float:  # noqa: ARG002
        return self.clock()


class RenewedTooLate(HeldLeases):
    @property
    def between_renewals(self) -> float:
        return self.seconds * 1.2


class WithoutMargin(HeldLeases):
    def safe_until(self, asked: float) -> float:
        return asked + self.seconds


class KeepsLostLeases(HeldLeases):
    def extended(self, leases: Any, kept: set[str], asked: float) -> list[Lease]:  # noqa: ARG002
        return super().extended(leases, {lease.job_id for lease in leases}, asked)


class RenewsTooLate(Process):
    books = RenewedTooLate


class NoMargin(Process):
    books = WithoutMargin


class IgnoresLostLeases(Process):
    books = KeepsLostLeases


class BeginsAfterTheEnd(Process):
    def upload(self, version: Version, fence: int) -> Thread:
        before = version.record
        begun = before._replace(posts=before.posts + 1, unanswered=before.unanswered + 1)
        recorded = yield from self.commit(version, begun)
        outcome = yield from self.outside("upload", recorded, fence)
        if outcome is not None:
            facts = {"state": "uploaded", "task": outcome[0], "unanswered": before.unanswered}
            yield from self.commit(recorded, recorded.record._replace(**facts), last=True)

    def do(self, version: Version, fence: int, what: str, after: Record) -> Thread:
        outcome = yield from self.outside(what, version, fence)
        if outcome is not None:
            yield from self.commit(version, after, last=True)


class IgnoresLostAnswers(Process):
    """It takes a write without an answer for done."""

    def commit(self, base: Version, record: Record, *, last: bool = False) -> Thread:
        try:
            return (yield from super().commit(base, record, last=last))
        except Away:
            return Version(base.job_id, base.revision + 1, record)


class RecordsAfterUpload(Process):
    def upload(self, version: Version, fence: int) -> Thread:
        if not self.may_begin(version.job_id):
            raise LeaseGone
        outcome = yield from self.outside("upload", version, fence)
        if outcome is not None:
            after = version.record._replace(state="uploaded", task=outcome[0], posts=1)
            yield from self.commit(version, after, last=True)


class ForgetsUnanswered(Process):
    """It takes an upload back that was not answered."""

    def upload(self, version: Version, fence: int) -> Thread:
        before = version.record
        begun = before._replace(posts=before.posts + 1, unanswered=before.unanswered + 1)
        recorded = yield from self.commit(version, begun)
        if not self.may_begin(version.job_id):
            raise LeaseGone
        outcome = yield from self.outside("upload", recorded, fence)
        after = before
        if outcome is not None:
            facts = {"state": "uploaded", "task": outcome[0], "unanswered": before.unanswered}
            after = recorded.record._replace(**facts)
        yield from self.commit(recorded, after, last=True)


class TakesFromTheLiving(Process):
    """It takes every other process of its host for dead."""

    def is_dead(self, pid: int) -> bool:
        return pid != self.holder.pid


class NeverReleases(Process):
    """It renews leases of jobs that it has left."""

    def advance(self, listed: Version) -> Thread:
        fence = yield ("ask", "claim", listed.job_id)
        if fence is not None:
            self.held.granted(listed.job_id, fence, self.clock())
