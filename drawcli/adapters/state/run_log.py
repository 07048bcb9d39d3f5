"""The run log: time, exit code and counts of each run of the whole cycle.

It names no patient and no job. It is used for reports and alarms only; a line that a crash cut
short is skipped.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from drawcli.system.files import PRIVATE, write_durably

FILE_NAME: Final = "runs.jsonl"
ANSWERED: Final = "answered"
OUT_OF_REACH: Final = "out-of-reach"
WELL: Final = frozenset({0, 6, 9})  # exit codes of a complete run
EARLY: Final = frozenset({1, 3, 4, 5, 12})  # exit codes of a run that ended early
KILLED: Final = 137  # of a killed run, as a shell reports SIGKILL
BROKE_OFF: Final = "broke-off"
_LARGEST: Final = 2_000_000  # bytes, about 7,000 runs; then the older half is removed


def new_run_id() -> str:
    """Return a random id of a run: 8 hex digits."""
    return uuid.uuid4().hex[:8]


class Run(NamedTuple):
    """One run of the whole cycle. Times are UTC."""

    id: str
    began: datetime
    ended: datetime
    exit_code: int
    error: str = ""  # reason code, if it ended early
    server: str = ""  # answered, out-of-reach, or "" without a request
    counts: Mapping[str, Mapping[str, int]] = {}  # step, outcome: jobs

    @property
    def went_well(self) -> bool:
        """Whether the run was complete; jobs may have been held."""
        return self.exit_code in WELL

    @property
    def ended_early(self) -> bool:
        """Whether the run ended early for a reason that someone has to fix."""
        return self.exit_code in EARLY

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return a run from a line of the log; raise ValueError if it is not one."""
        names = {*cls._fields}
        try:
            times = {name: datetime.fromisoformat(plain[name]) for name in ("began", "ended")}
            return cls(**{name: plain[name] for name in names & plain.keys()} | times)
        except (KeyError, TypeError, AttributeError):
            raise ValueError("not a run") from None


class RunLog:
    """The run log of a site."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME

    def add(self, run: Run) -> None:
        """Append a run."""
        plain = run._asdict() | {"began": run.began.isoformat(), "ended": run.ended.isoformat()}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(self._path, flags, PRIVATE), "ab") as stream:  # noqa: PTH123 - the mode
            stream.write(b"\n" + json.dumps(plain).encode("ascii"))  # the last line may be torn
        if self._path.stat().st_size > _LARGEST:
            kept = self._path.read_bytes()[-_LARGEST // 2 :].partition(b"\n")[2]
            write_durably(self._path, kept)

    def newest_first(self) -> Iterator[Run]:
        """Yield the runs, the newest first."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in reversed(content.splitlines()):
            try:
                yield Run.from_json(json.loads(line))
            except ValueError:
                continue

    def last(self) -> Run | None:
        """Return the newest run."""
        return next(self.newest_first(), None)

    def last_success(self) -> Run | None:
        """Return the newest complete run."""
        return next((run for run in self.newest_first() if run.went_well), None)
