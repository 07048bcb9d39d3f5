"""status, as a physicist reads it at night; and what it does with ten thousand jobs."""

import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from rich.console import Console

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.cli.status_command import JobFilter, chosen_jobs
from drawcli.cli.status_view import Picture
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.jobs.warned import with_findings
from drawcli.errors import NeedsPerson
from drawcli.operations.overview import RunHealth, newest_delivery
from drawcli.operations.verdict.site import SiteView, verdict_of
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.cli.conftest import Run, at_terminal
from tests.conftest import NOON, PELVIS, Site
from tests.operations.qa.summaries import chart_of, summary_with

Make = Callable[..., Job]


def drawn(ctx: Context, choice: JobFilter | None = None, width: int = 160) -> str:
    """Return what status shows, on paper of some columns."""
    choice = choice or JobFilter()
    jobs, who = chosen_jobs(choice, ctx)
    pulse = RunHealth.of(ctx.settings.state_dir)
    picture = Picture(
        pulse=pulse,
        verdict=verdict_of(SiteView(ctx, pulse, ctx.ledger.jobs(), ctx.now())),
        jobs=jobs,
        now=ctx.now(),
        archived=len(ctx.ledger.archive),
        last_delivered=newest_delivery(jobs, ctx.ledger.archive),
        who=who,
        chosen=choice.is_any,
    )
    out = io.StringIO()
    picture.show(Console(file=out, width=width))
    return out.getvalue()


def ids(choice: JobFilter, ctx: Context) -> list[str]:
    return [job.id for job in chosen_jobs(choice, ctx)[0]]


def held(job: Job, ctx: Context, **facts: str) -> None:
    err = NeedsPerson("three contours lie on no slice", code="contour-off-slice", **facts)
    ctx.ledger.commit(job.held_for(err, at=NOON))


def test_what_is_held_comes_first_with_its_reason_and_its_command(
    ctx: Context, in_state: Make
) -> None:
    waiting = in_state(State.UPLOADED, "1" * 12 + "-1")
    stuck = in_state(State.FETCHED, "2" * 12 + "-1", modality="CT", slices=143)
    held(stuck, ctx, hint="Look at them.")

    said = drawn(ctx)

    lines = [line.strip() for line in said.splitlines()]
    assert "jobs      1 HELD · 1 uploaded · 1 fetched" in lines
    at = next(n for n, line in enumerate(lines) if line.startswith(stuck.id))
    assert lines[at] == f"{stuck.id}  held at fetched for 0 s  CT of 143 files, no template"
    assert lines[at + 1 : at + 3] == [
        "why  three contours lie on no slice",
        f"do   drawcli release {stuck.id}",
    ]
    assert "Look at them." not in said
    assert "Look at them." in drawn(ctx, JobFilter(state="held"))
    assert said.index(stuck.id) < said.index(waiting.id)


def test_what_is_done_is_a_line_and_not_a_list(ctx: Context, in_state: Make) -> None:
    done = [in_state(State.DONE, f"{n:012x}-1").id for n in range(1, 40)]

    said = drawn(ctx)

    assert "39 done" in said
    assert "last delivered 0 s ago" in said
    assert not any(job_id in said for job_id in done)
    assert all(job_id in drawn(ctx, JobFilter(everything=True)) for job_id in done)


def test_a_long_list_is_cut_and_says_where_the_rest_is(ctx: Context, in_state: Make) -> None:
    for number in range(1, 42):
        in_state(State.UPLOADED, f"{number:012x}-1")

    assert "and 36 more: drawcli status --all" in drawn(ctx)


def test_a_busy_site_fits_one_screen_of_eighty_columns(ctx: Context, in_state: Make) -> None:
    reason = "the server says PENDING; this job has place 14 of 31 in its queue, and waits"
    for number in range(1, 10):
        in_state(State.UPLOADED, f"{number:012x}-1", template="Head_and_Neck_OAR", reason=reason)
        in_state(State.UNMATCHED, f"{number:012x}-2", reason="no rule matches; nearest is pelvis")
        held(in_state(State.FETCHED, f"{number:012x}-3", modality="CT", slices=143), ctx)
        warned = in_state(State.DELIVERED, f"{number:012x}-4")
        ctx.ledger.commit(with_findings(warned, NOON, ["Heart: 1,950 cm³"]))

    lines = drawn(ctx, width=80).splitlines()
    whole = drawn(ctx, JobFilter(state="uploaded"), width=80)

    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("attention ")
    assert sum("unmatched" in line for line in lines if "jobs " not in line) == 1
    at = next(number for number, line in enumerate(lines) if line.startswith("000000000001-1"))
    assert lines[at + 1].startswith("  the server's contours: the server says PENDING")
    assert lines[at + 1].endswith("…")
    assert "in its queue, and waits" in " ".join(whole.split())


