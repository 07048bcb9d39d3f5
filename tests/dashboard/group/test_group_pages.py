"""The group of sites, the machines of a site, and the summary for programs."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.config.sections_group import GroupView
from drawcli.core.group.site_summary import SiteSummary
from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.group import pages
from drawcli.pipeline.context import Context
from tests.conftest import NOON
from tests.dashboard.conftest import WORDS, Serve


def test_a_site_without_a_group_or_a_database_has_no_such_pages(client: TestClient) -> None:
    assert client.get("/group").status_code == 404
    assert client.get("/cluster").status_code == 404
    assert "/group" not in client.get("/server").text
    assert "/cluster" not in client.get("/server").text


def test_the_group_is_one_table_and_what_a_site_says_is_text(
    ctx: Context, serve_of: Callable[[Context], Serve], tmp_path: Path
) -> None:
    folder = tmp_path / "sites"
    folder.mkdir()
    said = {
        "verdict": {"level": "broken", "headline": "<script>x</script>"},
        "counts": {"found": 7},
    }
    told = {"command": "status", "data": said | {"contours": "Two charts are out of control"}}
    (folder / "north.json").write_text(json.dumps(told))
    settings = ctx.settings.replace(group=GroupView(folder=folder, silent_hours=9_000))

    os.utime(folder / "north.json", (NOON.timestamp(),) * 2)

    page = serve_of(replace(ctx, settings=settings))().get("/group").text

    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
    assert "Two charts are out of control" in page
    assert "1 site: 1 broken" in page
    assert 'href="/group" aria-current="page"' in page


def test_the_summary_is_what_a_group_reads(
    in_state: Callable[..., Job], client: TestClient
) -> None:
    in_state(State.MATCHED)
    held = in_state(State.PACKAGED, "0123456789ab-2", held=True, reason_code="gate")

    answer = client.get("/summary")
    summary = SiteSummary.of(answer.json(), NOON)

    assert summary.counts == {"matched": 1, "packaged": 1}
    assert summary.held == {"gate": 1}
    assert summary.level in ("attention", "broken")
    assert held.id not in answer.text


def test_the_summary_needs_the_password_of_the_page(serve: Serve) -> None:
    page = serve(password=WORDS)
    plain = {"accept": "application/json"}

    assert page.get("/summary", headers=plain).status_code == 401
    wrong = plain | {"authorization": "Bearer guess"}
    assert page.get("/summary", headers=wrong).status_code == 401
    right = plain | {"authorization": f"Bearer {WORDS}"}
    assert page.get("/summary", headers=right).status_code == 200


def test_status_as_json_is_what_a_site_pushes(ctx: Context, in_state: Callable[..., Job]) -> None:
    from drawcli.operations.group.own_summary import own_summary
    from drawcli.operations.overview import RunHealth
    from drawcli.operations.verdict.site import SiteView, verdict_of

    in_state(State.MATCHED)
    jobs, health = ctx.ledger.jobs(), RunHealth.of_site(ctx.settings)
    verdict = verdict_of(SiteView(ctx, health, jobs, ctx.now()))
    plain = own_summary(ctx, {State.MATCHED: 1}, jobs, health, verdict)

    assert json.loads(json.dumps(plain)) == plain
    assert "jobs" not in plain["data"]


def test_the_machines_of_a_site_are_shown(
    ctx: Context, serve_of: Callable[[Context], Serve], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "database": "database draw at db.example",
        "server_version": "15.9",
        "standby": False,
        "site": "north",
        "host": "scanner-pc",
        "lease_seconds": 60.0,
        "hosts": [{"host": "scanner-pc", "silent_seconds": 3.0, "leases": 1, "version": "1"}],
        "workers": [
            {
                "host": "scanner-pc",
                "pid": 4711,
                "silent_seconds": 2.0,
                "parallel": 4,
                "running": [{"step": "upload", "job": "ab-1"}],
                "queues": ["scan", "upload"],
            }
        ],
        "queues": [{"queue": "upload", "waiting": 7, "running": 1, "oldest_seconds": 300.0}],
        "leases": [
            {"job": "ab-1", "state": "packaged", "host": "h", "pid": 7, "seconds_left": 40.0}
        ],
        "waits": [{"server": "https://draw", "until": NOON, "reason": "503"}],
    }
    monkeypatch.setattr(pages, "_cluster", lambda _ledger: facts)
    settings = ctx.settings.replace(ledger="postgresql://u@db/draw")

    page = serve_of(replace(ctx, settings=settings))().get("/cluster").text

    for words in ("database draw at db.example", "scanner-pc", "5 min", "packaged", "12:00:00 UTC"):
        assert words in page
    for words in ("4711", "1 of 4", "scan, upload"):
        assert words in page
    assert 'href="/cluster" aria-current="page"' in page
