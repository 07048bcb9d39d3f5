"""At a glance: is it running, what is stuck and how it is freed, what came home."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from drawcli.adapters.state.progress_file import FILE_NAME
from drawcli.adapters.state.run_log import Run, RunLog
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import waits_for, way_out
from drawcli.errors import NeedsPerson
from drawcli.operations.overview import Overview, RunHealth, newest_delivery
from drawcli.pipeline.actions import assign, cancel, release, retry
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Clock, Site

Make = Callable[..., Job]


def a_run(minutes_ago: float, exit_code: int = 0, server: str = "answered") -> Run:
    at = NOON - timedelta(minutes=minutes_ago)
    return Run(id="a1b2c3d4", began=at, ended=at, exit_code=exit_code, server=server)


def told(state_dir: Path) -> dict[str, str]:
    return {line.subject: line.text for line in RunHealth.of(state_dir).sentences(NOON)}


def test_a_new_site_has_no_run_yet(tmp_path: Path) -> None:
    assert told(tmp_path) == {
        "run": "none yet; cron calls 'drawcli run-once'",
        "server": "not asked yet",
    }


def test_a_run_that_went_well_needs_no_more_words(tmp_path: Path) -> None:
    RunLog(tmp_path).add(a_run(4))

    assert told(tmp_path) == {
        "run": "last run 4 min ago (11:56 UTC): OK",
        "server": "answered 4 min ago (11:56 UTC)",
    }


def test_a_server_that_is_away_and_the_last_success_are_told(tmp_path: Path) -> None:
    for run in (a_run(200), a_run(14, 7, "out-of-reach"), a_run(4, 7, "out-of-reach")):
        RunLog(tmp_path).add(run)

    said = told(tmp_path)

    assert "the server or the datastore cannot be reached" in said["run"]
    assert said["success"] == "3 h ago (08:40 UTC): the last run that ended normally"
    assert said["server"].startswith("did not answer 4 min ago")
    assert said["server"].endswith("last answer: 3 h ago (08:40 UTC)")


def test_a_cron_that_has_stopped_is_asked_after(tmp_path: Path) -> None:
    RunLog(tmp_path).add(a_run(26 * 60))

    assert "Does cron still call it?" in told(tmp_path)["run"]


def test_a_run_at_work_is_told_with_its_process(tmp_path: Path) -> None:
    with WorkDir(tmp_path).run_lock(NOON - timedelta(minutes=3)):
        said = told(tmp_path)["run"]

    assert said == f"running for 3 min (process {os.getpid()})"


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell of locks")
def test_a_run_that_was_killed_is_not_running(tmp_path: Path) -> None:
    FileLock(tmp_path / "run.lock").acquire().lock.release()
    plain = {"pid": os.getpid(), "host": "here", "since": NOON.isoformat()}
    (tmp_path / "run.json").write_text(json.dumps(plain))

    assert told(tmp_path)["run"].startswith("none yet")


@pytest.mark.parametrize(
    ("pid", "is_told"), [(os.getpid(), True), (2**22 + 1, False)], ids=["there", "gone"]
)
def test_progress_counts_while_its_process_is_there(
    tmp_path: Path,
    pid: int,
    is_told: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    plain = {"step": "upload", "of": 2, "since": NOON.timestamp() - 90, "pid": pid}
    (tmp_path / FILE_NAME).write_text(json.dumps(plain))

    assert (told(tmp_path).get("step") == "upload: job 1 of 2; for 1 min") is is_told


def test_jobs_are_sorted_by_who_has_to_do_something(in_state: Make) -> None:
    jobs = [
        in_state(State.FETCHED, "0" * 12 + "-1", held=True, reason="why"),
        in_state(State.UPLOADED, "1" * 12 + "-1"),
        in_state(State.UNMATCHED, "2" * 12 + "-1"),
        in_state(State.DONE, "3" * 12 + "-1"),
    ]

    view = Overview.of(jobs)

    assert [len(group) for group in (view.held, view.open, view.left, view.finished)] == [1] * 4
    assert view.flow(7) == (
        "1 HELD · 1 unmatched · 1 uploaded · 1 fetched · 1 done · 7 in the archive"
    )


def test_the_newest_delivery_is_found_also_where_it_is_not_confirmed_yet_or_in_the_archive(
    ctx: Context, in_state: Make, clock: Clock, site: Site
) -> None:
    def newest() -> datetime | None:
        return newest_delivery(ctx.ledger.jobs(), ctx.ledger.archive)

    assert newest() is None
    in_state(State.DELIVERED, "0" * 12 + "-1")  # and so it stays: the server is away
    assert newest() == NOON
    for hour in (1, 2):
        at = NOON + timedelta(hours=hour)
        ctx.ledger.add(Job(id=f"{hour:012x}-1", state=State.DONE, since=at))
    assert newest() == NOON + timedelta(hours=2)

    assert ctx.ledger.archive_finished(clock.now() + timedelta(days=30)) == 2

    assert newest() == NOON + timedelta(hours=2)
    (month,) = ctx.ledger.archive.months()
    (site.state / "archive" / f"{month}.json").write_text("damaged")
    assert newest() == NOON  # what can be read


def test_what_a_job_waits_for(in_state: Make) -> None:
    soon = NOON + timedelta(minutes=4)
    away = in_state(State.PACKAGED, due_at=soon, reason="no answer from the server")

    assert waits_for(away, NOON) == "another try in 4 min: no answer from the server"
    assert waits_for(replace(away, due_at=None, reason=None), NOON) == "the next run: upload"
    assert waits_for(replace(away, held=True, reason="too large"), NOON) == "a user: too large"


def words_of(command: str) -> tuple[str, list[str]]:
    program, verb, *words = command.split()
    assert program == "drawcli"
    return verb, words


@pytest.mark.parametrize("state", [s for s in State if s not in (State.DONE, State.CANCELLED)])
def test_the_command_that_is_named_takes_the_held_job_up(
    ctx: Context, in_state: Make, state: State
) -> None:
    job = in_state(state, template="Prostate_OAR").held_for(NeedsPerson("why"), at=NOON)
    acts: dict[str, Callable[[], Job]] = {
        "release": lambda: release(job, ctx),
        "retry": lambda: retry(job, ctx),
        "cancel": lambda: cancel(job, ctx),
        "assign": lambda: assign(job, "Prostate_OAR", ctx),
    }

    verb, words = words_of(way_out(job))
    after = acts[verb]()

    assert words[0] == job.id
    assert not after.held


def test_a_command_in_the_hint_is_the_one_that_is_named(in_state: Make) -> None:
    job = in_state(State.UPLOADED)
    err = NeedsPerson("late", code="deadline", hint=f"'drawcli release {job.id}' goes on asking.")

    assert way_out(job.held_for(err, at=NOON)) == f"drawcli release {job.id}"


@pytest.mark.parametrize("code", ["changed-after-upload", "privacy-gate"])
def test_where_a_person_has_to_choose_no_choice_is_made_for_them(in_state: Make, code: str) -> None:
    job = in_state(State.UPLOADED).held_for(NeedsPerson("why", code=code), at=NOON)

    assert way_out(job) == f"drawcli show {job.id}"


def test_a_job_that_is_on_its_way_needs_no_command(in_state: Make) -> None:
    assert way_out(in_state(State.PACKAGED)) == ""


def test_a_lost_vault_is_built_again(in_state: Make) -> None:
    err = NeedsPerson("the vault is missing", code="vault-missing")

    assert way_out(in_state(State.FETCHED).held_for(err, at=NOON)).split()[1:3] == [
        "vault",
        "rebuild",
    ]
