"""Workers on one machine: what 1, 2, 4 and 8 do in a minute, beside a model calibrated with 1.

PostgreSQL, the sandbox as server and the lanes of `drawcli worker` are processes of this machine. A
run begins with idle lanes and ends with the last structure set; small series. 2 lanes are asked to
do 1.7 times what 1 does, on two cores. De-identification of larger series alone has no such target:
the gate of one lane reads ahead in a thread and uses more than one core.

    python bench/scale.py [--jobs 64] [--workers 1 2 4 8] [--heavy 24] [--slices 60] [--json]
    python bench/scale.py --plan [--hosts 8] [--series 1000000] ...   from docs/scale-figures.json

With --keep it writes docs/scale-figures.json and the tables of docs/explanation/planning.md.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from measure import Row, beside, tell, unmeasured
from scale_model import PATH, Figures, Group, StepCost, cpu_of_series, plan_lines, simulated

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.operations.workers import lane as lanes
from drawcli.operations.workers import pool
from drawcli.operations.workers.worker import WorkerOptions, work
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct
from tests.postgres import PROGRAMS, Postgres, password_file, postgres, with_tables

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "scale-figures.json"
PAGE = ROOT / "docs" / "explanation" / "planning.md"
LOG = "SCALE_LOG"
PATIENCE_SECONDS = 120.0
TOLERANCE = 1.35  # of the model, either way
LEAST = 1.7  # times 1 lane, of 2 lanes, where work is CPU
SMALL = {"slices": 6, "size": 64}
LARGE = 512  # rows and columns of the larger series
SCANS = 0.05  # minutes


# the lanes: those of drawcli, with a log of their tasks


class Meter:
    """Counts what a lane waits for the database."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def watch(self, name: str) -> None:
        """Count the calls of a method of Database."""
        real = getattr(Database, name)

        def counted(*given: Any) -> Any:
            begun = time.perf_counter()
            try:
                return real(*given)
            finally:
                self.seconds += time.perf_counter() - begun
                self.calls += 1

        setattr(Database, name, counted)


def measured_lane(config: Path, queues: tuple[str, ...], pipe: Any) -> None:
    """Run a lane that writes a line for each of its tasks; the target of a process."""
    meter, real, serve = Meter(), lanes.Lane.handle, lanes.serve
    for name in ("rows_once", "run_once"):
        meter.watch(name)
    with open(os.environ[LOG], "a", buffering=1) as log:  # noqa: PTH123 - lines of several processes
        last = 0.0

        def handle(self: lanes.Lane, site: Any, task: Any) -> None:
            nonlocal last
            begun, cpu = time.monotonic(), time.process_time()
            calls, waited = meter.calls, meter.seconds
            real(self, site, task)
            now = time.process_time()
            facts = {"step": task.step, "begin": begun, "end": time.monotonic()}
            facts |= {"cpu": now - cpu, "between": cpu - last, "waited": meter.seconds - waited}
            log.write(json.dumps(facts | {"calls": meter.calls - calls}) + "\n")
            last = now

        def ready(*given: Any) -> None:
            nonlocal last
            last = time.process_time()
            log.write('{"step": "ready"}\n')
            serve(*given)

        lanes.Lane.handle, lanes.serve = handle, ready  # type: ignore[method-assign, assignment]
        lanes.run_lane(config, queues, pipe)


def run_lanes(config: Path, many: int, queues: tuple[str, ...]) -> None:
    """Do what `drawcli worker` does, with measured lanes."""
    pool.run_lane = measured_lane
    options = WorkerOptions(config, queues, many, 30.0)
    work(options, lambda text: print(text, file=sys.stderr))


# one machine with everything on it


@dataclass(frozen=True)
class Measured:
    """A run with so many lanes."""

    workers: int
    jobs: int
    seconds: float  # from the first task to the end of the last
    tasks: dict[str, list[dict[str, float]]]  # by step
    database: float  # s of CPU
    server: float

    @property
    def rate(self) -> float:
        """Jobs a minute."""
        return 60 * self.jobs / self.seconds

    def total(self, what: str, *steps: str) -> float:
        """Return the sum of a figure over the tasks of steps; of all, if none is named."""
        return sum(one[what] for step in steps or tuple(self.tasks) for one in self.tasks[step])


