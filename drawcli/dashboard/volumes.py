"""Images in memory, a bounded number of series: for pictures, viewer and pairs together."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import Any, Final, TypeVar

Value = TypeVar("Value")
MOST_VOLUMES: Final = 2  # of at most `preview_pixels` 512 MiB each


class Volumes:
    """What was read of the series that were viewed last.

    A series in use is not dropped: a further one waits until it is free. One is read at a time.
    """

    def __init__(self, most: int = MOST_VOLUMES) -> None:
        self._most = most
        self._reading = Lock()
        self._changed = Condition()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._users: Counter[Hashable] = Counter()

    @contextmanager
    def use(self, key: Hashable, read: Callable[[], Value]) -> Iterator[Value]:
        """Return what belongs to a key, read if it is not in memory; what `read` raises.

        A reference that is kept after the block keeps the images in memory beside the others.
        """
        value: Value = self._taken(key, read)
        try:
            yield value
        finally:
            del value  # another thread may read the next series as soon as this one is free
            with self._changed:
                self._users[key] -= 1
                self._changed.notify_all()

    def _taken(self, key: Hashable, read: Callable[[], Any]) -> Any:
        with self._changed:
            if key in self._kept:
                return self._mark_used(key)
        with self._reading:
            with self._changed:
                if key in self._kept:
                    return self._mark_used(key)
                self._changed.wait_for(self._make_room)
            value = read()
            with self._changed:
                self._kept[key] = value
                return self._mark_used(key)

    def _mark_used(self, key: Hashable) -> Any:
        self._users[key] += 1
        self._kept.move_to_end(key)
        return self._kept[key]

    def _make_room(self) -> bool:
        """Drop those that were used longest ago; return whether there is room."""
        while len(self._kept) >= self._most:
            free = next((key for key in self._kept if not self._users[key]), None)
            if free is None:
                return False
            del self._kept[free], self._users[free]
        return True
