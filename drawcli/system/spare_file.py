"""A second place for a small file, where its own disk is full or cannot be written.

It lies in memory or in the folder for temporary files: on most machines neither is the disk of
state_dir. Others may write into those folders, too: only what is ours is read, and what is put
there replaces what has its name, and never follows it.
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

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - shared: see above; a service has its own /tmp


def put(path: Path, data: bytes) -> bool:
    """Keep what could not be written to a path; tell whether it could be kept."""
    for place in _places(path):
        with suppress(OSError, DiskFull):
            write_durably(place, data)
            return True
    return False


def read(path: Path) -> bytes | None:
    """Return what was kept in place of a path."""
    for place in _places(path):
        with suppress(OSError):
            status = place.lstat()
            if stat.S_ISREG(status.st_mode) and _is_ours(status):
                return place.read_bytes()
    return None


def drop(path: Path) -> None:
    """Remove what was kept in place of a path: it could be written again."""
    for place in _places(path):
        with suppress(OSError):
            place.unlink()


def _places(path: Path) -> Iterator[Path]:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    for folder in (_MEMORY, Path(tempfile.gettempdir())):
        yield folder / f"drawcli-{name}"


def _is_ours(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()
