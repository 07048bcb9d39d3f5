"""Threads: several jobs wait for the network at once, and one at a time does anything else.

A step runs in one thread that holds the turn lock, and releases it only during a request. So
ledger, work folders and rules are never used by two threads, and what a step recorded before a
request is on disk before the request.

    turns.share(jobs, take, lanes=2)        two threads process jobs, in turns
        with turns.released():              within `take`: another thread may go on
            server.upload(...)
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, InvalidStateError, wait
from contextlib import closing, contextmanager, suppress
from functools import partial
from math import inf
from queue import SimpleQueue
from threading import Condition, Thread, get_ident
from time import monotonic
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
LISTEN_SECONDS: Final = 0.5  # on Windows Ctrl-C does not interrupt a wait without a timeout


class Abandoned(BaseException):  # not an Exception: it is no failure of a job
    """The run ended while a thread waited for the network; the thread must change nothing."""


class TurnLock:
    """A lock that a thread holds while it works, and releases during requests."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._owner: int | None = None
        self._closed = False
        self._waiting = 0  # threads in a request
        self._last_return = -inf  # when a request last ended, by the monotonic clock

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock during the block."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the lock during the block; no effect in a thread that does not hold it."""
        if self._owner != get_ident():
            yield
            return
        self._give()
        self._check_open()
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)
            self._take()

    def share(
        self, items: Generator[_T, None, None], take: Callable[[_T], None], *, lanes: int
    ) -> None:
        """Call `take` for every item, in `lanes` threads; after a failure no item is started.

        Returns, or raises the first failure, when all started items have ended. An interrupt does
        not wait for them: they can change nothing more, and end with the program.
        """

        def lane() -> None:
            with self.taken(), closing(items):
                for item in items:
                    self._check_open()
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
        """Return the seconds since the last request ended; 0 during a request."""
        with self._changed:
            return 0.0 if self._waiting else monotonic() - self._last_return

    def _count(self, change: int) -> None:
        with self._changed:
            self._waiting += change
            self._last_return = monotonic()

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

    def _check_open(self) -> None:
        """Raise Abandoned once the run has ended."""
        if self._closed:
            raise Abandoned

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BackgroundCall(Future[_T]):
    """A call in its own thread."""

    thread: Thread

    def check_alive(self) -> None:
        """Fail the call if its thread died without a result, for lack of memory."""
        if not self.done() and not self.thread.is_alive():
            with suppress(InvalidStateError):
                self.set_exception(MemoryError("a thread died without a result"))


class DaemonPool(Executor):
    """A few daemon threads: a call that hangs never keeps the process from ending."""

    def __init__(self, threads: int) -> None:
        self._calls = SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Queue a call."""
        future = Future[_T]()
        self._calls.put((partial(fn, *args, **kwargs), future))
        return future

    def drain(self, seconds: float) -> None:
        """Wait for the calls queued so far, then end the threads; give up after some seconds."""
        deadline = monotonic() + seconds
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _work(self) -> None:
        while (queued := self._calls.get()) is not None:
            call, future = queued
            if future.set_running_or_notify_cancel():
                _run(call, future)


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
    """Start a call in a daemon thread; raise MemoryError if the system cannot start one."""
    future = BackgroundCall[_T]()
    future.thread = Thread(target=_run, args=(call, future), daemon=True)
    try:
        future.thread.start()
    except RuntimeError as err:  # "can't start new thread": no memory, or a limit of the system
        raise MemoryError(str(err)) from err
    return future


def call_with_timeout(call: Callable[[], _T], seconds: float) -> _T:
    """Return the result of a call; after `seconds` abandon it and raise TimeoutError.

    For calls that cannot be interrupted: to a file server, or of a library without timeouts.
    """
    future = ended_call(call, seconds)
    if not future.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    return future.result()


def ended_call(call: Callable[[], _T], seconds: float = inf) -> BackgroundCall[_T]:
    """Return a call that has ended, with its result or error, or was abandoned after `seconds`."""
    future = run_in_thread(call)
    deadline = monotonic() + seconds
    while not future.done() and (left := deadline - monotonic()) > 0:
        wait([future], min(left, LISTEN_SECONDS))
        future.check_alive()
    return future


def call_while_heard(call: Callable[[Callable[[], None]], _T], seconds: float) -> _T:
    """Return the result of a call, which gets a function to report progress.

    If it reports none for `seconds` it is abandoned, and TimeoutError raised.
    """
    last = [monotonic()]

    def hear() -> None:
        last[0] = monotonic()

    future = run_in_thread(lambda: call(hear))
    while not future.done():
        left = last[0] + seconds - monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {seconds:g} s")
        wait([future], min(left, LISTEN_SECONDS))
        future.check_alive()
    return future.result()


def _run(call: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        result = call()
    except BaseException as err:  # noqa: BLE001 - raised again in the thread that waits
        future.set_exception(err)
    else:
        future.set_result(result)
