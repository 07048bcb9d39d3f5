"""A TinyDB file with a digest, replaced atomically.

Each change writes the whole file: temporary file, fsync, rename, fsync of the folder. The first
table has format, generation and SHA-256 of the rest, because a flipped bit in JSON often changes
data without an error.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from drawcli.adapters.ledger.rows import BadRowError, check_rows
from drawcli.errors import LedgerError
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably
from drawcli.system.ownership import owner_hint

FORMAT: Final = 2
# Formats that no earlier release reads: the note of a move; a file whose rows are in others.
MOVED: Final = 1000
_SPLIT: Final = 1001
JOBS: Final = "jobs"
_SEAL: Final = "_ledger"
_NO_DIGEST: Final = "0" * 64
_CHECK_DISK: Final = "Check the disk: it is failing or read-only. Nothing was lost; the jobs wait."

Tables = dict[str, dict[Any, Any]]
# Conversions of the tables of a format to the next, by the number of the format.
MIGRATIONS: Final[dict[int, Callable[[Tables], Tables]]] = {
    1: lambda tables: tables,  # another digest, the same tables
}


class SealedStorage:
    """Stores the tables in a JSON file with a digest; reads and writes like a storage of TinyDB."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.generation = 0
        self.format = FORMAT  # of the file as it was read
        self.moved_to = ""  # if the file is the note of a move
        self.is_split = False  # whether the rows are in other files
        self._cached: tuple[bytes, Tables] | None = None  # file and tables as last read or written

    def read(self) -> Tables | None:
        """Return the tables; None if the file does not exist.

        Raises
        ------
        LedgerError
            If the file is damaged, or was written by a newer drawcli.
        """
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise not_accessible(self._path, "read", err) from None
        if self._cached is not None and raw == self._cached[0]:
            return _copy(self._cached[1])  # the usual case
        whole, seal = self._check(raw)
        if not all(isinstance(table, dict) for table in whole.values()):
            raise damaged(self._path, "a part of it is not a table")
        self.generation, self.is_split = seal["generation"], seal["format"] == _SPLIT
        self.format = FORMAT if self.is_split else seal["format"]  # the parts have their own
        tables: Tables = {name: table for name, table in whole.items() if name != _SEAL}
        for older in range(self.format, FORMAT):
            tables = MIGRATIONS[older](tables)
        try:
            check_rows(tables.get(JOBS, {}))
        except BadRowError as err:
            raise bad_record(self._path, err) from None
        self._cached = (raw, tables) if self.format == FORMAT else None
        return _copy(tables)

    def _check(self, raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the content of a file and its seal; raise LedgerError if the digest differs."""
        try:
            whole = _parse(raw)
        except (ValueError, RecursionError) as err:
            raise damaged(self._path, type(err).__name__) from None
        seal = _seal_of(whole)
        if seal is None:
            raise damaged(self._path, "its seal is missing")
        if isinstance(where := seal.get("moved_to"), str):
            self.generation, self.moved_to = seal["generation"], where
            raise LedgerError(
                f"the ledger of {self._path.parent} was moved to the {where}",
                code="ledger-moved",
                hint="Set 'ledger' in drawcli.yaml to it; 'drawcli ledger migrate --to file' moves "
                "it back.",
            )
        if seal["format"] > FORMAT and seal["format"] != _SPLIT:
            raise newer_format(self._path)
        is_sealed = _SEALED.get(seal["format"])
        if is_sealed is None or not is_sealed(raw, whole, seal):
            raise damaged(self._path, "its digest does not match")
        return whole, seal

    def write_moved(self, where: str) -> None:
        """Replace the file by a note that the ledger was moved; it is refused from then on."""
        seal = {"format": MOVED, "generation": self.generation + 1, "moved_to": where}
        self._cached = None
        write_durably(self._path, _dump({_SEAL: {"1": seal}}))

    def write(self, data: Mapping[str, Mapping[Any, Any]], *, is_split: bool = False) -> None:
        """Replace the file and count the generation.

        Raises
        ------
        LedgerError
            If it cannot be written; the file is unchanged.
        """
        form = _SPLIT if is_split else FORMAT
        raw = sealed(data, self.generation + 1, form)
        self._cached = None  # a write that fails may still replace the file
        try:
            write_durably(self._path, raw)
        except OSError as err:
            raise not_accessible(self._path, "written", err) from None
        self.generation += 1
        self._cached, self.format, self.is_split = (raw, _copy(data)), FORMAT, is_split


def sealed(data: Mapping[str, Mapping[Any, Any]], generation: int, form: int = FORMAT) -> bytes:
    """Return the content of a file with its seal."""
    seal = {"format": form, "generation": generation, "sha256": _NO_DIGEST}
    raw = _dump({_SEAL: {"1": seal}, **data})
    sha256 = hashlib.sha256(raw).hexdigest()
    return raw.replace(_NO_DIGEST.encode(), sha256.encode(), 1)


def _copy(tables: Mapping[str, Mapping[Any, Any]]) -> Tables:
    """Return copies of tables, sharing the rows, which are never changed."""
    return {name: dict(table) for name, table in tables.items()}


def _seal_of(whole: Any) -> dict[str, Any] | None:
    """Return the row with format, generation and digest; None if it is invalid."""
    table = whole.get(_SEAL) if isinstance(whole, dict) else None
    seal = table.get("1") if isinstance(table, dict) else None
    if not isinstance(seal, dict) or not isinstance(seal.get("format"), int):
        return None
    return seal if isinstance(seal.get("generation"), int) else None


def _is_sealed_1(_raw: bytes, whole: Mapping[str, Any], seal: Mapping[str, Any]) -> bool:
    """Return whether the digest matches: over all tables as canonical JSON, without itself."""
    bare = {key: value for key, value in seal.items() if key != "sha256"}
    text = json.dumps({**whole, _SEAL: {"1": bare}}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest() == seal.get("sha256")


def _is_sealed_2(raw: bytes, _whole: Mapping[str, Any], seal: Mapping[str, Any]) -> bool:
    """Return whether the digest matches: over the bytes of the file, with zeros in its place."""
    sha256 = str(seal.get("sha256")).encode("ascii", "replace")
    bare = raw.replace(sha256, _NO_DIGEST.encode(), 1)
    return hashlib.sha256(bare).hexdigest().encode() == sha256


_SEALED: Final = {1: _is_sealed_1, 2: _is_sealed_2, _SPLIT: _is_sealed_2}


def _parse(raw: bytes) -> Any:
    """Parse JSON, also with lone surrogates, which a path may contain."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def _dump(tables: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(tables)
    except TypeError:
        return json.dumps(tables, separators=(",", ":")).encode("ascii")


def not_accessible(path: Path, what: str, err: OSError) -> LedgerError:
    """Return the error for a file that cannot be read or written; raise a shortage."""
    raise_shortage(err)
    hint = owner_hint(path) if isinstance(err, PermissionError) else _CHECK_DISK
    return LedgerError(f"{path} cannot be {what}: {err.strerror}", hint=hint)


def newer_format(path: Path, what: str = "") -> LedgerError:
    """Return the error for a file of a newer format."""
    return LedgerError(
        f"{path} was written by a newer drawcli{what}",
        hint="Install that version again; this one cannot read the file.",
    )


def bad_record(path: Path, err: BadRowError) -> LedgerError:
    """Return the error for a file with an invalid record."""
    if err.is_newer:
        return newer_format(path, f", or edited: {err.where}: {err.what}")
    return LedgerError(
        f"{path} cannot be used: {err.where}: {err.what}",
        hint="Another program has changed it; it is left as it is. 'drawcli ledger restore' "
        "restores the newest good copy, and keeps this file beside it.",
    )


def damaged(path: Path, what: str) -> LedgerError:
    """Return the error for a damaged file."""
    return LedgerError(
        f"{path} is damaged: {what}",
        hint="Restore the newest good copy with 'drawcli ledger restore'; work folders stay.",
    )
