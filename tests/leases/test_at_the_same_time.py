"""Hosts that claim and write the same jobs at the same time, in PostgreSQL, while connections end.

Their leases end in the middle of their work, as no thread renews them.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from random import Random
from threading import Event, Thread

import pytest

from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import LeaseLost, LedgerError, OutOfReach
from tests.postgres import PASSWORD, Postgres, needs_postgres, password_file, with_tables
from tests.waiting import PATIENCE

pytestmark = [needs_postgres, pytest.mark.sweep]
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
JOBS = [Job(id=f"{n:012x}-1", state=State.FOUND, since=NOON) for n in range(4)]
HOSTS = 4
LEASE = 0.2  # s
ROUNDS = 120
_END_THEM = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = 'together' AND usename = 'north' AND state = 'active'
"""


@dataclass
class Seen:
    """What the hosts have seen."""

    written: list[tuple[str, int]] = field(default_factory=list)  # job and revision
    unknown: Counter[str] = field(default_factory=Counter)  # writes without an answer, by job
    both: list[str] = field(default_factory=list)  # jobs that two could begin something for
    outcomes: Counter[str] = field(default_factory=Counter)
    at_work: dict[str, DatabaseLedger] = field(default_factory=dict)  # before its next write

    @property
    def all_kinds(self) -> bool:
        """Whether jobs were busy, leases lost, and connections ended during a request."""
        return {"Busy", "LeaseLost"} < {*self.outcomes}


def work(ledger: DatabaseLedger, dice: Random, seen: Seen) -> None:
    begun, rounds = time.monotonic(), count()
    while next(rounds) < ROUNDS or not (seen.all_kinds or time.monotonic() > begun + PATIENCE):
        job_id = dice.choice(JOBS).id
        try:
            with ledger.claim(job_id):
                other = seen.at_work.get(job_id, ledger)
                if other is not ledger and other.is_safe(job_id):
                    seen.both.append(job_id)
                write(ledger, job_id, dice, seen)
        except (Busy, LedgerError, OutOfReach) as err:
            seen.outcomes[type(err).__name__] += 1


def write(ledger: DatabaseLedger, job_id: str, dice: Random, seen: Seen) -> None:
    job = ledger.get(job_id)
    assert job is not None
    for last in (False, True):
        seen.at_work[job_id] = ledger
        time.sleep(dice.choice((0, 0.001, LEASE * 1.2 * dice.random())))
        seen.at_work.pop(job_id, None)
        try:
            job = ledger.commit(replace(job, posts=job.posts + 1), last=last)
        except OutOfReach as err:
            if not isinstance(err, LeaseLost):
                seen.unknown[job_id] += 1
            raise
        seen.written.append((job_id, job.revision))


@contextmanager
def broken_connections(server: Postgres) -> Iterator[None]:
    """End connections of hosts now and then, in the middle of their requests."""
    from psycopg import connect

    stop = Event()
    where = f"{server.url(database='together')}?password={PASSWORD.replace(' ', '%20')}"

    def end_them() -> None:
        with connect(where, autocommit=True) as owner:
            while not stop.wait(0.01):
                owner.execute(_END_THEM)

    thread = Thread(target=end_them)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_each_revision_is_written_once(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.adapters.ledger.postgres.leases.Leases._start", lambda _: None)
    with_tables(postgres_server, "together")
    cluster = Cluster(password_file=password_file(postgres_server))
    url, seen = postgres_server.url("north", "together"), Seen()
    ledgers = [
        DatabaseLedger(Database(url, cluster), "", LeaseHolder(f"host{n}", 1, "boot"), LEASE)
        for n in range(HOSTS)
    ]
    ledgers[0].__enter__().add(*JOBS)
    hosts = [
        Thread(target=work, args=(ledger.__enter__(), Random(n), seen))  # noqa: S311
        for n, ledger in enumerate(ledgers)
    ]
    with broken_connections(postgres_server):
        for host in hosts:
            host.start()
        for host in hosts:
            host.join()
    stored = {job.id: job for job in ledgers[0].find([job.id for job in JOBS])}
    for ledger in ledgers:
        ledger.__exit__()

    assert seen.both == []
    assert len(seen.written) == len(set(seen.written))
    for job_id, job in stored.items():
        known = [revision for written, revision in seen.written if written == job_id]
        assert job.revision == job.posts  # no write was lost, and none was made of a former version
        assert 0 <= job.revision - len(known) <= seen.unknown[job_id]
    assert seen.all_kinds, seen.outcomes
