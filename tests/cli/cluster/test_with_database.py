"""The commands of one machine work with a ledger in a database, or say what to do instead."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from drawcli.adapters.ledger import FileLedger
from tests.cli.conftest import Run, environment
from tests.conftest import Site
from tests.ports import free_port
from tests.postgres import PASSWORD, Postgres, needs_postgres, site_lines

pytestmark = needs_postgres


@pytest.fixture
def shared(site: Site, postgres_server: Postgres) -> Site:
    """Give the site a ledger in a database."""
    for line in site_lines(postgres_server):
        site.add_line(line)
    return site


@pytest.fixture
def job(shared: Site, drawcli: Run, pelvis: list[Path]) -> str:
    """Scan a series; return the id of its job."""
    del shared, pelvis
    assert drawcli("scan").code == 0
    (found,) = drawcli("status", "--json").answer["data"]["jobs"]
    return str(found["job"] if "job" in found else found["id"])


def test_a_job_is_decided_about_and_no_file_of_jobs_is_made(
    drawcli: Run, job: str, shared: Site
) -> None:
    words = (
        ("show", job),
        ("match",),
        ("cancel", job),
        ("retry", job),
        ("assign", job, "HeadNeck_OAR"),
        ("deidentify",),
        ("release", job),
        ("seen", job),
        ("quarantine",),
        ("explain", job),
        ("report",),
        ("verify", job),
        ("clean",),
        ("clean", "--dry-run"),
        ("ledger", "check"),
        ("ledger", "check", "--deep"),
        ("ledger", "repair"),
        ("ledger", "export", "--csv"),
        ("unlock",),
        ("logs",),
        ("audit",),
        ("config", "show"),
        ("doctor", "--offline"),
    )
    for one in words:
        ended = drawcli(*one)
        assert ended.code in (0, 2, 6, 7), (one, ended)
        assert "bug:" not in ended.err, (one, ended)
        assert "Traceback" not in ended.err
        assert PASSWORD not in ended.out + ended.err
    assert drawcli("ledger", "check").code == 0
    assert not (shared.state / "ledger.json").exists()
    assert "drawcli cluster status" in drawcli("unlock").out


def test_the_vault_of_a_job_that_is_erased_is_not_in_the_database(
    drawcli: Run, job: str, shared: Site
) -> None:
    """Removing the work folder is not enough: the next command restores it."""
    drawcli("cancel", job)
    folder = shared.state / "work" / job
    shutil.rmtree(folder)
    assert drawcli("vault", "show", job).code == 0
    assert (folder / "vault").exists()

    assert drawcli("clean", "--job", job).code == 0

    assert not folder.exists()
    assert "vault of the job is missing" in drawcli("vault", "show", job).err
    assert not (folder / "vault").exists()
    assert drawcli("ledger", "check").code == 0


def test_a_backup_is_a_ledger_in_files(drawcli: Run, job: str, tmp_path: Path) -> None:
    assert drawcli("ledger", "backup", "backup.zip").code == 0
    site = next(tmp_path.glob("**/backup.zip"))

    with zipfile.ZipFile(site) as whole:
        whole.extractall(tmp_path / "restored")
    with FileLedger(tmp_path / "restored" / "ledger.json") as ledger:
        assert [one.id for one in ledger.jobs()] == [job]
    assert list((site.parent / "state").glob(".backup-*")) == []


def test_a_copy_of_a_file_is_not_restored_into_a_database(drawcli: Run, job: str) -> None:
    told = drawcli("ledger", "restore")

    assert told.code == 2
    assert "pg_restore" in told.err
    assert drawcli("show", job).code == 0


def test_a_database_that_is_away_ends_every_command_with_7(
    drawcli: Run, job: str, shared: Site, postgres_server: Postgres
) -> None:
    text = shared.config.read_text()
    shared.config.write_text(text.replace(f":{postgres_server.port}/", f":{free_port()}/"))

    for words in (("status",), ("run-once",), ("show", job), ("cluster", "status"), ("scan",)):
        told = drawcli(*words, "--json")
        assert (told.code, told.answer["errors"][0]["code"]) == (7, "ledger-away"), words
        assert PASSWORD not in told.out + told.err
    assert "ledger" in drawcli("doctor", "--offline").out


def test_the_password_is_in_no_list_of_processes_nor_in_a_bundle(
    job: str, shared: Site, drawcli: Run, tmp_path: Path
) -> None:
    """The command line and environment of a process are read while it waits for a lock."""
    del job
    with subprocess.Popen(
        [sys.executable, "-m", "drawcli", "scan", "--follow"],
        cwd=shared.folder,
        env=environment(shared) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        lines = Path(f"/proc/{running.pid}/cmdline").read_bytes()
        variables = Path(f"/proc/{running.pid}/environ").read_bytes()
        running.terminate()
    bundle = tmp_path / "bundle.zip"
    assert drawcli("doctor", "--offline", "--bundle", str(bundle)).code in (0, 3, 6, 7)

    assert PASSWORD.encode() not in lines + variables
    with zipfile.ZipFile(bundle) as whole:
        assert all(PASSWORD.encode() not in whole.read(name) for name in whole.namelist())
    for path in shared.state.rglob("*.log*"):
        assert PASSWORD.encode() not in path.read_bytes()
