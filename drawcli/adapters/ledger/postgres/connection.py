"""A connection of psycopg with a time limit for each answer."""

from functools import cache
from typing import Any

import psycopg


@cache
def connection_class(limit: float | None) -> type[psycopg.Connection[Any]]:
    """Return a class of connections that wait at most `limit` seconds for an answer.

    The server cancels a long statement by itself. This limit is for a server, or a machine between,
    that no longer answers while its system keeps the connection open.
    """

    class Limited(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, limit if timeout is None else timeout)
            except psycopg.errors._WaitTimeout:  # noqa: SLF001 - it has no public name
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {limit} s") from None

    return Limited