def test_many_rows_and_few_rows_say_the_same(
    ctx: Context, in_state: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state(State.UPLOADED, template="Prostate_OAR", reason="the server says PENDING")
    in_state(State.MATCHED, "1" * 12 + "-1")
    few = drawn(ctx, JobFilter(everything=True))
    monkeypatch.setattr("drawcli.cli.status_view._MOST_IN_TABLE", 1)

    many = drawn(ctx, JobFilter(everything=True))

    assert many.split() == few.split()


def test_filters_choose_by_state_by_time_and_by_the_rules(ctx: Context, in_state: Make) -> None:
    ages = {"1": timedelta(hours=1), "2": timedelta(days=3), "3": timedelta(days=30)}
    for digit, age in ages.items():
        job = Job(id=digit * 12 + "-1", state=State.UNMATCHED, since=NOON - age)
        ctx.ledger.add(job)
    stuck = in_state(State.FETCHED, "4" * 12 + "-1")
    held(stuck, ctx)
    first, second, third = (digit * 12 + "-1" for digit in ages)

    assert ids(JobFilter(state="held"), ctx) == [stuck.id]
    assert ids(JobFilter(state="unmatched"), ctx) == [third, second, first]
    assert ids(JobFilter(unmatched=True), ctx) == [second, first]
    assert ids(JobFilter(since=NOON - timedelta(days=1)), ctx) == [first, stuck.id]


def test_since_reaches_into_the_archive(ctx: Context, in_state: Make) -> None:
    in_state(State.DONE)
    ctx.ledger.archive_finished(NOON + timedelta(days=2))

    assert ids(JobFilter(), ctx) == []
    assert ids(JobFilter(since=NOON - timedelta(hours=1)), ctx) == ["0123456789ab-1"]
    assert ids(JobFilter(since=NOON + timedelta(hours=1)), ctx) == []


@pytest.mark.parametrize("words", ["kulkarnee", "KULKARNEE^ash", "7734021", "कुलकर्णी"])
@pytest.mark.usefixtures("pelvis")
def test_a_patient_is_found_by_a_part_of_name_or_id(ctx: Context, words: str) -> None:
    run_step("scan", ctx, Selection())
    (job,) = ctx.ledger.jobs()

    asked = JobFilter(patient=words, identify=True)

    assert ids(asked, ctx) == [job.id]
    assert PELVIS.patient_id in drawn(ctx, asked)
    assert ids(JobFilter(patient="Somebody Else", identify=True), ctx) == []


@pytest.mark.usefixtures("pelvis")
def test_retry_of_all_jobs_does_not_deny_those_that_are_not_due_again(drawcli: Run) -> None:
    drawcli("scan")

    assert drawcli("retry", "--all").out == "No job is held, and none waits for another try.\n"


@pytest.mark.usefixtures("pelvis")
def test_a_patient_is_asked_for_on_a_terminal_only(drawcli: Run, site: Site) -> None:
    drawcli("scan")

    refused = drawcli("status", "--patient", "Kulkarnee", "--identify")
    nameless = drawcli("status", "--patient", "Kulkarnee")
    said = at_terminal(site, "status", "--patient", "kulkarnee", "--identify")

    assert (refused.code, nameless.code) == (2, 2)
    assert "--patient needs --identify" in nameless.err
    assert PELVIS.patient_id in said


def test_the_table_for_spreadsheets(drawcli: Run, site: Site) -> None:
    empty = drawcli("status", "--csv").out
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.MATCHED, since=NOON, template="=1+1"))

    (row,) = csv.DictReader(io.StringIO(drawcli("status", "--csv").out))

    assert empty.startswith("id,state,since,")
    assert (row["state"], row["template"], row["held"]) == ("matched", "'=1+1", "False")
    assert row["waits_for"] == "the next run: deidentify"


def test_quarantine_lists_what_is_held_and_nothing_else(drawcli: Run, site: Site) -> None:
    nothing = drawcli("quarantine")
    err = NeedsPerson("three contours lie on no slice", code="contour-off-slice", hint="Look.")
    stuck = Job(id="2" * 12 + "-1", state=State.FETCHED, since=NOON).held_for(err, at=NOON)
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="1" * 12 + "-1", state=State.MATCHED, since=NOON))
        ledger.add(stuck)

    shown, answer = drawcli("quarantine"), drawcli("quarantine", "--json").answer
    (row,) = csv.DictReader(io.StringIO(drawcli("quarantine", "--csv").out))

    assert (nothing.code, nothing.out) == (0, "Nothing is held.\n")
    assert shown.code == 0
    assert shown.out.startswith(f"{stuck.id}  held at fetched")
    assert "why  three contours lie on no slice" in shown.out
    assert f"do   drawcli release {stuck.id}" in shown.out
    assert "1" * 12 not in shown.out
    assert answer["command"] == "quarantine"
    assert [job["id"] for job in answer["data"]["jobs"]] == [stuck.id] == [row["id"]]
    assert row["way_out"] == f"drawcli release {stuck.id}"


