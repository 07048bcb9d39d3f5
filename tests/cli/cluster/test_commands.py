"""drawcli cluster: tables, sites, roles, upgrade and status."""

from pathlib import Path

import pytest

from drawcli.adapters.ledger.postgres import schema
from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.core.jobs.job import Job, State
from tests.cli.cluster.conftest import Owner
from tests.cli.conftest import Run
from tests.conftest import NOON, Site
from tests.postgres import PASSWORD, Postgres, needs_postgres, password_file
from tests.waiting import wait_until

pytestmark = needs_postgres


def use(site: Site, made: dict[str, str]) -> None:
    """Write the settings that `cluster init` prints."""
    site.add_line(f"ledger: {made['ledger']}")
    site.add_line(f"cluster: {{site: {made['site']}, password_file: {made['role_password']}}}")


def test_a_database_is_made_ready_and_a_host_uses_it(
    by_owner: Owner, drawcli: Run, site: Site
) -> None:
    made = by_owner("init", "--site", "north", "--json").answer["data"]
    use(site, made)

    shown = drawcli("cluster", "status", "--json").answer["data"]
    secret = Path(made["role_password"])

    assert made["new_site"] is made["new_role"] is True
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (shown["site"], shown["role"]) == ("north", "drawcli_north")
    assert shown["hosts"] == []
    assert secret.read_text().strip() not in str(made) + str(shown)


def test_init_can_be_repeated_and_changes_nothing(by_owner: Owner, site: Site) -> None:
    first = by_owner("init", "--site", "north", "--json").answer["data"]
    secret = Path(first["role_password"])
    before = secret.read_text()
    again = by_owner("init", "--site", "north", "--json").answer["data"]
    secret.unlink()
    without = by_owner("init", "--site", "north", "--json").answer["data"]

    assert again["new_site"] is again["new_role"] is False
    assert again["role_password"] == str(site.folder / "drawcli-north.password")
    assert before.strip()
    assert without["role_password"] is None  # its hosts go on with the password that they have
    assert not secret.exists()


def test_a_run_records_its_host_as_active(
    by_owner: Owner, drawcli: Run, site: Site, pelvis: list[Path]
) -> None:
    del pelvis
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])

    assert drawcli("run-once").code in (0, 7)  # its server is nowhere
    shown = drawcli("cluster", "status", "--json").answer["data"]
    text = drawcli("cluster", "status").out

    [host] = shown["hosts"]
    assert host["host"] == (site.state / "host.id").read_text().strip()
    assert 0 <= host["silent_seconds"] < 60
    assert sum(one["jobs"] for one in shown["jobs"]) == 1
    assert shown["leases"] == []
    assert host["host"] in text


def test_a_second_site_has_a_role_of_its_own(by_owner: Owner) -> None:
    by_owner("init", "--site", "north")
    added = by_owner("add-site", "south-2", "--json").answer["data"]

    assert added["role"] == "drawcli_south_2"
    assert added["ledger"].startswith("postgresql://drawcli_south_2@127.0.0.1:")


@pytest.mark.parametrize("name", ["", "North", "a b", "x'; DROP TABLE drawcli.job; --"])
def test_a_site_has_a_plain_name(by_owner: Owner, name: str) -> None:
    assert by_owner("init", "--site", name).code == 2


def test_a_role_has_a_name_that_postgresql_keeps(by_owner: Owner) -> None:
    told = by_owner("init", "--site", "a" * 60)

    assert told.code == 2
    assert "68 characters" in told.err
    assert by_owner("init", "--site", "a" * 60, "--role", "short").code == 0


def test_a_role_with_more_rights_is_refused(by_owner: Owner) -> None:
    told = by_owner("init", "--site", "north", "--role", "owner")

    assert told.code == 3
    assert "may do more" in told.err


def test_the_password_of_the_owner_is_never_on_the_command_line(drawcli: Run) -> None:
    told = drawcli("cluster", "init", "--site", "a", "--admin", "postgresql://o:hidden@localhost/d")

    assert told.code == 2
    assert "hidden" not in told.out + told.err


def test_the_password_of_a_role_reaches_the_server_as_verifier_only(
    by_owner: Owner, postgres_server: Postgres
) -> None:
    log = postgres_server.data.parent / "log"
    postgres_server.execute("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()")
    wait_until(lambda: postgres_server.execute("SHOW log_statement") == [("all",)])
    made = by_owner("init", "--site", "north", "--json").answer["data"]
    postgres_server.execute("ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()")

    text = log.read_text()
    assert "SCRAM-SHA-256$" in text
    assert Path(made["role_password"]).read_text().strip() not in text


def test_an_upgrade_makes_a_backup_first(
    by_owner: Owner, site: Site, monkeypatch: pytest.MonkeyPatch, postgres_server: Postgres
) -> None:
    by_owner("init", "--site", "north")
    newest = max(schema.migrations())
    more = schema.migrations() | {newest + 1: "CREATE TABLE drawcli.more (n integer)"}
    idle = by_owner("upgrade", "--json").answer["data"]
    monkeypatch.setattr(schema, "migrations", lambda: more)

    planned = by_owner("upgrade", "--dry-run", "--json").answer["data"]
    done = by_owner("upgrade", "--backup", "before.dump", "--json").answer["data"]

    assert idle["steps"] == []
    assert planned["steps"] == done["steps"] == [newest + 1]
    backup = site.folder / "before.dump"
    assert backup.read_bytes().startswith(b"PGDMP")
    assert backup.stat().st_mode & 0o777 == 0o600
    monkeypatch.undo()
    refused = by_owner("add-site", "south")
    assert refused.code == 4
    assert "newer drawcli" in refused.err
    assert PASSWORD not in refused.err + str(done)
    assert password_file(postgres_server).exists()


def test_an_upgrade_that_is_refused_makes_no_backup(
    by_owner: Owner, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])
    newest = max(schema.migrations())
    with database_ledger(site.settings()) as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.FOUND, since=NOON))
        more = schema.migrations() | {newest + 1: "CREATE TABLE drawcli.more (n integer)"}
        monkeypatch.setattr(schema, "migrations", lambda: more)
        with ledger.claim("0123456789ab-1"):
            refused = by_owner("upgrade", "--backup", "before.dump")

    assert refused.code == 11
    assert "works on jobs" in refused.err
    assert not (site.folder / "before.dump").exists()


def test_without_a_database_there_is_one_machine(drawcli: Run) -> None:
    told = drawcli("cluster", "status")

    assert told.code == 0
    assert "one machine" in told.out
