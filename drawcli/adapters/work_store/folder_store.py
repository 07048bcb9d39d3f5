"""Shared storage in a folder that every host has mounted, such as NFS."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from drawcli.adapters.work_store.store import away
from drawcli.errors import DiskFull
from drawcli.system.failures import in_words
from drawcli.system.files import CHUNK, fresh_file, make_private, sha256_of
from drawcli.system.network.cluster_limits import SHARED_FOLDER_SECONDS
from drawcli.system.threads import call_with_timeout


class FolderStore:
    """Objects as files below a folder, which must exist: a missing mount is an error.

    Parameters
    ----------
    root
        The folder of all sites.
    site
        The folder of this site in it.
    is_used
        Whether the database names objects: then the folder of the site must exist, too.
    """

    def __init__(self, root: Path, site: str, *, is_used: bool) -> None:
        self._root, self._folder, self._is_used = root, root / site, is_used

    def describe(self) -> str:
        """Return its name for messages."""
        return f"the shared folder {self._root}"

    def put(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """Store an object durably: write the file, rename it, read it back."""
        self._check()
        path, digest, written = self._folder / name, hashlib.sha256(), 0
        with self._in_words(), fresh_file(make_private(path.parent) / path.name) as stream:
            for piece in pieces:
                stream.write(piece)
                digest.update(piece)
                written += len(piece)
        with self._in_words():
            same = written == path.stat().st_size == size and sha256_of(path) == digest.hexdigest()
        if not same:
            raise away(self.describe(), "returns other bytes than were written")

    def get(self, name: str) -> Iterator[bytes]:
        """Yield an object in pieces; FileNotFoundError if there is none."""
        self._check()
        with self._in_words(), (self._folder / name).open("rb") as stream:
            while piece := stream.read(CHUNK):
                yield piece

    def remove(self, names: list[str]) -> None:
        """Remove objects, as far as they exist."""
        self._check()
        for name in names:
            with self._in_words(), suppress(FileNotFoundError):
                (self._folder / name).unlink()

    def older_than(self, limit: datetime) -> Iterator[str]:
        """Yield the names of the objects that were written before a time; also unfinished ones."""
        self._check()
        with self._in_words():
            for path in self._folder.rglob("*"):
                if path.is_file() and path.stat().st_mtime < limit.timestamp():
                    yield path.relative_to(self._folder).as_posix()

    def _check(self) -> None:
        """Raise OutOfReach if the folder is not there, or does not answer."""
        try:
            folder = self._folder if self._is_used else self._root
            if not call_with_timeout(folder.is_dir, SHARED_FOLDER_SECONDS):
                raise away(self.describe(), "is not there", "Mount it, or check cluster.work.")
            call_with_timeout(partial(make_private, self._folder), SHARED_FOLDER_SECONDS)
        except TimeoutError:
            raise away(self.describe(), "does not answer") from None
        except OSError as err:
            raise away(self.describe(), f"cannot be used: {in_words(err)}") from None

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as err:
            raise away(self.describe(), f"cannot be used: {in_words(err)}") from None
        except DiskFull as err:
            raise away(self.describe(), "is full", "Free some space there.") from err
