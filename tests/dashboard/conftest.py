"""A site with a job in every place of the flow, and its page without a socket."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.app import application
from drawcli.dashboard.snapshot import SiteReader as Shown
from drawcli.errors import NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import NOON, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.segmented import segmented
from tests.waiting import PATIENCE

WORDS = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HERE = "http://127.0.0.1:8043"
HTML = {"accept": "text/html"}
Serve = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page wait for files and the server as long as a busy machine takes."""
    for limit in (
        "dashboard.find.index._IMAGE_SECONDS",
        "dashboard.find.series_texts._IMAGE_SECONDS",
        "dashboard.template_pages.catalogue_request.PATIENCE_SECONDS",
        "operations.verdict.setup._SHARE_SECONDS",
        "pipeline.identity._ANSWER_SECONDS",
    ):
        monkeypatch.setattr(f"drawcli.{limit}", PATIENCE)


@pytest.fixture
def serve_of(site: Site, draw: FakeDraw, clock: Clock) -> Callable[[Context], Serve]:
    """Return a function that gives `serve` for a context with other settings."""
    return lambda ctx: partial(_served, ctx, site, draw, clock)


@pytest.fixture
def serve(ctx: Context, serve_of: Callable[[Context], Serve]) -> Serve:
    """Return a function that opens the page of the site, as a browser on this machine."""
    return serve_of(ctx)


def _served(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock, *, password: str = "", **options: object
) -> TestClient:
    secret = Secret(site.state, QUICK)
    if password:
        secret.store(password)
    shown = Shown(ctx, lambda: opened(site, draw, clock), site.config)
    app = application(shown, DashboardOptions(**options), secret)  # type: ignore[arg-type] # any
    return TestClient(
        app,
        base_url=HERE,
        headers=HTML,
        raise_server_exceptions=False,
        follow_redirects=False,
    )


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """Return the page as it is when nobody asks for anything."""
    return serve()


@pytest.fixture
def home(ctx: Context, draw: FakeDraw, pelvis: list[Path]) -> Job:
    """Bring one job home, with a structure set that the sandbox's segmenter drew."""
    assert pelvis
    return brought_home(ctx, draw)


def brought_home(ctx: Context, draw: FakeDraw) -> Job:
    """Bring the one series of a datastore home; return its job."""
    for step in ("scan", "match", "deidentify", "upload"):
        run_step(step, ctx, Selection())
    draw.results = {task: segmented(package) for task, package in draw.uploads.items()}
    for step in ("poll", "fetch", "reidentify"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    assert job.state is State.DONE
    return job


@pytest.fixture
def held(ctx: Context) -> Job:
    """Put a job into the ledger that waits for a person."""
    return put_on_hold(ctx)


def put_on_hold(ctx: Context, job_id: str = "feedfacecafe-1") -> Job:
    """Put a job into a ledger that waits for a person, or hold it again; return it."""
    ctx.ledger.add(Job(id=job_id, state=State.UPLOADED, since=NOON, modality="CT", slices=90))
    job = ctx.ledger.get(job_id)
    assert job is not None
    err = NeedsPerson("no result 4 hours after the upload", code="deadline", hint="Ask them.")
    return ctx.ledger.commit(job.held_for(err, at=ctx.now()))


def token_in(page: str) -> str:
    """Return what a form of a page proves its origin with."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def log_in(client: TestClient, words: str = WORDS) -> None:
    """Log in as a person does."""
    form = {"csrf": token_in(client.get("/login").text), "password": words}
    assert client.post("/login", data=form).status_code == 303
