"""The verdict on a site that is really in that state: on the page, for monitors and in status."""

import base64
import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.pause import Pause, write_pause
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.warned import CHECKS
from drawcli.errors import NeedsPerson
from drawcli.operations.doctor.kept import keep_outcomes
from drawcli.operations.doctor.outcome import CheckResult, Outcome
from drawcli.pipeline.context import Context
from tests.cli.conftest import Run as Drawcli
from tests.cli.conftest import drawcli  # noqa: F401 - a fixture
from tests.conftest import Clock, Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in
from tests.operations.qa.summaries import chart_of, summary_with

Plant = Callable[["Planted"], None]


class Planted:
    """A site that works, to be damaged."""

    def __init__(self, ctx: Context, site: Site) -> None:
        self.ctx, self.site, self.now = ctx, site, ctx.now()
        self.ran(timedelta(minutes=5))
        self.job(State.DONE)

    def ran(self, ago: timedelta, code: int = 0, error: str = "", server: str = ANSWERED) -> None:
        """Let a run end some time ago."""
        ended = self.now - ago
        RunLog(self.site.state).add(Run("0badcafe", ended, ended, code, error, server))

    def job(self, state: State, number: int = 1) -> Job:
        """Add a job."""
        job = Job(id=f"{number:012x}-1", state=state, since=self.now, modality="CT")
        self.ctx.ledger.add(job)
        return job

    def held(self, code: str = "deadline", number: int = 2) -> None:
        """Add a held job."""
        job = self.job(State.UPLOADED, number)
        self.ctx.ledger.commit(job.held_for(NeedsPerson("no result", code=code), at=self.now))

    def token(self, left: timedelta) -> None:
        """Let the refresh token end."""
        ends = int((self.now + left).timestamp())
        claims = base64.urlsafe_b64encode(json.dumps({"exp": ends}).encode()).decode()
        pair = {"access_token": "access-1", "refresh_token": f"a.{claims}.c"}
        (self.site.folder / "token.json").write_text(json.dumps(pair))


def no_token(site: Planted) -> None:
    (site.site.folder / "token.json").unlink()


def no_key(site: Planted) -> None:
    (site.site.state / "site.key").unlink()


def kept(check: str, *, ago: timedelta) -> Plant:
    def plant(site: Planted) -> None:
        failed = Outcome(check, CheckResult.failed("/mnt/dicom does not exist", "Mount it."))
        keep_outcomes(site.site.state, [failed], site.now - ago)

    return plant


def warned(site: Planted) -> None:
    job = site.job(State.DELIVERED, 3)
    site.ctx.ledger.commit(job.noted(site.now, CHECKS, "Bladder: 9 cm³ is too small"))


def receives(site: Planted) -> None:
    site.site.add_line("receive: {folder: store}")
    settings = site.ctx.settings.receive.replace(folder=site.site.store)
    object.__setattr__(site.ctx, "settings", site.ctx.settings.replace(receive=settings))


def paused(site: Planted) -> None:
    write_pause(site.site.state, Pause(site.now, "ann", "ward", ""))


def all_dead(site: Planted) -> None:
    no_token(site)
    site.ran(timedelta(hours=30), 7, server=OUT_OF_REACH)
    site.ran(timedelta(hours=26), 7, server=OUT_OF_REACH)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WELL, ATTENTION, BROKEN = "well", "attention", "broken"
STATES: dict[str, tuple[Plant, str, str, int]] = {
    "well": (lambda _: None, WELL, "All is well", 0),
    "one held": (lambda site: site.held(), ATTENTION, "1 job is held", 1),
    "blocked": (lambda s: s.held("privacy-gate"), ATTENTION, "privacy gate blocked 1 upload", 2),
    "late": (lambda s: s.ran(3 * HOUR), ATTENTION, "No run for 3 h", 1),
    "cron dead": (lambda s: s.ran(26 * HOUR), BROKEN, "cron does not call", 1),
    "run failed": (lambda s: s.ran(HOUR / 60, 3, "bad-rules"), BROKEN, "The last run failed", 1),
    "server away": (
        lambda s: s.ran(HOUR / 60, server=OUT_OF_REACH),
        ATTENTION,
        "The server did not answer",
        1,
    ),
    "token missing": (no_token, BROKEN, "The token cannot be used", 1),
    "token expired": (lambda s: s.token(-3 * DAY), BROKEN, "The token expired 3 d ago", 1),
    "token expiring": (lambda s: s.token(3.1 * DAY), ATTENTION, "The token expires in 3 d", 1),
    "site key gone": (no_key, BROKEN, "The site key cannot be used", 1),
    "check failed": (kept("audit log", ago=HOUR), BROKEN, "The check 'audit log' failed", 1),
    "datastore, not since": (kept("datastore", ago=HOUR / 120), BROKEN, "The datastore cannot", 1),
    "datastore, a run since": (kept("datastore", ago=HOUR), WELL, "All is well", 0),
    "check of last month": (kept("audit log", ago=30 * DAY), WELL, "All is well", 0),
    "receiver down": (receives, BROKEN, "'drawcli receive' is not running", 1),
    "paused": (paused, ATTENTION, "Uploads are paused", 1),
    "warnings": (warned, ATTENTION, "1 structure set was delivered with warnings", 1),
    "all dead": (all_dead, BROKEN, "cron does not call", 4),
}


