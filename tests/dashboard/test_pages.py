"""What the pages say: what status, show, explain and doctor say."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.pause import Pause, write_pause
from drawcli.adapters.state.run_log import ANSWERED, Run, RunLog
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.jobs.waiting import way_out
from drawcli.dashboard.app import Files
from drawcli.dashboard.events import Live
from drawcli.dashboard.snapshot import SiteReader as Shown
from drawcli.errors import NeedsPerson, ServerUnavailable
from drawcli.operations.doctor.outcome import CheckResult
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Site
from tests.dashboard.conftest import Serve

Make = Callable[..., Job]


def test_the_overview_tells_what_is_held_first_and_counts_every_state(
    client: TestClient, held: Job, in_state: Make
) -> None:
    for number in range(3):
        in_state(State.MATCHED, f"00000000000{number}-1")

    page = client.get("/").text

    assert "1 job is held" in page
    assert "<title>! 1 job is held (and 1 more) · drawcli" in page
    assert "no result 4 hours after the upload" in page
    assert way_out(held) in page
    assert '<a href="/jobs?state=matched"><span class="stop">3</span>' in page


def test_the_overview_of_an_empty_site_says_what_is_to_be_set_up(client: TestClient) -> None:
    page = client.get("/").text

    assert "The site is not set up yet" in page
    assert "Nothing was delivered or held" in page
    assert "none yet; cron calls" in page


def test_the_throughput_counts_the_days(client: TestClient, in_state: Make) -> None:
    came = NOON - timedelta(days=2)
    states = (State.FOUND, State.DELIVERED)
    in_state(State.DONE, events=tuple(Event(came, EventKind.REACHED, one) for one in states))

    page = client.get("/").text

    assert "Nov 12: 1 delivered" in page
    assert "1 in 14 days" in page


def test_a_job_tells_its_whole_story(client: TestClient, home: Job) -> None:
    page = client.get(f"/jobs/{home.id}").text

    for word in (
        *map(str, (State.FOUND, State.PACKAGED, State.DELIVERED)),
        home.task_id,
        "Bladder",
    ):
        assert str(word) in page
    assert "pelvis-planning-ct" in page
    assert "ProtocolName contains pelvis" in page
    assert "Acceptance checks" in page
    assert "cm³" in page


def test_no_text_becomes_a_part_of_the_page(
    client: TestClient, ctx: Context, in_state: Make
) -> None:
    job = in_state(State.PACKAGED, template="<i>", rule="<i>", modality="<i>")
    err = NeedsPerson("<i>", code="<i>", hint="<i>")
    ctx.ledger.commit(job.held_for(err, at=NOON))

    for place in ("/", "/jobs", f"/jobs/{job.id}", "/jobs?q=<i>", "/rules?job=<i>", "/jobs/<i>"):
        text = client.get(place).text
        assert "&lt;i&gt;" in text, place
        assert "<i>" not in text, place


def test_a_job_that_failed_tells_when_it_is_tried_again(
    client: TestClient, ctx: Context, in_state: Make
) -> None:
    job = in_state(State.PACKAGED)
    err = ServerUnavailable("the server answers 503")
    ctx.ledger.commit(job.failed(err, at=NOON, until=NOON + timedelta(minutes=4)))

    page = client.get(f"/jobs/{job.id}").text

    assert "Waits for another try in 4 min: the server answers 503" in page
    assert 'UTC">2026-11-14 12:04</time>' in page


def test_a_job_is_found_by_the_beginning_of_its_id_and_else_it_is_told(
    client: TestClient, held: Job
) -> None:
    assert held.id in client.get(f"/jobs/{held.id[:6]}").text
    assert client.get("/jobs/0000dead").status_code == 404


def test_rules_are_tried_on_a_series(client: TestClient, home: Job) -> None:
    page = client.get(f"/rules?job={home.id}").text

    assert "rule pelvis-planning-ct" in page
    assert "does not match" in page


def test_rules_cannot_be_tried_where_the_images_are_gone(
    client: TestClient, home: Job, pelvis: list[Path]
) -> None:
    for path in pelvis:
        path.unlink()

    page = client.get(f"/rules?job={home.id}").text

    assert "can no longer be read" in page
    assert str(pelvis[0].parent) not in page


def test_broken_rules_are_told_with_their_place_and_mended_ones_are_read(
    client: TestClient, site: Site
) -> None:
    rules = site.folder / "rules.yaml"
    good = rules.read_text()

    rules.write_text(good.replace("template: Prostate_OAR", "template: Nonsense"))
    broken = client.get("/rules").text
    rules.write_text(good)
    mended = client.get("/rules").text

    assert "The files are invalid" in broken
    assert "Nonsense" in broken
    assert "The files are invalid" not in mended


def test_a_template_is_shown_as_the_server_gets_it(client: TestClient) -> None:
    page = client.get("/templates/Prostate_OAR").text

    assert "trainer_name: nnUNetTrainerNoMirroring" in page
    assert client.get("/templates/Nonsense").status_code == 404


def test_what_the_rules_left_is_told_with_why(
    client: TestClient, ctx: Context, in_state: Make
) -> None:
    job = in_state(State.UNMATCHED, modality="MR", slices=3)
    ctx.ledger.commit(job.postponed(None, code="unmatched", reason="no rule matches; nearest is x"))

    page = client.get("/unmatched").text

    assert "no rule matches; nearest is x" in page
    assert f"/rules?job={job.id}#tried" in page


def test_a_pause_is_on_the_overview(client: TestClient, site: Site) -> None:
    assert "uploads are paused" not in client.get("/").text

    write_pause(site.state, Pause(since=NOON, user="marta", host="ward-7", reason="<new> rules"))

    assert "by marta@ward-7: &lt;new&gt; rules" in client.get("/").text


def test_settings_in_force_say_which_the_site_has_set(client: TestClient, site: Site) -> None:
    page = client.get("/settings").text

    assert 'quiet_minutes <span class="dot"' in page
    assert "full_walk_hours</dt>" in page
    assert str(site.state) in page


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("server", "token_command", ["vault", "read", "s3cret"]),
        ("server", "token_store_command", ["vault", "write", "s3cret"]),
        ("metrics", "heartbeat_url", "https://hc.example/s3cret"),
    ],
)
def test_settings_that_may_hold_a_key_are_not_shown(
    ctx: Context, client: TestClient, section: str, key: str, value: object
) -> None:
    changed = getattr(ctx.settings, section).replace(**{key: value})
    settings = ctx.settings.replace(**{section: changed})
    object.__setattr__(ctx, "settings", settings)

    page = client.get("/settings").text

    assert "s3cret" not in page
    assert "not shown" in page


@pytest.mark.parametrize("text", ["", "{}", "rubbish"])
def test_a_token_that_cannot_be_read_is_told(client: TestClient, site: Site, text: str) -> None:
    (site.folder / "token.json").write_text(text)

    answer = client.get("/server")

    assert answer.status_code == 200
    assert "<dt>error</dt>" in answer.text


def test_prometheus_gets_its_figures_where_it_may_look(client: TestClient, held: Job) -> None:
    answer = client.get("/metrics", headers={"accept": "*/*"})

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "drawcli_" in answer.text
    assert held.id not in answer.text


def test_the_check_up_says_what_doctor_says(client: TestClient, site: Site) -> None:
    site.store.rmdir()

    page = client.get("/checkup").text

    assert "FAIL" in page
    assert "does not exist: is the share mounted?" in page


def commands_started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each program that is started from now on."""
    started: list[str] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, words: list[str], **how: Any) -> None:
            started.append(words[0])
            super().__init__(words, **how)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return started


