"""Several jobs at once where they wait for the network, and one at a time everywhere else.

A step runs from its beginning to its end in one thread, as if it were alone: whoever works has the
turn, and gives it up only while a request is under way. So ledger, work folders and rules are never
used by two threads, and what a step has recorded before a request is on disk before the request.

    turns.share(jobs, take, lanes=2)        two threads take jobs, in turns
        with turns.given_up():              within `take`: the others may go on meanwhile
            server.upload(...)
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import closing, contextmanager, suppress
from math import inf
from threading import Condition, Thread, get_ident
from time import monotonic
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
LISTEN_SECONDS: Final = 0.5  # a wait without an end does not hear Ctrl-C on Windows


class Abandoned(BaseException):  # not an Exception: no job is to be blamed for it
    """The run has ended while a thread was waiting for the network; it must not touch anything."""


class TurnLock:
    """Who may work now."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._owner: int | None = None
        self._closed = False
        self._elsewhere = 0  # how many have given up their turn
        self._back = -inf  # when the last of them took it again, by the monotonic clock

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work alone until the block ends."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Let others work until the block ends; a thread that has no turn has none to give."""
        if self._owner != get_ident():
            yield
            return
        self._give()
        self._go_on()
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)
            self._take()

    def share(
        self, items: Generator[_T, None, None], take: Callable[[_T], None], *, lanes: int
    ) -> None:
        """Take every item, in so many threads; where one fails, no further item is begun.

        Returns, or raises what failed first, when all that were begun have come to an end. An
        interrupt does not wait for them: they can do nothing more, and end with the program.
        """

        def lane() -> None:
            with self.taken(), closing(items):
                for item in items:
                    self._go_on()
                    take(item)

        if lanes <= 1:
            lane()
            return
        running = [run_in_thread(lane) for _ in range(lanes)]
        try:
            for _ in as_completed(running):
                pass
        except BaseException:
            self._close()
            raise
        for ended in running:
            ended.result()

    def quiet_seconds(self) -> float:
        """Return for how long nobody has waited for the network; 0 while somebody does."""
        with self._changed:
            return 0.0 if self._elsewhere else monotonic() - self._back

    def _count(self, change: int) -> None:
        with self._changed:
            self._elsewhere += change
            self._back = monotonic()

    def _take(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._owner is None or self._closed)
            if self._closed:
                raise Abandoned
            self._owner = get_ident()

    def _give(self) -> None:
        with self._changed:
            if self._owner == get_ident():
                self._owner = None
                self._changed.notify_all()

    def _go_on(self) -> None:
        """Begin nothing more, and send nothing more, once the run has ended."""
        if self._closed:
            raise Abandoned

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BackgroundCall(Future[_T]):
    """A call in a thread of its own."""

    thread: Thread

    def check_alive(self) -> None:
        """Fail the call if its thread died without a result: it had no memory to report one."""
        if not self.done() and not self.thread.is_alive():
            with suppress(InvalidStateError):
                self.set_exception(MemoryError("a thread died without a result"))


def as_completed(calls: Iterable[BackgroundCall[_T]]) -> Iterator[BackgroundCall[_T]]:
    """Yield calls as they end."""
    left = set(calls)
    while left:
        wait(left, LISTEN_SECONDS, FIRST_COMPLETED)
        for call in left:
            call.check_alive()
        done = {call for call in left if call.done()}
        yield from done
        left -= done


def run_in_thread(call: Callable[[], _T]) -> BackgroundCall[_T]:
    """Begin a call in a thread of its own, which ends with the program at the latest.

    Raises
    ------
    MemoryError
        Where the system has no room for a thread.
    """
    future = BackgroundCall[_T]()
    future.thread = Thread(target=_run, args=(call, future), daemon=True)
    try:
        future.thread.start()
    except RuntimeError as err:  # "can't start new thread": no memory, or a limit of the system
        raise MemoryError(str(err)) from err
    return future


def call_with_timeout(call: Callable[[], _T], seconds: float) -> _T:
    """Return what a call returns; abandon it where that takes too long.

    For calls that nothing can interrupt: of a file server, or of a library without timeouts.

    Raises
    ------
    TimeoutError
        Where it has not returned after so many seconds.
    """
    future = run_in_thread(call)
    deadline = monotonic() + seconds
    while not future.done() and (left := deadline - monotonic()) > 0:
        wait([future], min(left, LISTEN_SECONDS))
        future.check_alive()
    if not future.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    return future.result()


def _run(call: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        result = call()
    except BaseException as err:  # noqa: BLE001 - raised again in the thread that waits
        future.set_exception(err)
    else:
        future.set_result(result)
