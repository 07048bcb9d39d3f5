"""The record of which targets of a list have confirmed the structure set of one job."""

import json
from pathlib import Path
from typing import Any, Final

from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably

RECORD: Final = "deliveries.json"  # in the work folder


class Confirmations:
    """The targets that have confirmed a file, in the work folder of its job.

    A target that has confirmed a file is not sent it again when a run goes on after a crash, or
    after another target has failed.
    """

    def __init__(self, work_folder: Path, sha256: str) -> None:
        self._path, self._sha256 = work_folder / RECORD, sha256

    def report_of(self, target: str) -> str | None:
        """Return what a target reported when it confirmed this file; None if it has not."""
        entry = self._read().get(target)
        return entry["report"] if entry is not None else None

    def names(self) -> set[str]:
        """Return the targets that have confirmed this file."""
        return set(self._read())

    def add(self, target: str, report: str) -> None:
        """Record that a target has confirmed this file; durable when this returns."""
        entries = self._read() | {target: {"sha256": self._sha256, "report": report}}
        write_durably(self._path, json.dumps({"targets": entries}, indent=1).encode("utf-8"))

    def forget(self) -> None:
        """Remove the record: the file is to be sent to all targets again."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the entries about this file; a record that is damaged is none."""
        try:
            entries = json.loads(self._path.read_bytes())["targets"].items()
            return {
                str(name): {"sha256": entry["sha256"], "report": str(entry["report"])}
                for name, entry in entries
                if entry["sha256"] == self._sha256
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise_shortage(err)
            return {}
