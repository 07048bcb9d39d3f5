"""Writing files so that a crash leaves the old one or the new one, and locks between processes."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from drawcli.errors import DiskFull

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
CHUNK: Final = 1 << 20
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})


@contextmanager
def fresh_file(path: Path, *, mode: int = PRIVATE) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well.

    The content is durable before the rename, and the rename before this returns. If the block
    fails, the temporary file is removed and `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_full_named(path.parent):
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
            with open(descriptor, "w+b") as stream:  # noqa: PTH123 - the mode is set at creation
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)


def write_durably(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a whole file; a crash leaves the old one or the new one."""
    with fresh_file(path, mode=mode) as stream:
        stream.write(data)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can (Windows and some shares cannot)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as err:
        if err.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner can enter, if it is not there; return it."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return folder


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_to_others(path: Path) -> bool:
    """Tell whether others than the owner may read a file (always False on Windows)."""
    return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)


@contextmanager
def disk_full_named(folder: Path) -> Iterator[None]:
    """Turn "no space left" into an error that says where and what to do."""
    try:
        yield
    except OSError as err:
        if err.errno not in _NO_SPACE:
            raise
        raise DiskFull(
            f"no space left in {folder}",
            hint="Free some space and run the command again; nothing was lost.",
        ) from err
