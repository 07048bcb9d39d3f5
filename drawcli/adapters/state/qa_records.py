"""The records of quality assurance: `state_dir/qa/pairs.jsonl`, one JSON object a line.

Records are appended, and the last one of a job counts. A line that a crash cut short is skipped.
Nothing is removed: records stay when work folders go.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from drawcli.core.qa.records import PairRecord
from drawcli.system.files import PRIVATE, make_private, report_disk_full

FOLDER: Final = "qa"
PAIRS: Final = "pairs.jsonl"


class LineFile:
    """A file of JSON objects, one a line, to which lines are added durably."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append lines; they are durable on return.

        Raises
        ------
        DiskFull, OSError
            If they cannot be written.
        """
        text = "".join("\n" + json.dumps(row) for row in rows)  # the last line may be torn
        if not text:
            return
        make_private(self.path.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with (
            report_disk_full(self.path),
            open(os.open(self.path, flags, PRIVATE), "ab") as stream,  # noqa: PTH123 - the mode
        ):
            stream.write(text.encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that are whole, in order."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            for line in stream:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row


class QaRecords:
    """The records of a site, by job."""

    def __init__(self, state_dir: Path) -> None:
        self._file = LineFile(state_dir / FOLDER / PAIRS)

    def add(self, records: Iterable[PairRecord]) -> None:
        """Append records; they are durable on return."""
        self._file.add(record.as_plain() for record in records)

    def by_job(self) -> dict[str, PairRecord]:
        """Return the last record of each job, in the order of the first."""
        found: dict[str, PairRecord] = {}
        for row in self._file.rows():
            try:
                record = PairRecord.from_plain(row)
            except ValueError:
                continue
            found[record.job] = record
        return found
