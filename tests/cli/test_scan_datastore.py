"""`scan` of the datastore, as people and service managers start it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import SLICES, Site


def test_the_command_finds_what_arrives_while_it_runs_and_ends_when_told(
    site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    away = tmp_path / "away"
    shutil.move(pelvis[0].parent, away)
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder)}
    words = [sys.executable, "-m", "drawcli", "scan", "--follow"]
    process = subprocess.Popen(
        words, cwd=site.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    index = site.state / "scan-index.sqlite"
    deadline = time.monotonic() + 60
    while not index.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.move(away, pelvis[0].parent)

    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert line.split() == ["1", "found"]
    assert process.returncode == 130
    assert "nothing is lost" in said
    assert len(pelvis) == SLICES


@pytest.mark.parametrize("more", [["--dry-run"], ["--job", "x"], ["--limit", "3"], ["/elsewhere"]])
def test_it_goes_with_nothing_else(drawcli: Run, more: list[str]) -> None:
    ended = drawcli("scan", "--follow", *more)

    assert ended.code == 2
    assert "--follow can only be combined with --max-minutes" in ended.err


def test_it_ends_after_the_minutes_given(drawcli: Run) -> None:
    ended = drawcli("scan", "--follow", "--max-minutes", "0")

    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.usefixtures("pelvis")
def test_what_a_scan_left_alone_is_told_by_reason_also_beside_what_it_found(
    drawcli: Run, site: Site
) -> None:
    (site.store / "notes.txt").write_text("no image")
    (site.store / "empty.dcm").touch()

    ended = drawcli("scan", "--verbose")

    assert "1 found" in ended.out
    assert "skipped: empty-file=1 not-dicom=1" in ended.err
    assert "notes" not in ended.err


@pytest.mark.usefixtures("pelvis")
def test_series_before_the_date_name_the_setting(drawcli: Run) -> None:
    ended = drawcli("scan", DRAWCLI_SCAN__STUDIED_AFTER="2999-01-31")

    assert "series left alone: 1 too-old" in ended.out
    assert "scan.studied_after" in ended.out
