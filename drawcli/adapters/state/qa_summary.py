"""The present state of quality assurance in one small file: `state_dir/qa/summary.json`.

It is made from the records after each scan for clinical structure sets. Without it, or if it is
damaged, nothing is known, and the next scan makes it again.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.system.files import make_private, write_durably

if TYPE_CHECKING:
    from drawcli.core.qa.summary import QaSummary

FOLDER: Final = "qa"
SUMMARY: Final = "summary.json"


def read_summary(state_dir: Path) -> "QaSummary | None":
    """Return the summary of a site; None if there is none that can be read."""
    try:
        raw = (state_dir / FOLDER / SUMMARY).read_bytes()
        from drawcli.core.qa.summary import QaSummary  # only where there is a summary

        return QaSummary.from_plain(json.loads(raw))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def write_summary(state_dir: Path, summary: "QaSummary") -> None:
    """Replace the summary; durable when this returns.

    Raises
    ------
    DiskFull, OSError
        If it cannot be written.
    """
    folder = make_private(state_dir / FOLDER)
    write_durably(folder / SUMMARY, json.dumps(summary.as_plain()).encode("ascii"))