class Machine:
    """PostgreSQL and a sandbox; each run has a database and a site of its own."""

    def __init__(self, folder: Path, server: Postgres, url: str, token: Path, pid: int) -> None:
        self.folder, self.server, self.url, self.token = folder, server, url, token
        self.sandbox, self.runs = pid, 0
        self.postmaster = int((server.data / "postmaster.pid").read_text().split()[0])

    def site(self) -> Path:
        """Make a site with an empty datastore."""
        self.runs += 1
        folder, name = self.folder / f"site{self.runs}", f"scale{self.runs}"
        (folder / "store").mkdir(parents=True)
        with_tables(self.server, name)
        _install_queues(self.server, name)
        words = ["init", str(folder), "--datastore", str(folder / "store"), "--url", self.url]
        subprocess.run(
            [sys.executable, "-m", "drawcli", *words, "--practice"],
            check=True,
            capture_output=True,
            cwd=ROOT,
        )
        shutil.copy2(self.token, folder / "token.json")
        config = folder / "drawcli.yaml"
        facts = {
            "site": "north",
            "scan_minutes": SCANS,
            "password_file": str(password_file(self.server)),
        }
        with config.open("a") as stream:
            stream.write(
                f"\nledger: {self.server.url('north', name)}\ncluster: {json.dumps(facts)}\n"
            )
            stream.write("deidentify: {workers: 1}\nmatch: {first_run_limit: 0}\npreview: never\n")
        return config

    @contextmanager
    def observer(self, config: Path) -> Iterator[Any]:
        """Open one connection for all looks at a site: a login takes more CPU than a step does."""
        import psycopg

        name = re.findall(r"^ledger: .*/(\w+)$", config.read_text(), re.MULTILINE)[-1]
        secret = password_file(self.server).read_text()
        with psycopg.connect(
            self.server.url(database=name), password=secret, autocommit=True
        ) as one:
            yield one

    def run(self, workers: int, series: Path, last: str, queues: tuple[str, ...] = ()) -> Measured:
        """Let so many idle lanes do series until each has had its last step."""
        config = self.site()
        log, jobs = config.parent / "tasks", len([*series.iterdir()])
        log.touch()
        command = [sys.executable, __file__, "--lanes", str(config), str(workers), ",".join(queues)]
        with (
            subprocess.Popen(command, env={**os.environ, LOG: str(log)}, cwd=ROOT) as worker,
            self.observer(config) as observer,
        ):
            try:
                _wait(lambda: _count(log, "ready") >= workers, worker)
                before = cpu_of_tree(self.postmaster), cpu_of_tree(self.sandbox)
                shutil.copytree(series, config.parent / "hidden")
                (config.parent / "hidden").rename(config.parent / "store" / "all")
                _wait(lambda: _done(log, last, observer) >= jobs, worker)
                after = cpu_of_tree(self.postmaster), cpu_of_tree(self.sandbox)
            finally:
                worker.send_signal(signal.SIGTERM)
        tasks: dict[str, list[dict[str, float]]] = defaultdict(list)
        for line in log.read_text().splitlines():
            task = json.loads(line)
            if task["step"] in PATH:
                tasks[task["step"]].append(task)
        first = "match" if last == PATH[-1] else last
        begun = min(one["begin"] for one in tasks[first])
        ended = max(one["end"] for one in tasks[last])
        spent = [b - a for a, b in zip(before, after, strict=True)]
        return Measured(workers, jobs, ended - begun, tasks, *spent)


def _install_queues(server: Postgres, name: str) -> None:
    from drawcli.adapters.work_queue.tables import install_queues
    from drawcli.config.sections_cluster import Cluster

    secret = Cluster(password_file=password_file(server))
    with Database(server.url(database=name), secret) as owner:
        install_queues(owner)


def _count(log: Path, step: str) -> int:
    return log.read_text().count(f'"step": "{step}"')


def _done(log: Path, last: str, observer: Any) -> int:
    """Return how many jobs have had their last step, by the ledger."""
    if not _count(log, last):
        return 0
    state = "done" if last == PATH[-1] else "packaged"
    query = "SELECT count(*) FROM drawcli.job WHERE held OR state = %s"
    return int(observer.execute(query, (state,)).fetchone()[0])


