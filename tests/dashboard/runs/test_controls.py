"""Runs from the page: one at a time, in a process of its own; pause and resume with a name."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.audit_log import AuditLog
from drawcli.adapters.state.pause import read_pause
from drawcli.adapters.state.run_log import RunLog
from drawcli.core.jobs.job import State
from drawcli.errors import UsageError
from drawcli.pipeline.context import Context
from tests.conftest import Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in
from tests.waiting import wait_until

# Says how it was called, waits for the file "go", and ends with 7.
STUB = """
import json, pathlib, sys, time, os
here = pathlib.Path(sys.argv[1])
with (here / "calls").open("a") as out:
    out.write(json.dumps([sys.argv[2:], os.getsid(0) == os.getpid()]) + "\\n")
for _ in range(12_000):  # two minutes at most
    if (here / "go").exists():
        break
    time.sleep(0.01)
sys.exit(7)
"""


@pytest.fixture
def client(serve: Serve) -> TestClient:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    return client


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the page start a program that waits for us; return its folder."""
    folder = tmp_path / "stub"
    folder.mkdir()
    (folder / "stub.py").write_text(STUB)
    words = (sys.executable, str(folder / "stub.py"), str(folder))
    monkeypatch.setattr("drawcli.dashboard.runs.starter.program", lambda: words)
    return folder


def calls(stub: Path) -> list[object]:
    path = stub / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def posted(client: TestClient, place: str, **form: str) -> tuple[int, str]:
    """Send a form of the overview; return the status, and where it leads or what it says."""
    token = token_in(client.get("/").text)
    answer = client.post(place, data={"csrf": token, "back": "/", **form})
    return answer.status_code, answer.headers.get("location", answer.text)


def test_a_run_is_started_as_on_the_command_line_and_never_twice(
    client: TestClient, stub: Path, site: Site
) -> None:
    first = posted(client, "/run")
    second = posted(client, "/run")
    during = client.get("/").text
    wait_until(lambda: calls(stub))
    (stub / "go").touch()
    wait_until(lambda: "has ended" in client.get("/").text)
    after = client.get("/server").text

    assert first == (303, "/#controls")
    assert (second[0], "has not ended yet" in second[1]) == (409, True)
    assert "A run is starting" in during
    assert "<button>Run now<" not in during
    assert calls(stub) == [[["run-once", "--config", str(site.config)], True]]
    assert "has ended: the server or the datastore cannot be reached" in after
    actions = [line.facts for line in AuditLog(site.state).lines()]
    assert [one["action"] for one in actions if one["what"] == "action"] == ["run-once"]


def test_of_many_that_ask_at_once_one_is_started(client: TestClient, stub: Path) -> None:
    starter = client.app._app.state.parts.runs  # type: ignore[attr-defined]

    def start(_number: int) -> bool:
        try:
            starter.start("")
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        started = list(threads.map(start, range(8)))
    (stub / "go").touch()
    wait_until(lambda: not starter.last.is_running)

    assert sum(started) == 1
    assert len(calls(stub)) == 1


def test_beside_a_run_of_cron_none_is_started(client: TestClient, stub: Path, ctx: Context) -> None:
    with ctx.work.run_lock(ctx.now()):
        answer = posted(client, "/run")
        page = client.get("/").text

    assert (answer[0], "another run has been active" in answer[1]) == (409, True)
    assert "A run has been active for" in page
    assert calls(stub) == []


def test_a_real_run_works_on_the_series_and_outlives_the_request(
    client: TestClient, site: Site, pelvis: list[Path], ctx: Context
) -> None:
    assert len(pelvis) > 1

    status, _ = posted(client, "/run")
    wait_until(lambda: "has ended" in client.get("/").text)

    assert status == 303
    (run,) = RunLog(site.state).newest_first()
    assert run.exit_code == 7  # there is no server
    assert [job.state for job in ctx.ledger.jobs()] == [State.PACKAGED]


def test_a_missing_program_is_reported(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.dashboard.runs.starter.program", lambda: ("/nowhere/drawcli",))

    status, text = posted(client, "/run")

    assert (status, "cannot be started" in text) == (409, True)
    assert "Run now" in client.get("/").text


def test_sending_is_paused_with_a_reason_and_resumed(client: TestClient, site: Site) -> None:
    paused = posted(client, "/pause", reason="new linac\x1b[2J", back="/server")
    pause = read_pause(site.state)
    page = client.get("/server").text
    again = posted(client, "/pause", reason="")
    kept = read_pause(site.state)
    resumed = posted(client, "/resume", back="//elsewhere.example")

    assert (paused, resumed) == ((303, "/server#controls"), (303, "/#controls"))
    assert pause is not None
    assert (pause.reason, pause.user != "") == ("new linac·[2J", True)
    assert "new linac" in page
    assert "Resume sending" in page
    assert (again[0], kept) == (303, pause)
    assert read_pause(site.state) is None
    actions = [line.facts for line in AuditLog(site.state).lines()]
    assert [one["action"] for one in actions] == ["pause", "resume"]
    assert "linac" not in str(actions)


@pytest.mark.parametrize("place", ["/run", "/pause", "/resume"])
def test_nothing_without_the_right(serve: Serve, site: Site, stub: Path, place: str) -> None:
    client = serve(password=WORDS, identify=True)
    log_in(client)

    status, text = posted(client, place)

    assert (status, "--allow-actions" in text) == (403, True)
    assert read_pause(site.state) is None
    assert calls(stub) == []
    assert "Run now" not in client.get("/").text
