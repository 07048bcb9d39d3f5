"""A run that hangs is reported once by those that cannot begin; a job that is locked, likewise."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.notifications import Message, Recipient
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import RunLog
from drawcli.adapters.state.workdir import RunOwner, WorkDir
from drawcli.core.jobs.job import Job, State
from drawcli.operations.after_run import begin_run
from drawcli.operations.hung_runs import FILE_NAME
from drawcli.pipeline.context import Context
from tests.cli.conftest import Run
from tests.conftest import Site

JOB = "0123456789ab-1"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks who holds a lock")


@dataclass
class Post:
    """What recipients of alarms were told; some of them take nothing."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def send(self, place: Recipient, message: Message) -> bool:
        if place.url not in self.broken:
            self.taken.append((place.url, message.title))
        return place.url not in self.broken


@pytest.fixture
def post(site: Site, monkeypatch: pytest.MonkeyPatch) -> Post:
    made = Post()

    def send(place: Recipient, message: Message) -> bool:
        return made.send(place, message)

    monkeypatch.setattr(Recipient, "send", send)
    urls = site.folder / "notify.urls"
    urls.write_text("ntfy://a\nntfy://b\n")
    urls.chmod(0o600)
    site.add_line("notify: {urls_file: notify.urls, digest_at: off, events: [failed]}")
    return made


@contextmanager
def at_work(site: Site, **since: float) -> Iterator[datetime]:
    """Hold the lock of a run that began some time ago, and is at a step."""
    began = datetime.now(UTC) - timedelta(**since)
    progress = Progress(ProgressFile.of(site.state))
    with WorkDir(site.state).run_lock(began), progress.step("upload"):
        progress.expect(3)
        with progress.job(JOB):
            yield began


def test_a_run_that_is_at_work_is_no_trouble(drawcli: Run, site: Site, post: Post) -> None:
    with at_work(site, hours=5):
        ended = drawcli("run-once")

    assert (ended.code, ended.out, ended.err, post.taken) == (11, "", "", [])


def test_a_run_that_hangs_is_reported_once_with_what_to_do(
    drawcli: Run, site: Site, post: Post
) -> None:
    post.broken = {"ntfy://a"}
    with at_work(site, days=3) as began:
        first, *later = (drawcli("run-once") for _ in range(4))
        post.broken = set()
        last = drawcli("run-once")

    said, hint, *more = first.err.splitlines()
    assert [one.code for one in (first, *later, last)] == [11] * 5
    assert f"process {os.getpid()} on {socket.gethostname()}" in said
    assert f"since {began:%Y-%m-%d %H:%M} UTC, for 3 d" in said
    assert "it is at upload: job 1 of 3; its last sign of progress was" in said
    assert f"kill -9 {os.getpid()}" in hint
    assert more == []
    assert [one.err for one in (*later, last)] == [""] * 4
    title = "drawcli ward-7: a run hangs"
    assert post.taken == [("ntfy://b", title), ("ntfy://a", title)]


def test_each_hang_is_reported_and_its_alarm_clears(drawcli: Run, site: Site, post: Post) -> None:
    for _ in range(2):
        with at_work(site, days=3):
            assert "no run can start" in drawcli("run-once").err
        assert "no run can start" not in drawcli("run-once").err
        assert not (site.state / FILE_NAME).exists()

    assert len([url for url, title in post.taken if "hangs" in title and url == "ntfy://a"]) == 2


def test_a_person_who_asks_is_told_each_time(drawcli: Run, site: Site) -> None:
    with at_work(site, days=3):
        asked = [drawcli("run-once", "--json").answer["errors"] for _ in range(2)]

    assert [errors[0]["code"] for errors in asked] == ["run-hangs"] * 2


def test_the_limit_is_a_setting(drawcli: Run, site: Site) -> None:
    with at_work(site, hours=2):
        silent = drawcli("run-once")
        told = drawcli("run-once", DRAWCLI_NOTIFY__RUN_HOURS="1.5")

    assert (silent.err, "for 2 h" in told.err) == ("", True)


@on_linux
@pytest.mark.parametrize("owner", ["", "{", '{"pid": 1, "host": "x", "since": "2020-01-01"}'])
def test_a_lock_whose_owner_is_unknown_counts_from_when_it_was_met(
    drawcli: Run, site: Site, owner: str
) -> None:
    with at_work(site, days=3):
        path = site.state / "run.json"
        path.write_text(owner)  # none, a damaged one, or that of an earlier run
        first = drawcli("run-once")
        noted = json.loads((site.state / FILE_NAME).read_text())
        since = datetime.now(UTC) - timedelta(hours=7)
        noted["run"]["since"] = since.isoformat()
        (site.state / FILE_NAME).write_text(json.dumps(noted))
        later = drawcli("run-once")

    assert (first.code, first.err) == (11, "")
    assert f"process {os.getpid()} " in later.err
    assert "for 7 h" in later.err


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"run": 3}', '{"run": {"x": 1}}', '{"run": {"who": 1, "since": 2}}']
)
def test_a_damaged_memory_of_hangs_costs_a_second_report(
    drawcli: Run, site: Site, damage: str
) -> None:
    (site.state / FILE_NAME).write_text(damage)

    with at_work(site, days=3):
        told = [drawcli("run-once") for _ in range(2)]

    assert ["no run can start" in one.err for one in told] == [True, False]


