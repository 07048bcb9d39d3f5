"""Free what closed connections leave in the memory of a server.

An event loop leaves a closed TLS connection as a cycle of a few objects with buffers of 300 kB,
which only the garbage collector frees. It counts objects and not bytes: thousands of connections
that end in their handshake would fill the memory before it looks.
"""

import gc
from typing import Final

COLLECTED: Final = 32  # connections


class ClosedConnections:
    """Calls the garbage collector after every 32 connections."""

    def __init__(self) -> None:
        self._count = 0

    def add(self) -> None:
        """Count a connection."""
        self._count += 1
        if self._count >= COLLECTED:
            self._count = 0
            gc.collect()
