"""Many jobs and several workers with failures of all kinds; then the invariants are checked.

    python -m tests.torture.cluster.scenario '{"seed": 1, "jobs": 200, "hosts": 4, "troubles": 10}'

prints a line of JSON: what was done, what was counted, and what is wrong ("violations"). With
"apart" it makes network namespaces, and must have been started in one (`unshare --net`).
"""

import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from drawcli.adapters.state.audit_log import ANSWERED, ATTEMPT, AuditLog
from tests.postgres import Postgres, postgres
from tests.torture.cluster.machines import (
    DATABASE,
    KINDS,
    LEASE_SECONDS,
    Counted,
    Host,
    fill,
    made_host,
    prepared,
)
from tests.torture.cluster.network import Network
from tests.torture.cluster.verdict import Evidence, violations
from tests.torture.kit import listening

PATIENCE: Final = 240.0  # s without any progress
WRITES: Final = 8  # of a job to the ledger, until it is done
CALM: Final = 0.85  # the share of the jobs after which nothing goes wrong any more
FARTHEST: Final = 1800.0  # s, of a clock from the right time
TROUBLES: Final = ("lane", "host", "database", "cut", "frozen", *["request"] * 5)
AT_REQUESTS: Final = ("lane", "host", "cut", "frozen", "answer")


