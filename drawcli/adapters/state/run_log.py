"""The run book: when cron's runs were, how they ended, and what they did, in counts.

It names no patient and no job. Nothing depends on it but what people and alarms are told: a line
that a crash cut short is passed over.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from drawcli.system.files import PRIVATE, write_durably

FILE_NAME: Final = "runs.jsonl"
ANSWERED: Final = "answered"
OUT_OF_REACH: Final = "out-of-reach"
WELL: Final = frozenset({0, 6, 9})  # exit codes of a run that went through to its end
EARLY: Final = frozenset({1, 3, 4, 5, 12})  # of one that could not come to its end
KILLED: Final = 137  # of one that broke off, as a shell says it of a program that was killed
BROKE_OFF: Final = "broke-off"
_LARGEST: Final = 2_000_000  # bytes, some 7,000 runs; then the older half goes


def new_run_id() -> str:
    """Return a name for a run: 8 hex digits."""
    return uuid.uuid4().hex[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the whole cycle. Times are UTC."""

    id: str
    began: datetime
    ended: datetime
    exit_code: int
    error: str = ""  # the code of what ended it early
    server: str = ""  # answered, out-of-reach, or "" where it was not asked
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # step, outcome: jobs

    @property
    def went_well(self) -> bool:
        """Whether it came to its end; jobs may have been held on the way."""
        return self.exit_code in WELL

    @property
    def ended_early(self) -> bool:
        """Whether something kept it from its end that a person has to mend."""
        return self.exit_code in EARLY

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return a run from its line in the book; raise ValueError where it is none."""
        names = {one.name for one in fields(cls)}
        try:
            times = {name: datetime.fromisoformat(plain[name]) for name in ("began", "ended")}
            return cls(**{name: plain[name] for name in names & plain.keys()} | times)
        except (KeyError, TypeError, AttributeError):
            raise ValueError("no run") from None


class RunBook:
    """The run book of a site."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME

    def add(self, run: Run) -> None:
        """Write one more run down."""
        plain = asdict(run) | {"began": run.began.isoformat(), "ended": run.ended.isoformat()}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(self._path, flags, PRIVATE), "ab") as stream:  # noqa: PTH123 - the mode
            stream.write(b"\n" + json.dumps(plain).encode("ascii"))  # behind what was cut short
        if self._path.stat().st_size > _LARGEST:
            kept = self._path.read_bytes()[-_LARGEST // 2 :].partition(b"\n")[2]
            write_durably(self._path, kept)

    def newest_first(self) -> Iterator[Run]:
        """Yield the runs, the newest first."""
        try:
            written = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in reversed(written.splitlines()):
            try:
                yield Run.from_json(json.loads(line))
            except ValueError:
                continue

    def last(self) -> Run | None:
        """Return the newest run."""
        return next(self.newest_first(), None)

    def last_success(self) -> Run | None:
        """Return the newest run that came to its end."""
        return next((run for run in self.newest_first() if run.went_well), None)

    def server_last_seen(self) -> Run | None:
        """Return the newest run that asked the server anything."""
        return next((run for run in self.newest_first() if run.server), None)
