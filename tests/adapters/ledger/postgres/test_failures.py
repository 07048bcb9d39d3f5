"""Each failure of the database has one message with an exit code of its own."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.schema import check_version
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from drawcli.errors import DrawcliError
from tests.postgres import (
    PASSWORD,
    Postgres,
    emptied,
    needs_postgres,
    opened_ledger,
    password_file,
)
from tests.tls import Authority

pytestmark = needs_postgres
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DATABASE = "drawcli.adapters.ledger.postgres.database"
JOB = Job(id="0123456789ab-1", state=State.FOUND, since=NOON)
RAISING = """
CREATE OR REPLACE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not go on' USING ERRCODE = '{}'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON drawcli.job FOR EACH ROW EXECUTE FUNCTION public.fail()
"""


@pytest.fixture
def place(postgres_server: Postgres) -> Iterator[str]:
    name = emptied(postgres_server, "failing")
    yield name
    postgres_server.execute("DROP TRIGGER IF EXISTS fail ON drawcli.job", database=name)
    postgres_server.execute("ALTER ROLE north RESET ALL", "ALTER ROLE north CONNECTION LIMIT -1")


def adding(server: Postgres, place: str) -> None:
    with opened_ledger(server.url("north", place), password_file(server)) as ledger:
        ledger.add(JOB)


def told(call: Callable[[], object]) -> DrawcliError:
    with pytest.raises(DrawcliError) as caught:
        call()
    err = caught.value
    assert PASSWORD not in f"{err} {err.hint}"
    assert "\n" not in str(err)
    assert err.hint
    return err


@pytest.mark.parametrize(
    ("state", "exit_code", "words"),
    [
        ("53100", 7, "its disk is full"),
        ("53200", 7, "no memory left"),
        ("57014", 7, "took too long"),
        ("25006", 7, "standby"),
        ("40001", 7, "at the same time"),
        ("40P01", 7, "at the same time"),
        ("58030", 7, "disk or system"),
        ("42501", 4, "no right"),
        ("42703", 4, "another version"),
        ("XX001", 4, "damaged"),
        ("22000", 4, "refuses"),
    ],
)
def test_each_refusal_of_the_database_has_its_message(
    postgres_server: Postgres, place: str, state: str, exit_code: int, words: str
) -> None:
    for statement in RAISING.format(state).split(";\nCREATE TRIGGER"):
        whole = statement if "FUNCTION public.fail() RETURNS" in statement else None
        postgres_server.execute(whole or f"CREATE TRIGGER{statement}", database=place)

    err = told(lambda: adding(postgres_server, place))

    assert err.exit_code == exit_code
    assert words in str(err)


def test_a_change_that_conflicts_with_another_is_repeated(
    postgres_server: Postgres, place: str
) -> None:
    postgres_server.execute(
        "CREATE SEQUENCE IF NOT EXISTS public.turn",
        "GRANT USAGE ON SEQUENCE public.turn TO north",
        "CREATE OR REPLACE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('public.turn') = 1 THEN RAISE 'once' USING ERRCODE = '40001'; END IF; "
        "RETURN NEW; END $$",
        "CREATE TRIGGER fail BEFORE INSERT ON drawcli.job "
        "FOR EACH ROW EXECUTE FUNCTION public.fail()",
        database=place,
    )

    with opened_ledger(
        postgres_server.url("north", place), password_file(postgres_server)
    ) as ledger:
        assert ledger.add(JOB) == [JOB]
        assert ledger.jobs() == [JOB]


def test_a_database_that_is_read_only_can_be_read(postgres_server: Postgres, place: str) -> None:
    adding(postgres_server, place)
    postgres_server.execute("ALTER ROLE north SET default_transaction_read_only = on")

    with opened_ledger(
        postgres_server.url("north", place), password_file(postgres_server)
    ) as ledger:
        assert ledger.jobs() == [JOB]
        err = told(lambda: ledger.add(JOB))

    assert (err.exit_code, err.code) == (7, "ledger-away")
    assert "standby" in str(err)


def test_too_many_connections_are_waited_for(postgres_server: Postgres, place: str) -> None:
    postgres_server.execute("ALTER ROLE north CONNECTION LIMIT 0")

    err = told(lambda: adding(postgres_server, place))

    assert (err.exit_code, err.code) == (7, "ledger-away")
    assert "too many connections" in str(err)


def test_a_long_statement_is_cancelled(postgres_server: Postgres, place: str) -> None:
    cluster = Cluster(password_file=password_file(postgres_server))
    with Database(postgres_server.url("north", place), cluster, seconds=1.0) as database:
        err = told(lambda: database.rows("SELECT pg_sleep(60)"))

        assert err.exit_code == 7
        assert database.rows("SELECT 1") == [(1,)]


def test_a_server_that_no_longer_answers_is_given_up(
    postgres_server: Postgres, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not cancel the statement, and its connection stays open."""
    monkeypatch.setattr(f"{DATABASE}.DATABASE_GRACE_SECONDS", 0.8 - 60)  # we wait 0.8 s
    cluster = Cluster(password_file=password_file(postgres_server))
    with Database(postgres_server.url("north", place), cluster, seconds=60) as database:
        err = told(lambda: database.rows("SET statement_timeout = 0; SELECT pg_sleep(60)"))

    assert err.exit_code == 7
    assert "no answer within" in str(err)


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (("north", "failing", "wrong"), "refuses the login"),
        (("nobody", "failing", PASSWORD), "refuses the login"),
        (("north", "elsewhere", PASSWORD), "no such database"),
        (("north", "failing", ""), "there is no password"),
    ],
)
@pytest.mark.usefixtures("place")
def test_a_refused_login_is_an_error_of_the_settings(
    postgres_server: Postgres, tmp_path: Path, login: tuple[str, str, str], words: str
) -> None:
    user, database, secret = login
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(secret)
    cluster = Cluster(password_file=file if secret else None)

    err = told(
        lambda: Database(postgres_server.url(user, database), cluster).rows("SELECT 1"),
    )

    assert (err.exit_code, err.code) == (3, "ledger-login")
    assert words in str(err)


