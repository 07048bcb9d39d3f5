"""Large files of jobs as sealed objects in shared storage."""

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from drawcli.adapters.work_store.sealed_stream import (
    DamagedObject,
    open_stream,
    seal_stream,
    sealed_size,
)
from drawcli.adapters.work_store.sealing import FileKeys
from drawcli.adapters.work_store.store import WorkStore, away
from drawcli.core.jobs.shared_files import SharedFile
from drawcli.system.files import fresh_file

_KEPT: Final = timedelta(days=1)  # an object that no job names, as of a step at work
_AT_ONCE: Final = 1_000  # objects that the database is asked about in one statement
_READS: Final = 2  # attempts to read an object that arrives damaged
_log = logging.getLogger(__name__)


class ObjectFiles:
    """Moves files of jobs to shared storage and back.

    An object is named after a keyed digest of its content and a random number, and is written once:
    a late host cannot change what the database refers to.
    """

    def __init__(self, store: WorkStore, keys: FileKeys) -> None:
        self._store, self._keys = store, keys

    def put(self, job_id: str, name: str, path: Path, digest: str) -> SharedFile:
        """Store a file; return its entry. Durable on return; OutOfReach if it cannot be stored."""
        place = f"{digest[:2]}/{digest}.{secrets.token_hex(8)}"
        with path.open("rb") as source:
            pieces = seal_stream(self._keys, job_id, name, source)
            self._store.put(place, pieces, sealed_size(path.stat().st_size))
        return SharedFile(digest, place)

    def get(self, job_id: str, name: str, entry: SharedFile, path: Path) -> bool:
        """Copy a file into a work folder; return False if it is lost, which is logged.

        Raises
        ------
        OutOfReach
            If the storage does not answer.
        """
        for _ in range(_READS):
            try:
                with fresh_file(path) as stream:
                    for piece in open_stream(
                        self._keys, job_id, name, self._store.get(entry.place)
                    ):
                        stream.write(piece)
            except FileNotFoundError:
                why = "is missing"
                break
            except DamagedObject as err:
                why = f"is damaged: {err}"
            else:
                return True
        _log.warning("job=%s: %s in %s %s", job_id, name, self._store.describe(), why)
        return False

    def probe(self) -> str:
        """Write, read and remove an object; return the name of the storage.

        Raises
        ------
        OutOfReach
            If one of these fails.
        """
        place, content = f"probe/{secrets.token_hex(8)}", secrets.token_bytes(64)
        self._store.put(place, iter([content]), len(content))
        try:
            read = b"".join(self._store.get(place))
        except FileNotFoundError:
            read = b""
        self._store.remove([place])
        if read != content:
            raise away(self._store.describe(), "returns other bytes than were written")
        return self._store.describe()

    def remove(self, places: list[str]) -> None:
        """Remove objects that no job names any more."""
        self._store.remove(places)

    def sweep(self, is_named: Callable[[list[str]], set[str]], now: datetime) -> int:
        """Remove objects older than a day that no job names; return their number."""
        old, removed = self._store.older_than(now - _KEPT), 0
        with suppress(FileNotFoundError):  # another host sweeps, too
            while some := list(islice(old, _AT_ONCE)):
                lost = sorted(set(some) - is_named(some))
                self._store.remove(lost)
                removed += len(lost)
        return removed
