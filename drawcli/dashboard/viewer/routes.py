"""The addresses of the viewer, of a job and of a pair."""

import asyncio
from collections.abc import Iterator

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.viewer.pages import Open, Viewer
from drawcli.dashboard.viewer.subject import of_job, of_pair


def viewer_routes(turn: asyncio.Semaphore) -> list[BaseRoute]:
    """Return the routes of the viewer."""
    return [
        *_routes("/jobs/{job}/viewer", of_job, turn),
        *_routes("/qa/pair/{job}/viewer", of_pair, turn),
    ]


def _routes(base: str, opened: Open, turn: asyncio.Semaphore) -> Iterator[BaseRoute]:
    viewer = Viewer(opened, turn)
    yield Route(base, viewer.show)
    yield Route(f"{base}/facts.json", viewer.facts)
    yield Route(f"{base}/findings.json", viewer.findings)
    yield Route(f"{base}/structures/{{number:int}}.json", viewer.place)
    yield Route(f"{base}/{{plane}}/{{index:int}}.bin", viewer.picture)
