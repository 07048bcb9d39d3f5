"""Versions of the tables: applied once, whole, with the data that are there, or not at all."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from drawcli.adapters.ledger.postgres import schema
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.errors import AnotherRun, LedgerError
from tests.adapters.ledger.postgres.conftest import Opened
from tests.postgres import Postgres, needs_postgres, password_file
from tests.waiting import wait_until

pytestmark = needs_postgres
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
JOBS = [Job(id=f"{number:012x}-1", state=State.FOUND, since=NOON) for number in range(5)]
NEWEST = max(schema.migrations())
NEXT = """
ALTER TABLE drawcli.job ADD COLUMN shade text NOT NULL DEFAULT 'none';
CREATE TABLE drawcli.shade (name text PRIMARY KEY);
INSERT INTO drawcli.shade SELECT DISTINCT state FROM drawcli.job;
"""
WAITING = """
DO $$ BEGIN
    IF nextval('public.turn') = 1 THEN PERFORM pg_sleep(600);  -- until it is cut
    ELSE PERFORM pg_advisory_xact_lock(4711);  -- until somebody has looked
    END IF;
END $$;
"""


@pytest.fixture
def owner(server: Postgres, database: str) -> Iterator[Database]:
    cluster = Cluster(password_file=password_file(server))
    with Database(server.url(database=database), cluster, seconds=None) as opened:
        yield opened


def with_next(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Add versions of the tables to this drawcli."""
    more = {NEWEST + number: text for number, text in enumerate(texts, 1)}
    known = schema.migrations() | more
    monkeypatch.setattr(schema, "migrations", lambda: known)


def test_a_new_version_keeps_the_data(
    opened: Opened, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened().add(*JOBS)
    with_next(monkeypatch, NEXT, "CREATE TABLE drawcli.more (n integer)")

    done = schema.migrate(owner)

    assert done == [NEWEST + 1, NEWEST + 2]
    assert schema.version_of(owner) == NEWEST + 2
    assert opened("host2").jobs() == JOBS
    assert owner.rows("SELECT name FROM drawcli.shade") == [("found",)]
    assert schema.migrate(owner) == []


@pytest.mark.parametrize("fault", ["SELECT 1 / 0", "CREATE TABLE drawcli.job (n integer)"])
def test_a_version_that_fails_changes_nothing(
    opened: Opened, owner: Database, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    opened().add(*JOBS)
    with monkeypatch.context() as patch:
        with_next(patch, NEXT, fault)
        with pytest.raises(LedgerError, match="refuses"):
            schema.migrate(owner)

    assert schema.version_of(owner) == NEWEST
    assert owner.rows("SELECT to_regclass('drawcli.shade')") == [(None,)]
    assert opened("host2").jobs() == JOBS


def test_a_migration_whose_connection_ends_is_rolled_back_and_done_again(
    opened: Opened, owner: Database, monkeypatch: pytest.MonkeyPatch, server: Postgres
) -> None:
    opened().add(*JOBS)
    database = owner.name.split()[1]
    server.execute("CREATE SEQUENCE public.turn", database=database)  # a rollback leaves it
    with_next(monkeypatch, NEXT + WAITING)
    seen: list[object] = []

    def cut() -> None:
        sleeping = (
            "SELECT pid FROM pg_stat_activity "
            f"WHERE wait_event = 'PgSleep' AND datname = '{database}'"
        )
        wait_until(lambda: server.execute(sleeping))
        looks = (
            "SELECT pg_advisory_lock(4711)",
            f"SELECT pg_terminate_backend(pid, 5000) FROM ({sleeping}) AS sleeping",
            "SELECT to_regclass('drawcli.shade')",
        )
        seen.extend(server.execute(*looks, database=database)[0])

    cutter = threading.Thread(target=cut)
    cutter.start()
    done = schema.migrate(owner)
    cutter.join()

    assert seen == [None]  # the first attempt left nothing
    assert done == [NEWEST + 1]
    assert owner.rows("SELECT count(*) FROM drawcli.schema_version") == [(NEWEST + 1,)]


def test_two_upgrades_at_once_are_done_once(
    owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_next(monkeypatch, NEXT)
    done: list[list[int]] = []

    def upgrade() -> None:
        with owner.another() as own:
            done.append(schema.migrate(own))

    both = [threading.Thread(target=upgrade) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert sorted(done) == [[], [NEWEST + 1]]


def test_tables_are_not_changed_under_a_host_that_works(
    opened: Opened, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened("busy-host")
    ledger.add(*JOBS)
    with_next(monkeypatch, NEXT)

    with ledger.claim(JOBS[0].id), pytest.raises(AnotherRun, match="north/busy-host works on jobs"):
        schema.migrate(owner)

    assert schema.version_of(owner) == NEWEST


def test_a_drawcli_of_another_version_uses_no_table(
    opened: Opened, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = opened()
    with monkeypatch.context() as newer:
        with_next(newer, NEXT)
        with pytest.raises(LedgerError) as old_tables:
            opened("host2")
        schema.migrate(owner)
        opened("host3")

    assert f"needs version {NEWEST + 1}" in str(old_tables.value)
    assert "cluster upgrade" in old_tables.value.hint
    for begin in (opened, working.beat):  # a new process, and one that has run since before
        with pytest.raises(LedgerError, match="newer drawcli"):
            begin()