def test_a_database_without_tables_or_rights_names_the_command_that_helps(
    postgres_server: Postgres,
) -> None:
    cluster = Cluster(password_file=password_file(postgres_server))
    names = {one for (one,) in postgres_server.execute("SELECT rolname FROM pg_roles")}
    if "stranger" not in names:
        postgres_server.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")
    if not postgres_server.execute("SELECT 1 FROM pg_database WHERE datname = 'bare'"):
        postgres_server.execute("CREATE DATABASE bare")
    failing = emptied(postgres_server, "failing")

    with Database(postgres_server.url("stranger", "bare"), cluster) as database:
        bare = told(lambda: check_version(database))
    with Database(postgres_server.url("stranger", failing), cluster) as another:
        strange = told(lambda: check_version(another))

    assert (bare.exit_code, strange.exit_code) == (4, 4)
    assert "has no tables of drawcli" in str(bare)
    assert "no right" in str(strange)
    assert "cluster add-site" in strange.hint


def test_a_wrong_certificate_is_refused(postgres_server: Postgres, tmp_path: Path) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    cluster = Cluster(password_file=password_file(postgres_server))
    url = postgres_server.url("north", emptied(postgres_server, "failing"))

    def secured(authority: Authority) -> Database:
        return Database(f"{url}?sslmode=verify-full&sslrootcert={authority.file}", cluster)

    with postgres_server.speaking_tls(*ours.certificate("127.0.0.1")):
        with secured(ours) as right:
            encrypted = right.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        err = told(lambda: secured(others).rows("SELECT 1"))

    assert encrypted == [(True,)]
    assert (err.exit_code, err.code) == (3, "ledger-login")
    assert "certificate" in str(err)


@pytest.mark.parametrize(
    ("address", "mode"),
    [
        ("postgresql://u@db.example/draw", "verify-full"),
        ("postgresql:///draw?host=db.example", "verify-full"),
        ("postgresql:///draw?host=/run/postgresql,db.example", "verify-full"),
        ("postgresql:///draw?host=/run/postgresql", None),
        ("postgresql://u@127.0.0.1/draw", None),
        ("postgresql:///draw?service=ward", None),
    ],
)
def test_a_connection_to_another_machine_is_encrypted_and_verified(
    address: str, mode: str | None
) -> None:
    assert Database(address, Cluster()).parameters().get("sslmode") == mode


def test_the_password_of_the_ledger_is_in_no_text_of_it(postgres_server: Postgres) -> None:
    ledger = opened_ledger(postgres_server.url("north", "failing"), password_file(postgres_server))

    shown = re.sub(r"\s+", " ", f"{ledger!r} {ledger.database!r} {ledger.database.name}")
    assert PASSWORD not in shown


@pytest.mark.parametrize(("hours", "words"), [(5, "5 h ahead of"), (-5, "5 h behind"), (0.4, "")])
def test_a_run_on_a_host_whose_clock_is_hours_off_does_nothing(
    postgres_server: Postgres,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    hours: float,
    words: str,
) -> None:
    moment = time.time() + 3600 * hours + (5 if hours > 0 else -5)
    address = postgres_server.url("north", place)
    with opened_ledger(address, password_file(postgres_server)) as ledger:
        monkeypatch.setattr("drawcli.adapters.ledger.postgres.hosts.time.time", lambda: moment)
        if not words:
            ledger.beat()
            return
        err = told(ledger.beat)
        monkeypatch.undo()

    assert (err.code, err.exit_code) == ("clock", 3)
    assert words in str(err)
    hosts = postgres_server.execute("SELECT host FROM drawcli.host", database=place)
    assert hosts == []  # the other hosts do not see it as active
