"""The table of the ledger for changes: of TinyDB, under a lock between processes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from tinydb.table import Table

from drawcli.adapters.ledger.storage import JOBS, SealedStorage
from drawcli.errors import LedgerError

_LOCK_SECONDS: Final = 60.0


class LedgerTable(Table):
    """A table that is read, changed and written as a whole, under the lock of the ledger."""

    def __init__(self, storage: SealedStorage) -> None:
        super().__init__(storage, JOBS, cache_size=0)  # type: ignore[arg-type] # used as one

    def change(self, change: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        """Change the rows, by number, in one write."""
        self._update_table(change)


def lock_of(path: Path) -> FileLock:
    """Return the lock of the ledger in a file."""
    return FileLock(f"{path}.lock", mode=0o600)


def held(lock: FileLock) -> Any:
    """Hold the lock during a block; LedgerError if another process does not release it."""
    try:
        return lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise LedgerError(
            f"another process has locked {lock.lock_file} for more than {_LOCK_SECONDS:.0f} s",
            hint="Look for a hanging drawcli process; its lock is released when it ends.",
        ) from None