@pytest.fixture
def planted(ctx: Context, site: Site, clock: Clock) -> Planted:
    """Return a site that works now, by the clock of this machine."""
    clock.at = datetime.now(UTC)
    return Planted(ctx, site)


@pytest.mark.parametrize("name", STATES)
def test_a_site_in_that_state_says_so_on_the_page_to_monitors_and_in_status(
    planted: Planted,
    client: TestClient,
    drawcli: Drawcli,  # noqa: F811 - the fixture
    name: str,
) -> None:
    plant, level, words, count = STATES[name]
    plant(planted)

    page, health = client.get("/").text, client.get("/health")
    answer = health.json()
    status = drawcli("status")

    assert (answer["level"], health.status_code) == (level, 503 if level == BROKEN else 200)
    assert words in answer["headline"]
    assert len(answer["findings"]) == count, answer
    assert f'href="/static/{level}.svg"' in page
    assert answer["headline"].replace("'", "&#39;") in page
    more = f" (and {count - 1} more)" if count > 1 else ""
    assert answer["headline"].endswith(more)
    if name == "site key gone":  # the site cannot be opened then
        assert (status.code, "site key" in status.err) == (3, True)
        return
    said, plain = status.out.splitlines(), drawcli("status", "--json").answer["data"]["verdict"]
    assert said[0].startswith(f"{level:<9} ")
    assert said[0].endswith(answer["headline"])
    assert plain["level"] == level
    assert [one["code"] for one in plain["findings"]] == [one["code"] for one in answer["findings"]]


