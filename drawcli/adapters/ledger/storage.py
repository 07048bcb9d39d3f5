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

import orjson
from tinydb.storages import Storage

from drawcli.adapters.ledger.rows import BadRowError, check_rows
from drawcli.errors import LedgerError
from drawcli.system.files import write_durably

FORMAT: Final = 2
JOBS: Final = "jobs"
_SEAL: Final = "_ledger"
_NO_DIGEST: Final = "0" * 64

Tables = dict[str, dict[Any, Any]]
# What makes the tables of one format those of the next, by the number of the first.
MIGRATIONS: Final[dict[int, Callable[[Tables], Tables]]] = {
    1: lambda tables: tables,  # another digest, the same tables
}


class SealedStorage(Storage):
    """Keep the tables in one JSON file, replaced as a whole, with a digest over it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.generation = 0
        self.format = FORMAT  # of the file as it was read
        self._known: tuple[bytes, Tables] | None = None  # the bytes last met, and what they say

    def read(self) -> Tables | None:
        """Return the tables, or None where there is no ledger yet.

        Raises
        ------
        LedgerError
            Where the file is damaged, or was written by a newer drawcli.
        """
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be read: {err.strerror}") from None
        if self._known is not None and raw == self._known[0]:
            return _copied(self._known[1])  # most often: nobody else has written since
        whole, seal = self._checked(raw)
        if not all(isinstance(table, dict) for table in whole.values()):
            raise damaged(self._path, "a part of it is no table")
        self.generation, self.format = seal["generation"], seal["format"]
        tables: Tables = {name: table for name, table in whole.items() if name != _SEAL}
        for older in range(self.format, FORMAT):
            tables = MIGRATIONS[older](tables)
        try:
            check_rows(tables.get(JOBS, {}))
        except BadRowError as err:
            raise refused(self._path, err) from None
        self._known = (raw, tables) if self.format == FORMAT else None
        return _copied(tables)

    def _checked(self, raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a file says, and its seal, once the digest fits."""
        try:
            whole = _parsed(raw)
        except (ValueError, RecursionError) as err:
            raise damaged(self._path, type(err).__name__) from None
        seal = _seal_of(whole)
        if seal is None:
            raise damaged(self._path, "its seal is missing")
        if seal["format"] > FORMAT:
            raise newer(self._path)
        is_sealed = _SEALED.get(seal["format"])
        if is_sealed is None or not is_sealed(raw, whole, seal):
            raise damaged(self._path, "its digest does not fit")
        return whole, seal

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Replace the file; the generation counts the writes and never goes back.

        Raises
        ------
        LedgerError
            Where the disk refuses; the file is as it was.
        """
        seal = {"format": FORMAT, "generation": self.generation + 1, "sha256": _NO_DIGEST}
        raw = _written({_SEAL: {"1": seal}, **data})
        sha256 = hashlib.sha256(raw).hexdigest()
        raw = raw.replace(_NO_DIGEST.encode(), sha256.encode(), 1)
        self._known = None  # after a write that fails, only the disk knows
        try:
            write_durably(self._path, raw)
        except OSError as err:
            raise LedgerError(f"{self._path} cannot be written: {err.strerror}") from None
        self.generation += 1
        self._known = (raw, _copied(data))


def _copied(tables: Mapping[str, Mapping[Any, Any]]) -> Tables:
    """Return tables that may be changed row by row; rows themselves are only ever replaced."""
    return {name: dict(table) for name, table in tables.items()}


def _seal_of(whole: Any) -> dict[str, Any] | None:
    """Return the one row of the first table, if it has the form of a seal."""
    table = whole.get(_SEAL) if isinstance(whole, dict) else None
    seal = table.get("1") if isinstance(table, dict) else None
    if not isinstance(seal, dict) or not isinstance(seal.get("format"), int):
        return None
    return seal if isinstance(seal.get("generation"), int) else None


def _is_sealed_1(_raw: bytes, whole: Mapping[str, Any], seal: Mapping[str, Any]) -> bool:
    """Tell whether the digest fits: over all tables in one spelling, the seal without it."""
    bare = {key: value for key, value in seal.items() if key != "sha256"}
    text = json.dumps({**whole, _SEAL: {"1": bare}}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest() == seal.get("sha256")


def _is_sealed_2(raw: bytes, _whole: Mapping[str, Any], seal: Mapping[str, Any]) -> bool:
    """Tell whether the digest fits: over the bytes of the file, with zeros in its own place."""
    sha256 = str(seal.get("sha256")).encode("ascii", "replace")
    bare = raw.replace(sha256, _NO_DIGEST.encode(), 1)
    return hashlib.sha256(bare).hexdigest().encode() == sha256


_SEALED: Final = {1: _is_sealed_1, 2: _is_sealed_2}


def _parsed(raw: bytes) -> Any:
    """Return what JSON says, also where a text is no Unicode: half a pair, of a strange path."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def _written(tables: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(tables)
    except TypeError:
        return json.dumps(tables, separators=(",", ":")).encode("ascii")


def newer(path: Path, what: str = "") -> LedgerError:
    """Return the error of a file that this version does not understand."""
    return LedgerError(
        f"{path} was written by a newer drawcli{what}",
        hint="Install that version again; this one would not understand it.",
    )


def refused(path: Path, err: BadRowError) -> LedgerError:
    """Return the error of a file with a record that is none of ours."""
    if err.is_newer:
        return newer(path, f", or by hand: {err.where}: {err.what}")
    return LedgerError(
        f"{path} cannot be used: {err.where}: {err.what}",
        hint="drawcli did not write it so, and has changed nothing. 'drawcli ledger restore' puts "
        "the newest good copy back, and keeps this one beside it.",
    )


def damaged(path: Path, what: str) -> LedgerError:
    """Return the error of a file whose bytes are not those that were written."""
    return LedgerError(
        f"{path} is damaged: {what}",
        hint="'drawcli ledger restore' puts the newest good copy back; work folders are untouched.",
    )