@dataclass
class Trouble:
    """The failures, and the time when each ends."""

    hosts: list[Host]
    server: Postgres
    network: Network
    draw: Counted
    dice: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)  # of workers that ended by themselves
    _absent: dict[str, tuple[float, str]] = field(default_factory=dict)  # host: until, why
    _wanted: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Cause a failure."""
        self._wanted = self._wanted or self.dice.sample(TROUBLES, len(TROUBLES))
        self._begin(self._wanted.pop())

    def _begin(self, what: str) -> None:
        if what == "database":
            self.counts[what] += 1
            self.server.stop("immediate")
            time.sleep(self.dice.uniform(0.5, 3))
            self.server.start()
        elif what == "request":
            kind, what = self.dice.choice(KINDS), self.dice.choice(AT_REQUESTS)
            self.draw.struck[kind] = lambda package: self._at_request(kind, what, package)
        else:
            present = [host for host in self.hosts if host.name not in self._absent]
            self._befall(self.dice.choice(present), what)

    def _at_request(self, kind: str, what: str, package: str) -> bool:
        """Strike the host whose request the server has just done; return whether it is answered."""
        self.counts[f"{what} at {kind}"] += 1
        query = f"SELECT lease_host FROM drawcli.job WHERE record LIKE '%{package}%'"
        with suppress(psycopg.Error):  # the database is away, too
            [(name,)] = self.server.execute(query, database=DATABASE)
            host = next((one for one in self.hosts if one.name == name), None)
            if what != "answer" and host is not None:
                self._befall(host, what)
        return what in ("cut", "frozen")

    def _befall(self, host: Host, what: str) -> None:
        """Cause a failure of a host, unless many are away already."""
        away = len(self._absent)
        if host.name in self._absent or (what != "lane" and away >= len(self.hosts) // 2):
            return
        if what == "cut" and not self.network.is_apart:
            what = "frozen"
        self.counts[what] += 1
        if what == "lane":
            for pid in host.lanes():
                os.kill(pid, signal.SIGKILL)
        elif what == "host":
            host.kill()
            self._leave(host, what, self.dice.uniform(0.1, 3) * LEASE_SECONDS)
        elif what == "cut":
            self.network.cut(host.name)
            self._leave(host, what, self.dice.uniform(1.2, 4) * LEASE_SECONDS)
        else:
            host.send(signal.SIGSTOP)
            self._leave(host, what, self.dice.uniform(1.2, 4) * LEASE_SECONDS)

    def _leave(self, host: Host, why: str, seconds: float) -> None:
        self._absent[host.name] = (time.monotonic() + seconds, why)

    def end(self, *, all_of_it: bool = False) -> None:
        """Bring back the hosts whose time is over; start ended workers again, as systemd does."""
        for host in self.hosts:
            until, why = self._absent.get(host.name, (float("inf"), ""))
            code = None if why or host.worker is None else host.worker.poll()
            if code is not None:
                self.codes[code] += 1
                host.start()
            if not why or not (all_of_it or time.monotonic() >= until):
                continue
            del self._absent[host.name]
            if why == "host":
                host.start()
            elif why == "cut":
                self.network.mend(host.name)
            else:
                host.send(signal.SIGCONT)


@dataclass
class Watch:
    """The structure sets in the datastore: a file that is there must stay as it is."""

    folders: dict[str, Path]
    seen: dict[Path, tuple[int, int, int]] = field(default_factory=dict)
    changed: set[Path] = field(default_factory=set)

    def look(self) -> int:
        """Read all of them; return their number."""
        found = {}
        for folder in self.folders.values():
            for entry in os.scandir(folder):
                if entry.name.startswith("RS."):
                    status = entry.stat()
                    found[Path(entry.path)] = (status.st_ino, status.st_mtime_ns, status.st_size)
        self.changed |= {path for path, was in self.seen.items() if found.get(path) != was}
        self.seen |= found
        return len(found)


@contextmanager
def machines(order: dict[str, Any], folder: Path) -> Iterator[tuple[Trouble, Watch]]:
    """Set up everything, and remove it at the end."""
    dice = random.Random(order["seed"])  # noqa: S311 - not a secret
    network = Network(bool(order.get("apart")))
    with ExitStack() as stack:
        stack.callback(network.close)
        address = "'*'" if network.is_apart else "'127.0.0.1'"
        database = stack.enter_context(
            postgres(folder / "database", durable=True, listen_addresses=address)
        )
        prepared(database)
        url, at = stack.enter_context(listening(network.address))
        draw = at["now"] = Counted()
        work = "host"
        if order.get("work") == "shared":
            work = str(folder / "shared")
            Path(work).mkdir()
        hosts: list[Host] = []
        for number in range(order["hosts"]):
            host = made_host(
                folder,
                f"ct-{number}",
                dice.uniform(-FARTHEST, FARTHEST),
                first=hosts[0] if hosts else None,
                network=network,
                server=database,
                draw_port=int(url.rpartition(":")[2]),
                work=work,
            )
            hosts.append(host)
        watch = Watch(fill(hosts[0].site.store, order["jobs"]))
        for host in hosts:
            host.start()
            stack.callback(host.kill)
        yield Trouble(hosts, database, network, draw, dice), watch


def jobs_of(server: Postgres) -> list[dict[str, Any]]:
    """Return the records of all jobs."""
    rows = server.execute("SELECT id, record FROM drawcli.job", database=DATABASE)
    return [{"id": job_id, **json.loads(record)} for job_id, record in rows]


def play(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the scenario; return its result."""
    began = time.monotonic()
    with machines(order, folder) as (trouble, watch):
        revisions, latest, done, next_at = -1, time.monotonic(), 0, 0.0
        between = WRITES * CALM * order["jobs"] / order["troubles"]
        while done < order["jobs"] and time.monotonic() - began < order.get("seconds", 1e9):
            time.sleep(0.3)
            query = (
                "SELECT count(*) FILTER (WHERE state = 'done'), coalesce(sum(revision), 0)::bigint "
                "FROM drawcli.job"
            )
            [(done, moved)] = trouble.server.execute(query, database=DATABASE)
            if moved != revisions:
                revisions, latest = moved, time.monotonic()
            if time.monotonic() - latest > PATIENCE:
                break
            is_calm = done >= CALM * order["jobs"]
            trouble.end(all_of_it=is_calm)
            if moved >= next_at and not is_calm and order["troubles"] > 0.5:
                next_at = moved + trouble.dice.uniform(0.3, 1.7) * between
                trouble.begin()
            watch.look()
        trouble.end(all_of_it=True)
        for host in trouble.hosts:
            host.send(signal.SIGTERM)
        for host in trouble.hosts:
            assert host.worker is not None
            host.worker.wait(timeout=120)
        watch.look()
        lines = [line.facts for host in trouble.hosts for line in AuditLog(host.site.state).lines()]
        evidence = Evidence(
            jobs_of(trouble.server),
            Counter(hashlib.sha256(one).hexdigest() for one in trouble.draw.draw.uploads.values()),
            Counter(str(one.get("job")) for one in lines if one.get("what") == ATTEMPT),
            Counter(str(one.get("job")) for one in lines if one.get("what") == ANSWERED),
            set(trouble.draw.draw.confirmed),
            watch.folders,
            sorted(watch.seen),
            watch.changed,
            "".join(host.said for host in trouble.hosts),
            sum(trouble.counts.values()) * len(trouble.hosts),
        )
        return {
            **order,
            "done": done,
            "minutes_off": [round(host.shift / 60) for host in trouble.hosts],
            "troubles": dict(trouble.counts),
            **evidence.counts(),
            "restarts": dict(trouble.codes),
            "cpu_seconds": round(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])),
            "downloads": trouble.draw.downloads,
            "seconds": round(time.monotonic() - began),
            "violations": violations(evidence, order["jobs"]),
        }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        kept = Path(os.environ.get("KEEP", name))
        sys.stdout.write(json.dumps(play(json.loads(sys.argv[1]), kept)) + "\n")
