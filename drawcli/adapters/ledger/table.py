"""The table of the ledger for changes: of TinyDB, under a lock between processes."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from tinydb.table import Table

from drawcli.adapters.ledger.storage import JOBS, SealedStorage
from drawcli.errors import LedgerError

_LOCK_SECONDS: Final = 60.0


class LockedTable(Table):
    """Holds the ledger's lock while it reads, changes and writes the tables."""

    def __init__(self, storage: SealedStorage, path: Path) -> None:
        super().__init__(storage, JOBS, cache_size=0)  # type: ignore[arg-type] # used as one
        self._path = path

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(f"{self._path}.lock", mode=0o600)

    def locked(self) -> Any:
        """Hold the lock during a block; LedgerError if another process does not release it."""
        try:
            return self._lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise LedgerError(
                f"another process has locked {self._lock.lock_file} for more than "
                f"{_LOCK_SECONDS:.0f} s",
                hint="Look for a hanging drawcli process; its lock is released when it ends.",
            ) from None

    def change(self, change: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        """Change the rows, by number, in one write."""
        with self.locked():
            self._update_table(change)
