# ruff: noqa: PTH100, PTH116, PTH112, PTH113, PTH120 - beneath pathlib, whose functions end here
"""What a disk holds after a power cut: only what was synced.

Content that was written and not synced is gone: the file ends where it ended before. A name that
was made, changed or removed in a folder that was not synced since is as it was before. The worst
that the rules of POSIX allow; a real file system most often keeps more.
"""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Disk:
    """Remembers what is not durable yet, to take it away."""

    def __init__(self) -> None:
        self._kept = Path(tempfile.mkdtemp(prefix="power-"))  # what names stood for before
        self._names: dict[str, list[Callable[[], None]]] = {}  # folder -> how to undo, in order
        self._unsynced: dict[tuple[int, int], tuple[str, int]] = {}  # inode -> path, what is safe
        self._count = 0

    def install(self) -> None:
        """Watch every file that is made, synced, renamed, linked or removed from now on."""
        opened, fsync = os.open, os.fsync
        self._link, self._rename, self._unlink = os.link, os.replace, os.unlink

        def watched_open(path: Any, flags: int, *args: Any, **more: Any) -> int:
            new = flags & os.O_CREAT and not os.path.lexists(path)
            descriptor = opened(path, flags, *args, **more)
            if flags & (os.O_WRONLY | os.O_RDWR):
                status = os.fstat(descriptor)
                key, safe = (status.st_dev, status.st_ino), status.st_size
                _, safe = self._unsynced.get(key, ("", safe))
                self._unsynced[key] = (os.path.abspath(path), safe)
            if new:
                self._later(path, lambda: self._remove(path))
            return descriptor

        def watched_fsync(descriptor: int) -> None:
            fsync(descriptor)
            status = os.fstat(descriptor)
            self._unsynced.pop((status.st_dev, status.st_ino), None)
            if stat.S_ISDIR(status.st_mode):
                self._names.pop(os.path.realpath(f"/proc/self/fd/{descriptor}"), None)

        watched: dict[str, Callable[..., Any]] = {
            "open": watched_open,
            "fsync": watched_fsync,
            "replace": self._watched_rename,
            "rename": self._watched_rename,
            "link": self._watched_link,
            "unlink": self._watched_unlink,
        }
        for name, function in watched.items():
            setattr(os, name, function)

    def cut(self) -> None:
        """Take away all that is not durable."""
        for path, safe in self._unsynced.values():
            if os.path.isfile(path):
                os.truncate(path, min(safe, os.stat(path).st_size))
        for undo in [one for many in self._names.values() for one in many][::-1]:
            undo()

    def _watched_rename(self, source: Any, target: Any, **more: Any) -> None:
        before = self._copy_of(target)
        moved = self._copy_of(source)
        self._rename(source, target, **more)
        self._unsynced = {
            key: (os.path.abspath(target) if path == os.path.abspath(source) else path, safe)
            for key, (path, safe) in self._unsynced.items()
        }

        def undo() -> None:
            self._put_back(source, moved)
            self._put_back(target, before)

        self._later(target, undo)

    def _watched_link(self, source: Any, target: Any, **more: Any) -> None:
        self._link(source, target, **more)
        self._later(target, lambda: self._remove(target))

    def _watched_unlink(self, path: Any, **more: Any) -> None:
        before = None if more else self._copy_of(path)
        self._unlink(path, **more)
        if before is not None:
            self._later(path, lambda: self._put_back(path, before))

    def _later(self, path: Any, undo: Callable[[], None]) -> None:
        folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
        self._names.setdefault(folder, []).append(undo)

    def _copy_of(self, path: Any) -> Path | None:
        """Return a second name of what a path stands for now; None where it is nothing."""
        if not os.path.isfile(path):
            return None
        self._count += 1
        kept = self._kept / str(self._count)
        self._link(path, kept)
        return kept

    def _put_back(self, path: Any, kept: Path | None) -> None:
        self._remove(path)
        if kept is not None and os.path.isdir(os.path.dirname(os.path.abspath(path))):
            self._link(kept, path)

    def _remove(self, path: Any) -> None:
        if os.path.lexists(path):
            self._unlink(path)
