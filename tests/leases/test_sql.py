"""The SQL does what the model does: the same operations, every answer and every row compared."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LeaseLost, LedgerError
from tests.leases.rows import Holder, Row, Rows, Write
from tests.postgres import Postgres, needs_postgres, password_file, with_tables

pytestmark = needs_postgres
START = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEASE = 60.0
JOBS = [f"{number:012x}-1" for number in range(6)]
HOLDERS = [Holder("host1", 7, "boot1"), Holder("host1", 8, "boot1"), Holder("host2", 7, "boot2")]
STATES = (State.FOUND, State.MATCHED)
_SET_CLOCK = """
CREATE TABLE drawcli.set_clock (now timestamptz);
INSERT INTO drawcli.set_clock VALUES (clock_timestamp());
GRANT SELECT, UPDATE ON drawcli.set_clock TO drawcli_site;
CREATE OR REPLACE FUNCTION drawcli.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS 'SELECT now FROM drawcli.set_clock'
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Both:
    """The same jobs in PostgreSQL and in the model."""

    def __init__(self, server: Postgres, database: str, dice: Random) -> None:
        cluster = Cluster(password_file=password_file(server))
        url = server.url("north", database)
        self.dice, self.now = dice, 0.0
        self.model = Rows(LEASE)
        self.ledgers = [
            DatabaseLedger(Database(url, cluster), "", LeaseHolder(*holder), LEASE).__enter__()
            for holder in HOLDERS
        ]
        self.set_clock(0)
        for job_id in JOBS:
            job = self.drawn(Job(id=job_id, state=State.FOUND, since=START))
            self.ledgers[0].add(job)
            self.model.rows[job_id] = Row(job_id, job)
            self.noted(job)

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.leases.held.held.clear()  # what a claim of the test has noted
            ledger.__exit__()

    def set_clock(self, seconds: float) -> None:
        self.now += seconds
        self.ledgers[0].database.rows("UPDATE drawcli.set_clock SET now = %s", at(self.now))

    def drawn(self, job: Job) -> Job:
        """Return another version of a job."""
        return replace(job, state=self.dice.choice(STATES), since=at(self.dice.randint(-3, 0)))

    def noted(self, job: Job) -> None:
        row = self.model.rows[job.id]
        row.record, row.state = job, job.state

    # --- operations: each returns what PostgreSQL and what the model say

    def claim(self, holder: int) -> tuple[Any, Any]:
        job_id = self.dice.choice([*JOBS, "ffffffffffff-1"])
        answer = self.ledgers[holder].leases.table.claim(job_id)
        return answer, self.model.claim(job_id, HOLDERS[holder], self.now)

    def renew(self, holder: int) -> tuple[Any, Any]:
        fences = self.fences()
        answer = self.ledgers[holder].leases.table.renew(fences)
        return answer, self.model.renew(fences, self.now)

    def release(self, holder: int) -> tuple[Any, Any]:
        fences = self.fences()
        self.ledgers[holder].leases.table.release(fences)
        self.model.release(fences)
        return None, None

    def write(self, holder: int) -> tuple[Any, Any]:
        job_id, fence = self.fences()[0]
        row, ledger = self.model.rows[job_id], self.ledgers[holder]
        before = replace(row.record, revision=row.revision - (self.dice.random() < 0.2))
        last, after = self.dice.random() < 0.3, self.drawn(before)
        is_latest = row.fence == fence and row.until is not None
        ledger.leases.held.granted(job_id, fence, 0.0)
        stored: Any = None
        try:
            stored = ledger.commit(after, last=last)
        except LeaseLost:
            assert not is_latest
        except LedgerError:
            assert is_latest
            assert before.revision != row.revision
        ledger.leases.held.held.pop(job_id, None)
        asked = Write(job_id, fence, before.revision, after, last)
        if not self.model.write(asked, self.now):
            return stored, None
        self.noted(replace(after, revision=row.revision))
        return stored, row.record

    def of_host(self, holder: int) -> tuple[Any, Any]:
        host, _, boot = HOLDERS[holder]
        answer = self.ledgers[holder].leases.table.of_this_host()
        return sorted(answer), sorted(self.model.of_host(host, boot, self.now))

    def archive(self, _: int) -> tuple[Any, Any]:
        job_id = JOBS[0]
        self.ledgers[0].database.rows(
            "UPDATE drawcli.job SET month = '2026-11' WHERE id = %s", job_id
        )
        self.model.rows[job_id].archived = True
        return None, None

    def fences(self) -> list[tuple[str, int]]:
        """Return some jobs with fences: the latest, or those before and after."""
        some = self.dice.sample(JOBS, self.dice.randint(1, len(JOBS)))
        off = (0, 0, 0, -1, 1)
        return [(job_id, self.model.rows[job_id].fence + self.dice.choice(off)) for job_id in some]

    # --- rows

    def stored(self) -> list[tuple[Any, ...]]:
        return self.ledgers[0].database.rows(
            "SELECT id, revision, fence, coalesce(lease_host, ''), coalesce(lease_pid, 0), "
            "coalesce(lease_boot, ''), lease_until, state, month IS NOT NULL FROM drawcli.job "
            "ORDER BY id"
        )

    def modelled(self) -> list[tuple[Any, ...]]:
        return [
            (
                *(row.id, row.revision, row.fence, *row.holder),
                *(None if row.until is None else at(row.until), row.state, row.archived),
            )
            for row in self.model.rows.values()
        ]


