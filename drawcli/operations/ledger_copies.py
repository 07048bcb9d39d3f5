"""Copies of the ledger: backup as a zip, restore, and export as a table."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.moves import FilePlace
from drawcli.core.jobs.job import Job
from drawcli.errors import LedgerError, UsageError
from drawcli.pipeline.context import Context
from drawcli.system.files import fresh_file

COLUMNS: Final = tuple(field.name for field in fields(Job) if field.name != "events")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # how a formula begins


def back_up(ctx: Context, target: Path) -> int:
    """Write the ledger and its archive into a new zip; return its number of files.

    It contains no patient data. The jobs of a database are in it as files, too, which another
    machine can use, or move to another database. Raises UsageError if the file exists.
    """
    if target.exists():
        raise UsageError(f"{target} exists already", hint="Name another file.")
    state_dir = ctx.settings.state_dir
    if isinstance(ctx.ledger, FileLedger):
        return _zipped(state_dir, target)
    with TemporaryDirectory(dir=state_dir, prefix=".backup-") as folder:
        FilePlace(Path(folder) / "ledger.json").take(ctx.ledger.jobs(), ctx.ledger.archive.jobs())
        return _zipped(Path(folder), target)


def _zipped(state_dir: Path, target: Path) -> int:
    folders = (state_dir / "ledger", state_dir / "archive")
    paths = [state_dir / "ledger.json", *(one for f in folders for one in sorted(f.glob("*")))]
    paths = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    with fresh_file(target) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as whole:
        for path in paths:
            whole.write(path, path.relative_to(state_dir).as_posix())
    return len(paths)


def restore(state_dir: Path, copy: Path | None) -> tuple[Path, Path | None]:
    """Restore a copy of the ledger; return its path, and where the replaced ledger is kept.

    Without `copy` the newest intact copy is restored. The caller holds the run lock.

    Raises
    ------
    LedgerError
        If no copy is intact.
    """
    ledger = FileLedger(state_dir / "ledger.json")
    tried = [copy] if copy is not None else ledger.copies
    why = []
    for one in tried:
        try:
            return one, ledger.restore(one)
        except LedgerError as err:
            why.append(str(err))
    raise LedgerError(
        "; ".join(why) or f"{state_dir} has no copy of the ledger",
        hint="Unpack ledger.json and the folders ledger and archive from a zip of "
        "'drawcli ledger backup'.",
    )


def exported(jobs: Iterable[Job]) -> Iterator[dict[str, Any]]:
    """Yield every job as a flat mapping with the same keys; without patient data."""
    for job in jobs:
        row = {name: getattr(job, name) for name in COLUMNS}
        yield {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in row.items()
        }


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Return rows as CSV with a header line: the keys of the first row, or `columns`.

    A value that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, columns or list(rows[0] if rows else ()), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _inert(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
