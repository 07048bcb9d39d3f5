"""The results of the last `doctor`, kept for the verdict: `state_dir/checks.json`.

Without the file, or if it is damaged, nothing is known of the checks that take time.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.operations.doctor.outcome import CheckResult, Grade, Outcome
from drawcli.system.files import write_durably

FILE_NAME: Final = "checks.json"
KEPT_FOR: Final = timedelta(days=7)  # an older result says little about the present


class KeptOutcome(NamedTuple):
    """The result of a check, and when it was made."""

    at: datetime  # UTC
    outcome: Outcome


def keep_outcomes(state_dir: Path, outcomes: Iterable[Outcome], now: datetime) -> None:
    """Store results; those of checks that were not made this time stay.

    Raises
    ------
    DiskFull, OSError
        If the file cannot be written.
    """
    made = [one for one in outcomes if one.result.grade is not Grade.SKIP]
    known = {one.outcome.check: one for one in read_outcomes(state_dir, now)}
    known |= {one.check: KeptOutcome(now, one) for one in made}
    rows = [one.outcome.as_plain() | {"at": one.at.isoformat()} for one in known.values()]
    data = json.dumps({"checks": rows}, indent=1).encode("ascii")
    write_durably(state_dir / FILE_NAME, data)


def read_outcomes(state_dir: Path, now: datetime) -> list[KeptOutcome]:
    """Return the results that are not too old; none if there is nothing that can be read."""
    try:
        rows = json.loads((state_dir / FILE_NAME).read_bytes())["checks"]
        kept = [_outcome(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [one for one in kept if timedelta() <= now - one.at <= KEPT_FOR]


def _outcome(row: dict[str, Any]) -> KeptOutcome:
    result = CheckResult(Grade(row["grade"]), str(row["text"]), str(row["remedy"] or ""))
    return KeptOutcome(datetime.fromisoformat(row["at"]), Outcome(str(row["check"]), result))
