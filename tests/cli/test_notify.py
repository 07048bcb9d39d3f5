"""run-once tells others how it went; notify test tells whether they hear it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from drawcli.adapters.notifications import Recipient
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.workdir import WorkDir
from drawcli.cli.commands import app
from drawcli.operations import heartbeat, metrics
from tests.cli.conftest import Ended
from tests.conftest import Site
from tests.operations.qa.cases import cases
from tests.webhook import Webhook, listening

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated"),  # apprise asks for it
    pytest.mark.usefixtures("logging_as_it_was"),
]
Run = Callable[..., Ended]


@pytest.fixture
def drawcli(site: Site) -> Run:
    """Return drawcli within this process: apprise takes its time to be loaded."""

    def run(*words: str) -> Ended:
        done = CliRunner().invoke(app, [*words, "--config", str(site.config)])
        return Ended(done.exit_code, done.stdout, done.stderr)

    return run


def tell_to(site: Site, hook: Webhook) -> None:
    """Let the site tell everything to one webhook."""
    urls = site.folder / "notify.urls"
    urls.touch(0o600)
    urls.write_text(f"json://127.0.0.1:{hook.port}/canary\n")
    site.add_line("notify: {urls_file: notify.urls, digest_at: off}")  # its time may be now
    site.add_line("metrics:\n  textfile: drawcli.prom")
    site.add_line(f"  heartbeat_url: http://127.0.0.1:{hook.port}/ping")


@pytest.mark.usefixtures("pelvis")
def test_a_run_beats_writes_its_figures_and_tells_what_keeps_it_from_its_end(
    drawcli: Run, site: Site
) -> None:
    with listening() as hook:
        tell_to(site, hook)
        silent = drawcli("run-once", "--dry-run")
        before = list(hook.asked)
        away = drawcli("run-once")  # nobody answers at the address of the site
        (site.folder / "token.json").unlink()
        early = [drawcli("run-once") for _ in range(2)]
        (site.state / "site.key").write_text("damaged")
        closed = drawcli("run-once")

    assert (silent.code, before) == (0, [])
    assert (away.code, {ended.code for ended in (*early, closed)}) == (7, {3})
    pings = [one.removeprefix("GET /ping") for one in hook.asked if "/ping" in one]
    assert pings == ["/start", "", "/start", "/fail", "/start", "/fail", "/fail"]
    assert [one["title"] for one in hook.messages] == ["drawcli ward-7: runs end early"] * 2
    assert "no-token" in hook.messages[0]["message"]
    assert "drawcli_last_run_exit_code 3" in (site.folder / "drawcli.prom").read_text()


def test_a_run_that_compares_contours_tells_of_them_at_once(drawcli: Run, site: Site) -> None:
    QaRecords(site.state).add([*cases(0, 60), *cases(60, 12, dice=0.86)])
    with listening() as hook:
        tell_to(site, hook)
        site.add_line("qa: {enabled: true}")
        drawcli("run-once")

    (message,) = hook.messages
    assert message["title"].startswith("drawcli ward-7: contours: ")
    assert "contours to investigate: Prostate_OAR Bladder" in message["message"]


def test_whether_messages_arrive_can_be_tried(drawcli: Run, site: Site) -> None:
    with listening() as hook:
        tell_to(site, hook)
        planned = drawcli("notify", "test", "--dry-run")
        nothing_sent = not hook.asked
        tried = drawcli("notify", "test")
    lost = drawcli("notify", "test")

    assert (planned.code, tried.code, lost.code, nothing_sent) == (0, 0, 7, True)
    assert [one["title"] for one in hook.messages] == ["drawcli ward-7: test"]
    assert "recipient 1 (JSON)  taken" in tried.out
    assert "recipient 1 (JSON): the message was not accepted" in lost.err
    assert "canary" not in tried.out + planned.out + lost.out + lost.err


def test_without_a_place_it_is_told_how_to_set_one_up(drawcli: Run) -> None:
    ended, preview = drawcli("notify", "test"), drawcli("notify", "preview")

    assert (ended.code, "notify.urls_file" in ended.err) == (3, True)
    assert "Now: none" in preview.out


def test_no_run_waits_for_what_another_one_tells(
    drawcli: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[str] = []

    def look(what: str) -> bool:
        with WorkDir(site.state).run_lock(datetime.now(UTC)):
            free.append(what)
        return True

    monkeypatch.setattr(Recipient, "send", lambda _place, _message: look("message"))
    monkeypatch.setattr(heartbeat, "ping", lambda _to, ending="": ending or look("ping"))
    monkeypatch.setattr(metrics, "write_textfile", lambda _ctx, _path: look("figures"))
    with listening() as hook:
        tell_to(site, hook)
        (site.folder / "token.json").unlink()
        drawcli("run-once")

    assert free == ["figures", "message"]  # a run that fails ends with a ping to /fail


def test_alarms_are_silenced_by_command_and_messages_are_listed(drawcli: Run, site: Site) -> None:
    with listening() as hook:
        tell_to(site, hook)
        assert drawcli("notify", "test").code == 0
    begun = drawcli("notify", "silence", "4h", "--reason", "the server moves")
    shown = drawcli("notify", "silence")
    refused = [
        drawcli("notify", "silence", *words).code
        for words in (("4h",), ("4x", "--reason", "a"), ("99d", "--reason", "a"), ("4h", "--end"))
    ]
    ended = drawcli("notify", "silence", "--end")
    sent = drawcli("notify", "sent")

    assert "silenced until" in begun.out
    assert "the server moves" in shown.out
    assert refused == [2, 2, 2, 2]
    assert "alarms are sent" in ended.out
    assert "recipient 1 (json)" in sent.out
    assert "canary" not in sent.out
    actions = [line.facts["action"] for line in AuditLog(site.state).lines()]
    assert actions == ["silence", "end-silence"]
