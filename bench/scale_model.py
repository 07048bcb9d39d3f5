"""The model behind bench/scale.py: lanes that share cores, database and server; and the plan.

Lanes and cores are simulated event by event. What works at a moment shares the cores equally; what
waits (for a disk, an answer) takes none. The plan only compares, for each resource, what is needed
with what is there.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

PATH = ("match", "deidentify", "upload", "poll", "fetch", "reidentify")
URGENT = ("fetch", "reidentify")  # results are delivered before new series are sent
SECONDS_A_MONTH = 30 * 86_400
FULL = 0.7  # of a resource: above it queues grow
PLANNING_CT_MB = 160 * 512 * 512 * 2 / 1e6
_SOONEST, _ASK = 2.0, 1.0  # s: between two polls, and until a lane sees a task whose time has come


@dataclass(frozen=True)
class StepCost:
    """The cost of a step for one job."""

    cpu: float  # s, of the lane
    database: float  # s of CPU, of PostgreSQL
    wait: float  # s in which the lane does nothing


@dataclass(frozen=True)
class Figures:
    """What was measured with one worker."""

    steps: dict[str, StepCost]
    server: float  # s of CPU of the server, for a job
    transactions: float  # statements and transactions, for a job
    statement: float  # s until the answer, of one
    heavy_mb: float  # pixels of a series whose de-identification was measured, MB
    heavy_cpu: float  # s of its de-identification
    packed: float  # bytes of its package, for each byte of pixels

    def as_plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Figures":
        """Read what `as_plain` returned."""
        steps = {name: StepCost(**one) for name, one in plain["steps"].items()}
        return cls(**{**plain, "steps": steps})


@dataclass
class _Run:
    """A simulation: its time, what works, and what waits."""

    cores: float
    now: float = 0.0
    working: dict[int, float] = field(default_factory=dict)  # number: CPU seconds left
    timers: list[tuple[float, int]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def next_end(self) -> int:
        """Go on until something ends; return its number."""
        rate = min(1.0, self.cores / len(self.working)) if self.working else 1.0
        first = min(self.working.items(), key=lambda one: one[1], default=None)
        at = self.now + first[1] / rate if first else float("inf")
        if self.timers and self.timers[0][0] <= at:
            at, number = heapq.heappop(self.timers)
        elif first:
            number = first[0]
        else:
            raise ValueError("nothing works and nothing waits")
        spent = (at - self.now) * rate
        self.working = {one: left - spent for one, left in self.working.items() if one != number}
        self.now = at
        return number


class _Site:
    """Jobs on their way: those that wait for a lane, those at the server."""

    def __init__(self, figures: Figures, lanes: int, jobs: int, cores: float) -> None:
        self.figures, self.run, self.free, self.left = figures, _Run(cores), lanes, jobs
        self.ready = [(0, 0.0, job, "match") for job in range(jobs)]  # most urgent, oldest first
        self.drawing: list[int] = []
        self.uploaded: dict[int, float] = {}
        self.is_busy = False  # the server
        self.then: dict[int, tuple[Callable[[int, str], None], int, str]] = {}

    def go_on(self) -> None:
        """Give tasks to free lanes, and go on to the next end of a task or wait."""
        while self.free and self.ready:
            _, _, job, step = heapq.heappop(self.ready)
            cost, self.free = self.figures.steps[step], self.free - 1
            self.work(cost.cpu + cost.database, self.worked, job, step)
        if self.drawing and not self.is_busy:
            self.is_busy = True
            self.work(self.figures.server, self.drawn, self.drawing.pop(0))
        what, job, step = self.then.pop(self.run.next_end())
        what(job, step)

    def work(
        self, seconds: float, then: "Callable[[int, str], None]", job: int, step: str = ""
    ) -> None:
        number = next(self.run.numbers)
        self.run.working[number], self.then[number] = max(seconds, 1e-9), (then, job, step)

    def wait(self, seconds: float, then: "Callable[[int, str], None]", job: int, step: str) -> None:
        number = next(self.run.numbers)
        heapq.heappush(self.run.timers, (self.run.now + max(seconds, 0.0), number))
        self.then[number] = (then, job, step)

    def worked(self, job: int, step: str) -> None:
        self.wait(self.figures.steps[step].wait, self.done, job, step)

    def drawn(self, job: int, _: str) -> None:
        self.is_busy = False
        waited = self.run.now - self.uploaded[job]
        self.wait(_next_poll(waited) + _ASK / 2, self.is_ready, job, "poll")

    def is_ready(self, job: int, step: str) -> None:
        heapq.heappush(self.ready, (-(step in URGENT), self.run.now, job, step))

    def done(self, job: int, step: str) -> None:
        self.free += 1
        self.left -= step == PATH[-1]
        if step == "upload":
            self.uploaded[job] = self.run.now
            self.drawing.append(job)
        elif step != PATH[-1]:
            self.is_ready(job, PATH[PATH.index(step) + 1])


def simulated(figures: Figures, lanes: int, jobs: int, cores: float) -> float:
    """Return how long so many lanes take for jobs that are found at once, s.

    Lanes, database and server are on one machine with `cores`; the server draws one job at a time.
    """
    site = _Site(figures, lanes, jobs, cores)
    while site.left:
        site.go_on()
    return site.run.now


def _next_poll(waited: float) -> float:
    """Return how long after the end of drawing a job is asked about, s."""
    at = 0.0
    while at < waited:
        at += max(_SOONEST, at / 4)
    return at - waited


@dataclass(frozen=True)
class Group:
    """What a plan is for; all of it is assumed, and can be given."""

    hospitals: int = 100
    series: float = 1_000_000  # a month
    hosts: int = 8
    cores: int = 8  # of a host
    peak: float = 4.0  # times the mean rate, in the busiest hour
    megabytes: float = PLANNING_CT_MB  # pixels of a series
    server_seconds: float = 60.0  # of a series at the server
    server_parallel: int = 32  # series that it draws at once
    uplink: float = 1000.0  # Mbit/s from the hosts to the server
    disk: float = 200.0  # MB/s that a host writes and reads


@dataclass(frozen=True)
class Need:
    """What a resource has to do in the busiest hour."""

    resource: str
    needed: float
    there: float
    unit: str

    @property
    def use(self) -> float:
        """The part of it that is used."""
        return self.needed / self.there


def cpu_of_series(figures: Figures, megabytes: float) -> float:
    """Return the CPU time of the hosts for a series with so many MB of pixels, s."""
    others = sum(one.cpu for name, one in figures.steps.items() if name != "deidentify")
    return others + figures.heavy_cpu / figures.heavy_mb * megabytes


def needs(figures: Figures, group: Group) -> list[Need]:
    """Return what each resource has to do in the busiest hour, the fullest first."""
    rate = group.series / SECONDS_A_MONTH * group.peak
    database = sum(one.database for one in figures.steps.values())
    sent = group.megabytes * figures.packed * 8
    moved = group.megabytes * (2 + 2 * figures.packed) / group.hosts
    found = [
        Need(
            "cores of the hosts",
            rate * cpu_of_series(figures, group.megabytes),
            group.hosts * group.cores,
            "cores",
        ),
        Need("server", rate * group.server_seconds, group.server_parallel, "series at once"),
        Need("database", rate * database, 4, "cores (of 4)"),
        Need("network to the server", rate * sent, group.uplink, "Mbit/s"),
        Need("disk of each host", rate * moved, group.disk, "MB/s"),
    ]
    return sorted(found, key=lambda one: -one.use)


def plan_lines(figures: Figures, group: Group) -> list[str]:
    """Return the plan as a table for a page."""
    found = needs(figures, group)
    rate = group.series / SECONDS_A_MONTH
    about = (
        f"{group.hospitals} hospitals, {group.series:,.0f} series a month: {rate:.2f} a second on "
        f"average, {rate * group.peak:.2f} in the busiest hour; {group.hosts} hosts of "
        f"{group.cores} cores; {group.megabytes:.0f} MB of pixels a series; "
        f"{group.server_seconds:.0f} s at the server, {group.server_parallel} at once."
    )
    lines = [about, "", "| resource | needed | there | use |", "|---|---|---|---|"]
    for one in found:
        much = " **too much**" if one.use > FULL else ""
        lines.append(
            f"| {one.resource} | {one.needed:.3g} {one.unit} | {one.there:g} | "
            f"{one.use:.0%}{much} |"
        )
    return [*lines, "", f"The first limit is: {found[0].resource}."]
