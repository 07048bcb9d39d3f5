"""Tells open pages that something has changed: server-sent events, no more than a number each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.dashboard.snapshot import SiteReader, Stamp
from drawcli.system.limits import EXCHANGES, PAGE_STREAMS

_EVERY_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 30.0  # "3 min ago" grows old without any change
_CHANGE: Final = "event: change\ndata: 0\n\n"
_TICK: Final = "event: tick\ndata: 0\n\n"
_AGAIN: Final = "event: again\ndata: 0\n\n"


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
    most
        How many streams there may be at once.
    """

    def __init__(
        self, site: SiteReader, stopping: Callable[[], bool], most: int = PAGE_STREAMS
    ) -> None:
        self._site = site
        self._stopping = stopping
        self._most = most
        self._open = 0

    def response(self, drawn: str = "") -> "EventStream":
        """Return the stream for one page; `drawn` is the stamp that it was drawn with."""
        return EventStream(self, self.events(drawn))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place, until the block ends; HTTPException where there is none.

        Nothing is waited for between the look and the taking: no two streams get the last place.
        """
        if self._open >= self._most:
            raise HTTPException(503, "Too many pages are open.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def events(
        self, drawn: str = "", every_seconds: float = _EVERY_SECONDS
    ) -> AsyncIterator[str]:
        """Yield `change` where something was written, and `tick` now and then.

        What was written between the drawing of a page and its first listening is told at once. A
        stream ends after a minute with `again`: a page that is still there opens another. So a page
        that is gone without a word, or reads nothing, has its place no longer than that.
        """
        seen, waited, ends = self._seen(), 0.0, monotonic() + EXCHANGES["page-live"].seconds
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
            if monotonic() >= ends:
                yield _AGAIN
                return

    def _seen(self) -> tuple[object, ...]:
        """Return what is another thing once something has happened."""
        standing = ProgressFile.of(self._site.ctx.settings.state_dir).read()
        return (self._site.ctx.ledger.stamp, standing and (standing.pid, str(standing)))


class EventStream(StreamingResponse):
    """The stream of one page: it has a place among the streams from its first byte to its last."""

    def __init__(self, live: Live, events: AsyncIterator[str]) -> None:
        super().__init__(
            events, media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, if there is a place."""
        with self._live.place():
            await super().__call__(scope, receive, send)
