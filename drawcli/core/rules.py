"""Which template fits a series: rules.yaml as records, and the test of one header against them.

Rules are data, never code. A condition is true, false, or unknown where the element is missing;
`all`, `any` and `not` follow Kleene's three-valued logic, and a rule fires only if it is true.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Header = Mapping[str, tuple[str, ...]]  # DICOM keyword -> its values as text


class Truth(StrEnum):
    """The outcome of a condition."""

    TRUE = "pass"
    FALSE = "fail"
    UNKNOWN = "missing"


@dataclass(frozen=True, slots=True)
class Explained:
    """A condition with its outcome, and those it is made of. Holds no value of a dataset."""

    text: str
    truth: Truth
    parts: tuple["Explained", ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """Return the tree as JSON can hold it."""
        plain: dict[str, Any] = {"condition": self.text, "outcome": str(self.truth)}
        return plain | ({"parts": [part.as_plain() for part in self.parts]} if self.parts else {})

    def failures(self) -> Iterator["Explained"]:
        """Yield the innermost conditions that kept the whole from being true."""
        if self.truth is Truth.TRUE:
            return
        inner = [part for part in self.parts if part.truth is not Truth.TRUE]
        if self.text == "not" or not inner:
            yield self
        for part in inner if self.text != "not" else ():
            yield from part.failures()


def _equals(value: str, wanted: str) -> bool:
    if value.casefold() == wanted.casefold():
        return True
    try:
        return float(value) == float(wanted)  # 3 equals 3.0 in a DS or IS
    except ValueError:
        return False


OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "equals": _equals,
    "contains": lambda value, wanted: wanted.casefold() in value.casefold(),
}


@dataclass(frozen=True, slots=True)
class Compare:
    """One element against one value; of several values in the element, any may fit."""

    keyword: str
    operator: str
    wanted: str

    def explain(self, header: Header) -> Explained:
        """Test a header; a missing or empty element is neither true nor false."""
        text = f"{self.keyword} {self.operator} {self.wanted}"
        values = [value for value in header.get(self.keyword, ()) if value]
        if not values:
            return Explained(text, Truth.UNKNOWN)
        fits = any(OPERATORS[self.operator](value, self.wanted) for value in values)
        return Explained(text, Truth.TRUE if fits else Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Every:
    """True if all parts are, false if one is."""

    parts: tuple["Condition", ...]

    def explain(self, header: Header) -> Explained:
        """Test a header against every part."""
        return _combined("all", self.parts, header, decisive=Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Either:
    """True if one part is, false if all are."""

    parts: tuple["Condition", ...]

    def explain(self, header: Header) -> Explained:
        """Test a header against every part."""
        return _combined("any", self.parts, header, decisive=Truth.TRUE)


@dataclass(frozen=True, slots=True)
class Negation:
    """True if the part is false, and unknown where it is."""

    part: "Condition"

    def explain(self, header: Header) -> Explained:
        """Test a header against the part and turn the outcome round."""
        inner = self.part.explain(header)
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


class Choice(StrEnum):
    """What the rules say of a series."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The choice, the rules that made it, and why each rule fired or did not."""

    choice: Choice
    fired: tuple[Rule, ...]  # with their templates, each template once, in the order of the file
    explanation: Mapping[str, Explained]  # rule name -> its tree

    @property
    def sentence(self) -> str:
        """Why, in one sentence without values of the series."""
        names = ", ".join(rule.name for rule in self.fired)
        match self.choice:
            case Choice.MATCHED:
                return f"rule {names}"
            case Choice.EXCLUDED:
                return f"excluded by rule {names}"
            case Choice.AMBIGUOUS:
                return f"rules that ask for different templates fit: {names}"
            case Choice.UNMATCHED:
                return f"no rule fits{self._nearest()}"

    def _nearest(self) -> str:
        failed = {name: list(tree.failures()) for name, tree in self.explanation.items()}
        if not failed:
            return ": there are no rules"
        name = min(failed, key=lambda rule: len(failed[rule]))
        what = "; ".join(f"{part.text}: {part.truth}" for part in failed[name][:3])
        return f"; nearest is {name} ({what})"


def decide(header: Header, rules: Sequence[Rule], *, on_many: str = "hold") -> Decision:
    """Test every rule; return what they say together.

    Parameters
    ----------
    header
        The elements of the series that every slice shares.
    rules
        In the order of the file.
    on_many
        What to do if rules with different templates fit: "hold", "first" or "all".
    """
    explanation = {rule.name: rule.when.explain(header) for rule in rules}
    fits = [rule for rule in rules if explanation[rule.name].truth is Truth.TRUE]
    never = tuple(rule for rule in fits if rule.exclude)
    if never:
        return Decision(choice=Choice.EXCLUDED, fired=never[:1], explanation=explanation)
    by_template: dict[str | None, Rule] = {}
    for rule in fits:
        by_template.setdefault(rule.template, rule)
    fired = tuple(by_template.values())
    if not fired:
        return Decision(choice=Choice.UNMATCHED, fired=(), explanation=explanation)
    if len(fired) > 1 and on_many == "hold":
        return Decision(choice=Choice.AMBIGUOUS, fired=fired, explanation=explanation)
    fired = fired if on_many == "all" else fired[:1]
    return Decision(choice=Choice.MATCHED, fired=fired, explanation=explanation)


def _combined(
    text: str, parts: Sequence[Condition], header: Header, *, decisive: Truth
) -> Explained:
    explained = tuple(part.explain(header) for part in parts)
    outcomes = {part.truth for part in explained}
    other = Truth.TRUE if decisive is Truth.FALSE else Truth.FALSE
    if decisive in outcomes:
        return Explained(text, decisive, explained)
    return Explained(text, Truth.UNKNOWN if Truth.UNKNOWN in outcomes else other, explained)
