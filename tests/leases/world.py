"""A world of hosts, a database, a server and a folder, in one process and by a virtual clock.

Everything that happens is an event in a queue, in the order of its time. What goes wrong is drawn
from one random number generator, so a seed is a schedule. The simulation has the state of all hosts
and raises `Violation` when a rule is broken.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.leases.rows import Row, Rows, Write

if TYPE_CHECKING:
    from tests.leases.hosts import Process

LEASE = 6.0  # s
TROUBLE_ENDS = 12 * LEASE
EVERYTHING_ENDS = 40 * LEASE
PROCESSES = ("host0", "host0", "host1")  # the host of each; one that dies starts again
JOBS = 3
_LINES = 120  # of a schedule that are shown

Thread = Generator[Any, Any, Any]


class Violation(AssertionError):
    """A rule was broken; the text has the seed and the schedule."""


class Away(Exception):
    """The database has not answered: whether it has done what was asked is unknown."""


class Record(NamedTuple):
    """The record of a job in the ledger."""

    state: str = "packaged"
    posts: int = 0  # uploads recorded before they began
    unanswered: int = 0
    task: int | None = None


class Version(NamedTuple):
    """A record as it was read or written."""

    job_id: str
    revision: int
    record: Record


class Weather(NamedTuple):
    """How often things go wrong in a schedule: chances."""

    suspended: float
    killed: float
    lost: float  # a message, on its way or back
    slow: float
    timeout: float  # of a request to the database, s
    gap: bool  # a process may be suspended between a check and what it checks

    @classmethod
    def drawn(cls, dice: Random) -> "Weather":
        bad = dice.choice((0.2, 1.0, 2.0))
        return cls(
            suspended=bad * dice.uniform(0.0, 0.1),
            killed=bad * dice.uniform(0.0, 0.03),
            lost=bad * dice.uniform(0.0, 0.08),
            slow=bad * dice.uniform(0.0, 0.1),
            timeout=LEASE * dice.uniform(0.3, 1.5),
            gap=dice.random() < 0.2,
        )


@dataclass
class Ghost:
    """A lease as it was granted, independent of the row."""

    fence: int
    until: float  # by the clock of the database
    process: "Process"
    released: bool = False


@dataclass(slots=True)
class Request:
    """A request to the database on its way."""

    world: "World"
    process: "Process"
    thread: Thread
    what: str
    values: tuple[Any, ...]
    sent: float
    is_answered: bool = False

    def arrive(self) -> None:
        world, process = self.world, self.process
        if world.reaches(process.holder.host, self.sent):
            answer, done = world.execute(process, self.what, self.values), world.now
            if not world.is_lost(process):
                world.at(world.now + world.delay(process), lambda: self.come_back(done, answer))

    def come_back(self, done: float, answer: Any) -> None:
        world, process = self.world, self.process
        in_time = world.now < self.sent + world.weather.timeout
        if in_time and world.reaches(process.holder.host, done):
            self.is_answered = True
            world.resume(process, self.thread, answer)

    def give_up(self) -> None:
        world, process = self.world, self.process
        if not self.is_answered:
            process.disturbed = max(process.disturbed, world.now)
            world.note(f"gets no answer to {self.what}", process, *self.values)
            world.resume(process, self.thread, None, Away())


@dataclass
class World:
    """One schedule."""

    seed: int
    rows: Rows
    start: Callable[["World", int], "Process"]  # one of the processes, for the first time or again
    now: float = 0.0
    tasks: dict[str, list[int]] = field(default_factory=dict)  # at the server, by job
    folder: dict[str, int] = field(default_factory=dict)  # the task of each delivered file
    recorded: set[tuple[str, int, int]] = field(default_factory=set)  # uploads: job, fence, number
    ghosts: dict[str, Ghost] = field(default_factory=dict)
    processes: dict[int, "Process"] = field(default_factory=dict)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    cut: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    down: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = dice = Random(self.seed)  # noqa: S311 - a schedule
        self.weather = Weather.drawn(dice)
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.rate, self.offset = dice.uniform(0.99, 1.01), dice.uniform(-1e6, 1e6)
        for number in range(JOBS):
            self.rows.rows[f"job{number}"] = Row(f"job{number}", Record())
        self.down = self._spans(dice.choice((0, 0, 1, 2)))
        for begin, end in self.down:
            self.at(begin, self._database_stops)
            self.at(end, lambda: self.note("the database is back"))
        self.cut = {host: self._spans(dice.choice((0, 0, 1, 2))) for host in ("host0", "host1")}
        for number in range(len(PROCESSES)):
            self.at(dice.uniform(0, 1), lambda n=number: self.boot(n))  # type: ignore[misc]
        for _ in range(dice.choice((0, 3))):
            step = dice.uniform(-0.3, 0.03) * LEASE  # forward by less than the margin
            self.at(dice.uniform(0, TROUBLE_ENDS), lambda step=step: self._set_clock(step))  # type: ignore[misc]

    # --- time

    def at(self, time: float, call: Callable[[], None]) -> None:
        self.count += 1
        heappush(self.queue, (time, self.count, call))

    def clock(self) -> float:
        """Return the clock of the database."""
        return self.now * self.rate + self.offset

    @property
    def troubled(self) -> bool:
        return self.now < TROUBLE_ENDS

    def run(self) -> None:
        """Run until all jobs are done and late messages have arrived."""
        end = EVERYTHING_ENDS
        while self.queue and self.now < end:
            self.now, _, call = heappop(self.queue)
            call()
            if end == EVERYTHING_ENDS and self.all_done():
                end = min(end, self.now + 4 * LEASE)
        if not self.all_done():
            self.broken("a job is not done, though all trouble has ended")
        for job_id, row in self.rows.rows.items():
            tasks, record = len(self.tasks.get(job_id, ())), row.record
            if tasks > min(record.posts, 1 + record.unanswered):
                self.broken(f"{job_id}: {tasks} tasks at the server, but {record}")

    def all_done(self) -> bool:
        return all(row.record.state == "done" for row in self.rows.rows.values())

    # --- what goes wrong

    def _spans(self, how_many: int) -> list[tuple[float, float]]:
        starts = [self.dice.uniform(0, TROUBLE_ENDS - LEASE) for _ in range(how_many)]
        return [
            (at, min(at + self.dice.uniform(0.1, 3) * LEASE, TROUBLE_ENDS)) for at in sorted(starts)
        ]

    def boot(self, number: int) -> None:
        process = self.processes[number] = self.start(self, number)
        self.note("starts", process)
        for thread in process.threads:
            self.resume(process, thread, None)

    def _set_clock(self, step: float) -> None:
        self.offset += step
        self.note(f"the clock of the database is set by {step:.2f} s")

    def _database_stops(self) -> None:
        self.note("the database stops")

    def reaches(self, host: str, since: float) -> bool:
        """Return whether a message has arrived that was sent at a time."""
        spans = (*self.cut[host], *self.down)
        return not any(begin <= self.now and since < end for begin, end in spans)

    # --- threads of processes

    def resume(
        self, process: "Process", thread: Thread, value: Any, error: Exception | None = None
    ) -> None:
        """Go on with a thread now, unless its process is suspended or dies."""
        if not process.is_alive:
            return
        if self.now < process.suspended_until:
            self.at(process.suspended_until, lambda: self.resume(process, thread, value, error))
            return
        if self.troubled and not process.is_fresh:
            luck = self.dice.random()
            if luck < self.weather.killed:
                self.kill(process)
                return
            if luck < self.weather.killed + self.weather.suspended:
                self.suspend(process, self._long(0.2, 3.0))
                self.at(process.suspended_until, lambda: self.resume(process, thread, value, error))
                process.is_fresh = True  # the same point is not hit again
                return
        process.is_fresh = False
        try:
            command = thread.send(value) if error is None else thread.throw(error)
        except StopIteration:
            return
        getattr(self, command[0])(process, thread, *command[1:])

    def _long(self, little: float, much: float) -> float:
        """Return how long something takes that goes wrong: often until just before a lease ends."""
        least, most = self.dice.choice(((0.0, little), (0.88, 1.0), (0.0, much)))
        return self.dice.uniform(least, most) * LEASE

    def kill(self, process: "Process") -> None:
        self.note("is killed", process)
        process.is_alive = False
        later = self.now + self.dice.uniform(0.05, 2) * LEASE
        self.at(later, lambda: self.boot(process.number))

    def suspend(self, process: "Process", seconds: float) -> None:
        self.note(f"is suspended for {seconds:.2f} s", process)
        process.suspended_until = process.disturbed = self.now + seconds

    # --- commands of threads

    def sleep(self, process: "Process", thread: Thread, seconds: float) -> None:
        self.at(self.now + seconds, lambda: self.resume(process, thread, None))

    def ask(self, process: "Process", thread: Thread, what: str, *values: Any) -> None:
        """Send a request to the database; the thread goes on with the answer, or with Away."""
        request = Request(self, process, thread, what, values, self.now)
        if not self.is_lost(process):
            self.at(self.now + self.delay(process), request.arrive)
        self.at(self.now + self.weather.timeout, request.give_up)

    def is_lost(self, process: "Process") -> bool:
        chance = 0.6 if self.now < process.lossy_until else self.weather.lost
        lost = self.troubled and self.dice.random() < chance
        if lost:  # often the next one, too; and it waits for an answer before it renews again
            process.disturbed = self.now + self.weather.timeout + LEASE
            process.lossy_until = self.now + 1.2 * self.weather.timeout
        return lost

    def delay(self, process: "Process") -> float:
        if self.troubled and self.dice.random() < self.weather.slow:
            process.disturbed = self.now + 2 * LEASE
            return self._long(0.2, 1.5)
        return 0.005 + 0.05 * self.dice.random()

    def execute(self, process: "Process", what: str, values: tuple[Any, ...]) -> Any:
        """Run a statement in the database, and check what it has done."""
        if what == "due":
            rows = self.rows.rows.values()
            return [self._version(row) for row in rows if row.record.state != "done"]
        if what == "get":
            return self._version(self.rows.rows[values[0]])
        answer = getattr(self, f"_{what}")(process, *values)
        self.note(f"{what} -> {answer}", process, *values)
        return answer

    def _version(self, row: Row) -> Version:
        return Version(row.id, row.revision, row.record)

    def _claim(self, process: "Process", job_id: str) -> int | None:
        before = self.rows.rows[job_id].fence
        fence = self.rows.claim(job_id, process.holder, self.clock_for(process))
        if fence is None:
            return None
        ghost = self.ghosts.get(job_id)
        if ghost is not None and not ghost.released:
            self._check_takeover(job_id, ghost)
        if ghost is not None and fence <= ghost.fence:
            self.broken(f"{job_id}: fence {fence} of {before} was given before", process)
        self.ghosts[job_id] = Ghost(fence, self.clock() + LEASE, process)
        return fence

    def _check_takeover(self, job_id: str, ghost: Ghost) -> None:
        early = ghost.until - self.clock()
        if early > 0:
            self.broken(f"{job_id} is taken over {early:.2f} s before the lease ends")
        holder = ghost.process
        if holder.is_alive and holder.may_begin(job_id):
            self.broken(f"{job_id} is taken over from {holder}, which may still begin something")
        spans = (*self.cut[holder.holder.host], *self.down)
        calm = self.now - max([holder.disturbed, *(end for at, end in spans if at <= self.now)])
        if holder.is_alive and calm > 1.5 * LEASE and holder.held.fence_of(job_id) == ghost.fence:
            self.broken(f"{job_id}: the lease of {holder} ended, and nothing had disturbed it")

    def clock_for(self, process: "Process") -> float:  # noqa: ARG002
        """Return the clock that leases go by."""
        return self.clock()

    def _renew(self, process: "Process", fences: list[tuple[str, int]]) -> set[str]:
        kept = self.rows.renew(fences, self.clock_for(process))
        for job_id, fence in fences:
            ghost = self.ghosts[job_id]
            if job_id in kept and ghost.fence == fence:
                if ghost.released:
                    self.broken(f"{job_id}: a lease that was given back is there again", process)
                ghost.until = self.clock() + LEASE
        return kept

    def _release(self, process: "Process", fences: list[tuple[str, int]]) -> None:
        self.rows.release(fences)
        for job_id, _ in fences:
            ghost = self.ghosts[job_id]
            if self.rows.rows[job_id].until is None and not ghost.released:
                ghost.released = True
                if ghost.process.is_alive and ghost.process is not process:
                    self.broken(f"{job_id}: the lease of {ghost.process} is given back", process)

    def _of_host(self, process: "Process") -> list[tuple[str, int, int]]:
        return self.rows.of_host(process.holder.host, process.holder.boot, self.clock())

    def _write(self, process: "Process", base: Version, asked: Write) -> bool:
        row, fence, record = self.rows.rows[base.job_id], asked.fence, asked.record
        before = self._version(row)
        if not self.rows.write(asked, self.clock_for(process)):
            return False
        ghost = self.ghosts[base.job_id]
        if fence != ghost.fence or ghost.released:
            self.broken(f"{base.job_id}: written with an old lease", process)
        if before != base or row.revision != before.revision + 1:
            self.broken(f"{base.job_id}: {base} became revision {row.revision} twice", process)
        if record.posts > base.record.posts:
            self.recorded.add((base.job_id, ghost.fence, record.posts))
        elif record.posts < base.record.posts:
            self.recorded.discard((base.job_id, ghost.fence, base.record.posts))
        ghost.until, ghost.released = self.clock() + LEASE, asked.last
        return True

    def _is_stored(self, process: "Process", asked: Write) -> bool:  # noqa: ARG002
        row = self.rows.rows[asked.job_id]
        stored = (row.revision, row.fence, row.record)
        return stored == (asked.revision + 1, asked.fence, asked.record)

    # --- outside

    def outside(
        self, process: "Process", thread: Thread, what: str, version: Version, fence: int
    ) -> None:
        """Begin an upload, a delivery or a confirmation; the thread goes on with its outcome."""
        job_id, row = version.job_id, self.rows.rows[version.job_id]
        self.note(f"begins {what}", process, job_id)
        valid = row.fence == fence and row.until is not None and row.until > self.clock()
        if not valid and not self.weather.gap:
            self.broken(f"{job_id}: {what} begins after the lease ended", process)
        if what == "upload":
            attempt = (job_id, fence, version.record.posts)
            if attempt not in self.recorded:
                self.broken(f"{job_id}: an upload begins that is not recorded", process)
            self.recorded.discard(attempt)
        taken = self.dice.choice((0.2, 3.0)) * self.dice.random() * LEASE
        self.at(self.now + taken / 2, lambda: self._arrives(what, version))
        silent = self.is_lost(process)

        def answer() -> None:
            task = self.tasks[job_id][-1] if what == "upload" else None
            self.resume(process, thread, None if silent else (task, True))

        self.at(self.now + taken, answer)

    def _arrives(self, what: str, version: Version) -> None:
        job_id, task = version.job_id, version.record.task
        if what == "upload":
            self.count += 1
            self.tasks.setdefault(job_id, []).append(self.count)
        elif what == "deliver" and task is not None:
            if self.folder.setdefault(job_id, task) != task:
                self.broken(f"{job_id}: another file is delivered in place of the first")
        elif job_id not in self.folder:
            self.broken(f"{job_id}: confirmed before it was delivered")

    # --- messages

    def note(self, what: str, process: "Process | None" = None, *values: Any) -> None:
        self.events.append((self.now, process, what, values))

    def broken(self, what: str, process: "Process | None" = None) -> None:
        self.note(f"BROKEN: {what}", process)
        head = f"seed {self.seed}: {what}\n{self.weather}\ncut off: {self.cut}\n"
        raise Violation(head + "\n".join(self.told()[-_LINES:]))

    def told(self) -> list[str]:
        """Return what has happened, a line each."""
        return [
            f"{time:8.3f}  {process or '':<8}  {text} {' '.join(map(str, values))}".rstrip()
            for time, process, text, values in self.events
        ]
