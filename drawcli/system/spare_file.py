"""A fallback copy of a small file whose own disk is full or read-only.

It is in /dev/shm or in the temporary folder, which on most machines are not on the disk of
state_dir. Other users may write there: only our own regular files are read, and a write replaces
a file or link of that name without following it.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from drawcli.errors import DiskFull
from drawcli.system.files import write_durably

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - shared, see above


def put(path: Path, data: bytes) -> bool:
    """Write the fallback copy of a path; return whether it was written."""
    for spare in _spare_paths(path):
        with suppress(OSError, DiskFull):
            write_durably(spare, data)
            return True
    return False


def read(path: Path) -> bytes | None:
    """Return the fallback copy of a path; None if there is none."""
    for spare in _spare_paths(path):
        with suppress(OSError):
            status = spare.lstat()
            if stat.S_ISREG(status.st_mode) and _is_ours(status):
                return spare.read_bytes()
    return None


def drop(path: Path) -> None:
    """Remove the fallback copies of a path."""
    for spare in _spare_paths(path):
        with suppress(OSError):
            spare.unlink()


def _spare_paths(path: Path) -> Iterator[Path]:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    for folder in (_MEMORY, Path(tempfile.gettempdir())):
        yield folder / f"drawcli-{name}"


def _is_ours(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()
