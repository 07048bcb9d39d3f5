"""How long the page of many jobs takes, beside a bare Starlette page, in one run.

Both are served by uvicorn on loopback and asked in turn by one client; medians are told, and the
ratio. The first answer, which reads the ledger, is told apart.

    python bench/dashboard.py [--jobs 10000] [--repeat 15] [--json]
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from status import a_job

from drawcli.adapters.sitekey import make_site_key
from drawcli.config import load_settings
from drawcli.context import open_context
from drawcli.dashboard.app import application
from drawcli.dashboard.options import Options
from drawcli.dashboard.secret import Secret
from drawcli.dashboard.site import Site

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


def taken(client: httpx.Client, url: str) -> tuple[float, int]:
    """Return how long a page takes, s, and its size, bytes."""
    begun = time.perf_counter()
    answer = client.get(url)
    answer.raise_for_status()
    return time.perf_counter() - begun, len(answer.content)


def main() -> int:
    """Measure and print; 1 where a page takes longer than it may."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--jobs", type=int, default=10_000)
    asked.add_argument("--repeat", type=int, default=15)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()

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
            site = Site(ctx, lambda: open_context(settings), root / "drawcli.yaml")
            page = application(site, Options(), Secret(root / "state"))
            bare = Starlette(routes=[Route("/", nothing)])
            with served(page) as ours, served(bare) as theirs, httpx.Client() as client:
                first, _ = taken(client, f"{ours}/jobs")
                rows = [compared(client, page, ours, theirs, given.repeat) for page in PAGES]
    print(json.dumps(rows) if given.json else table(rows))
    if not given.json:
        print(f"\nfirst answer, which reads {given.jobs:,} jobs: {first * 1e3:.0f} ms")
    return int(not all(row["met"] for row in rows))


def compared(
    client: httpx.Client, page: str, ours: str, theirs: str, repeat: int
) -> dict[str, Any]:
    """Ask both in turn; return the medians, s, and their ratio."""
    pairs = [(taken(client, ours + page), taken(client, theirs)) for _ in range(repeat)]
    mine = median(one[0] for one, _ in pairs)
    other = median(one[0] for _, one in pairs)
    return {
        "name": f"{page} / a bare page",
        "ratio": mine / other,
        "ours": mine,
        "theirs": other,
        "kilobytes": pairs[0][0][1] / 1e3,
        "target": f"within {MOST_SECONDS:g} s",
        "met": mine <= MOST_SECONDS,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return a line for each page."""
    lines = [f"{'page':<46}{'ms':>8}{'kB':>8}{'bare, ms':>10}{'times':>8}"]
    lines += [
        f"{row['name']:<46}{row['ours'] * 1e3:>8.1f}{row['kilobytes']:>8.0f}"
        f"{row['theirs'] * 1e3:>10.2f}{row['ratio']:>8.1f}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
