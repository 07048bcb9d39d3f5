"""A simulated process of drawcli: the rules of `core.jobs.leases`, and three steps.

Calls of drawcli to the database and the server are `yield` here, in the order of the adapter and of
the steps `upload`, `reidentify` and `confirm`.
"""

from contextlib import suppress
from typing import Any, Self

from drawcli.core.jobs.leases import HeldLeases, Lease
from tests.leases.rows import Holder, Write
from tests.leases.world import LEASE, PROCESSES, Away, Record, Thread, Version, World


class LeaseGone(Exception):
    """A write was refused."""


class Process:
    """One run of drawcli on a host, with a thread that renews its leases."""

    books: type[HeldLeases] = HeldLeases

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, host = world, number, PROCESSES[number]
        free = [pid for pid in (1, 2, 3) if not self.is_running(host, pid)]  # ids are used again
        self.holder = Holder(host, world.dice.choice(free), "boot")
        self.held = self.books(LEASE)
        dice = world.dice
        self.rate, self.offset = dice.uniform(0.99, 1.01), dice.uniform(0, 1e6)
        self.is_alive, self.is_fresh = True, False
        self.suspended_until, self.disturbed, self.lossy_until = 0.0, world.now, 0.0
        self.threads = (self.main(), self.renewals())

    @classmethod
    def start(cls, world: World, number: int) -> Self:
        return cls(world, number)

    def __str__(self) -> str:
        return f"{self.holder.host}/{self.holder.pid}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def clock(self) -> float:
        """Return the monotonic clock of the process."""
        return self.world.now * self.rate + self.offset

    def may_begin(self, job_id: str) -> bool:
        return self.held.is_safe(job_id, self.clock())

    def asked_at(self, before: float) -> float:
        """Return from when a lease counts: before the request."""
        return before

    # --- threads

    def main(self) -> Thread:
        with suppress(Away):
            yield from self.release_dead()
        while True:
            try:
                listed = yield from self.rows("due")
                self.world.dice.shuffle(listed)
                for version in listed:
                    yield from self.advance(version)
            except Away:
                pass
            yield ("sleep", self.world.dice.uniform(0.1, 0.5) * LEASE)

    def renewals(self) -> Thread:
        while True:
            yield ("sleep", self.held.between_renewals / self.rate)
            if leases := self.held.to_renew():
                asked = self.clock()
                try:
                    kept = yield from self.rows("renew", fences_of(leases))
                except Away:
                    continue
                self.held.extended(leases, kept, self.asked_at(asked))

    def release_dead(self) -> Thread:
        found = yield from self.rows("of_host")
        dead = [(job_id, fence) for job_id, fence, pid in found if self.is_dead(pid)]
        if dead:
            yield from self.rows("release", dead)

    def is_dead(self, pid: int) -> bool:
        return not self.is_running(self.holder.host, pid)

    def is_running(self, host: str, pid: int) -> bool:
        """Return whether a host has a process of this id."""
        there = (one for one in self.world.processes.values() if one.is_alive)
        return any((one.holder.host, one.holder.pid) == (host, pid) for one in there)

    def rows(self, *asked: Any) -> Thread:
        """Ask once more after a connection broke, as `Database.rows` does."""
        try:
            return (yield ("ask", *asked))
        except Away:
            return (yield ("ask", *asked))

    # --- one job

    def advance(self, listed: Version) -> Thread:
        """Do as `runner.advance` and `Leases.claim` do."""
        job_id, asked = listed.job_id, self.clock()
        fence = yield from self.rows("claim", job_id)
        if fence is None:
            return
        lease = self.held.granted(job_id, fence, self.asked_at(asked))
        away: Away | None = None
        try:
            fresh = yield from self.fresh(listed)
            if fresh.revision == listed.revision:
                yield from self.step(fresh, fence)
        except LeaseGone:
            pass
        except Away as err:
            away = err
        if self.held.held.get(job_id) is lease:
            self.held.given_up(lease)
            with suppress(Away):
                yield from self.rows("release", [(job_id, fence)])
        if away is not None:
            raise away

    def fresh(self, listed: Version) -> Thread:
        """Read the job under its claim."""
        return (yield from self.rows("get", listed.job_id))

    def step(self, version: Version, fence: int) -> Thread:
        record = version.record
        if record.state == "packaged":
            yield from self.upload(version, fence)
        elif record.state == "uploaded":
            yield from self.do(version, fence, "deliver", record._replace(state="delivered"))
        elif record.state == "delivered":
            yield from self.do(version, fence, "confirm", record._replace(state="done"))

    def upload(self, version: Version, fence: int) -> Thread:
        before = version.record
        begun = before._replace(posts=before.posts + 1, unanswered=before.unanswered + 1)
        recorded = yield from self.commit(version, begun)
        if not self.may_begin(version.job_id):
            yield from self.commit(recorded, before, last=True)  # the attempt is not counted
            return
        outcome = yield from self.outside("upload", recorded, fence)
        if outcome is None:
            yield from self.commit(recorded, recorded.record, last=True)
            return
        facts = {"state": "uploaded", "task": outcome[0], "unanswered": before.unanswered}
        yield from self.commit(recorded, recorded.record._replace(**facts), last=True)

    def do(self, version: Version, fence: int, what: str, after: Record) -> Thread:
        if self.may_begin(version.job_id):
            outcome = yield from self.outside(what, version, fence)
            if outcome is not None:
                yield from self.commit(version, after, last=True)

    def outside(self, what: str, version: Version, fence: int) -> Thread:
        if self.world.weather.gap:
            yield ("sleep", 0.001)
        return (yield ("outside", what, version, fence))

    def commit(self, base: Version, record: Record, *, last: bool = False) -> Thread:
        """Do as `DatabaseLedger.commit` does."""
        job_id, asked = base.job_id, self.clock()
        fence = self.held.fence_of(job_id)
        write = Write(job_id, fence, base.revision, record, last)
        try:
            is_stored = yield ("ask", "write", base, write)
        except Away:  # it may have been done
            is_stored = yield ("ask", "write", base, write)
            if not is_stored:
                is_stored = yield from self.rows("is_stored", write)
        if not is_stored:
            raise LeaseGone
        lease = self.held.held.get(job_id)
        if lease is not None and last:
            self.held.given_up(lease)
        elif lease is not None:
            self.held.extended([lease], {job_id}, self.asked_at(asked))
        return Version(job_id, base.revision + 1, record)


def fences_of(leases: list[Lease]) -> list[tuple[str, int]]:
    return [(lease.job_id, lease.fence) for lease in leases]


def facts_of(world: World) -> dict[str, Any]:
    """Return what a schedule has seen, for counts over many."""
    told = [what for _, _, what, _ in world.events]
    return {
        "killed": told.count("is killed"),
        "suspended": sum(what.startswith("is suspended") for what in told),
        "unanswered": sum(what.startswith("gets no answer") for what in told),
        "taken over": sum(row.fence for row in world.rows.rows.values()),
        "uploads": sum(map(len, world.tasks.values())),
    }
