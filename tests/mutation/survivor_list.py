"""The survivors that are known, each with the word of its reason: tests/mutation/survivors/."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests.mutation.verdicts import Mutant

FOLDER: Final = Path(__file__).parent / "survivors"
NO_REASON: Final = "?"  # of a survivor without a decision


@dataclass
class SurvivorList:
    """The head of a file (tests that are run, meanings of the reasons) and its survivors."""

    head: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # by change, as Mutant names it

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; a line that is neither head nor survivor is an error."""
        known = cls()
        for line in path.read_text().splitlines():
            word, bar, change = line.partition(" | ")
            if bar:
                known.reasons[change] = word
                continue
            known.head.append(line)
            kind, _, rest = line.partition(" ")
            if kind == "tests":
                known.tests += rest.split()
            elif kind == "reason":
                word, colon, meaning = rest.partition(": ")
                if not colon:
                    raise ValueError(f"{path.name}: no meaning: {line}")
                known.meanings[word] = meaning
            elif line and kind != "#":
                raise ValueError(f"{path.name}: {line}")
        return known

    def compared(self, found: Iterable[Mutant]) -> Self:
        """Return the list of what survives now, with the reasons known so far."""
        reasons = {
            mutant.change: self.reasons.get(mutant.change, NO_REASON)
            for mutant in found
            if mutant.survives
        }
        return type(self)(self.head, self.tests, self.meanings, reasons)

    def unexplained(self) -> list[str]:
        """Return the survivors without a reason, or with one that the head does not explain."""
        return sorted(change for change, word in self.reasons.items() if word not in self.meanings)

    def text(self) -> str:
        """Return the content of the file."""
        lines = sorted(f"{word} | {change}" for change, word in self.reasons.items())
        return "\n".join([*self.head, *lines]) + "\n"
