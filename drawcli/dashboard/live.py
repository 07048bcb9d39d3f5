"""Tells open pages that something has changed: server-sent events, no more than a number each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from drawcli.dashboard.site import Site, Stamp
from drawcli.progress import ProgressFile

_EVERY_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 30.0  # "3 min ago" grows old without any change
_CHANGE: Final = "event: change\ndata: 0\n\n"
_TICK: Final = "event: tick\ndata: 0\n\n"
_MOST: Final = 64  # pages at once


def stamp_of(stamp: Stamp) -> str:
    """Return what tells one writing of the ledger from another, as a page keeps it.

    >>> stamp_of((1, 255, 16))
    '1-ff-10'
    """
    return "-".join(f"{number:x}" for number in stamp)


class Live:
    """The open pages of a site.

    Parameters
    ----------
    site
        Whose ledger and progress are looked at.
    stopping
        Whether the server is to end: then every stream ends by itself.
    """

    def __init__(self, site: Site, stopping: Callable[[], bool]) -> None:
        self._site = site
        self._stopping = stopping
        self._pages = 0

    def response(self, drawn: str = "") -> StreamingResponse:
        """Return the stream for one page; `drawn` is the stamp that it was drawn with."""
        if self._pages >= _MOST:
            raise HTTPException(503, "Too many pages are open.")
        return StreamingResponse(
            self.events(drawn), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def events(
        self, drawn: str = "", every_seconds: float = _EVERY_SECONDS
    ) -> AsyncIterator[str]:
        """Yield `change` where something was written, and `tick` now and then.

        What was written between the drawing of a page and its first listening is told at once.
        """
        self._pages += 1
        try:
            seen, waited = self._seen(), 0.0
            yield "retry: 3000\n\n"
            if drawn and drawn != stamp_of(self._site.ctx.ledger.stamp):
                yield _CHANGE
            while not self._stopping():
                await asyncio.sleep(every_seconds)
                waited += every_seconds
                now = self._seen()
                if now != seen or waited >= _TICK_SECONDS:
                    yield _CHANGE if now != seen else _TICK
                    seen, waited = now, 0.0
        finally:
            self._pages -= 1

    def _seen(self) -> tuple[object, ...]:
        """Return what is another thing once something has happened."""
        standing = ProgressFile.of(self._site.ctx.settings.state_dir).read()
        return (self._site.ctx.ledger.stamp, standing and (standing.pid, str(standing)))
