"""Read headers chunk by chunk: a few in this process, many in several processes."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, Protocol, TypeVar

from drawcli.adapters.datastore.processes import (
    ScanWorker,
    end_workers,
    most_processes,
    start_workers,
)
from drawcli.adapters.datastore.walk import read_file
from drawcli.core.dicom.instance_json import Packed, pack_slice
from drawcli.core.series.image_file import File

PAYS: Final = 2000  # files; for more, further processes are started

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
    most = most_processes(workers)
    read = 0
    for chunk in chunks:
        if most > 1 and read >= PAYS:
            yield from _in_parallel(chain([chunk], chunks), start_workers(read_all, most))
            return
        yield chunk, read_all(chunk.readings)
        read += len(chunk.readings)


def read_all(readings: Sequence[Reading]) -> Results:
    """Return for each file its slice, packed, or the reason why it is none."""
    return [
        found if isinstance(found, str) else pack_slice(found)
        for found in (read_file(path, file) for path, file in readings)
    ]


def _results(worker: ScanWorker, readings: list[Reading]) -> Results:
    """Return what a process has read; if it has died, read the files here."""
    try:
        found: Results = worker.pipe.recv()
    except (EOFError, OSError):
        return read_all(readings)
    return found


def _in_parallel(
    chunks: Iterator[ChunkT], workers: Sequence[ScanWorker]
) -> Iterator[tuple[ChunkT, Results]]:
    """Yield each chunk, read by the workers; without any, read here."""
    count = len(workers)
    try:
        busy: deque[tuple[ScanWorker, ChunkT]] = deque()
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
            found = _results(worker, done.readings)
            worker.send(chunk.readings)  # only now: else both pipes might block
            busy.append((worker, chunk))
            yield done, found
        for worker, done in busy:
            yield done, _results(worker, done.readings)
    finally:
        end_workers(workers)
