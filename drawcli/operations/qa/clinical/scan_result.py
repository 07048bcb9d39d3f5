"""What a scan for clinical structure sets is asked for, and what it found."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any

from drawcli.core.qa.pair_rows import in_words
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.errors import DrawcliError


@dataclass(frozen=True, slots=True, kw_only=True)
class QaScanOptions:
    """Which jobs a scan takes, and for how long."""

    job: str | None = None
    again: bool = False  # also those of which nothing has changed
    seconds: float = inf  # no pair is begun after this time
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class QaNews:
    """What a scan recorded of a job, in short."""

    job: str
    template: str
    status: PairStatus
    passed_over: tuple[str, ...]  # the reason of each further structure set
    summary: str

    @classmethod
    def of(cls, record: PairRecord) -> "QaNews":
        """Return what a record says."""
        facts = (record.job, record.template, record.status, record.passed_over)
        return cls(*facts, in_words(record))


@dataclass(slots=True)
class QaScanResult:
    """What a scan found."""

    news: dict[str, QaNews] = field(default_factory=dict)  # by job
    jobs: int = 0  # delivered jobs whose work folder is there
    left: int = 0  # for the next scan: the time was over
    warnings: list[DrawcliError] = field(default_factory=list)

    def as_plain(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "jobs": self.jobs,
            "left": self.left,
            "recorded": dict(Counter(str(one.status) for one in self.news.values())),
            "pairs": [asdict(one) for one in self.news.values()],
        }