def test_a_clock_that_was_wrong_does_not_keep_a_hang_secret(drawcli: Run, site: Site) -> None:
    with at_work(site, days=-300):
        first = drawcli("run-once")
        noted = json.loads((site.state / FILE_NAME).read_text())
        noted["run"]["since"] = (datetime.now(UTC) - timedelta(hours=7)).isoformat()
        (site.state / FILE_NAME).write_text(json.dumps(noted))
        later = drawcli("run-once")

    assert (first.err, "for 7 h" in later.err) == ("", True)


@on_linux
def test_status_and_doctor_show_a_run_that_hangs(drawcli: Run, site: Site) -> None:
    with at_work(site, days=3):
        shown, facts = drawcli("status"), drawcli("status", "--json").answer["data"]["running"]
        doctor = drawcli("doctor", "--offline", "--json").answer["data"]["checks"]

    (lock,) = (check for check in doctor if check["check"] == "run lock")
    assert "longer than 6 h: it may hang" in " ".join(shown.out.split())
    assert facts["overdue"] is True
    assert (lock["grade"], lock["remedy"]) == ("WARN", "drawcli status --watch")  # it moves


@on_linux
def test_a_job_that_another_process_has_had_for_long_is_reported_once(
    drawcli: Run, site: Site
) -> None:
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id=JOB, state=State.UPLOADED, since=datetime.now(UTC), task_id="t"))
    with WorkDir(site.state).job_lock(JOB):
        first = drawcli("run-once")
        noted = json.loads((site.state / FILE_NAME).read_text())
        noted[JOB]["since"] = (datetime.now(UTC) - timedelta(hours=8)).isoformat()
        (site.state / FILE_NAME).write_text(json.dumps(noted))
        second, third = drawcli("run-once"), drawcli("run-once")
    drawcli("run-once")

    assert [one.code for one in (first, second, third)] == [0, 6, 0]
    assert f"job {JOB} is blocked: process {os.getpid()}" in second.err
    assert "for 8 h" in second.err
    assert not (site.state / FILE_NAME).exists()


# A run that broke off: killed, by whomever, or by the watch over the datastore.

TITLE = "drawcli ward-7: runs end early"
DEAD = 4_194_305  # no process has this number


def break_off(site: Site, *, pid: int = DEAD) -> None:
    """Leave what a run leaves that was killed twenty minutes after it had begun."""
    began = datetime.now(UTC) - timedelta(minutes=30)
    owner = {"pid": pid, "host": "ward-7", "since": began.isoformat()}
    at = (began + timedelta(minutes=20)).timestamp()
    standing = {"step": "deidentify", "done": 1, "of": 3, "at": at, "pid": DEAD}
    (site.state / "run.json").write_text(json.dumps(owner))
    (site.state / "progress.json").write_text(json.dumps(standing))


def test_a_run_that_broke_off_is_in_the_run_book_and_an_alarm_and_nothing_is_printed(
    drawcli: Run, site: Site, post: Post
) -> None:
    break_off(site)

    ended, again = drawcli("run-once"), drawcli("run-once")

    *others, broken = RunLog(site.state).newest_first()
    assert [(one.code, one.out, one.err) for one in (ended, again)] == [(0, "", "")] * 2
    assert [one.exit_code for one in others] == [0, 0]
    assert (broken.exit_code, broken.error, broken.went_well) == (137, "broke-off", False)
    assert round((broken.ended - broken.began).total_seconds()) == 1200
    assert sorted(post.taken) == [("ntfy://a", TITLE), ("ntfy://b", TITLE)]
    assert "outcome=137 code=broke-off" in (site.state / "logs" / "drawcli.log").read_text()


def test_runs_that_all_break_off_are_one_alarm_that_no_end_is_needed_for(
    drawcli: Run, site: Site, post: Post, ctx: Context
) -> None:
    drawcli("run-once")  # it makes the files of the site
    killed = RunOwner(DEAD, "ward-7", datetime.now(UTC) - timedelta(minutes=5))
    for _ in range(3):
        begin_run(ctx, killed)()

    told_of_each = len(post.taken)
    drawcli("run-once")  # this one ends
    begin_run(ctx, killed)()

    assert (told_of_each, len(post.taken)) == (2, 4)
    assert [run.exit_code for run in RunLog(site.state).newest_first()] == [137, 0, *[137] * 3, 0]


@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("pid", [DEAD, 1])
def test_the_alarm_of_a_run_that_broke_off_says_where_it_was(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    said: list[str] = []

    def send(_place: Recipient, message: Message) -> bool:
        said.append(message.body)
        return True

    monkeypatch.setattr(Recipient, "send", send)
    break_off(site, pid=pid)

    begin_run(ctx, WorkDir(site.state).run_owner())()

    assert "Nothing is lost" in said[0]
    assert ("It was at deidentify: job 2 of 3." in said[0]) is (pid == DEAD)  # else of another run


def test_a_run_that_ends_by_itself_has_not_broken_off(drawcli: Run, site: Site) -> None:
    site.config.write_text("nothing: known\n")
    drawcli("run-once")
    site.config.write_text("")

    with WorkDir(site.state).run_lock(datetime.now(UTC)) as before:
        assert before is None


def test_a_broken_off_run_of_a_clock_that_was_wrong_is_no_run_of_the_future(
    ctx: Context, site: Site
) -> None:
    begin_run(ctx, RunOwner(DEAD, "ward-7", datetime.now(UTC) + timedelta(days=9000)))()

    last = RunLog(site.state).last()
    assert last is not None
    assert last.began == last.ended <= ctx.now()
