"""What a pull has done: for each archive, and for each series that it names."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from drawcli.errors import DrawcliError

# Outcomes of a series.
PULLED: Final = "pulled"  # all expected instances were stored by this pull
COMPLETE: Final = "complete"  # it was pulled earlier, and has not grown
KNOWN: Final = "known"  # the ledger has it, and it was not pulled: it came by another way
WAITING: Final = "waiting"  # not complete: the next pull goes on
REFUSED: Final = "refused"  # the archive refuses it, or answers wrongly
NOTHING: Final = "nothing"  # it has no instance that is received
LEFT: Final = "left"  # no time was left
WOULD_PULL: Final = "would-pull"  # in a dry run

# Outcomes of an archive.
ASKED: Final = "asked"
FAILED: Final = "failed"
OUTSIDE: Final = "outside-window"
BACKING_OFF: Final = "waits"  # until the next try after a failure
UNASKED: Final = "no-time"


@dataclass(slots=True)
class PulledSeries:
    """The outcome of one series; the key is that of its jobs."""

    key: str
    outcome: str
    expected: int = 0  # instances
    stored: int = 0  # by this pull
    missing: int = 0  # before this pull in a dry run, else after it
    bytes: int = 0  # stored by this pull
    code: str = ""
    text: str = ""
    error: DrawcliError | None = None
    is_new: bool = False  # it is refused for the first time

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON types."""
        plain = {name: getattr(self, name) for name in ("key", "outcome", "expected", "stored")}
        return plain | {"missing": self.missing, "code": self.code or None, "text": self.text}


@dataclass(slots=True)
class PulledSource:
    """The outcome of one archive."""

    name: str
    outcome: str = ASKED
    series: list[PulledSeries] = field(default_factory=list)
    error: DrawcliError | None = None  # why it failed
    problems: list[DrawcliError] = field(default_factory=list)  # with single studies
    without: Counter[str] = field(default_factory=Counter)  # answers that lack a key's attribute
    is_new: bool = False  # it is refused for the first time

    @property
    def counts(self) -> Counter[str]:
        """The number of series by outcome."""
        return Counter(one.outcome for one in self.series)

    @property
    def stored(self) -> int:
        """The number of instances that were stored."""
        return sum(one.stored for one in self.series)

    @property
    def bytes(self) -> int:
        """The bytes of their data sets."""
        return sum(one.bytes for one in self.series)

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "source": self.name,
            "outcome": self.outcome,
            "error": None if self.error is None else str(self.error),
            "code": None if self.error is None else self.error.code,
            "counts": dict(self.counts),
            "instances": self.stored,
            "bytes": self.bytes,
            "series": [one.as_plain() for one in self.series],
            "problems": [str(one) for one in self.problems],
            "without_attribute": dict(self.without),
        }


@dataclass(slots=True)
class PullReport:
    """The outcome of a pull."""

    sources: list[PulledSource] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """The number of series by outcome, of all archives."""
        return sum((one.counts for one in self.sources), Counter[str]())

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"sources": [one.as_plain() for one in self.sources], "counts": dict(self.counts)}
