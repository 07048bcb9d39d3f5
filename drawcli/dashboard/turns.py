"""Requests that take long: a few at a time, so that the other pages keep their threads."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

AT_ONCE: Final = 3  # of the 40 threads that answer requests


def in_turn(
    turn: asyncio.Semaphore,
    handler: Callable[[Request], Response],
    takes_long: Callable[[Request], bool] = lambda _request: True,
) -> Callable[[Request], Awaitable[Response]]:
    """Return a route that calls a handler in a thread; what takes long waits for its turn."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        if not takes_long(request):
            return await run_in_threadpool(handler, request)
        async with turn:
            return await run_in_threadpool(handler, request)

    return answer
