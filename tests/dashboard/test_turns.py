"""Requests that take long leave threads for the others."""

import asyncio
import time
from datetime import timedelta
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.testclient import TestClient

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.archive import FileArchive
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.records.statistics_reader import StatisticsReader
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.turns import AT_ONCE
from drawcli.dashboard.volumes import Volumes
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context
from drawcli.system.threads import run_in_thread
from tests.conftest import NOON, Site
from tests.dashboard.conftest import HERE, HTML, WORDS, Serve, log_in

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MANY = 60  # more than there are threads
LONGEST = 60.0  # s, so that a fault ends the test


class Slow:
    """A call that lasts until it is let go."""

    def __init__(self) -> None:
        self._lock, self.let_go = Lock(), Event()
        self.begun = self.ended = 0

    def wait_until_begun(self) -> None:
        deadline = time.monotonic() + LONGEST
        while self.begun < AT_ONCE and time.monotonic() < deadline:
            time.sleep(0.01)

    def __call__(self, *_: Any, **__: Any) -> Any:
        with self._lock:
            self.begun += 1
        self.let_go.wait(LONGEST)
        with self._lock:
            self.ended += 1
        raise OutOfReach("enough")


@pytest.mark.parametrize(
    ("what", "address"),
    [
        ((Volumes, "use"), "/jobs/{}/pictures"),
        ((Volumes, "use"), "/jobs/{}/pictures/axial/0.png"),
        ((Volumes, "use"), "/jobs/{}/viewer/facts.json?of={}"),
        ((Volumes, "use"), "/jobs/{}/files/page"),
        ((StatisticsReader, "of"), "/statistics.csv"),
        ((AuditLog, "newest_first"), "/audit.csv"),
        ((SiteReader, "between"), "/jobs?from=2026-01-01"),
        ((SiteReader, "between"), "/jobs.csv?days=30"),
        ((SiteReader, "month"), "/jobs?in=2026-10"),
    ],
)
def test_who_asks_for_much_at_once_keeps_nobody_out(
    serve: Serve, home: Job, monkeypatch: pytest.MonkeyPatch, what: tuple[type, str], address: str
) -> None:
    slow = Slow()
    monkeypatch.setattr(*what, slow)
    client = serve(password=WORDS)
    log_in(client)

    asyncio.run(asked(client, slow, address.format(home.id, home.revision)))

    assert slow.begun == MANY  # each had its turn


async def asked(client: TestClient, slow: Slow, address: str, other_page: str = "/health") -> None:
    """Ask for a slow page often, and meanwhile for another one."""
    app: ASGIApp = client.app
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url=HERE, headers=HTML, cookies=dict(client.cookies)
    ) as browser:
        many = [asyncio.create_task(browser.get(address)) for _ in range(MANY)]
        await asyncio.to_thread(slow.wait_until_begun)
        other = await browser.get(other_page)
        ended = slow.ended
        slow.let_go.set()
        answers = await asyncio.gather(*many)
    assert (other.status_code, ended) == (200, 0)
    assert {answer.status_code for answer in answers} == {503}


def test_a_month_of_the_archive_is_read_while_others_use_the_ledger(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = SiteReader(ctx, lambda: pytest.fail("it is only read"), site.config)
    days = (NOON, NOON - timedelta(days=200))
    jobs = [Job(id=f"feedfacecafe-{n}", state=State.DONE, since=at) for n, at in enumerate(days, 1)]
    assert isinstance(ctx.ledger, FileLedger)
    ctx.ledger.archive.store(jobs)
    slow, quick, old = Slow(), FileArchive.of_month, f"{days[1]:%Y-%m}"
    monkeypatch.setattr(
        FileArchive,
        "of_month",
        lambda archive, month: slow() if month == old else quick(archive, month),
    )
    reading = run_in_thread(lambda: shown.since("2026-01"))
    while not slow.begun:
        reading.check_alive()

    assert shown.snapshot().archived == 2
    assert shown.verdict()

    assert not slow.ended
    slow.let_go.set()
    with pytest.raises(OutOfReach):
        reading.result()
