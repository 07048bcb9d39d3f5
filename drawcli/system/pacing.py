"""Deadlines, rate limit and progress of transfers."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from threading import Lock
from time import monotonic, sleep
from typing import IO, Any, Final, Self, TypeVar

from drawcli.errors import ServerSilent
from drawcli.system.limits import REQUEST_TIMEOUTS
from drawcli.system.network.limit import SLOWEST_BYTES_PER_SECOND
from drawcli.system.threads import LISTEN_SECONDS, run_in_thread

_LONGEST_NAP: Final = 1.0  # seconds; then the rate is read again
_SHORTEST_NAP: Final = 0.001  # seconds; a shorter one may not advance the clock
_T = TypeVar("_T")
ProgressCallback = Callable[
    [int, int | None], None
]  # so many bytes, of so many (None: nobody knows)


def ignore_progress(_done: int, _total: int | None) -> None:
    """Ignore progress."""


class Deadline:
    """The time limit of a whole request: a number of seconds, and more for each byte.

    The timeouts of a connection apply to single operations: a server that sends a byte a minute
    never exceeds them.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._seconds = seconds
        self.over = False  # the caller no longer waits

    @classmethod
    def of(cls, timeout_seconds: float) -> Self:
        """Return the deadline of a request: one timeout to send it, one to answer it."""
        return cls(REQUEST_TIMEOUTS * timeout_seconds)

    def restart(self) -> None:
        """Start again, for another request."""
        self._begun = self._clock()

    def grow(self, size: int) -> None:
        """Allow time for `size` more bytes."""
        self._seconds += size / SLOWEST_BYTES_PER_SECOND

    def extend(self, seconds: float) -> None:
        """Allow `seconds` more, which a rate limit took."""
        self._seconds += seconds

    def left(self) -> float:
        """Return how many seconds are left."""
        return self._begun + self._seconds - self._clock()

    def check(self) -> None:
        """Raise ServerSilent if no time is left."""
        if self.over or self.left() <= 0:
            raise ServerSilent(f"not done after {self._clock() - self._begun:.0f} seconds")


def with_deadline(
    deadline: Deadline, call: Callable[[], _T], discard: Callable[[_T], object]
) -> _T:
    """Return the result of a call, or raise ServerSilent at the deadline.

    After that the call goes on in its thread until the connection ends, and its result is passed
    to `discard`. Do not close its connection before: see `after_abandoned_calls`.
    """
    future = run_in_thread(call)
    try:
        while not future.done():
            deadline.check()
            wait([future], timeout=min(max(deadline.left(), 0.0), LISTEN_SECONDS))
            future.check_alive()
        return future.result()
    finally:
        if not future.done():
            deadline.over = True
            _abandoned.add(future)
            future.add_done_callback(lambda late: _discard(late, discard))


_abandoned: Final[set["Future[Any]"]] = set()  # calls that are still running


def after_abandoned_calls(act: Callable[[], object]) -> None:
    """Call `act` when no abandoned call is running; at once if there is none.

    For closing connections: a thread whose descriptor another thread has closed may read or write
    a file that was since opened under the same number.
    """
    running = next((call for call in list(_abandoned) if not call.done()), None)
    if running is None:
        act()
    else:
        running.add_done_callback(lambda _: after_abandoned_calls(act))


def read_with_deadline(
    pieces: Iterator[bytes], deadline: Deadline, discard: Callable[[], object]
) -> Iterator[bytes]:
    """Yield pieces as they arrive; each extends the deadline."""
    while piece := with_deadline(deadline, partial(next, pieces, b""), lambda _late: discard()):
        deadline.grow(len(piece))
        deadline.check()
        yield piece


def _discard(late: "Future[_T]", discard: Callable[[_T], object]) -> None:
    _abandoned.discard(late)
    if late.exception() is None:
        discard(late.result())


class TokenBucket:
    """A rate limit for all transfers together; the rate may change during a transfer."""

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
        self._bytes = 0.0  # that may be sent now; negative after a piece above the rate

    def take(self, size: int, deadline: Deadline) -> None:
        """Wait until `size` bytes may be sent; extend the deadline by the time waited."""
        while nap := self._nap(size):
            deadline.check()
            deadline.extend(nap)
            self._pause(nap)

    def _nap(self, size: int) -> float:
        """Return the seconds to wait before the next try; 0 if the bytes may be sent."""
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
    """A file to send, read within the rate limit and the deadline.

    Each piece extends the deadline by its time on the slowest line that is accepted.
    """

    def __init__(
        self,
        stream: IO[bytes],
        size: int,
        bucket: TokenBucket,
        deadline: Deadline,
        tell: ProgressCallback,
    ) -> None:
        self._stream = stream
        self._size = size
        self._bucket = bucket
        self._deadline = deadline
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece."""
        piece = self._stream.read(size)
        self._deadline.check()
        self._deadline.grow(len(piece))
        self._bucket.take(len(piece), self._deadline)
        self._tell(self._stream.tell(), self._size)
        return piece

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset in the file."""
        return self._stream.seek(offset, whence)

    def fileno(self) -> int:
        """Return the file descriptor; httpx reads the length with it."""
        return self._stream.fileno()
