"""What closed connections leave is freed, however rarely the collector looks by itself."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from drawcli.system.network.closed_connections import COLLECTED, ClosedConnections


class Buffer:
    """An object of a cycle."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def _never() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.set_threshold(0)
    yield
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_never")
def test_cycles_of_earlier_connections_are_freed() -> None:
    closed, left = ClosedConnections(), []
    for _ in range(10 * COLLECTED):
        left.append(weakref.ref(Buffer()))
        closed.add()

    assert sum(one() is not None for one in left) == 0
