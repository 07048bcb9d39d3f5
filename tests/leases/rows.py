"""The database's half of the rules of claims, as a model; `test_sql` compares the SQL with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Fences = Sequence[tuple[str, int]]


class Holder(NamedTuple):
    host: str
    pid: int
    boot: str


class Write(NamedTuple):
    """A new version of a job, of the revision that was read."""

    job_id: str
    fence: int | None
    revision: int
    record: Any
    last: bool = False


NOBODY = Holder("", 0, "")


@dataclass(slots=True)
class Row:
    """A job; times in seconds."""

    id: str
    record: Any
    state: str = "found"
    archived: bool = False
    revision: int = 0
    fence: int = 0
    holder: Holder = NOBODY
    until: float | None = None


@dataclass
class Rows:
    """The jobs of a site. `now` is the clock of the database unless a rule says otherwise."""

    seconds: float  # of a lease
    rows: dict[str, Row] = field(default_factory=dict)

    def claim(self, job_id: str, holder: Holder, now: float) -> int | None:
        row = self.rows.get(job_id)
        if row is None or not self.is_free(row, now):
            return None
        return self._taken(row, holder, now)

    def renew(self, fences: Fences, now: float) -> set[str]:
        kept = set()
        for job_id, fence in fences:
            row = self.rows.get(job_id)
            if row is not None and row.fence == fence and row.until is not None:
                row.until = now + self.seconds
                kept.add(job_id)
        return kept

    def release(self, fences: Fences) -> None:
        for job_id, fence in fences:
            row = self.rows.get(job_id)
            if row is not None and row.fence == fence:
                row.until = None

    def write(self, asked: Write, now: float) -> bool:
        row = self.rows.get(asked.job_id)
        if row is None or row.until is None:
            return False
        if row.fence != asked.fence or row.revision != asked.revision:
            return False
        self.store(row, asked, now)
        return True

    def of_host(self, host: str, boot: str, now: float) -> list[tuple[str, int, int]]:
        return [
            (row.id, row.fence, row.holder.pid)
            for row in self.rows.values()
            if not row.archived and row.until is not None and row.until > now
            if (row.holder.host, row.holder.boot) == (host, boot)
        ]

    @staticmethod
    def is_free(row: Row, now: float) -> bool:
        return row.until is None or row.until <= now

    def store(self, row: Row, asked: Write, now: float) -> None:
        row.record, row.revision, row.archived = asked.record, asked.revision + 1, False
        row.until = None if asked.last else now + self.seconds

    def _taken(self, row: Row, holder: Holder, now: float) -> int:
        row.fence += 1
        row.holder, row.until = holder, now + self.seconds
        return row.fence
