"""Further processes that read the datastore, each answering one request after the other.

A process ends when this one dies, because its pipe is closed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_MOST: Final = 8  # processes: more would only wait for the datastore


class ScanWorker(NamedTuple):
    """A process that answers requests."""

    process: "BaseProcess"
    pipe: "Connection"

    def send(self, request: object) -> None:
        """Send a request; if the process has died, receiving the answer raises EOFError."""
        with suppress(OSError):
            self.pipe.send(request)


def most_processes(wanted: int) -> int:
    """Return the maximum number of processes; as many as there are cores if 0 are wanted."""
    return wanted or min(os.cpu_count() or 1, _MOST)


def start_workers(answer: Callable[[Any], object], count: int) -> list[ScanWorker]:
    """Start processes: fewer, or none, if the system gives no more.

    Parameters
    ----------
    answer
        A function of a module that returns the answer to a request.
    count
        The number of processes.
    """
    workers = list[ScanWorker]()
    with suppress(OSError):  # no process, or no descriptor for its pipe
        while len(workers) < count:
            workers.append(_started(answer))
    return workers


def end_workers(workers: Iterable[ScanWorker]) -> None:
    """End processes, whatever they are reading."""
    for worker in workers:
        worker.pipe.close()
        worker.process.kill()
    for worker in workers:
        worker.process.join()


def _started(answer: Callable[[Any], object]) -> ScanWorker:
    import multiprocessing

    here, there = multiprocessing.Pipe()
    try:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locks
        process = context.Process(target=_serve, args=(there, answer), daemon=True)
        with _interrupts_held():
            process.start()
    except OSError:
        here.close()
        raise
    finally:
        there.close()
    return ScanWorker(process, here)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let a process that is started in the block be deaf to Ctrl-C, which is for this one."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # else it would be started in the block, and end the block's effect
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: "Connection", answer: Callable[[Any], object]) -> None:
    """Answer requests until the pipe is closed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows, where it cannot be held
    with suppress(EOFError, OSError, MemoryError):
        while True:
            pipe.send(answer(pipe.recv()))
