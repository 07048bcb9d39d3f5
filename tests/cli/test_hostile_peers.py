"""A run beside peers that drip, flood, lie and hang, all at once: it does its work, and ends."""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drawcli.adapters.datastore import walk
from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job
from drawcli.operations import metrics
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.limit import KB
from tests import hostile
from tests.cli.conftest import Run
from tests.conftest import PELVIS, SLICES, Site
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.webhook import listening

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are scripts"),
]
TIMEOUT = 1.5  # seconds: server.timeout_seconds, also of the peer that is well
SHORTER = {"heartbeat": 0.3, "message": 30.0, "git": 0.5, "textfile": 0.3}
OWN_WORK = 120.0  # seconds: what the run itself needs on any machine
TASKS = {
    "task-1": hostile.drips_in_body,
    "task-2": hostile.floods_body,
    "task-3": hostile.saying(b'{"status": "FAILED", "error": "no \\u001b[2J GPU"}'),
}


@pytest.fixture
def hanging(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a folder of the datastore hang, and the place of the figures."""
    over, ask = threading.Event(), walk._list

    def hang(folder: Path) -> None:
        if folder == site.folder / "other":
            over.wait()
        ask(folder)

    monkeypatch.setattr(walk, "_list", hang)
    monkeypatch.setattr(metrics, "write_durably", lambda *_args, **_more: over.wait())
    yield
    over.set()


def set_up(site: Site, server: str, monitor: str, recipients: list[str]) -> None:
    """Point the site to its peers; its token is printed by a command that leaves a child behind."""
    (site.folder / "other").mkdir()
    mint = site.folder / "mint"
    mint.write_text("#!/bin/sh\nsleep 600 &\nprintf access-1\n")
    (site.folder / ".git").mkdir()
    git = site.folder / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\nwhile :; do printf a; sleep .01; done\n")
    for script in (mint, git):
        script.chmod(0o755)
    urls = site.folder / "notify.urls"
    urls.write_text("\n".join(recipients))
    urls.chmod(0o600)
    site.config.write_text(
        "datastore: [other, store]\nstate_dir: state\n"
        "scan: {quiet_minutes: 0, answer_seconds: 2}\n"
        f"server: {{url: '{server}', timeout_seconds: {TIMEOUT}, token_command: {mint}}}\n"
        f"metrics: {{heartbeat_url: '{monitor}', textfile: figures.prom}}\n"
        "notify: {urls_file: notify.urls, events: [held], digest_at: off}\n"
    )


def add_series(site: Site, *numbers: int) -> None:
    """Put series into the datastore that the example rules take."""
    for number in numbers:
        folder = site.store / f"series-{number}"
        write_planning_ct(folder, PELVIS, slices=SLICES, size=16, seed=number)


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every exchange take little time, and a status be small."""
    monkeypatch.setitem(EXCHANGES, "status", EXCHANGES["status"]._replace(largest=64 * KB))
    for name, seconds in SHORTER.items():
        monkeypatch.setitem(EXCHANGES, name, EXCHANGES[name]._replace(seconds=seconds))


def jobs_of(site: Site) -> dict[str, Job]:
    """Return the jobs by the server's name for them."""
    with FileLedger(site.state / "ledger.json") as ledger:
        return {str(job.task_id): job for job in ledger.jobs()}


def test_a_run_beside_all_of_them_does_its_work_within_what_the_table_promises(
    site: Site, drawcli: Run, hanging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hanging is None
    add_series(site, 1, 2, 3, 4)
    draw = FakeDraw(status="PROCESSING")
    with ExitStack() as peers:
        server = peers.enter_context(hostile.listening(hostile.as_drawn(draw)))
        monitor, drips, floods = (
            peers.enter_context(hostile.listening(manner))
            for manner in (hostile.drips_in_head, hostile.drips_in_body, hostile.floods_body)
        )
        good = peers.enter_context(listening())
        recipients = [f"json://127.0.0.1:{one.port}/" for one in (drips, floods, good)]
        set_up(site, server.url, monitor.url, recipients)
        for step in ("scan", "match", "deidentify", "upload"):
            drawcli(step)
        shorten(monkeypatch)
        server.by_path.update({f"upload/{task}/": manner for task, manner in TASKS.items()})
        draw.status = "SEGMENTATION COMPLETED"
        add_series(site, 5)
        drawcli("retry", "--all")
        begun = time.monotonic()

        ended = drawcli("run-once", PATH=f"{site.folder / 'bin'}:/usr/bin:/bin")

        seconds = time.monotonic() - begun
        jobs = jobs_of(site)

    promised = 2 * TIMEOUT * len(TASKS) + sum(SHORTER.values()) + 4 * 2
    assert seconds < promised + OWN_WORK
    assert {task: str(job.state) for task, job in jobs.items()} == {
        **dict.fromkeys(TASKS, "uploaded"),
        "task-4": "done",
        "task-5": "uploaded",
    }
    assert [message["title"] for message in good.messages] == ["drawcli: 1 held"]
    reasons = [str(jobs[task].reason) for task in TASKS]
    assert [re.sub(r"\b\d seconds", "3 seconds", reason) for reason in reasons] == [
        "not done after 3 seconds",  # or more, where the run itself was kept waiting
        "an answer of more than 64 KiB",
        "the server could not segment the series: no ·[2J GPU",
    ]
    assert ended.code == 6
    assert [line for line in ended.err.splitlines() if not line.startswith("  ")] == [
        f"drawcli: job {jobs['task-3'].id} is held at uploaded: {jobs['task-3'].reason}",
        f"drawcli: the datastore {site.folder / 'other'} does not answer",
    ]
    log = (site.state / "logs" / "drawcli.log").read_text()
    for line in (
        "heartbeat outcome=not-taken code=TimeoutError",
        "step=notify place=1 outcome=not-taken",
        "step=notify place=2 outcome=not-taken",
        "step=metrics outcome=failed",
    ):
        assert len(re.findall(line, log)) in (1, 2), line  # the heartbeat at both ends
