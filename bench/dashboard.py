"""How long the page of many jobs takes, beside a bare Starlette page, in one run.

Both are served by uvicorn on loopback and asked in turn by one client.

    python bench/dashboard.py [--jobs 10000] [--repeat 15] [--json]
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from measure import Row, beside, options, taken, tell
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from status import a_job

from drawcli.adapters.state.site_key import make_site_key
from drawcli.config.load import load_settings
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.app import application
from drawcli.dashboard.snapshot import SiteReader
from drawcli.pipeline.context import open_context

MOST_SECONDS = 1.0
PAGES = ("/jobs", "/jobs?q=prostate&sort=touched", "/jobs?rows=1000", "/jobs?rows=10000", "/")


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on loopback; yield its URL."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def asked(client: httpx.Client, url: str) -> float:
    """Return how long a page takes, s."""
    return taken(lambda: client.get(url).raise_for_status())


def main() -> int:
    """Measure and print; 1 where a page takes longer than it may."""
    given = options(__doc__, jobs=10_000, repeat=15).parse_args()

    async def nothing(_request: Request) -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>nothing</title>" + "x" * 20_000)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "store").mkdir()
        (root / "drawcli.yaml").write_text("datastore: store\nstate_dir: state\n")
        make_site_key(root / "state")
        settings = load_settings(root / "drawcli.yaml", os.environ)
        with open_context(settings) as ctx:
            ctx.ledger.add(*map(a_job, range(1, given.jobs + 1)))
            site = SiteReader(ctx, lambda: open_context(settings), root / "drawcli.yaml")
            page = application(site, DashboardOptions(), Secret(root / "state"))
            bare = Starlette(routes=[Route("/", nothing)])
            with served(page) as ours, served(bare) as theirs, httpx.Client() as client:
                first = (asked(client, f"{ours}/jobs"), asked(client, theirs))
                found = [compared(client, page, ours, theirs, given.repeat) for page in PAGES]
    name = "first answer, which reads the ledger / a bare page"
    return tell([*found, beside(name, [first])], as_json=given.json)


def compared(client: httpx.Client, page: str, ours: str, theirs: str, repeat: int) -> Row:
    """Ask both in turn; a second is asked for, whatever the bare page takes."""
    asked(client, ours + page)  # the first of a kind compiles its template
    pairs = [(asked(client, ours + page), asked(client, theirs)) for _ in range(repeat)]
    row = beside(f"{page} / a bare page", pairs)
    met = row.ours is not None and row.ours <= MOST_SECONDS
    return replace(row, asked=f"within {MOST_SECONDS:g} s", met=met)


if __name__ == "__main__":
    sys.exit(main())
