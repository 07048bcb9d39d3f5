"""Conditions and rules of rules.yaml as records, and their test against the header of a series.

Rules are data, never code. A condition is true, false, or unknown where the element is missing;
`all`, `any` and `not` follow Kleene's three-valued logic, and a rule fires only if its condition
is true.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final, get_args

from drawcli.core.gate.text_traces import Traces
from drawcli.core.jobs.late_changes import Late
from drawcli.core.rules.operators import PRESENCE, Checker, ValueKind, checker_of, kind_of
from drawcli.core.rules.withheld import hide_value, mask_condition, mentions_patient

LATE: Final[tuple[Late, ...]] = get_args(Late)
OPTIONS: Final[dict[str, tuple[Any, ...]]] = {  # of a comparison, with their values
    "case": (False, True),
    "values": ("any", "all", "first", "count"),
    "slices": ("any", "all"),
    "if_missing": ("fail", "skip", "match"),
}
LONGEST_NAME: Final = 200  # characters of a rule's name, which each of its jobs keeps
LISTS: Final = frozenset({"in", "not_in", "between"})  # operators whose value is a list
_NO_DAY: Final = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class RuleHeader:
    """The values of a series that conditions compare, and the current day."""

    # Path -> texts that all slices share; path -> texts of each slice, where they differ.
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mixed: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    today: date = _NO_DAY


class Truth(StrEnum):
    """The outcome of a condition."""

    TRUE = "pass"
    FALSE = "fail"
    UNKNOWN = "missing"


@dataclass(frozen=True, slots=True)
class Explained:
    """A condition with its outcome and its parts; without values of a dataset."""

    text: str  # without values that identify a patient or hospital
    truth: Truth
    parts: tuple["Explained", ...] = ()
    note: str = ""  # "mixed": the element differs from slice to slice
    skipped: bool = False  # missing, and `if_missing` is skip
    path: str = ""  # the element compared
    whole: str = ""  # the text with identifying values, where it differs

    @property
    def in_full(self) -> str:
        """The text with identifying values, for users who may see patient data."""
        return self.whole or self.text

    @property
    def outcome(self) -> str:
        """The outcome as lists show it."""
        return "skipped" if self.skipped else self.note or str(self.truth)

    def as_plain(self) -> dict[str, Any]:
        """Return the tree as JSON types."""
        plain: dict[str, Any] = {"condition": self.text, "outcome": self.outcome}
        return plain | ({"parts": [part.as_plain() for part in self.parts]} if self.parts else {})

    def without(self, patient: Traces) -> "Explained":
        """Return the tree without wanted values that occur in the patient's identifiers."""
        parts = tuple(part.without(patient) for part in self.parts)
        if not self.whole and mentions_patient(self.text, patient):
            return replace(self, text=hide_value(self.text), whole=self.text, parts=parts)
        return replace(self, parts=parts) if parts else self

    @property
    def passed(self) -> int:
        """The number of comparisons that are true; of alternatives, in the one that has most."""
        if not self.parts or self.text == "not":
            return int(self.truth is Truth.TRUE and not self.skipped)
        counts = [part.passed for part in self.parts]
        return max(counts) if self.text == "any" else sum(counts)

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
    """The comparison of one element with the wanted value.

    By default any of several values may match (`values`), an element that differs between slices
    is unknown (`slices`), and so is an element that is missing or empty (`if_missing`).
    """

    keyword: str  # a canonical path: see `operators.canonical_path`
    operator: str
    wanted: Any
    case: bool = False
    values: str = "any"  # any, all, first, or count (compares their number)
    slices: str = ""  # any or all
    if_missing: str = "fail"  # skip: ignore the condition; match: true
    _checker: Checker | None = field(init=False, repr=False, compare=False, default=None)
    text: str = field(init=False, repr=False, compare=False, default="")  # see `Explained`
    _whole: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        """Check the wanted value; raise ValueError if an element of this kind cannot have it."""
        if self.operator not in PRESENCE:
            kind = ValueKind.NUMBER if self.values == "count" else kind_of(self.keyword)
            checker = checker_of(self.operator, self.wanted, kind, case=self.case)
            object.__setattr__(self, "_checker", checker)
        text = self._in_full()
        shown = mask_condition(text)
        object.__setattr__(self, "text", shown)
        object.__setattr__(self, "_whole", text if shown != text else "")

    def _in_full(self) -> str:
        """Return the condition as one line."""
        wanted = ", ".join(map(str, self.wanted)) if isinstance(self.wanted, tuple) else self.wanted
        words = [self.keyword, self.operator.replace("_", " "), str(wanted)]
        words += [f"({self.values} of its values)"] if self.values != "any" else []
        words += [f"({self.slices} slice)"] if self.slices else []
        return " ".join(words)

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header."""
        return replace(self._test(header), path=self.keyword, whole=self._whole)

    def _test(self, header: RuleHeader) -> Explained:
        found, mixed = header.values.get(self.keyword), header.mixed.get(self.keyword)
        if self.operator in PRESENCE:
            return self._test_presence(found if mixed is None else mixed[0])
        if mixed is not None:
            if not self.slices:
                return Explained(self.text, Truth.UNKNOWN, note="mixed")
            outcomes = [self._outcome(many, header.today) for many in mixed]
            whole = (
                any(outcomes)
                if self.slices == "any"
                else all(outcome is True for outcome in outcomes)
            )
            return Explained(self.text, Truth.TRUE if whole else Truth.FALSE)
        outcome = self._outcome(found or (), header.today)
        if outcome is None:
            return self._result_if_missing()
        return Explained(self.text, Truth.TRUE if outcome else Truth.FALSE)

    def _outcome(self, found: tuple[str, ...], today: date) -> bool | None:
        """Return whether the values match; None if there is none of the element's kind."""
        assert self._checker is not None  # noqa: S101 - presence has its own test
        values = [value for value in found if value]
        if self.values == "count":
            return self._checker(str(len(values)), today)
        values = values[:1] if self.values == "first" else values
        outcomes = [fits for v in values if (fits := self._checker(v, today)) is not None]
        if not outcomes:
            return None
        return all(outcomes) if self.values == "all" else any(outcomes)

    def _result_if_missing(self) -> Explained:
        truth = Truth.TRUE if self.if_missing == "match" else Truth.UNKNOWN
        return Explained(self.text, truth, skipped=self.if_missing == "skip")

    def _test_presence(self, found: tuple[str, ...] | None) -> Explained:
        there = {
            "exists": found is not None and any(found),
            "missing": found is None,
            "empty": found is not None and not any(found),
        }[self.operator]
        return Explained(self.text, Truth.TRUE if there is self.wanted else Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Every:
    """True if all parts are true, false if any part is false."""

    parts: tuple["Condition", ...]

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against every part."""
        return _combine("all", self.parts, header, decisive=Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Either:
    """True if any part is true, false if all parts are false."""

    parts: tuple["Condition", ...]

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against every part."""
        return _combine("any", self.parts, header, decisive=Truth.TRUE)


@dataclass(frozen=True, slots=True)
class Negation:
    """True if the part is false, false if it is true, else unknown."""

    part: "Condition"

    def explain(self, header: RuleHeader) -> Explained:
        """Test a header against the part and negate the outcome."""
        inner = self.part.explain(header)
        if inner.skipped:
            return Explained("not", Truth.UNKNOWN, (inner,), skipped=True)
        turned = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE}.get(inner.truth, Truth.UNKNOWN)
        return Explained("not", turned, (inner,))


Condition = Compare | Every | Either | Negation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition with the templates of the series that meet it, or with their exclusion."""

    name: str
    template: str | None  # None where exclude is set
    when: Condition
    exclude: bool = False
    priority: int = 0  # of the matching rules only those with the highest apply
    enabled: bool = True
    others: tuple[str, ...] = ()  # further templates, where match.on_many is all
    late: Late | None = None  # None: as in the settings

    @property
    def templates(self) -> tuple[str, ...]:
        """The template and the further ones."""
        return (*filter(None, (self.template,)), *self.others)


def _combine(
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
