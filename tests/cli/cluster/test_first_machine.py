"""cluster init --create --write: two commands bring up a cluster on one machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job, State
from drawcli.sandbox.server import running
from tests.cli.cluster.conftest import Owner
from tests.cli.conftest import Run, at_sandbox, environment
from tests.conftest import NOON, PELVIS, Site
from tests.documents.blocks import ROOT, blocks
from tests.phantoms.planning import write_planning_ct
from tests.postgres import OWNER, PASSWORD, Postgres, needs_postgres, password_file, postgres
from tests.waiting import wait_until

pytestmark = needs_postgres
PAGE = ROOT / "docs/how-to/cluster.md"


def test_a_new_site_has_its_settings_written_and_its_comments_kept(
    by_owner: Owner, drawcli: Run, site: Site
) -> None:
    before = site.config.read_text()
    site.config.chmod(0o640)
    told = by_owner("init", "--site", "north", "--write", "--json")
    again = by_owner("init", "--site", "north", "--write")
    text = site.config.read_text()

    assert told.answer["data"]["written"] == ["ledger", "cluster"]
    assert again.code == 0, again.err
    assert text.startswith(before)
    assert text.removeprefix(before).split("\n")[1:] == [
        f"ledger: {told.answer['data']['ledger']}",
        "cluster: {site: north, password_file: drawcli-north.password}",
        "",
    ]
    assert site.config.stat().st_mode & 0o777 == 0o640
    assert drawcli("cluster", "status", "--json").answer["data"]["site"] == "north"


def test_a_setting_of_the_cluster_stays(by_owner: Owner, site: Site) -> None:
    site.add_line("cluster: {lease_seconds: 7, site: north}  # as agreed")

    assert by_owner("init", "--site", "north", "--write").code == 0

    settings = site.settings()
    assert (settings.cluster.lease_seconds, settings.cluster.site) == (7, "north")
    assert "# as agreed" in site.config.read_text()
    assert settings.ledger


def test_a_ledger_with_jobs_is_moved_first(by_owner: Owner, drawcli: Run, site: Site) -> None:
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.FOUND, since=NOON))
    told = by_owner("init", "--site", "north", "--write")
    move = told.out.partition("next")[2].split()

    assert site.settings().ledger == ""
    assert move[:4] == ["drawcli", "ledger", "migrate", "--to"]
    assert drawcli(*move[1:]).code == 0
    again = by_owner("init", "--site", "north", "--write", "--json")
    assert again.answer["data"]["written"] == ["ledger", "cluster"]
    assert len(drawcli("status", "--json").answer["data"]["jobs"]) == 1


def test_another_ledger_in_the_settings_is_not_replaced(by_owner: Owner, site: Site) -> None:
    site.add_line("ledger: postgresql://drawcli@elsewhere.example/drawcli")
    before = site.config.read_text()

    told = by_owner("init", "--site", "north", "--write")

    assert told.code == 3
    assert "names another database" in told.err
    assert site.config.read_text() == before


def test_a_password_that_is_on_another_host_is_an_error(by_owner: Owner, site: Site) -> None:
    made = by_owner("init", "--site", "north", "--json").answer["data"]
    Path(made["role_password"]).unlink()
    before = site.config.read_text()

    told = by_owner("init", "--site", "north", "--write")

    assert told.code == 3
    assert "--role-password" in told.err
    assert site.config.read_text() == before


def test_a_missing_database_is_made_only_with_create(
    drawcli: Run, postgres_server: Postgres, database: str
) -> None:
    name = f"{database}-new"
    words = ("cluster", "init", "--admin", postgres_server.url(database=name), "--site", "north")
    secret = ("--password-file", str(password_file(postgres_server)))
    refused = drawcli(*words, *secret)
    made = drawcli(*words, *secret, "--create")
    there = postgres_server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'")
    postgres_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    assert refused.code == 3
    assert "--create" in refused.err
    assert made.code == 0, made.err
    assert there


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Postgres]:
    """Run PostgreSQL with a Unix socket, whose owner is the user of the environment."""
    with postgres(tmp_path / "postgres") as server:
        yield server


@pytest.mark.sweep
def test_the_two_commands_of_the_page_bring_up_two_workers(
    own_server: Postgres, site: Site, tmp_path: Path
) -> None:
    """They are typed as the page has them; the environment says where PostgreSQL is."""
    [block] = [one for one in blocks(PAGE) if "drawcli worker --parallel 2" in one.text]
    commands = block.text.strip().splitlines()
    assert len(commands) == 2
    write_planning_ct(site.store, PELVIS, slices=4, size=32)
    env = environment(site) | {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(own_server.port),
        "PGUSER": OWNER,
        "PGPASSWORD": PASSWORD,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with running(tmp_path / "sandbox") as sandbox:
        at_sandbox(site, sandbox.url, sandbox.token_file)
        subprocess.run(["sh", "-ec", commands[0]], cwd=site.folder, env=env, check=True)
        words = ["sh", "-ec", f"exec {commands[1]}"]
        with subprocess.Popen(words, cwd=site.folder, env=env) as worker:
            try:
                wait_until(lambda: list(site.store.rglob("RS.*")), 400)
                lanes = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            finally:
                worker.send_signal(signal.SIGTERM)
        assert worker.returncode == 0

    jobs = own_server.execute("SELECT site, state FROM drawcli.job", database="drawcli")
    assert [one for one, _ in jobs] == ["north"]
    assert len(lanes) >= 2