def _wait(is_so: Any, process: "subprocess.Popen[bytes] | None" = None) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > until or (process and process.poll() is not None):
            raise TimeoutError("the workers do not end their work")
        time.sleep(0.1)


def cpu_of_tree(pid: int) -> float:
    """Return the CPU time of a process, its ended children, and its running ones, s."""
    ticks = os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    spent = 0.0
    for one in (str(pid), *children):
        try:
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended, and counts with its parent
            continue
        spent += sum(map(int, words[11:15] if one == str(pid) else words[11:13])) / ticks
    return spent


def write_series(folder: Path, many: int, *, slices: int, size: int) -> Path:
    """Write so many planning CTs, each of another patient or day."""
    for number in range(many):
        person = PEOPLE[number % len(PEOPLE)]
        write_planning_ct(folder / str(number), person, slices=slices, size=size, seed=number + 1)
    return folder


@contextmanager
def machine() -> Iterator[Machine]:
    """Start PostgreSQL and a sandbox."""
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        folder = Path(name)
        with postgres(folder / "postgres", durable=True) as server:
            said = folder / "said"
            command = [sys.executable, "-m", "drawcli", "sandbox", "--port", "0", "--dir"]
            with (
                said.open("wb") as out,
                subprocess.Popen(
                    [*command, str(folder / "sandbox")], cwd=ROOT, stdout=out, stderr=out
                ) as sandbox,
            ):
                try:
                    _wait(
                        lambda: b"http://" in said.read_bytes() and b"Ctrl-C" in said.read_bytes()
                    )
                    found = re.search(r"http://[\d.]+:\d+", said.read_text())
                    assert found  # noqa: S101 - waited for
                    token = folder / "sandbox" / "token.json"
                    yield Machine(folder, server, found[0], token, sandbox.pid)
                finally:
                    sandbox.send_signal(signal.SIGINT)
                    sandbox.wait()


# what it says


def figures_of(one: Measured, heavy: Measured, heavy_mb: float, packed: float) -> Figures:
    """Return the figures of the model from a run with one lane."""
    count = sum(map(len, one.tasks.values()))
    steps = {}
    for step in PATH:
        tasks = one.tasks[step]
        share = one.database * len(tasks) / count / one.jobs
        cpu = (one.total("cpu", step) + one.total("between", step)) / one.jobs
        wall = sum(task["end"] - task["begin"] for task in tasks) / one.jobs
        wait = max(0.0, wall - one.total("cpu", step) / one.jobs - share)
        steps[step] = StepCost(cpu, share, wait)
    calls = one.total("calls")
    return Figures(
        steps=steps,
        server=one.server / one.jobs,
        transactions=calls / one.jobs,
        statement=one.total("waited") / calls,
        heavy_mb=heavy_mb,
        heavy_cpu=heavy.total("cpu", "deidentify") / heavy.jobs,
        packed=packed,
    )


def page_lines(figures: Figures, runs: list[Measured], cores: int) -> dict[str, list[str]]:
    """Return the tables of docs/explanation/planning.md."""
    rates = [
        "| step | CPU of a job | PostgreSQL | waits | jobs a day, one core |",
        "|---|---|---|---|---|",
    ]
    for name, one in figures.steps.items():
        a_day = 86_400 / (one.cpu + one.database)
        rates.append(
            f"| {name} | {1e3 * one.cpu:.0f} ms | {1e3 * one.database:.0f} ms | "
            f"{1e3 * one.wait:.0f} ms | {a_day:,.0f} |"
        )
    whole = cpu_of_series(figures, Group().megabytes)
    megabytes, per_mb = Group().megabytes, 1e3 * figures.heavy_cpu / figures.heavy_mb
    about = (
        f"De-identification with its gate: {per_mb:.1f} ms of CPU a MB of pixels. A planning CT "
        f"of {megabytes:.0f} MB takes {whole:.1f} s of CPU in all: {86_400 / whole:,.0f} a day on "
        f"one core. A job takes {figures.transactions:.0f} statements of the database, "
        f"{1e3 * figures.statement:.1f} ms each."
    )
    rates += ["", about]
    lanes_ = ["| lanes | jobs a minute | by the model |", "|---|---|---|"]
    for run in runs:
        said = 60 * run.jobs / simulated(figures, run.workers, run.jobs, cores)
        lanes_.append(f"| {run.workers} | {run.rate:.0f} | {said:.0f} |")
    hosts = ["| hosts of 8 cores | planning CTs a day |", "|---|---|"]
    hosts += [f"| {n} | {0.7 * n * 8 * 86_400 / whole:,.0f} |" for n in (1, 2, 4, 8, 16)]
    return {"rates": rates, "lanes": lanes_, "hosts": hosts, "plan": plan_lines(figures, Group())}