def test_a_full_disk_is_broken_and_a_small_one_wants_attention(
    planted: Planted, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = "drawcli.adapters.state.workdir.WorkDir.free_bytes"
    monkeypatch.setattr(free, lambda _: 1 << 20)
    full = client.get("/health")
    monkeypatch.setattr(free, lambda _: int(1.5 * (1 << 30)))
    small = client.get("/health")

    assert (full.status_code, full.json()["level"]) == (503, BROKEN)
    assert (small.status_code, small.json()["level"]) == (200, ATTENTION)
    assert planted.site.folder.name not in full.text


def test_the_server_is_broken_once_it_is_away_for_long(
    planted: Planted, client: TestClient
) -> None:
    planted.ran(timedelta(minutes=4), server=OUT_OF_REACH)
    assert client.get("/health").json()["level"] == ATTENTION
    limits = planted.ctx.settings.notify.replace(server_hours=0.05)
    object.__setattr__(planted.ctx, "settings", planted.ctx.settings.replace(notify=limits))

    answer = client.get("/health").json()

    assert (answer["level"], answer["findings"][0]["code"]) == (BROKEN, "server")
    assert "has not answered for 4 min" in answer["headline"]
    assert len(answer["findings"]) == 1


def test_contours_to_investigate_want_attention_and_those_to_watch_do_not(
    planted: Planted, client: TestClient
) -> None:
    write_summary(planted.site.state, summary_with(chart_of(state="watch")))
    watch = client.get("/health").json()["level"]
    write_summary(planted.site.state, summary_with(chart_of(state="investigate")))
    investigate = client.get("/health").json()

    assert watch == WELL
    assert (investigate["level"], investigate["findings"][0]["code"]) == (ATTENTION, "contours")


def test_a_new_site_lists_what_is_missing_and_ticks_what_is_done(
    site: Site,
    client: TestClient,
    drawcli: Drawcli,  # noqa: F811
    pelvis: list[Path],
) -> None:
    now, token = datetime.now(UTC), (site.folder / "token.json").read_bytes()
    (site.folder / "token.json").unlink()
    page, status = client.get("/").text, drawcli("status").out
    steps = {one["step"]: one for one in drawcli("status", "--json").answer["data"]["setup"]}
    (site.folder / "token.json").write_bytes(token)
    (site.folder / "token.json").chmod(0o600)
    RunLog(site.state).add(Run("0badcafe", now, now, 0, "", ANSWERED))
    after = client.get("/").text

    assert pelvis
    assert "The site is not set up yet: 2 of 8 steps are missing" in page
    assert status.startswith("attention The site is not set up yet: 2 of 8")
    assert {name for name, one in steps.items() if not one["done"]} == {"Token", "Cron"}
    assert steps["Token"]["do"] == "drawcli token set"
    assert "6 of 8 steps are done" in page
    assert "8 of 8 steps are done" in after
    assert "All is well" in after


def test_a_site_without_a_rule_is_not_well_although_runs_have_begun(
    serve: Serve, ctx: Context, pelvis: list[Path], in_state: Callable[..., Job]
) -> None:
    now = datetime.now(UTC)
    RunLog(ctx.settings.state_dir).add(Run("0badcafe", now, now, 0, "", ANSWERED))
    in_state(State.UNMATCHED)
    page = serve(password=WORDS, allow_actions=True, allow_editing=True)
    log_in(page)
    with_rules = page.get("/").text
    ctx.settings.rules.write_text("rules: []\n", encoding="utf-8")
    ctx.settings.templates.write_text("templates: {}\n", encoding="utf-8")
    empty = page.get("/").text
    in_state(State.DONE, "fedcba987654-1")
    begun = page.get("/").text

    assert pelvis
    assert "All is well" in with_rules
    assert "The site is not set up yet: 2 of 8 steps are missing" in empty
    assert '<a href="/edit/templates">The site is not set up yet' in empty
    assert '<a class="button small" href="/unmatched">Write a rule from a series</a>' in empty
    assert "not set up yet" not in begun
    assert "There is no rule yet" in page.get("/rules").text


def test_monitors_log_in_with_the_token_as_for_metrics(serve: Serve, planted: Planted) -> None:
    page = serve(password=WORDS)

    refused = page.get("/health", headers={"accept": "application/json"})
    wrong = page.get("/health", headers={"authorization": "Bearer no"})
    right = page.get("/health", headers={"authorization": f"Bearer {WORDS}"})
    elsewhere = page.get("/jobs", headers={"authorization": f"Bearer {WORDS}"})

    assert planted.site.state.is_dir()
    assert (refused.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
    assert right.json()["headline"] == "All is well"
    assert elsewhere.status_code != 200


def test_warnings_are_amber_counted_and_found_until_somebody_has_seen_them(
    serve: Serve,
    planted: Planted,
    drawcli: Drawcli,  # noqa: F811
) -> None:
    warned(planted)
    page = serve(password=WORDS, allow_actions=True)
    log_in(page)
    name = f"{3:012x}-1"
    before = page.get("/jobs?state=warnings").text
    listed = drawcli("status", "--state", "warnings")
    job = page.get(f"/jobs/{name}").text
    form = {"csrf": token_in(job), "revision": "1"}

    seen = page.post(f"/jobs/{name}/seen", data=form)
    again = page.post(f"/jobs/{name}/seen", data=form | {"revision": "2"})

    assert '<span class="badge warned"' in before
    assert "1 to 1 of 1" in before
    assert "delivered" in listed.out
    assert "9 cm³ is too small" in job
    assert "Mark as seen" in job
    assert (seen.status_code, again.status_code) == (303, 409)
    assert "warnings seen" in page.get(f"/jobs/{name}").text
    assert "badge warned" not in page.get("/jobs").text
    assert drawcli("status", "--state", "warnings").out.startswith("No warnings")
    assert page.get("/health").json()["level"] == WELL


def test_warnings_are_marked_as_seen_in_the_terminal_by_the_user(
    planted: Planted,
    drawcli: Drawcli,  # noqa: F811
) -> None:
    warned(planted)
    name = f"{3:012x}-1"

    neither = drawcli("seen")
    planned = drawcli("seen", "--all", "-n").out
    done = drawcli("seen", name)
    again = drawcli("seen", name)
    none = drawcli("seen", "--all").out

    assert (neither.code, done.code, again.code) == (2, 0, 2)
    assert "would be marked as seen" in planned
    assert "has no warnings" in again.err
    assert none == "No delivery has warnings that nobody has seen.\n"
    events = drawcli("show", name, "--json").answer["data"]["events"]
    assert events[-1]["what"] == "warnings seen"
    assert events[-1]["by"].startswith(getpass.getuser())


def test_without_the_right_to_act_nothing_is_marked_as_seen(serve: Serve, planted: Planted) -> None:
    warned(planted)
    page = serve(password=WORDS)
    log_in(page)
    name = f"{3:012x}-1"
    form = {"csrf": token_in(page.get(f"/jobs/{name}").text), "revision": "1"}

    refused = page.post(f"/jobs/{name}/seen", data=form)

    assert refused.status_code == 403
    assert "drawcli seen" in page.get(f"/jobs/{name}").text


def test_what_monitors_read_names_no_path_and_no_job(planted: Planted, client: TestClient) -> None:
    for plant in (all_dead, warned, no_key, kept("audit log", ago=HOUR)):
        plant(planted)
    planted.held()

    answer = client.get("/health")

    assert len(answer.json()["findings"]) == 8
    for secret in (str(planted.site.folder), "/mnt", f"{2:012x}", f"{3:012x}", "Bladder"):
        assert secret not in answer.text


def test_a_ledger_that_cannot_be_read_is_broken_for_monitors(
    planted: Planted, client: TestClient
) -> None:
    assert client.get("/health").status_code == 200
    (planted.site.state / "ledger.json").write_text("{}")

    answer = client.get("/health")

    assert (answer.status_code, answer.json()["level"]) == (503, BROKEN)
    assert answer.json()["headline"] == "The ledger cannot be read"
