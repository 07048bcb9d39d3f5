"""Headers read chunk by chunk: in this process where they are few, in several where they are many.

A worker that is left alone ends: its pipe is closed when this process dies, however it dies.
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

PAYS: Final = 2000  # files, from which on it pays to start more processes
_MOST: Final = 8  # processes: more would wait for the datastore only

Reading = tuple[str, File]  # a path, and the file as it was listed
Results = list[Packed | str]


class Chunk(Protocol):
    """Files that are read together."""

    @property
    def readings(self) -> list[Reading]:
        """What is to be read."""


ChunkT = TypeVar("ChunkT", bound=Chunk)


def read_chunks(chunks: Iterator[ChunkT], workers: int = 0) -> Iterator[tuple[ChunkT, Results]]:
    """Yield each chunk with what was read of its files, in order.

    Parameters
    ----------
    chunks
        Asked for while others are read.
    workers
        How many processes may read at most; 0 takes as many as there are cores.
    """
    most = workers or min(os.cpu_count() or 1, _MOST)
    read = 0
    for chunk in chunks:
        if most > 1 and read >= PAYS:
            yield from _in_parallel(chain([chunk], chunks), most)
            return
        yield chunk, read_all(chunk.readings)
        read += len(chunk.readings)


def read_all(readings: Sequence[Reading]) -> Results:
    """Return what each file holds: a slice, taken apart, or the reason why it is none."""
    return [
        found if isinstance(found, str) else pack_slice(found)
        for found in (read_file(path, file) for path, file in readings)
    ]


class _Worker(NamedTuple):
    """A process that reads."""

    process: "BaseProcess"
    pipe: "Connection"

    def results(self, readings: list[Reading]) -> Results:
        """Return what it has read; read it here where it has died."""
        try:
            found: Results = self.pipe.recv()
        except (EOFError, OSError):
            return read_all(readings)
        return found

    def send(self, readings: list[Reading]) -> None:
        with suppress(OSError):
            self.pipe.send(readings)


def _in_parallel(chunks: Iterator[ChunkT], count: int) -> Iterator[tuple[ChunkT, Results]]:
    workers = [_started() for _ in range(count)]
    try:
        busy: deque[tuple[_Worker, ChunkT]] = deque()
        for chunk in chunks:
            if len(busy) < count:
                worker = workers[len(busy)]
                worker.send(chunk.readings)
                busy.append((worker, chunk))
                continue
            worker, done = busy.popleft()
            found = worker.results(done.readings)
            worker.send(chunk.readings)  # only now: else both might wait for the other to read
            busy.append((worker, chunk))
            yield done, found
        for worker, done in busy:
            yield done, worker.results(done.readings)
    finally:
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.process.join()


def _started() -> _Worker:
    import multiprocessing

    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")  # a fork would keep our locks
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _serve(pipe: "Connection") -> None:
    """Read what is asked for until nobody asks any more."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
    with suppress(EOFError, OSError, MemoryError):
        while True:
            pipe.send(read_all(pipe.recv()))
