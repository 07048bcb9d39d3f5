"""The viewer and its data: facts of images and structures, pictures, places, findings.

Reading images and cutting planes never blocks the event loop: at most `AT_ONCE` of `turns.py` do so
in threads, the others wait. Nothing here names a patient; pixels need a login.
"""

import asyncio
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drawcli.core.pictures.frame import Plane
from drawcli.dashboard.access.auth import address_of
from drawcli.dashboard.access.options import LOOPBACK
from drawcli.dashboard.pages.pictures import require_login
from drawcli.dashboard.preview import parse_plane
from drawcli.dashboard.view import page, parts_of
from drawcli.dashboard.viewer.subject import LoadedSubject, ViewerSubject
from drawcli.errors import DrawcliError, UsageError

Open = Callable[[Request], ViewerSubject]
_GZIP: Final = 31  # wbits of zlib: a gzip header
_UNITS: Final = {"CT": "HU"}


class Viewer:
    """The pages of the viewer, for the subject that `opened` returns."""

    def __init__(self, opened: Open, turn: asyncio.Semaphore) -> None:
        self._opened = opened
        self._turn = turn

    def show(self, request: Request) -> Response:
        """Show the viewer; the images are read while the browser loads it."""
        subject = self._subject(request)
        answer = page(
            request, "viewer.html", subject=subject, job=subject.job, pair=subject.is_pair
        )
        answer.background = BackgroundTask(self._read_ahead, subject)
        return answer

    async def facts(self, request: Request) -> Response:
        """Return what the viewer needs before the first picture."""
        return await self._answer(request, lambda loaded: JSONResponse(facts_of(loaded)))

    async def picture(self, request: Request) -> Response:
        """Return pixels and outlines of one picture: see `raw_picture`."""
        plane, index = parse_plane(request.path_params["plane"]), request.path_params["index"]

        def draw(loaded: LoadedSubject) -> Response:
            from drawcli.core.pictures.raw_picture import raw_picture

            if index >= len(loaded.scene.stack.positions(plane)):
                raise UsageError(f"there is no {plane} picture {index}")
            data = raw_picture(loaded.scenes, plane, index)
            return _compressed(request, Response(data, media_type="application/octet-stream"))

        return await self._answer(request, draw)

    async def place(self, request: Request) -> Response:
        """Return the picture of each plane that shows a structure best."""
        number = request.path_params["number"]
        return await self._answer(request, lambda loaded: JSONResponse(loaded.place(number)))

    async def findings(self, request: Request) -> Response:
        """Return the findings of the acceptance gate, each with the structures that it names."""
        return await self._answer(request, lambda loaded: JSONResponse(loaded.findings()))

    async def _read_ahead(self, subject: ViewerSubject) -> None:
        def read() -> None:
            with suppress(DrawcliError), subject.use():  # the request for the facts reports it
                pass

        async with self._turn:
            await run_in_threadpool(read)

    def _subject(self, request: Request) -> ViewerSubject:
        require_login(parts_of(request))
        return self._opened(request)

    async def _answer(
        self, request: Request, work: Callable[[LoadedSubject], Response]
    ) -> Response:
        async with self._turn:
            return await run_in_threadpool(self._work, request, work)

    def _work(self, request: Request, work: Callable[[LoadedSubject], Response]) -> Response:
        subject = self._subject(request)
        if request.query_params.get("of") != subject.stamp:
            raise HTTPException(409, "The job has changed since the page was loaded. Reload it.")
        with subject.use() as loaded:
            return work(loaded)


def _compressed(request: Request, answer: Response) -> Response:
    """Return an answer compressed for another machine: it pays below 300 Mbit/s."""
    accepted = request.headers.get("accept-encoding", "")
    if address_of(request) in LOOPBACK or "gzip" not in accepted:
        return answer
    pack = zlib.compressobj(1, wbits=_GZIP)
    data = pack.compress(answer.body) + pack.flush()
    return Response(data, media_type=answer.media_type, headers={"content-encoding": "gzip"})


def facts_of(loaded: LoadedSubject) -> dict[str, Any]:
    """Return what the viewer needs before the first picture."""
    from drawcli.core.pictures.raw_picture import plane_facts

    scene = loaded.scene
    windows = scene.window.presets(scene.modality)
    return {
        "modality": scene.modality,
        "unit": _UNITS.get(scene.modality, ""),
        "inverse": scene.window.inverse,
        "windows": [[name, one.low, one.high] for name, one in windows.items()],
        "planes": {plane: plane_facts(scene, plane) for plane in Plane},
        "start": {plane: scene.best_picture(plane) for plane in Plane},
        "sets": len(loaded.scenes),
        "structures": loaded.rows,
        "changed": loaded.changed,
    }
