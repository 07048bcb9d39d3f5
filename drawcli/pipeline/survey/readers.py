"""Read headers chunk by chunk: a few in this process, many in several processes.

A worker ends when this process dies, because its pipe is closed.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from drawcli.adapters.datastore.walk import read_file
from drawcli.core.dicom.instance_json import Packed, pack_slice
from drawcli.core.series.image_file import File

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

PAYS: Final = 2000  # files; for more, further processes are started
_MOST: Final = 8  # processes: more would only wait for the datastore

Reading = tuple[str, File]  # a path, and the file as it was listed
Results = list[Packed | str]


class Chunk(Protocol):
    """Files that are read together."""

    @property
    def readings(self) -> list[Reading]:
        """The files to read."""


ChunkT = TypeVar("ChunkT", bound=Chunk)


def read_chunks(chunks: Iterator[ChunkT], workers: int = 0) -> Iterator[tuple[ChunkT, Results]]:
    """Yield each chunk with what was read of its files, in order.

    Parameters
    ----------
    chunks
        Consumed while others are read.
    workers
        The maximum number of processes; 0: the number of cores.
    """
    most = workers or min(os.cpu_count() or 1, _MOST)
    read = 0
    for chunk in chunks:
        if most > 1 and read >= PAYS:
            yield from _in_parallel(chain([chunk], chunks), _workers(most))
            return
        yield chunk, read_all(chunk.readings)
        read += len(chunk.readings)


def read_all(readings: Sequence[Reading]) -> Results:
    """Return for each file its slice, packed, or the reason why it is none."""
    return [
        found if isinstance(found, str) else pack_slice(found)
        for found in (read_file(path, file) for path, file in readings)
    ]


class _Worker(NamedTuple):
    """A process that reads."""

    process: "BaseProcess"
    pipe: "Connection"

    def results(self, readings: list[Reading]) -> Results:
        """Return the results of the worker; if it has died, read the files here."""
        try:
            found: Results = self.pipe.recv()
        except (EOFError, OSError):
            return read_all(readings)
        return found

    def send(self, readings: list[Reading]) -> None:
        """Send files to the worker; if it has died, `results` reads them here."""
        with suppress(OSError):
            self.pipe.send(readings)


def _in_parallel(
    chunks: Iterator[ChunkT], workers: Sequence[_Worker]
) -> Iterator[tuple[ChunkT, Results]]:
    """Yield each chunk, read by the workers; without any, read here."""
    count = len(workers)
    try:
        busy: deque[tuple[_Worker, ChunkT]] = deque()
        for chunk in chunks:
            if not workers:
                yield chunk, read_all(chunk.readings)
                continue
            if len(busy) < count:
                worker = workers[len(busy)]
                worker.send(chunk.readings)
                busy.append((worker, chunk))
                continue
            worker, done = busy.popleft()
            found = worker.results(done.readings)
            worker.send(chunk.readings)  # only now: else both pipes might block
            busy.append((worker, chunk))
            yield done, found
        for worker, done in busy:
            yield done, worker.results(done.readings)
    finally:
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.process.join()


def _workers(count: int) -> list[_Worker]:
    """Start processes: fewer, or none, if the system gives no more."""
    workers = list[_Worker]()
    with suppress(OSError):  # no process, or no descriptor for its pipe
        while len(workers) < count:
            workers.append(_started())
    return workers


def _started() -> _Worker:
    import multiprocessing

    here, there = multiprocessing.Pipe()
    try:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locks
        process = context.Process(target=_serve, args=(there,), daemon=True)
        process.start()
    except OSError:
        here.close()
        raise
    finally:
        there.close()
    return _Worker(process, here)


def _serve(pipe: "Connection") -> None:
    """Read files on request until the pipe is closed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    with suppress(EOFError, OSError, MemoryError):
        while True:
            pipe.send(read_all(pipe.recv()))
