"""Durable writes: a crash leaves the old file or the new one."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from drawcli.errors import DiskFull
from drawcli.system.platforms import fsync_folder, replace_path

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
CHUNK: Final = 1 << 20
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def fresh_file(path: Path, *, mode: int = PRIVATE) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block ends without an error.

    The content is durable before the rename, and the rename before this returns. If the block
    fails, the temporary file is removed and `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with report_disk_full(path.parent):
        try:
            temporary.unlink(missing_ok=True)  # left by a dead process with our pid
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "w+b") as stream:  # noqa: PTH123 - the mode is set at creation
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            replace_path(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)


def write_durably(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a whole file; a crash leaves the old one or the new one."""
    with fresh_file(path, mode=mode) as stream:
        stream.write(data)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a durable file, replacing `path`; the rename is durable when this returns."""
    replace_path(part, path)
    fsync_folder(path.parent)


def rename_if_free(temporary: Path, path: Path) -> None:
    """Rename a file within its folder, unless the name is taken.

    The rename is not durable yet, and the temporary name may still exist.
    """
    try:
        path.hardlink_to(temporary)
    except OSError:  # the name is taken, or the file system has no hard links
        if not os.path.lexists(path):
            temporary.rename(path)


def make_private(folder: Path) -> Path:
    """Create a folder with mode 0700 unless it exists, durably; return it."""
    if not folder.is_dir():
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        fsync_folder(folder.parent)
    return folder


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def report_disk_full(where: object) -> Iterator[None]:
    """Raise DiskFull for "no space left".

    `where` is a path that is safe to print, or a description of one that may name a patient.
    """
    try:
        yield
    except OSError as err:
        if err.errno not in NO_SPACE:
            raise
        raise DiskFull(
            f"no space left in {where}",
            hint="Free some space and run the command again; nothing was lost.",
        ) from err
