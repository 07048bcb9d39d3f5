"""Three hosts run `run-once` at the same time; they are killed, and one does not come back."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from pydicom import dcmread

from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.operations.ledger_check import check, unattested
from drawcli.pipeline.context import open_context
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import Site
from tests.phantoms.planning import write_planning_ct
from tests.postgres import Postgres, needs_postgres, password_file

pytestmark = [needs_postgres, pytest.mark.sweep]
SERIES = 6
HOSTS = ("north-a", "north-b", "north-c")
KILLS = 3  # of each host; the last one does not come back then
LONGEST = 600.0  # seconds: a sign of life, not a speed
GOOD = {0, 7, -9}


def run(site: Site, kill_after: float | None) -> int:
    """Run the cycle once on a host, or until it is killed; return the exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", "run-once"],
        cwd=site.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(site.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, err = process.communicate(timeout=kill_after or LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    assert "Traceback" not in err, err
    return process.returncode


@pytest.fixture(params=["host", "shared"])
def work(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "shared").mkdir()
    place = "host" if request.param == "host" else tmp_path / "shared"
    return f"work: {place}, lease_seconds: 5, gone_minutes: 0.3"


def test_every_series_is_done_once_whatever_is_killed(
    site: Site,
    host: Callable[[str], Site],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    for number in range(SERIES):
        person = PEOPLE[number % len(PEOPLE)]
        write_planning_ct(site.store / str(number), person, slices=4, size=32, seed=number + 10)
    sites = {name: host(name) for name in HOSTS}
    with running(tmp_path / "server") as server:
        for one in sites.values():
            at_sandbox(one, server.url, server.token_file)
        with ledger_of(request) as ledger:
            work_until_done(sites, ledger, random.Random(11))  # noqa: S311 - a repeatable schedule
            judge(ledger.jobs(), site, sites, len(server.sandbox.tasks.all()))


def ledger_of(request: pytest.FixtureRequest) -> DatabaseLedger:
    postgres: Postgres = request.getfixturevalue("postgres_server")
    address = postgres.url("north", request.getfixturevalue("database"))
    cluster = Cluster(password_file=password_file(postgres))
    return DatabaseLedger(Database(address, cluster), "", LeaseHolder.present("judge"), 60)


def is_done(ledger: DatabaseLedger) -> bool:
    jobs = ledger.jobs()
    return len(jobs) == SERIES and all(job.state is State.DONE for job in jobs)


def work_until_done(sites: dict[str, Site], ledger: DatabaseLedger, chance: random.Random) -> None:
    until = monotonic() + LONGEST
    kills = {name: [chance.uniform(1.0, 8.0) for _ in range(KILLS)] for name in sites}

    def at_work(name: str) -> set[int]:
        codes = set()
        while monotonic() < until and not is_done(ledger):
            kill_after = kills[name].pop() if kills[name] else None
            codes.add(run(sites[name], kill_after))
            if name == HOSTS[-1] and not kills[name]:
                break  # it does not come back
        return codes

    with ThreadPoolExecutor(len(sites)) as pool:
        codes = set().union(*pool.map(at_work, sites))
    assert codes <= GOOD, codes
    assert is_done(ledger), [(job.id, job.state, job.reason) for job in ledger.jobs()]


def judge(jobs: list[Job], site: Site, sites: dict[str, Site], uploads: int) -> None:
    """Check what came of it: in the ledger, the datastore, the server, and the audit logs."""
    assert Counter(job.number for job in jobs) == {1: SERIES}
    delivered = [dcmread(path) for path in site.store.rglob("RS.*")]
    assert len(delivered) == SERIES
    assert len({one.SOPInstanceUID for one in delivered}) == SERIES
    assert SERIES <= uploads <= sum(job.attested for job in jobs)
    assert uploads <= SERIES + sum(job.unanswered for job in jobs)
    for host in sites.values():
        with open_context(host.settings()) as ctx:
            assert unattested(ctx) == []
            assert check(ctx) == []