@pytest.mark.usefixtures("pelvis")
def test_programs_learn_whether_it_runs_and_what_each_job_waits_for(drawcli: Run) -> None:
    drawcli("run-once")  # nobody answers at the address of the site

    data = drawcli("status", "--json").answer["data"]

    assert (data["running"], data["progress"], data["last_success"]) == (None, None, None)
    assert data["last_run"]["exit_code"] == 7
    assert data["server"]["state"] == "out-of-reach"
    assert data["jobs"][0]["waits_for"].startswith("another try in")
    assert data["jobs"][0]["way_out"] is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--since", "yesterday"), "neither a span"),
        (("--watch",), "needs a terminal"),
        (("--watch", "--json"), "needs a terminal"),
        (("--state", "hold"), "no state"),
        (("--patient", " "), "--patient is empty"),
    ],
)
def test_what_cannot_be_shown_is_said(drawcli: Run, words: tuple[str, ...], why: str) -> None:
    ended = drawcli("status", *words)

    assert ended.code == 2
    assert why in ended.err + ended.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_contours_have_a_line_only_if_something_is_to_be_looked_at(
    drawcli: Run, site: Site
) -> None:
    write_summary(site.state, summary_with(chart_of()))
    routine = drawcli("status")
    write_summary(site.state, summary_with(chart_of(state="watch")))
    watch = drawcli("status")

    assert "contours  " not in routine.out
    assert "contours  watch Prostate_OAR Bladder" in watch.out
    assert "contours" not in drawcli("status", "--all").out
    assert drawcli("status", "--json").answer["data"]["contours"].startswith("watch")
    assert drawcli("status", "--all", "--json").answer["data"]["contours"] is None


def test_watch_shows_what_changes_and_leaves_at_an_interrupt(site: Site) -> None:
    import pty

    leader, follower = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "TERM": "xterm", "COLUMNS": "150"}
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", "status", "--watch"],
        cwd=site.folder,
        env=env | {"LINES": "40"},
        stdout=follower,
    )
    os.close(follower)
    seen = read_until(leader, "No jobs.")
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.UPLOADED, since=NOON))
    seen += read_until(leader, "0123456789ab-1")
    process.send_signal(signal.SIGINT)
    seen += read_until(leader, "\0")  # until the other end is closed

    assert process.wait() == 0
    assert "Traceback" not in seen
    assert seen.rstrip().endswith("the server's contours")  # it stands there when all is over
    os.close(leader)


def read_until(leader: int, text: str) -> str:
    """Return what a terminal shows until some text stands there, or nothing comes any more."""
    said = b""
    while text.encode() not in said:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    return said.decode("utf-8", "replace")


def many(count: int) -> list[Job]:
    """Return jobs of the usual size in states that stay in the ledger."""
    events = tuple(
        Event(NOON, EventKind.REACHED, word) for word in ("found", "unmatched", "found", "matched")
    )
    return [
        Job(
            id=f"{number:012x}-1",
            state=(State.UNMATCHED, State.EXCLUDED, State.UPLOADED)[number % 3],
            since=NOON - timedelta(minutes=number),
            modality="CT",
            slices=180,
            reason="no rule matches",
            source_digest=f"{number:016x}",
            rules_digest="a" * 64,
            events=events,
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.sweep
def test_ten_thousand_jobs_take_little_longer_than_none(site: Site) -> None:
    bare = {"PATH": os.environ["PATH"]}  # without what measures coverage

    def least(*words: str) -> float:
        """Return CPU seconds: other processes do not count."""
        spans = []
        for _ in range(3):
            before = os.times()
            command = [sys.executable, "-m", "drawcli", "status", *words]
            subprocess.run(command, cwd=site.folder, env=bare, capture_output=True, check=True)
            after = os.times()
            spans.append(after.children_user - before.children_user)
        return min(spans)

    def bare_start() -> float:
        before = os.times()
        for _ in range(10):
            subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
        return (os.times().children_user - before.children_user) / 10

    none, bare_seconds = least(), bare_start()
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(*many(10_000))

    assert least() - none < 70 * bare_seconds
    assert least("--json") - none < 100 * bare_seconds
