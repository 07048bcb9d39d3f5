"""The members of a package, as stored on disk."""

import copy
import os
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from isal import igzip_lib, isal_zlib

_MOST_THREADS: Final = 4
_AHEAD_BYTES: Final = 32 << 20  # of members that are read before they are searched
_STREAMED: Final = 0x08  # a member's sizes follow its data, in 16 bytes
_Item = TypeVar("_Item")
_Read = TypeVar("_Read")


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the content of a member.

    Raises
    ------
    zipfile.BadZipFile
        If it cannot be inflated, has another size or CRC-32 than the directory says, or more
        bytes than its deflated data.
    """
    if info.compress_type != zipfile.ZIP_DEFLATED:
        return archive.read(info)
    stored = copy.copy(info)  # zipfile checks its place and its name, and leaves it deflated
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, info.compress_size
    stored.CRC = None  # type: ignore[assignment] # that of the inflated content is checked below
    with archive.open(stored) as stream:
        packed = stream.read()
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    try:
        raw = inflate.decompress(packed, info.file_size + 1)
    except igzip_lib.error as err:  # type: ignore[misc] # its stub calls it an instance
        raise zipfile.BadZipFile(f"{info.filename}: {err}") from None
    is_whole = inflate.eof and not inflate.unused_data and len(raw) == info.file_size
    if not is_whole or isal_zlib.crc32(raw) != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} differs from the directory of the zip")
    return raw


def read_slices(
    archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo]
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of members, while threads inflate the next ones."""
    largest = max((info.file_size for info in infos), default=1)
    count = min(os.cpu_count() or 1, _MOST_THREADS, max(1, _AHEAD_BYTES // max(1, largest)))
    for info, raw in read_ahead(lambda info: read_member(archive, info), infos, count):
        yield info.filename, raw


def read_ahead(
    read: Callable[[_Item], _Read], items: Iterable[_Item], count: int = 1
) -> Generator[tuple[_Item, _Read], None, None]:
    """Yield each item with its content, while threads read the next ones."""
    waiting: deque[tuple[_Item, Future[_Read]]] = deque()
    with ThreadPoolExecutor(count) as pool:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > count:
                first, content = waiting.popleft()
                yield first, content.result()
        for item, content in waiting:
            yield item, content.result()


def has_no_extra_bytes(archive: zipfile.ZipFile, size: int) -> bool:
    """Return whether the zip has only its members and its directory, and no comment."""
    local, entry, end, total = 30, 46, 22, 0  # bytes of the fixed parts (APPNOTE 4.3.7, .12, .16)
    for info in archive.infolist():
        total += local + entry + 2 * len(info.filename) + info.compress_size
        total += 16 if info.flag_bits & _STREAMED else 0
    return not archive.comment and total + end == size