@pytest.mark.usefixtures("home")
def test_the_check_up_writes_nothing_and_starts_no_command(
    ctx: Context, client: TestClient, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    command = [sys.executable, "-c", f"open({str(mark)!r}, 'w').write('x'); print('token')"]
    server = ctx.settings.server.replace(token_command=command)
    object.__setattr__(ctx, "settings", ctx.settings.replace(server=server))
    for folder in (path for path in site.folder.rglob("*") if path.is_dir()):
        os.utime(folder, (0, 0))  # what is made and taken away again leaves its time there
    before = {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")}
    started = commands_started(monkeypatch)

    page = client.get("/checkup").text

    assert {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")} == before
    assert set(started) <= {"git"}  # which names the commit of the rules, and takes no lock
    assert not mark.exists()
    assert "Not checked here: delivery, old studies, token, the server" in page


def test_a_token_in_a_file_is_looked_at_without_a_trial_of_its_folder(
    client: TestClient, site: Site
) -> None:
    os.utime(site.folder, (0, 0))

    page = client.get("/checkup").text

    assert "renews itself" in page
    assert "Not checked here: delivery, old studies, the server" in page
    assert site.folder.stat().st_mtime == 0


def test_the_check_up_reads_the_ledger_in_turn_with_other_pages(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RLock()
    free: list[bool] = []

    def is_free() -> bool:
        if taken := lock.acquire(blocking=False):
            lock.release()
        return taken

    def look(_seen: object) -> CheckResult:
        with ThreadPoolExecutor(1) as another_page:
            free.append(another_page.submit(is_free).result())
        return CheckResult.well("looked")

    monkeypatch.setattr("drawcli.dashboard.snapshot.RLock", lambda: lock)
    names = ("ledger", "held jobs", "datastore")
    monkeypatch.setattr("drawcli.operations.doctor.local.LOCAL", [(name, look) for name in names])
    serve().get("/checkup")

    assert free == [False, False, True]  # a share that does not answer keeps no page waiting


def test_the_ledger_is_read_once_for_each_time_it_is_written(
    ctx: Context, site: Site, in_state: Make
) -> None:
    shown = Shown(ctx, lambda: pytest.fail("opened"), site.config)
    in_state(State.FOUND)

    first, second = shown.snapshot(), shown.snapshot()
    in_state(State.FOUND, "00000000000b-1")
    third = shown.snapshot()

    assert second is first
    assert (len(first.jobs), len(third.jobs)) == (1, 2)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_theme_is_drawn_at_once_and_no_other_word_gets_in(
    client: TestClient, theme: str
) -> None:
    client.cookies.set("theme", theme)
    assert f'<html lang="en" data-theme="{theme}">' in client.get("/").text
    client.cookies.clear()
    client.cookies.set("theme", "x")
    assert '<html lang="en">' in client.get("/").text


def test_what_was_written_before_a_page_listens_is_told_at_once(
    ctx: Context, site: Site, in_state: Make
) -> None:
    import asyncio

    shown = Shown(ctx, lambda: pytest.fail("opened"), site.config)
    records = [0]
    live = Live(shown, lambda: True, records=lambda: [*records])
    drawn = live.stamp

    async def told() -> list[str]:
        return [event async for event in live.events(drawn)]

    before = asyncio.run(told())
    records.append(1)
    by_records = asyncio.run(told())
    records.pop()
    in_state(State.FOUND)

    assert len(before) == 1
    assert "change" in by_records[1]
    assert "change" in asyncio.run(told())[1]


def test_a_page_is_told_of_a_change_and_its_stream_ends_with_the_server(
    ctx: Context, site: Site, in_state: Make
) -> None:
    import asyncio

    stopping = [False]
    live = Live(Shown(ctx, lambda: pytest.fail("opened"), site.config), lambda: stopping[0])

    async def told() -> list[str]:
        said = []
        async for event in live.events(every_seconds=0.001):
            said.append(event)
            if "change" in event:
                stopping[0] = True
            elif len(said) == 1:
                in_state(State.FOUND)
        return said

    assert asyncio.run(told()) == ["retry: 3000\n\n", "event: change\ndata: 0\n\n"]


def test_a_run_is_overdue_after_the_hours_that_the_site_has_set(ctx: Context, site: Site) -> None:
    settings = ctx.settings.replace(notify=ctx.settings.notify.replace(run_hours=1.5))
    shown = Shown(replace(ctx, settings=settings), lambda: pytest.fail("opened"), site.config)

    assert shown.health.longest == timedelta(hours=1.5)


@pytest.mark.parametrize("name", ["CON", "nul.txt", "a" * 300, "sub/page.js", "PAGE.JS"])
def test_no_file_is_looked_for_but_our_own(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Files, "lookup_path", lambda *_: pytest.fail("looked for"))

    assert client.get(f"/static/{name}").status_code == 404


@pytest.mark.usefixtures("berlin")
def test_times_are_those_of_this_machine_with_utc_in_the_tooltip(
    client: TestClient, in_state: Make, site: Site
) -> None:
    reached = Event(NOON, EventKind.REACHED, State.UPLOADED)
    job = in_state(State.UPLOADED, events=(reached,))
    RunLog(site.state).add(Run("0badcafe", NOON, NOON, 0, "", ANSWERED))

    overview, history, jobs = (client.get(at).text for at in ("/", f"/jobs/{job.id}", "/jobs"))

    assert "(CET, UTC+01:00)" in overview
    assert "last run 0 s ago (13:00): OK" in overview
    assert 'title="2026-11-14 12:00:00 UTC">2026-11-14 13:00:00</time>' in history
    assert 'title="2026-11-14 13:00 (2026-11-14 12:00 UTC)"' in jobs
