"""A share that hangs, drops or is not mounted stops nothing but itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import sleep

import pytest

from drawcli.adapters.datastore import walk
from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.step_report import out_of_reach
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey.watchdog import end_when_silent
from tests.conftest import PELVIS, SLICES, THORAX, Site
from tests.phantoms.planning import write_planning_ct
from tests.waiting import PATIENCE, longest_pause

HANG = """
import sys, time
from drawcli.adapters.datastore import walk
from drawcli.pipeline.survey import update
update.PAYS = 0
if sys.argv.pop(1) == "hang":
    from drawcli.pipeline.survey import survey
    walk.list_folder = lambda path, stamp: time.sleep(3600)
    survey.SHARE_ANSWERS = 0.5 / 120
from drawcli.cli import main
main()
"""


@pytest.fixture
def two(ctx: Context, site: Site) -> Context:
    """Return the site with a second folder of the datastore; a series in each."""
    other = site.folder / "other"
    write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16)
    write_planning_ct(other / "b", THORAX, slices=SLICES, size=16)
    update = {"datastore": [other, site.store]}
    return replace(ctx, settings=ctx.settings.replace(**update))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[None]:
    """Let the second folder hang; a scan has little patience."""
    release, ask = Event(), walk._list

    def hang(folder: Path) -> None:
        if folder == site.folder / "other":
            release.wait()
        ask(folder)

    monkeypatch.setattr(walk, "_list", hang)
    yield
    release.set()


def patient(ctx: Context, seconds: float) -> Context:
    scan_settings = ctx.settings.scan.replace(answer_seconds=seconds)
    return replace(ctx, settings=ctx.settings.replace(scan=scan_settings))


@pytest.mark.usefixtures("silent")
def test_a_share_that_hangs_is_passed_over_and_told(two: Context) -> None:
    for seconds in (1.0, 10.0, PATIENCE):
        done = scan(patient(two, seconds))
        if len(done.lost) == 1:  # else a busy machine did not list the other folder in time
            break

    assert [job.state for job in done.jobs] == [State.FOUND]
    assert [one.code for one in done.lost] == ["datastore-silent"]
    assert done.passed_over == {"datastore-silent": 1}


def test_what_was_seen_on_a_share_that_dropped_waits_and_is_not_forgotten(
    two: Context, site: Site
) -> None:
    slices = sorted((site.folder / "other" / "b").iterdir())
    kept = slices[2].read_bytes()
    slices[2].unlink()
    scan(two)  # one is found, one waits
    slices[2].write_bytes(kept)
    (site.folder / "other").rename(site.folder / "away")

    report = run_step("scan", two, Selection())
    during = {str(job.state): job.reason_code for job in two.ledger.jobs()}
    (site.folder / "away").rename(site.folder / "other")
    scan(two)

    assert [err.code for err in out_of_reach([report])] == ["datastore-missing"]
    assert during == {"found": None, "waiting": "missing-slices"}
    assert {job.state for job in two.ledger.jobs()} == {State.FOUND}


def test_the_outward_steps_go_on_without_the_lost_share(two: Context, site: Site) -> None:
    (site.folder / "other").rename(site.folder / "away")

    for step in ("scan", "match", "deidentify", "upload"):
        run_step(step, two, Selection())

    assert [job.state for job in two.ledger.jobs()] == [State.UPLOADED]


def test_signs_of_life_keep_the_process() -> None:
    ended = list[str]()

    for seconds in (1.0, 10.0):
        ended.clear()
        with end_when_silent(seconds, end=ended.append) as heard:
            longest = longest_pause(heard, int(13 * seconds), 0.1)
        sleep(1.2 * seconds)
        if longest < seconds / 2:  # else the machine was too busy for signs of life
            break

    assert ended == []


def test_silence_ends_it() -> None:
    ended = Event()

    with end_when_silent(0.05, end=lambda _step: ended.set()):
        assert ended.wait(PATIENCE)


@pytest.mark.usefixtures("pelvis")
@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_share_that_stops_answering_in_the_middle_ends_the_run_and_loses_nothing(
    site: Site, workers: str
) -> None:
    """Processes that list folders ahead end with it: else their output would stay open."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(site.folder),
        "DRAWCLI_SCAN__WORKERS": workers,
    }

    ended, again = (
        subprocess.run(
            [sys.executable, "-c", HANG, how, "scan"],
            capture_output=True,
            text=True,
            cwd=site.folder,
            env=env,
            check=False,
            timeout=120,
        )
        for how in ("hang", "well")
    )

    assert (ended.returncode, ended.stdout) == (7, "")
    assert "stopped answering during" in ended.stderr
    assert (again.returncode, "found" in again.stdout) == (0, True)