def _filled(new: str, mark: "re.Match[str]") -> str:
    return f"{mark[1]}{new}\n{mark[2]}"


def with_tables_of(page: str, tables: dict[str, list[str]]) -> str:
    """Return the page with new tables between its marks."""
    for name, lines in tables.items():
        mark = re.compile(rf"(<!-- scale: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, found = mark.subn(partial(_filled, "\n".join(lines)), page)  # type: ignore[misc]
        if found != 1:
            raise ValueError(f"{PAGE}: {found} places for {name}")
    return page


def faster(name: str, runs: list[Measured], target: float | None = None) -> Row:
    """Return how many times what one lane does two do; the runs are of one and two."""
    one, two = (run.seconds / run.jobs for run in sorted(runs, key=lambda run: run.workers))
    return beside(f"{name}, 2 / 1 lanes", [(two, one)], faster=True, target=target)


def measured(given: argparse.Namespace) -> tuple[list[Row], dict[str, list[str]], Figures | None]:
    """Measure; return the rows, the tables of the page, and the figures."""
    cores = len(os.sched_getaffinity(0))
    with machine() as here:
        small = write_series(here.folder / "small", given.jobs, **SMALL)
        large = write_series(here.folder / "large", given.heavy, slices=given.slices, size=LARGE)
        cpu_steps = ("scan", "match", "deidentify")
        heavy = [here.run(many, large, "deidentify", cpu_steps) for many in (1, 2)]
        packages = [*(here.folder / f"site{here.runs}").rglob("package.zip")]
        pixels = given.slices * LARGE * LARGE * 2
        packed = sum(one.stat().st_size for one in packages) / (pixels * len(packages))
        runs = [here.run(many, small, PATH[-1]) for many in given.workers]
    figures = figures_of(runs[0], heavy[0], pixels / 1e6, packed)
    rows = [faster("de-identified larger series a minute", heavy)]
    if {1, 2} <= set(given.workers):
        pair = [run for run in runs if run.workers <= 2]  # noqa: PLR2004 - lanes
        rows.append(faster("jobs a minute", pair, LEAST if cores > 1 else None))
    for run in runs:
        said = simulated(figures, run.workers, run.jobs, cores)
        row = beside(
            f"{run.jobs} jobs, {run.workers} lanes: measured / model", [(run.seconds, said)]
        )
        within = 1 / TOLERANCE <= (row.ratio or 0) <= TOLERANCE
        judged = run.workers > 1
        rows.append(
            Row(
                **{
                    **vars(row),
                    "asked": f"within {TOLERANCE:g} times" if judged else "",
                    "met": within if judged else None,
                }
            )
        )
    return rows, page_lines(figures, runs, cores), figures


def options() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("jobs", 64), ("heavy", 24), ("slices", 60)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    for name in ("json", "keep", "plan"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--lanes", nargs=3, help=argparse.SUPPRESS)
    for one in fields(Group):
        parser.add_argument(
            f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default
        )
    return parser


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options().parse_args()
    if given.lanes:
        config, many, queues = given.lanes
        run_lanes(Path(config), int(many), tuple(filter(None, queues.split(","))))
        return 0
    if given.plan:
        figures = Figures.of(json.loads(FIGURES.read_text()))
        group = Group(**{one.name: getattr(given, one.name) for one in fields(Group)})
        print("\n".join(plan_lines(figures, group)))
        return 0
    if PROGRAMS is None or sys.platform != "linux":
        return tell([unmeasured("lanes", "not installed: PostgreSQL")], as_json=given.json)
    rows, tables, found = measured(given)
    if given.keep and found:
        FIGURES.write_text(json.dumps(found.as_plain(), indent=1) + "\n")
        PAGE.write_text(with_tables_of(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return tell(rows, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
