"""Counts of what a listener received and refused, for status, metrics and `doctor`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

STORED, REPEATED, CONFLICT = "stored", "repeated", "conflict"  # codes of objects that came whole
_COUNTS: Final = ("stored", "repeated", "conflicts", "bytes", "associations")


class StoreOutcome(NamedTuple):
    """The answer to a C-STORE: its status, a stable code, and a comment for the sender."""

    status: int
    code: str
    comment: str = ""


@dataclass(slots=True)
class Tally:
    """Counts since the first start of a listener; `changed` says whether to write them again."""

    stored: int = 0
    repeated: int = 0  # received again with the same bytes
    conflicts: int = 0  # of a known SOP Instance UID, with other bytes
    bytes: int = 0  # of objects stored
    associations: int = 0  # accepted
    refused: Counter[str] = field(default_factory=Counter)  # objects and associations, by code
    last_stored: float = 0.0  # s since 1970; 0: never
    open: int = 0  # associations now
    changed: bool = False

    def count(self, outcome: StoreOutcome, size: int, now: float) -> None:
        """Count the answer to a C-STORE of so many bytes."""
        self.changed = True
        if outcome.code == STORED:
            self.stored, self.bytes, self.last_stored = self.stored + 1, self.bytes + size, now
        elif outcome.code == REPEATED:
            self.repeated += 1
        elif outcome.code == CONFLICT:
            self.conflicts += 1
        else:
            self.refused[outcome.code] += 1

    def refuse(self, code: str) -> None:
        """Count an association that was refused or aborted by us."""
        self.changed = True
        self.refused[code] += 1

    def opened(self, change: int) -> None:
        """Count an association that was accepted (+1) or has ended (-1)."""
        self.changed = True
        self.open += change
        self.associations += max(change, 0)

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        refused = dict(sorted(self.refused.items()))
        return counts | {"refused": refused, "last_stored": self.last_stored, "open": self.open}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Tally":
        """Return the counts of an earlier process, without its open associations.

        Raises
        ------
        ValueError, TypeError, AttributeError
            If the values are of other kinds.
        """
        tally = cls(last_stored=float(plain.get("last_stored", 0.0)))
        for name in _COUNTS:
            setattr(tally, name, int(plain.get(name, 0)))
        tally.refused.update({str(code): int(n) for code, n in plain.get("refused", {}).items()})
        return tally
