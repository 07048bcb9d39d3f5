"""A site in a shared database can read, change and create only its own rows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.work_queue.engine import schema_of
from drawcli.adapters.work_queue.tables import install_queues
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from tests.postgres import PASSWORD, Postgres, emptied, needs_postgres, opened_ledger, password_file

pytestmark = needs_postgres
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
JOB = Job(id="0123456789ab-1", state=State.FOUND, since=NOON)
OPEN_TO_ALL = {"schema_version"}  # has no site


@pytest.fixture(scope="module")
def place(postgres_server: Postgres) -> str:
    name = emptied(postgres_server, "separated")
    cluster = Cluster(password_file=password_file(postgres_server))
    with Database(postgres_server.url(database=name), cluster) as owner:
        install_queues(owner)
    return name


@pytest.fixture(autouse=True)
def rows(postgres_server: Postgres, place: str) -> None:
    """Give each site a row in every table."""
    emptied(postgres_server, place)
    for site in ("north", "south"):
        with opened_ledger(
            postgres_server.url(site, place), password_file(postgres_server)
        ) as ledger:
            ledger.add(JOB)
            ledger.beat()
        postgres_server.execute(
            f"INSERT INTO drawcli.job_file VALUES ('{site}', '{JOB.id}', 'vault', 'd', NULL, 'x')",
            f"INSERT INTO drawcli.server_wait VALUES ('{site}', 'https://s', now(), 'busy')",
            f"INSERT INTO drawcli.slot VALUES ('{site}', 'upload', '{JOB.id}', 1)",
            f"INSERT INTO drawcli.site_state VALUES ('{site}', 'pause', 'x')",
            database=place,
        )


@pytest.fixture
def north(postgres_server: Postgres, place: str) -> Iterator[psycopg.Connection[Any]]:
    secret = PASSWORD.replace(" ", "%20")
    address = f"{postgres_server.url('north', place)}?password={secret}"
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def with_site(server: Postgres, place: str) -> list[str]:
    query = (
        "SELECT table_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'drawcli' AND column_name = 'site' "
        "AND table_type = 'BASE TABLE'"
    )
    return sorted(name for (name,) in server.execute(query, database=place))


def test_every_table_has_rows_of_both_sites_and_shows_one(
    postgres_server: Postgres, place: str, north: psycopg.Connection[Any]
) -> None:
    tables = with_site(postgres_server, place)
    assert len(tables) >= 8
    for table in tables:
        text = f"SELECT DISTINCT site FROM drawcli.{table}"
        every = {site for (site,) in postgres_server.execute(text, database=place)}
        seen = {site for (site,) in north.execute(text.encode())}

        assert ({"north", "south"} <= every, table) == (True, table)
        assert (seen, table) == ({"north"}, table)


def test_every_table_is_under_row_level_security_or_has_no_site(
    postgres_server: Postgres, place: str
) -> None:
    bare = postgres_server.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname = 'drawcli' AND relkind IN ('r', 'p', 'm', 'f') AND NOT relrowsecurity",
        database=place,
    )

    assert {name for (name,) in bare} == OPEN_TO_ALL


def test_public_has_no_rights_and_sites_have_rights_on_rows_only(
    postgres_server: Postgres, place: str
) -> None:
    granted = postgres_server.execute(
        "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE table_schema = 'drawcli' AND grantee <> current_user",
        database=place,
    )

    assert "PUBLIC" not in {grantee for grantee, _, _ in granted}
    kinds = {kind for _, _, kind in granted}
    assert kinds <= {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert ("drawcli_site", "job", "DELETE") not in granted


UNSEEN = {
    "counted": "SELECT count(*) FROM drawcli.job WHERE site = 'south'",
    "by a copy": "COPY (SELECT * FROM drawcli.job_file WHERE site = 'south') TO STDOUT",
    "as the group": "SET ROLE drawcli_site; SELECT count(*) FROM drawcli.job WHERE site = 'south'",
    "by statistics": "SELECT count(*) FROM pg_stats WHERE schemaname = 'drawcli'",
    "locked": "SELECT count(*) FROM (SELECT 1 FROM drawcli.job WHERE site = 'south' "
    "FOR UPDATE SKIP LOCKED) AS x",
}


@pytest.mark.parametrize("way", UNSEEN)
def test_nothing_of_another_site_is_seen(
    postgres_server: Postgres, place: str, north: psycopg.Connection[Any], way: str
) -> None:
    postgres_server.execute("ANALYZE drawcli.job, drawcli.job_file", database=place)

    *before, last = UNSEEN[way].split("; ")
    for statement in before:
        north.execute(statement.encode())
    if last.startswith("COPY"):
        with north.cursor().copy(last.encode()) as copy:
            assert list(copy.rows()) == []
    else:
        assert north.execute(last.encode()).fetchall() == [(0,)]


CHANGED_NOTHING = {
    "state": "UPDATE drawcli.job SET state = 'done' WHERE site = 'south'",
    "fence": "UPDATE drawcli.job SET fence = 99, lease_until = NULL WHERE site = 'south'",
    "file": "UPDATE drawcli.job_file SET sealed = 'y' WHERE site = 'south'",
    "file away": "DELETE FROM drawcli.job_file WHERE site = 'south'",
    "host": "DELETE FROM drawcli.host WHERE site = 'south'",
    "pause": "UPDATE drawcli.site_state SET value = '' WHERE site = 'south'",
    "slot": "DELETE FROM drawcli.slot WHERE site = 'south'",
}


@pytest.mark.parametrize("what", CHANGED_NOTHING)
def test_nothing_of_another_site_is_changed(north: psycopg.Connection[Any], what: str) -> None:
    assert north.execute(CHANGED_NOTHING[what].encode()).rowcount == 0


REFUSED = {
    "a job of another": "INSERT INTO drawcli.job (site, id, series_key, state, since, held, "
    "priority, source_digest, revision, record) VALUES ('south', '0123456789ab-9', '', 'found', "
    "now(), false, 0, '', 0, '{}')",
    "an upsert over another": "INSERT INTO drawcli.site_state VALUES ('south', 'pause', 'y') "
    "ON CONFLICT (site, name) DO UPDATE SET value = 'y'",
    "a job given away": "UPDATE drawcli.job SET site = 'south'",
    "a job deleted": "DELETE FROM drawcli.job",
    "all jobs away": "TRUNCATE drawcli.job",
    "a site": "INSERT INTO drawcli.site VALUES ('west')",
    "a site taken": "INSERT INTO drawcli.site_role VALUES ('north', 'south')",
    "a site renamed": "UPDATE drawcli.site SET site = 'west'",
    "a version": "INSERT INTO drawcli.schema_version (version) VALUES (99)",
    "a table": "CREATE TABLE drawcli.mine (n integer)",
    "a table in public": "CREATE TABLE public.mine (n integer)",
    "a table of the session": "CREATE TEMPORARY TABLE job (n integer)",
    "a schema": "CREATE SCHEMA mine",
    "a function": "CREATE FUNCTION drawcli.clock2() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "another clock": "CREATE OR REPLACE FUNCTION drawcli.clock() RETURNS timestamptz "
    "LANGUAGE sql AS 'SELECT now() + interval ''1 year'''",
    "no security": "ALTER TABLE drawcli.job DISABLE ROW LEVEL SECURITY",
    "another policy": "CREATE POLICY mine ON drawcli.job USING (true)",
    "no trigger": "ALTER TABLE drawcli.job DISABLE TRIGGER ALL",
    "triggers off": "SET session_replication_role = replica",
    "the owner": "SET ROLE owner",
    "another site": "SET ROLE south",
    "another session": "SET SESSION AUTHORIZATION south",
    "a role": "CREATE ROLE mine",
    "its own rights": "ALTER ROLE north BYPASSRLS",
    "the changes set back": "SELECT setval('drawcli.changes', 1)",
    "a file of the server": "SELECT pg_read_file('PG_VERSION')",
    "a program": "COPY drawcli.site TO PROGRAM 'cat'",
    "passwords": "SELECT rolpassword FROM pg_authid",
    "the counts of all sites": "SELECT * FROM drawcli.site_summary",
    "the queue of another": f'SELECT * FROM "{schema_of("south")}".procrastinate_jobs',
    "a task for another": f'INSERT INTO "{schema_of("south")}".procrastinate_jobs '
    "(queue_name, task_name) VALUES ('upload', 'x')",
}


@pytest.mark.parametrize("what", REFUSED)
def test_statements_that_a_site_may_not_run_are_refused(
    north: psycopg.Connection[Any], what: str
) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.SyntaxError)) as err:
        north.execute(REFUSED[what].encode())

    assert err.type is psycopg.errors.InsufficientPrivilege


def test_a_search_path_of_its_own_gives_a_site_nothing(north: psycopg.Connection[Any]) -> None:
    for path in ("pg_temp, drawcli", "public, drawcli, pg_catalog", '"$user"'):
        north.execute(f"SET search_path = {path}".encode())
        seen = north.execute(b"SELECT site FROM drawcli.job").fetchall()
        assert seen == [("north",)]


def test_the_queries_of_another_site_are_not_shown(
    postgres_server: Postgres, place: str, north: psycopg.Connection[Any]
) -> None:
    with opened_ledger(
        postgres_server.url("south", place), password_file(postgres_server)
    ) as ledger:
        assert ledger.jobs()
        shown = north.execute(
            b"SELECT query FROM pg_stat_activity WHERE usename = 'south'"
        ).fetchall()

    assert {query for (query,) in shown} == {"<insufficient privilege>"}
