"""Every exit code of the design that can occur, by the way a user would meet it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.state.workdir import WorkDir
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, poll_until
from tests.conftest import Site


def test_0_all_well_also_when_there_is_nothing_to_do(drawcli: Run) -> None:
    ended = drawcli("run-once")

    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_2_wrong_usage(drawcli: Run) -> None:
    ended = drawcli("upload", "--limit", "none")

    assert ended.code == 2
    assert "--limit" in ended.err


def test_2_a_job_that_is_not_there(drawcli: Run) -> None:
    ended = drawcli("show", "ffffffffffff-1")

    assert ended.code == 2
    assert "drawcli status" in ended.err


def test_3_settings_that_cannot_be_used(drawcli: Run, site: Site) -> None:
    site.add_line("scann: {quiet_minutes: 3}")

    ended = drawcli("status")

    assert ended.code == 3
    assert "drawcli.yaml:6:1: unknown key 'scann'; did you mean 'scan'?" in ended.err


def test_3_rules_that_cannot_be_used_while_contours_still_come_home(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        assert drawcli("run-once").code == 0
        poll_until(drawcli, "segmented")
        (site.folder / "rules.yaml").write_text("rules:\n- name: x\n   template: y\n")

        ended = drawcli("run-once")

    assert ended.code == 3
    assert "rules.yaml:3:" in ended.err
    assert len(list(pelvis[0].parent.glob("RS.*"))) == 1


def test_3_no_token(drawcli: Run, site: Site) -> None:
    (site.folder / "token.json").unlink()

    ended = drawcli("run-once")

    assert ended.code == 3
    assert "there is no token" in ended.err


@pytest.mark.usefixtures("pelvis")
def test_3_no_site_key(drawcli: Run, site: Site) -> None:
    (site.state / "site.key").unlink()

    ended = drawcli("run-once")

    assert ended.code == 3
    assert "there is no site key" in ended.err
    assert not (site.state / "work").exists()


def test_4_a_ledger_that_cannot_be_read(drawcli: Run, site: Site) -> None:
    ledger = site.state / "ledger.json"
    ledger.write_text('{"jobs": {}}rest')

    ended = drawcli("status")

    assert ended.code == 4
    assert "ledger.json" in ended.err
    assert ledger.read_text().endswith("rest")


@pytest.mark.usefixtures("pelvis")
def test_5_a_token_that_the_server_refuses(drawcli: Run, site: Site, tmp_path: Path) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        (site.folder / "token.json").write_text('{"access_token": "stale", "refresh_token": "x"}')

        ended = drawcli("run-once")

    job = drawcli("status", "--json").answer["data"]["jobs"][0]
    assert ended.code == 5
    assert "administrator" in ended.err
    assert (job["state"], job["attempts"], job["held"]) == ("packaged", 0, False)


@pytest.mark.usefixtures("pelvis")
def test_6_a_job_is_newly_held_and_told_once(drawcli: Run, site: Site) -> None:
    rules = (site.folder / "rules.yaml").read_text()
    twice = rules + ("  - name: any-ct\n    template: Thorax_OAR\n    when: {Modality: CT}\n")
    (site.folder / "rules.yaml").write_text(twice)

    first, second = drawcli("run-once"), drawcli("run-once")

    assert first.code == 6
    assert "pelvis-planning-ct, any-ct" in first.err
    assert "drawcli assign" in first.err
    assert (second.code, second.out, second.err) == (0, "", "")


@pytest.mark.usefixtures("pelvis")
def test_7_the_server_is_down(drawcli: Run) -> None:
    ended = drawcli("run-once")

    job = drawcli("status", "--json").answer["data"]["jobs"][0]
    assert ended.code == 7
    assert "no answer from the server" in ended.err
    assert (job["state"], job["held"]) == ("packaged", False)


def test_7_the_datastore_is_not_there(drawcli: Run, site: Site) -> None:
    site.store.rmdir()

    ended = drawcli("run-once")

    assert ended.code == 7
    assert "datastore" in ended.err


def test_8_the_privacy_gate_blocks(drawcli: Run, site: Site, pelvis: list[Path]) -> None:
    for path in pelvis:
        spoiled = dcmread(path)
        spoiled.PatientID = "7734021"
        spoiled.RescaleIntercept = "7734021"  # a number that the pixels need is left as it is
        spoiled.save_as(path)

    ended = drawcli("run-once")

    assert ended.code == 8
    assert "personal in RescaleIntercept" in ended.err
    assert "7734021" not in ended.err + ended.out
    assert not list((site.state / "work").rglob("*.zip"))


@pytest.mark.usefixtures("pelvis")
def test_9_only_if_asked_and_idle(drawcli: Run) -> None:
    assert drawcli("poll", "--fail-if-idle").code == 9
    assert drawcli("poll").code == 0
    assert drawcli("scan", "--fail-if-idle").code == 0


def test_11_another_run_holds_the_lock(drawcli: Run, site: Site) -> None:
    with WorkDir(site.state).run_lock(datetime.now(UTC)):
        ended = drawcli("run-once")
        asked = drawcli("run-once", "-v")
        step = drawcli("scan")

    assert (ended.code, ended.out, ended.err) == (11, "", "")
    assert asked.code == 11
    assert f"process {os.getpid()}" in asked.err
    assert step.code == 0


@pytest.mark.usefixtures("pelvis")
def test_12_not_enough_disk_space(drawcli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawcli("scan").code == drawcli("match").code == 0
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1 << 20))

    ended = drawcli("deidentify")

    job = drawcli("status", "--json").answer["data"]["jobs"][0]
    assert ended.code == 12
    assert "1 MiB free" in ended.err
    assert (job["state"], job["held"]) == ("matched", False)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.usefixtures("pelvis")
def test_130_interrupted(site: Site, tmp_path: Path) -> None:
    started = tmp_path / "started"
    plugin = tmp_path / "sitecustomize.py"  # a job in the background ignores interrupts
    plugin.write_text(
        "import shutil, signal, time, pathlib\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait(path):\n"
        f"    pathlib.Path({str(started)!r}).touch()\n"
        "    time.sleep(600)\n"
        "shutil.disk_usage = wait\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", "run-once"],
        cwd=site.folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not started.exists() and process.poll() is None:
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("pelvis")
def test_1_a_bug_is_told_without_its_words(drawcli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_args: object, **_more: object) -> str:
        raise ValueError("CANARY")

    monkeypatch.setattr(json, "dumps", burst)
    ended = drawcli("scan")

    assert ended.code == 1
    line = burst.__code__.co_firstlineno + 1
    assert f"bug: ValueError at test_exit_codes.py:{line}" in ended.err
    assert "CANARY" not in ended.err


def test_an_error_is_one_json_object_too(drawcli: Run, site: Site) -> None:
    site.add_line("scann: 1")

    ended = drawcli("status", "--json")

    answer = json.loads(ended.out)
    assert ended.code == 3
    assert ended.err == ""
    assert answer["status"] == "error"
    assert answer["data"] == {}
    assert answer["errors"][0]["code"] == "config"
