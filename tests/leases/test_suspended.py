"""A process that is suspended for longer than its lease does nothing when it goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import Busy
from tests.postgres import Postgres, needs_postgres, password_file, with_tables
from tests.waiting import PATIENCE

pytestmark = [needs_postgres, pytest.mark.sweep]
FOUND = Job(id="0123456789ab-1", state=State.FOUND, since=datetime(2026, 11, 28, 12, tzinfo=UTC))
MATCHED = FOUND.to(State.MATCHED, at=FOUND.since)
LEASE = 4.0  # s
_HOST = """
import sys
from drawcli.errors import DrawcliError
from tests.leases.test_suspended import FOUND, MATCHED, ledger_at

with ledger_at(sys.argv[1], sys.argv[2], "host1") as ledger, ledger.claim(FOUND.id):
    print("claimed", flush=True)
    for _ in sys.stdin:
        print(ledger.is_safe(FOUND.id), flush=True)
        try:
            ledger.commit(MATCHED)
        except DrawcliError as err:
            print(err.code, flush=True)
        else:
            print("written", flush=True)
"""


def ledger_at(url: str, password: str, host: str) -> DatabaseLedger:
    database = Database(url, Cluster(password_file=Path(password)))
    return DatabaseLedger(database, "", LeaseHolder.present(host), LEASE)


class Host:
    """A process that has claimed the job."""

    def __init__(self, process: subprocess.Popen[str], out: IO[str], to: IO[str]) -> None:
        self.process, self.out, self.to = process, out, to
        assert self.out.readline() == "claimed\n"

    def goes_on(self) -> tuple[bool, str]:
        """Make the process check its claim and write the job; return what it prints."""
        self.to.write("go on\n")
        self.to.flush()
        return self.out.readline() == "True\n", self.out.readline().strip()


@contextmanager
def host(url: str, password: str) -> Iterator[Host]:
    words = [sys.executable, "-c", _HOST, url, password]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Host(process, process.stdout, process.stdin)
        finally:
            process.kill()


def is_busy(ledger: DatabaseLedger) -> bool:
    try:
        with ledger.claim(FOUND.id):
            return False
    except Busy:
        return True


def seconds_left(ledger: DatabaseLedger) -> float:
    """Return how long the lease of the job is valid, by the clock of the database."""
    query = "SELECT extract(epoch FROM lease_until - drawcli.clock())::float8 FROM drawcli.job"
    [(seconds,)] = ledger.database.rows(query)
    return float(seconds)


@pytest.fixture
def place(postgres_server: Postgres, request: pytest.FixtureRequest) -> tuple[str, str]:
    name = request.node.name
    with_tables(postgres_server, name)
    return postgres_server.url("north", name), str(password_file(postgres_server))


def test_a_suspended_process_starts_and_writes_nothing(place: tuple[str, str]) -> None:
    with ledger_at(*place, "host2") as other:
        other.add(FOUND)
        with host(*place) as suspended:
            os.kill(suspended.process.pid, signal.SIGSTOP)
            begun, left = time.monotonic(), seconds_left(other)
            while is_busy(other):
                assert time.monotonic() < begun + PATIENCE
                time.sleep(0.05)
            waited = time.monotonic() - begun
            with other.claim(FOUND.id):
                os.kill(suspended.process.pid, signal.SIGCONT)
                assert suspended.goes_on() == (False, "lease-lost")
        stored = other.get(FOUND.id)

    assert waited >= left
    assert stored == FOUND


def test_a_process_that_runs_keeps_its_job_for_many_leases(place: tuple[str, str]) -> None:
    with ledger_at(*place, "host2") as other:
        other.add(FOUND)
        with host(*place) as running:
            ends = time.monotonic() + 3 * LEASE
            while time.monotonic() < ends:
                assert is_busy(other)
                time.sleep(0.05)
            assert running.goes_on() == (True, "written")
