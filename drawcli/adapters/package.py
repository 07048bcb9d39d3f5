"""Writer of packages: source files are read, deflated and hashed in one pass.

The zip has no folders. The same members give the same bytes, with any number of workers: members in
the order given, fixed times, no names from paths. Memory does not grow with the series.
"""

import hashlib
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Final

from isal import isal_zlib

from drawcli.errors import SeriesRefused, SourceUnsettled
from drawcli.system.files import CHUNK, fresh_file

LEVEL: Final = 1  # of isal, 0 to 3: 4 % larger than zlib's level 6 and 30 times as fast
_MOST_WORKERS: Final = 4
_AHEAD: Final = 4 << 20  # deflated bytes of a member in memory, for each worker
_STREAMED: Final = 0x0808  # sizes follow the data; names are UTF-8
_DEFLATED: Final = 8
_VERSION: Final = 20
_FIRST_OF_1980: Final = 0x0021  # the earliest date in a zip
_LOCAL: Final = struct.Struct("<IHHHHHIIIHH")
_SIZES: Final = struct.Struct("<IIII")
_ENTRY: Final = struct.Struct("<IHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<IHHHHIIH")
_LARGEST: Final = 0xFFFFFFFE  # bytes; 0xFFFFFFFF refers to zip64
_MOST_MEMBERS: Final = 0xFFFE  # likewise


@dataclass(frozen=True, slots=True)
class Package:
    """A finished zip."""

    sha256: str  # 64 hex digits
    size: int  # bytes


Member = tuple[str, Iterable[bytes]]  # a name and the content, in pieces


def write_package(path: Path, members: Iterable[Member], *, workers: int = 1) -> Package:
    """Write a zip under a temporary name, then rename it; durable when this returns.

    Parameters
    ----------
    path
        Path of the zip.
    members
        Names and contents. Several threads may read the contents of different members at once.
    workers
        Number of threads that read and deflate; 0 chooses it for the machine.

    Raises
    ------
    SeriesRefused
        If the zip would be larger than 4 GiB or have more than 65,534 members.
    DiskFull
        If the disk is full; an earlier file of that name is unchanged.
    """
    with fresh_file(path) as stream:
        writer = _ZipWriter(stream)
        contents = ((name, _Content(pieces)) for name, pieces in members)
        for name, content, chunks in _deflate_ahead(contents, workers or _default_workers()):
            writer.add(name, content, chunks)
        return writer.finish()


def _default_workers() -> int:
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def read_range(stream: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes between two offsets of a file.

    Raises
    ------
    SeriesRefused
        If the file ends earlier.
    SourceUnsettled
        If it cannot be read.
    """
    left = end - start
    while left:
        try:
            stream.seek(end - left)
            piece = stream.read(min(CHUNK, left))
        except OSError as err:
            raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None
        if not piece:
            raise SeriesRefused("a file of the series ends before its pixels do", code="truncated")
        left -= len(piece)
        yield piece


class _Content:
    """A member while it is deflated."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.crc = 0
        self.size = 0  # bytes, uncompressed
        self.deflated = self._deflate(pieces)

    def deflate_ahead(self) -> list[bytes]:
        """Return the beginning deflated, about `_AHEAD` bytes."""
        chunks, size = [], 0
        for chunk in self.deflated:
            chunks.append(chunk)
            size += len(chunk)
            if size > _AHEAD:
                break
        return chunks

    def _deflate(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        deflate = isal_zlib.compressobj(level=LEVEL, wbits=-15)
        for piece in pieces:
            self.crc = isal_zlib.crc32(piece, self.crc)
            self.size += len(piece)
            _check_limits(self.size, 0, 0)
            if chunk := deflate.compress(piece):
                yield chunk
        yield deflate.flush()


def _deflate_ahead(
    contents: Iterable[tuple[str, _Content]], workers: int
) -> Iterator[tuple[str, _Content, list[bytes]]]:
    """Yield members in order with their first deflated chunks; threads deflate the next ones."""
    if workers == 1:
        yield from ((name, content, []) for name, content in contents)
        return
    waiting: deque[tuple[str, _Content, Future[list[bytes]]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for name, content in contents:
            waiting.append((name, content, pool.submit(content.deflate_ahead)))
            if len(waiting) > workers:
                first, first_content, chunks = waiting.popleft()
                yield first, first_content, chunks.result()
        for name, content, chunks in waiting:
            yield name, content, chunks.result()
    finally:
        pool.shutdown(cancel_futures=True)


class _ZipWriter:
    """Writes a zip sequentially (APPNOTE 4.3.7, 4.3.9, 4.3.12, 4.3.16)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._offset = 0
        self._directory: list[bytes] = []

    def add(self, name: str, content: _Content, first_chunks: Iterable[bytes]) -> None:
        """Write a member: local header, the first deflated chunks and the rest, its sizes."""
        raw_name = name.encode("ascii")
        start = self._offset
        fixed = (_VERSION, _STREAMED, _DEFLATED, 0, _FIRST_OF_1980)
        self._write(_LOCAL.pack(0x04034B50, *fixed, 0, 0, 0, len(raw_name), 0) + raw_name)
        data_start = self._offset
        for chunk in chain(first_chunks, content.deflated):
            self._write(chunk)
            _check_limits(0, self._offset, len(self._directory))
        sizes = (content.crc, self._offset - data_start, content.size)
        self._write(_SIZES.pack(0x08074B50, *sizes))
        names = (len(raw_name), 0, 0, 0, 0, 0, start)
        self._directory.append(_ENTRY.pack(0x02014B50, _VERSION, *fixed, *sizes, *names) + raw_name)

    def finish(self) -> Package:
        """Write the central directory; return digest and size, bytes, of the zip."""
        start = self._offset
        for entry in self._directory:
            self._write(entry)
        count, length = len(self._directory), self._offset - start
        _check_limits(0, self._offset, count)
        self._write(_END.pack(0x06054B50, 0, 0, count, count, length, start, 0))
        return Package(self._hash.hexdigest(), self._offset)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._stream.write(data)
        self._offset += len(data)


def _check_limits(size: int, offset: int, members: int) -> None:
    """Refuse a package that would need zip64, which the server need not support."""
    if max(size, offset) > _LARGEST or members > _MOST_MEMBERS:
        raise SeriesRefused("the series is larger than a zip can be", code="too-large")