OPERATIONS = [
    *(Both.claim, Both.claim, Both.claim, Both.renew, Both.release, Both.release),
    *(Both.write, Both.write, Both.write, Both.of_host, Both.archive),
]


@pytest.fixture(scope="module")
def database(postgres_server: Postgres) -> str:
    with_tables(postgres_server, "modelled")
    postgres_server.execute(_SET_CLOCK, database="modelled")
    return "modelled"


@pytest.fixture
def both(
    postgres_server: Postgres, database: str, request: pytest.FixtureRequest
) -> Iterator[Both]:
    postgres_server.execute("TRUNCATE drawcli.job CASCADE", database=database)
    compared = Both(postgres_server, database, Random(request.param))  # noqa: S311
    yield compared
    compared.close()


def compare(both: Both, operations: int) -> None:
    done = list[str]()
    for _ in range(operations):
        both.set_clock(both.dice.choice((0, 0, 1, LEASE / 2, LEASE)))  # also to the very end
        operation, holder = both.dice.choice(OPERATIONS), both.dice.randrange(len(HOLDERS))
        answer, expected = operation(both, holder)
        done.append(f"{both.now} {operation.__name__} by {HOLDERS[holder]}: {answer}")
        shown = "\n".join(done[-20:])
        assert answer == expected, shown
        assert both.stored() == both.modelled(), shown


@pytest.mark.parametrize("both", range(3), indirect=True)
def test_the_database_does_what_the_model_does(both: Both) -> None:
    compare(both, 100)


@pytest.mark.sweep
@pytest.mark.parametrize("both", range(3, 8), indirect=True)
def test_the_database_does_what_the_model_does_for_long(both: Both) -> None:
    compare(both, 1000)


FAULTS = {
    "a claim that another still has": ("AND (lease_until IS NULL", "AND (true"),
    "a claim that keeps the fence": ("fence = job.fence + 1", "fence = job.fence"),
    "a claim one moment too late": ("lease_until <= drawcli", "lease_until < drawcli"),
    "a renewal without a fence": ("AND job.fence = ours.fence", ""),
    "a renewal after the release": ("AND job.lease_until IS NOT NULL", ""),
    "a write without a fence": ("AND fence = %s", "AND (fence = %s OR true)"),
    "a write without a revision": ("AND revision = %s", "AND (revision = %s OR true)"),
    "a write after the release": ("AND lease_until IS NOT NULL\nRETURNING", "RETURNING"),
    "a write that gives nothing back": ("CASE WHEN %s THEN", "CASE WHEN %s AND false THEN"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("both", [0], indirect=True)
def test_a_fault_in_the_sql_is_found(
    both: Both, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = FAULTS[fault]
    asked, changed = Database.rows_once, list[str]()

    def rows(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if right in query:
            changed.append(query)
        return asked(database, query.replace(right, wrong), *values)

    monkeypatch.setattr(Database, "rows_once", rows)
    with suppress(LedgerError), pytest.raises(AssertionError):
        compare(both, 1000)
    assert changed
