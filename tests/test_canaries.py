"""Nothing of a patient leaves by any channel: message, figure, ping, log, run log, audit log."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from drawcli.adapters.state import logs
from drawcli.operations import after_run, heartbeat
from drawcli.operations.alarms import digest
from drawcli.operations.metrics import metrics_text
from drawcli.operations.notification_store import FILE_NAME
from drawcli.pipeline.runner import Selection, run_once
from drawcli.sandbox.patients import identifying_values
from tests.conftest import HEAD_NECK, PELVIS, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise asks for it
TOKENS = ("access-1", "refresh-1", "s3cret-path", "canary-uuid")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with listening() as made:
        yield made


def set_up(site: Site, hook: Webhook, form: str) -> None:
    """Put two patients into the datastore, and let everything be told to one webhook."""
    for person in (PELVIS, HEAD_NECK):
        write_planning_ct(site.store / person.file_name, person, slices=6, size=32, seed=1)
    urls = site.folder / "notify.urls"
    urls.write_text(f"json://127.0.0.1:{hook.port}/s3cret-path\n")
    urls.chmod(0o600)
    site.add_line("notify: {urls_file: notify.urls, digest_at: '00:00', events: [held, delivered,")
    site.add_line("  blocked, token, server, idle, failed, digest], idle_hours: 0.1}")
    site.add_line(f"logs: {{format: {form}}}")
    site.add_line("metrics: {textfile: drawcli.prom, heartbeat_url: ")
    site.add_line(f"  'http://127.0.0.1:{hook.port}/canary-uuid'}}")


def a_run(site: Site, draw: FakeDraw, clock: Clock) -> str:
    """Run the whole cycle as cron does; return what it says to whoever asks."""
    with opened(site, draw, clock) as ctx:
        logs.to_file(site.state, ctx.settings.logs, ctx.run_id)
        with heartbeat.beating(ctx.settings.metrics) as beat:
            began = clock.now()
            reports = list(run_once(ctx, Selection()))
            after_run.note_run(ctx, began, reports, exit_code=6)
            beat.exit_code = 6
            after_run.report_out(ctx, "")
        said = "\n".join(digest(ctx, clock.now() - timedelta(days=1), clock.now()))
        return said + metrics_text(ctx) + repr(list(ctx.audit.lines()))


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("form", ["text", pytest.param("json", marks=pytest.mark.sweep)])
def test_nothing_that_is_sent_or_written_for_others_names_a_patient(
    site: Site, draw: FakeDraw, clock: Clock, hook: Webhook, form: str
) -> None:
    set_up(site, hook, form)
    said = a_run(site, draw, clock)  # both go out
    clock.advance(hours=1)
    said += a_run(site, draw, clock)  # both come home
    write_planning_ct(site.store / "again", HEAD_NECK, slices=6, size=32, seed=2)
    clock.advance(days=1)
    said += a_run(site, draw, clock)  # one more goes out ...
    failed = {"status": "FAILED", "error": f"no GPU for {HEAD_NECK.patient_id}"}
    draw.answers = [httpx.Response(200, json=failed)]  # ... to a server that knows too much
    clock.advance(hours=5)
    said += a_run(site, draw, clock)

    written = [site.folder / "drawcli.prom", site.state / FILE_NAME, site.state / "runs.jsonl"]
    written += [*(site.state / "logs").glob("*.log"), *(site.state / "audit").glob("*.jsonl")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in written}
    texts |= {"what was sent": hook.everything, "what is shown": said}
    titles = " ".join(one["title"] for one in hook.messages)
    assert "2 delivered" in titles
    assert "daily digest" in titles
    assert "1 held" in titles
    assert "outcome=done" in texts["drawcli.log"]
    for name, text in texts.items():
        found = [
            value
            for person in (PELVIS, HEAD_NECK)
            for value in (*identifying_values(person), person.file_name, str(site.store))
            if value in text
        ]
        assert found == [], name
        if name != "what was sent":
            assert [word for word in TOKENS if word in text] == [], name
