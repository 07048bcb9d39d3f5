"""Which template fits a series: rules.yaml as records, and the test of one header against them.

Rules are data, never code. A condition is true, false, or unknown where the element is missing;
`all`, `any` and `not` follow Kleene's three-valued logic, and a rule fires only if it is true.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final, get_args

from drawcli.core.gate.text_traces import Traces
from drawcli.core.jobs.late_changes import Late
from drawcli.core.rules.operators import PRESENCE, Checker, ValueKind, checker_of, kind_of
from drawcli.core.rules.withheld import emptied, masked, names

LATE: Final[tuple[Late, ...]] = get_args(Late)
OPTIONS: Final[dict[str, tuple[Any, ...]]] = {  # of a comparison, and what each may be
    "case": (False, True),
    "values": ("any", "all", "first", "count"),
    "slices": ("any", "all"),
    "if_missing": ("fail", "skip", "match"),
}
LISTS: Final = frozenset({"in", "not_in", "between"})  # operators whose value is a list
_NO_DAY: Final = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class RuleHeader:
    """What rules can ask of a series, and the day on which they ask."""

    values: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # path -> text, of all slices
    mixed: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)  # path -> of each
    today: date = _NO_DAY


class Truth(StrEnum):
    """The outcome of a condition."""

    TRUE = "pass"
    FALSE = "fail"
    UNKNOWN = "missing"


@dataclass(frozen=True, slots=True)
class Explained:
    """A condition with its outcome, and those it is made of. Holds no value of a dataset."""

    text: str  # as anybody may see it
    truth: Truth
    parts: tuple["Explained", ...] = ()
    note: str = ""  # "mixed": the element differs from slice to slice
    skipped: bool = False  # missing, and the author said that it does not count then
    path: str = ""  # which element was asked for
    whole: str = ""  # the text with what is asked of a patient, where that differs

    @property
    def in_full(self) -> str:
        """The text for one who may see patients."""
        return self.whole or self.text

    @property
    def outcome(self) -> str:
        """The outcome in a word."""
        return "skipped" if self.skipped else self.note or str(self.truth)

    def as_plain(self) -> dict[str, Any]:
        """Return the tree as JSON can hold it."""
        plain: dict[str, Any] = {"condition": self.text, "outcome": self.outcome}
        return plain | ({"parts": [part.as_plain() for part in self.parts]} if self.parts else {})

    def without(self, patient: Traces) -> "Explained":
        """Return the tree without whatever it asks for that names the patient of the series."""
        parts = tuple(part.without(patient) for part in self.parts)
        if not self.whole and names(self.text, patient):
            return replace(self, text=emptied(self.text), whole=self.text, parts=parts)
        return replace(self, parts=parts) if parts else self

    def failures(self) -> Iterator["Explained"]:
        """Yield the innermost conditions that kept the whole from being true."""
        if self.truth is Truth.TRUE:
            return
        parts = (part for part in self.parts if not part.skipped)
        inner = [part for part in parts if part.truth is not Truth.TRUE]
        if self.text == "not" or not inner:
            yield self
        for part in inner if self.text != "not" else ():
            yield from part.failures()


@dataclass(frozen=True, slots=True)
class Compare:
    """One element against what is wanted.

    Of several values of an element any may fit, where `values` does not say otherwise; an element
    that differs from slice to slice fits nothing, where `slices` does not say which count. One that
    is missing or empty is neither true nor false, where `if_missing` does not say otherwise.
    """

    keyword: str  # a canonical path: see `operators.canonical`
    operator: str
    wanted: Any
    case: bool = False
    values: str = "any"  # any, all, first, or count: their number is compared
    slices: str = ""  # any or all
    if_missing: str = "fail"  # skip: as if the condition were not there; match: true
    _checker: Checker | None = field(init=False, repr=False, compare=False, default=None)
    text: str = field(init=False, repr=False, compare=False, default="")  # as anybody may see it
    _whole: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        """Check what is wanted; raise ValueError where an element of this kind cannot have it."""
        if self.operator not in PRESENCE:
            kind = ValueKind.NUMBER if self.values == "count" else kind_of(self.keyword)
            checker = checker_of(self.operator, self.wanted, kind, case=self.case)
            object.__setattr__(self, "_checker", checker)
        text = self._in_full()
        shown = masked(text)
        object.__setattr__(self, "text", shown)
        object.__setattr__(self, "_whole", text if shown != text else "")

    def _in_full(self) -> str:
        """Return the condition in a line, without values of a series."""
        wanted = ", ".join(map(str, self.wanted)) if isinstance(self.wanted, tuple) else self.wanted
        words = [self.keyword, self.operator.replace("_", " "), str(wanted)]
        words += [f"({self.values} of its values)"] if self.values != "any" else []
        words += [f"({self.slices} slice)"] if self.slices else []
        return " ".join(words)

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header; say which element was asked for."""
        return replace(self._explained(header), path=self.keyword, whole=self._whole)

    def _explained(self, header: RuleHeader) -> Explained:
        found, mixed = header.values.get(self.keyword), header.mixed.get(self.keyword)
        if self.operator in PRESENCE:
            return self._presence(found if mixed is None else mixed[0])
        if mixed is not None:
            if not self.slices:
                return Explained(self.text, Truth.UNKNOWN, note="mixed")
            outcomes = [self._outcome(many, header.today) for many in mixed]
            whole = any(outcomes) if self.slices == "any" else all(one is True for one in outcomes)
            return Explained(self.text, Truth.TRUE if whole else Truth.FALSE)
        outcome = self._outcome(found or (), header.today)
        if outcome is None:
            return self._missing()
        return Explained(self.text, Truth.TRUE if outcome else Truth.FALSE)

    def _outcome(self, found: tuple[str, ...], today: date) -> bool | None:
        """Return whether values fit; None where there is none of the element's kind."""
        assert self._checker is not None  # noqa: S101 - presence is told elsewhere
        values = [value for value in found if value]
        if self.values == "count":
            return self._checker(str(len(values)), today)
        values = values[:1] if self.values == "first" else values
        outcomes = [one for one in (self._checker(v, today) for v in values) if one is not None]
        if not outcomes:
            return None
        return all(outcomes) if self.values == "all" else any(outcomes)

    def _missing(self) -> Explained:
        truth = Truth.TRUE if self.if_missing == "match" else Truth.UNKNOWN
        return Explained(self.text, truth, skipped=self.if_missing == "skip")

    def _presence(self, found: tuple[str, ...] | None) -> Explained:
        there = {
            "exists": found is not None and any(found),
            "missing": found is None,
            "empty": found is not None and not any(found),
        }[self.operator]
        return Explained(self.text, Truth.TRUE if there is self.wanted else Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Every:
    """True if all parts are, false if one is."""

    parts: tuple["Condition", ...]

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against every part."""
        return _combined("all", self.parts, header, decisive=Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Either:
    """True if one part is, false if all are."""

    parts: tuple["Condition", ...]

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against every part."""
        return _combined("any", self.parts, header, decisive=Truth.TRUE)


@dataclass(frozen=True, slots=True)
class Negation:
    """True if the part is false, and unknown where it is."""

    part: "Condition"

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against the part and turn the outcome round."""
        inner = self.part.explain(header)
        if inner.skipped:
            return Explained("not", Truth.UNKNOWN, (inner,), skipped=True)
        turned = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE}.get(inner.truth, Truth.UNKNOWN)
        return Explained("not", turned, (inner,))


Condition = Compare | Every | Either | Negation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A template, and when a series gets it; or a series that is never sent."""

    name: str
    template: str | None  # None where exclude is set
    when: Condition
    exclude: bool = False
    priority: int = 0  # of the rules that fit only those with the highest count
    enabled: bool = True
    others: tuple[str, ...] = ()  # further templates, where match.on_many is all
    late: Late | None = None  # None: as the settings say

    @property
    def templates(self) -> tuple[str, ...]:
        """All that it asks for."""
        return (*filter(None, (self.template,)), *self.others)


def _combined(
    text: str, parts: Sequence[Condition], header: RuleHeader, *, decisive: Truth
) -> Explained:
    if not parts:
        return Explained("always", Truth.TRUE)
    explained = tuple(part.explain(header) for part in parts)
    outcomes = {part.truth for part in explained if not part.skipped} or {Truth.UNKNOWN}
    other = Truth.TRUE if decisive is Truth.FALSE else Truth.FALSE
    if decisive in outcomes:
        return Explained(text, decisive, explained)
    return Explained(text, Truth.UNKNOWN if Truth.UNKNOWN in outcomes else other, explained)
