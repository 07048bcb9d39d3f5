"""A run in a process of its own that is killed at one of its requests.

The process is a fork of the test. What it asks of server and mail goes through a pipe: these stay
in the test, which kills the process before or after it has answered.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

import httpx

Draw = Callable[[httpx.Request], httpx.Response]
Post = Callable[..., bool]


@dataclass(frozen=True)
class Remote:
    """Server and mail as the forked process sees them."""

    pipe: Connection
    lock: Lock = field(default_factory=Lock)

    def draw(self, request: httpx.Request) -> httpx.Response:
        """Let the server answer."""
        head = (request.method, str(request.url), dict(request.headers), request.read())
        answer = self._ask("draw", *head)
        if isinstance(answer, Exception):
            raise answer
        status, headers, content = answer
        return httpx.Response(status, headers=headers, content=content)

    def post(self, *message: object) -> bool:
        """Let a message be delivered."""
        return bool(self._ask("post", *message))

    def _ask(self, *question: object) -> Any:
        with self.lock:
            self.pipe.send(question)
            return self.pipe.recv()


def run_killed(
    run: Callable[[Draw, Post], object], draw: Draw, post: Post, *, at: int, answered: bool
) -> bool:
    """Run in a forked process and kill it at its request number `at`; return whether it was.

    `answered`: the server does what the request asks for, and the process is not told.
    """
    fork = get_context("fork")
    here, there = fork.Pipe()
    remote = Remote(there)
    process = fork.Process(target=run, args=(remote.draw, remote.post))
    process.start()
    there.close()
    requests, killed = 0, False
    with here, suppress(EOFError):
        while not killed:
            what, *facts = here.recv()
            requests += what == "draw"
            killed = what == "draw" and requests == at
            if not killed or answered:
                answer = _answer(draw, *facts) if what == "draw" else post(*facts)
            if killed:
                process.kill()
            else:
                here.send(answer)
    process.join()
    assert killed or process.exitcode == 0
    process.close()
    return killed


def _answer(draw: Draw, method: str, url: str, headers: dict[str, str], body: bytes) -> object:
    request = httpx.Request(method, url, headers=headers, content=body)
    try:
        answer = draw(request)
    except httpx.TransportError as err:
        return type(err)(str(err))
    return answer.status_code, dict(answer.headers), answer.content
