"""A TinyDB file that is whole at every instant.

An ordinary TinyDB file, written anew for every change: temporary file, fsync, rename, fsync of the
folder. A first table holds format, generation and SHA-256 of the rest, because one flipped bit in
plain JSON is more often different data than an error.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tinydb.storages import Storage

from drawcli.errors import LedgerError
from drawcli.files import write_durably

FORMAT: Final = 1
JOBS: Final = "jobs"
_SEAL: Final = "_ledger"

Tables = dict[str, dict[Any, Any]]
# What makes the tables of one format those of the next, by the number of the first.
MIGRATIONS: Final[dict[int, Callable[[Tables], Tables]]] = {}


class SealedStorage(Storage):
    """Keep the tables in one JSON file, replaced as a whole, with a digest over it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.generation = 0
        self.format = FORMAT  # of the file as it was read

    def read(self) -> Tables | None:
        """Return the tables, or None where there is no ledger yet.

        Raises
        ------
        LedgerError
            Where the file is damaged, or was written by a newer drawcli.
        """
        try:
            whole = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be read: {err.strerror}") from None
        except (ValueError, RecursionError) as err:
            raise damaged(self._path, type(err).__name__) from None
        seal = _seal_of(whole)
        if seal is None:
            raise damaged(self._path, "its seal is missing")
        if seal["format"] > FORMAT:
            raise newer(self._path)
        sha256 = seal.pop("sha256", None)
        if sha256 != _digest(whole):
            raise damaged(self._path, "its digest does not fit")
        self.generation, self.format = seal["generation"], seal["format"]
        tables: Tables = {name: table for name, table in whole.items() if name != _SEAL}
        for older in range(self.format, FORMAT):
            tables = MIGRATIONS[older](tables)
        return tables

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Replace the file; the generation counts the writes and never goes back.

        Raises
        ------
        LedgerError
            Where the disk refuses; the file is as it was.
        """
        seal: dict[str, Any] = {"format": FORMAT, "generation": self.generation + 1}
        whole = {**data, _SEAL: {"1": seal}}
        seal["sha256"] = _digest(whole)
        try:
            write_durably(self._path, _as_bytes(whole))
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be written: {err.strerror}") from None
        self.generation += 1


def _seal_of(whole: Any) -> dict[str, Any] | None:
    """Return the one row of the first table, if it has the form of a seal."""
    table = whole.get(_SEAL) if isinstance(whole, dict) else None
    seal = table.get("1") if isinstance(table, dict) else None
    if not isinstance(seal, dict) or not isinstance(seal.get("format"), int):
        return None
    return seal if isinstance(seal.get("generation"), int) else None


def _digest(whole: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all tables, the seal without its digest among them."""
    return hashlib.sha256(_as_bytes(whole)).hexdigest()


def _as_bytes(tables: Mapping[str, Any]) -> bytes:
    return json.dumps(tables, sort_keys=True, separators=(",", ":")).encode("ascii")


def newer(path: Path) -> LedgerError:
    """Return the error of a file that this version does not understand."""
    return LedgerError(
        f"{path} was written by a newer drawcli",
        hint="Install that version again; this one would not understand it.",
    )


def damaged(path: Path, what: str) -> LedgerError:
    """Return the error of a file whose bytes are not those that were written."""
    return LedgerError(
        f"{path} is damaged: {what}",
        hint="'drawcli ledger restore' puts the newest good copy back; work folders are untouched.",
    )
