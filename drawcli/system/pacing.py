"""How long a transfer may take, how fast it may go, and how far it is."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from threading import Lock
from time import monotonic, sleep
from typing import IO, Any, Final, Self, TypeVar

from drawcli.errors import ServerSilent
from drawcli.system.limits import REQUEST_TIMEOUTS, SLOWEST_BYTES_PER_SECOND
from drawcli.system.threads import LISTEN_SECONDS, run_in_thread

_LONGEST_NAP: Final = 1.0  # seconds; then the limit of now is looked up again
_SHORTEST_NAP: Final = 0.001  # seconds: what is shorter may not move the clock at all
_T = TypeVar("_T")
ProgressCallback = Callable[
    [int, int | None], None
]  # so many bytes, of so many (None: nobody knows)


def ignore_progress(_done: int, _total: int | None) -> None:
    """Tell nobody how far a transfer is."""


class Deadline:
    """How long a whole request may take: some seconds, and more for each byte.

    The timeouts of a connection are those of single operations: a server that sends a byte a minute
    keeps within them for ever.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._seconds = seconds
        self.over = False  # nobody waits any more

    @classmethod
    def of(cls, timeout_seconds: float) -> Self:
        """Return that of a request in all: to be sent and to be answered may take so long each."""
        return cls(REQUEST_TIMEOUTS * timeout_seconds)

    def restart(self) -> None:
        """Begin anew, for another request."""
        self._begun = self._clock()

    def grow(self, size: int) -> None:
        """Allow time for so many bytes."""
        self._seconds += size / SLOWEST_BYTES_PER_SECOND

    def extend(self, seconds: float) -> None:
        """Allow the time that was spent on purpose."""
        self._seconds += seconds

    def left(self) -> float:
        """Return how many seconds are left."""
        return self._begun + self._seconds - self._clock()

    def check(self) -> None:
        """Raise ServerSilent where there is no time left."""
        if self.over or self.left() <= 0:
            raise ServerSilent(f"not done after {self._clock() - self._begun:.0f} seconds")


def with_deadline(
    patience: Deadline, call: Callable[[], _T], discard: Callable[[_T], object]
) -> _T:
    """Return what a call returns, or raise ServerSilent when the patience is over.

    The call goes on in its thread until the connection ends; what it returns then is discarded.
    Do not close its connection before that: see `after_abandoned_calls`.
    """
    future = run_in_thread(call)
    try:
        while not future.done():
            patience.check()
            wait([future], timeout=min(max(patience.left(), 0.0), LISTEN_SECONDS))
            future.check_alive()
        return future.result()
    finally:
        if not future.done():
            patience.over = True
            _left_alone.add(future)
            future.add_done_callback(lambda late: _thrown_away(late, discard))


_left_alone: Final[set["Future[Any]"]] = set()  # abandoned calls that are still running


def after_abandoned_calls(act: Callable[[], object]) -> None:
    """Do something once no abandoned call is running any more; at once where there is none.

    For closing connections: a thread that uses a descriptor which another thread has closed may
    read from, or write into, whatever was opened under the same number since.
    """
    under_way = next((one for one in list(_left_alone) if not one.done()), None)
    if under_way is None:
        act()
    else:
        under_way.add_done_callback(lambda _: after_abandoned_calls(act))


def read_with_deadline(
    pieces: Iterator[bytes], patience: Deadline, discard: Callable[[], object]
) -> Iterator[bytes]:
    """Yield pieces as they come, until the time is over; each piece extends it."""
    while piece := with_deadline(patience, partial(next, pieces, b""), lambda _late: discard()):
        patience.grow(len(piece))
        patience.check()
        yield piece


def _thrown_away(late: "Future[_T]", discard: Callable[[_T], object]) -> None:
    _left_alone.discard(late)
    if late.exception() is None:
        discard(late.result())


class TokenBucket:
    """Lets bytes through at a rate, for all transfers together; the rate may change meanwhile."""

    def __init__(
        self,
        rate: Callable[[], float | None],
        *,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._rate = rate  # bytes per second now; None: no limit
        self._clock = clock
        self._pause = pause
        self._lock = Lock()
        self._filled = clock()
        self._bytes = 0.0  # that may go now; negative: more has gone than may

    def take(self, size: int, patience: Deadline) -> None:
        """Wait until so many bytes may go; what is waited here counts against nobody's patience."""
        while nap := self._nap(size):
            patience.check()
            patience.extend(nap)
            self._pause(nap)

    def _nap(self, size: int) -> float:
        """Return how long to wait before asking again; 0 where the bytes may go."""
        with self._lock:
            rate, now = self._rate(), self._clock()
            if rate is None:
                self._bytes, self._filled = 0.0, now
                return 0.0
            self._bytes = min(self._bytes + (now - self._filled) * rate, rate)
            self._filled = now
            if self._bytes >= 0:
                self._bytes -= size
                return 0.0
            return min(max(-self._bytes / rate, _SHORTEST_NAP), _LONGEST_NAP)


class PacedFile(io.RawIOBase):
    """A file on its way out: read at the pace that is allowed, while there is patience.

    Each piece extends the time by what it may take on the slowest line that is accepted.
    """

    def __init__(
        self,
        stream: IO[bytes],
        size: int,
        bucket: TokenBucket,
        patience: Deadline,
        tell: ProgressCallback,
    ) -> None:
        self._stream = stream
        self._size = size
        self._bucket = bucket
        self._patience = patience
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece."""
        piece = self._stream.read(size)
        self._patience.check()
        self._patience.grow(len(piece))
        self._bucket.take(len(piece), self._patience)
        self._tell(self._stream.tell(), self._size)
        return piece

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place in the file."""
        return self._stream.seek(offset, whence)

    def fileno(self) -> int:
        """Return the file's number, by which its length is found."""
        return self._stream.fileno()
