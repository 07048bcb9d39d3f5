"""ledger, clean, audit and unlock, as a physicist runs them."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import PELVIS, Site


@pytest.fixture
def found(drawcli: Run, pelvis: list[Path]) -> str:
    """Scan; return the job's id."""
    assert pelvis
    drawcli("scan")
    (job,) = drawcli("status", "--json").answer["data"]["jobs"]
    assert isinstance(job["id"], str)
    return job["id"]


def test_check_and_repair(drawcli: Run, site: Site, found: str) -> None:
    well = drawcli("ledger", "check")
    (site.state / "work" / "0123456789ab-1").mkdir()
    told = drawcli("ledger", "check")
    planned = drawcli("ledger", "repair", "--dry-run")
    there = (site.state / "work" / "0123456789ab-1").is_dir()
    repaired = drawcli("ledger", "repair")
    after = drawcli("ledger", "check", "--deep")

    assert found
    assert (well.code, well.err) == (0, "")
    assert "1 job, 0 in the archive: all is as the ledger says" in well.out
    assert told.code == 4
    assert "1 things are not as the ledger says" in told.err
    assert (planned.code, there) == (0, True)
    assert "moved to orphans/" in " ".join(planned.out.split())
    assert repaired.code == 0
    assert not (site.state / "work" / "0123456789ab-1").exists()
    assert after.code == 0


def test_a_damaged_ledger_is_put_back(drawcli: Run, site: Site, found: str) -> None:
    drawcli("ledger", "repair")  # keeps a copy, as every run does
    ledger = site.state / "ledger.json"
    ledger.write_bytes(ledger.read_bytes()[:-20])

    broken = drawcli("status")
    copies = drawcli("ledger", "restore", "--dry-run").out.split()
    back = drawcli("ledger", "restore")
    after = drawcli("status", "--json")

    assert broken.code == 4
    assert "ledger restore" in broken.err
    assert [Path(one).name for one in copies] == ["ledger.json.bak1"]
    assert back.code == 0
    assert [job["id"] for job in after.answer["data"]["jobs"]] == [found]
    assert (site.state / "ledger.json.before-restore").exists()
    actions = drawcli("audit", "actions", "--json").answer["data"]["lines"]
    assert [line["action"] for line in actions] == ["ledger-restore"]


def test_without_a_copy_nothing_is_put_back(drawcli: Run, site: Site, found: str) -> None:
    before = (site.state / "ledger.json").read_bytes()

    ended = drawcli("ledger", "restore")
    named = drawcli("ledger", "restore", "nothing.json")

    assert found
    assert (ended.code, named.code) == (4, 2)
    assert "no copy of the ledger" in ended.err
    assert (site.state / "ledger.json").read_bytes() == before


def test_backup_is_a_zip_that_names_nobody(
    drawcli: Run, site: Site, tmp_path: Path, found: str
) -> None:
    target = tmp_path / "ledger.zip"

    made = drawcli("ledger", "backup", str(target))
    twice = drawcli("ledger", "backup", str(target))

    assert (made.code, twice.code) == (0, 2)
    with zipfile.ZipFile(target) as whole:
        assert whole.namelist() == ["ledger.json"]
        raw = whole.read("ledger.json")
    assert raw == (site.state / "ledger.json").read_bytes()
    assert found in raw.decode()
    assert PELVIS.patient_id.encode() not in raw


def test_export_for_programs(drawcli: Run, found: str) -> None:
    (row,) = csv.DictReader(io.StringIO(drawcli("ledger", "export", "--csv").out))
    (job,) = drawcli("ledger", "export", "--json").answer["data"]["jobs"]

    assert (row["id"], row["state"], row["modality"]) == (found, "found", "CT")
    assert job["slices"] == int(row["slices"])
    assert "events" not in row


def test_audit_tells_what_happened(drawcli: Run, found: str) -> None:
    drawcli("match")
    drawcli("cancel", found)

    data = drawcli("audit", "--json").answer["data"]
    none = drawcli("audit", "--since", "2100-01-01", "--json").answer["data"]
    shown = drawcli("audit", "--job", found[:6])

    assert [event["what"] for event in data["events"]] == ["found", "matched", "cancelled"]
    assert {event["job"] for event in data["events"]} == {found}
    assert none == {"events": []}
    assert "cancelled" in shown.out


def test_clean_says_what_it_would_remove(drawcli: Run, site: Site, found: str) -> None:
    drawcli("cancel", found)
    ledger = site.state / "ledger.json"
    site.add_line("deliver: {keep_days: 0.0000000000001}")

    planned = drawcli("clean", "--dry-run", "--json").answer["data"]
    there = (site.state / "work" / found).is_dir()
    cleaned = drawcli("clean")

    assert list(planned["jobs"]) == [found]
    assert there
    assert cleaned.code == 0
    assert not (site.state / "work" / found).exists()
    assert json.loads(ledger.read_bytes())


def test_the_files_of_one_finished_job_are_removed_at_once_and_recorded(
    drawcli: Run, site: Site, found: str
) -> None:
    folder = site.state / "work" / found
    early = drawcli("clean", "--job", found)
    planned_early = drawcli("clean", "--job", found, "--dry-run")
    drawcli("cancel", found)
    planned = drawcli("clean", "--job", found[:6], "--dry-run", "--json").answer["data"]
    was_there = folder.is_dir()

    cleaned = drawcli("clean", "--job", found[:6], "--json").answer["data"]

    assert (early.code, "its files are needed" in early.err) == (2, True)
    assert (planned_early.code, planned_early.err) == (early.code, early.err)
    assert planned == cleaned
    assert list(cleaned["jobs"]) == [found]
    assert cleaned["bytes"] > 0
    assert (was_there, folder.exists()) == (True, False)
    actions = drawcli("audit", "actions", "--json").answer["data"]["lines"]
    assert [(one["action"], one["job"]) for one in actions] == [("cancel", found), ("erase", found)]
    assert drawcli("ledger", "check").code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lists its locks")
def test_unlock_names_the_process_that_holds_a_lock(drawcli: Run, site: Site, found: str) -> None:
    code = (
        "import sys, filelock\n"
        "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    )
    path = site.state / "work" / f"{found}.lock"
    free = drawcli("unlock")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        held = drawcli("unlock")
        refused = drawcli("cancel", found)
        holder.kill()
    after = drawcli("unlock")

    assert "No lock is held" in free.out
    assert f"job {found}: process {holder.pid}" in held.out
    assert refused.code == 2
    assert "drawcli unlock" in refused.err
    assert "No lock is held" in after.out
