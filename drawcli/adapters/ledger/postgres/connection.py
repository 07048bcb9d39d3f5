"""A connection of psycopg whose every wait for an answer has an end."""

from functools import cache
from typing import Any

import psycopg


@cache
def connection_class(limit: float | None) -> type[psycopg.Connection[Any]]:
    """Return a class of connections that wait for an answer at most so many seconds.

    The server cancels a statement by itself; this is for a server, or a machine between, that says
    nothing any more while its system keeps the connection open.
    """

    class Limited(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, limit if timeout is None else timeout)
            except psycopg.errors._WaitTimeout:  # noqa: SLF001 - it has no public name
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {limit} s") from None

    return Limited
