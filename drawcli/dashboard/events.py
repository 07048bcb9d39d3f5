"""Server-sent events that tell open pages to reload; they carry no data."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final
from zlib import crc32

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.dashboard.snapshot import SiteReader, Stamp
from drawcli.system.limits import EXCHANGES, PAGE_STREAMS

_EVERY_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 30.0  # to refresh texts such as "3 min ago"
_CHANGE: Final = "event: change\ndata: 0\n\n"
_TICK: Final = "event: tick\ndata: 0\n\n"
_AGAIN: Final = "event: again\ndata: 0\n\n"


def stamp_of(stamp: Stamp) -> str:
    """Return the stamp of a ledger write as text.

    >>> stamp_of((1, 255, 16))
    '1-ff-10'
    """
    return "-".join(f"{number:x}" for number in stamp)


class Live:
    """The event streams of a site.

    Parameters
    ----------
    site
        The site to watch.
    stopping
        Returns whether the server is shutting down; then every stream ends.
    most
        The largest number of streams at once.
    records
        Returns what changes with the records of quality assurance.
    """

    def __init__(
        self,
        site: SiteReader,
        stopping: Callable[[], bool],
        most: int = PAGE_STREAMS,
        records: Callable[[], object] = lambda: None,
    ) -> None:
        self._site = site
        self._records = records
        self._stopping = stopping
        self._most = most
        self._open = 0

    def response(self, drawn: str = "") -> "EventStream":
        """Return the stream for a page; `drawn` is the stamp of its content."""
        return EventStream(self, self.events(drawn))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a stream during the block; HTTPException above the limit."""
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
        """Yield `change` when ledger, progress or records changed, and `tick` now and then.

        A change since the page was rendered is reported at once. A stream ends after a minute with
        `again`, and an open page then opens another; so the stream of a lost page ends too.
        """
        seen, waited, ends = self._seen(), 0.0, monotonic() + EXCHANGES["page-live"].seconds
        yield "retry: 3000\n\n"
        if drawn and drawn != self.stamp:
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

    @property
    def stamp(self) -> str:
        """What a page that is rendered now shows, as text; it changes with every event."""
        ledger, *others = self._seen()
        return f"{stamp_of(ledger)}-{crc32(repr(others).encode()):x}"

    def _seen(self) -> tuple[Any, ...]:
        """Return the state of ledger, progress and records, to compare with a later one."""
        progress = ProgressFile.of(self._site.ctx.settings.state_dir).read()
        running = progress and (progress.pid, str(progress))
        return (self._site.ctx.ledger.stamp, running, self._records())


class Stamped:
    """Middleware that notes what there is to show before a page is made.

    So a page that was made while something changed is updated by its first event.
    """

    def __init__(self, app: ASGIApp, live: Live) -> None:
        self._app = app
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; pages find the stamp in `request.state.stamp`."""
        scope.setdefault("state", {})["stamp"] = self._live.stamp
        await self._app(scope, receive, send)


class EventStream(StreamingResponse):
    """The event stream of a page, counted from its first byte to its last."""

    def __init__(self, live: Live, events: AsyncIterator[str]) -> None:
        super().__init__(
            events, media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; HTTPException above the limit."""
        with self._live.place():
            await super().__call__(scope, receive, send)
