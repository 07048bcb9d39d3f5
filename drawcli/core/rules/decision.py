"""The decision of all rules together on one series."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import Final, NamedTuple

from drawcli.core.rules.conditions import (
    Compare,
    Condition,
    Every,
    Explained,
    Negation,
    Rule,
    RuleHeader,
    Truth,
)
from drawcli.core.rules.prefilter import Rules
from drawcli.core.rules.privacy import paths_in, patient_of

# Facts that further slices of the series may change.
_UNSURE: Final = frozenset({"slices", "spacing_mm", "extent_mm", "oblique", "folder"})

_EXCLUDES: Final = "excludes"
_DISABLED: Final = "disabled"
_MOST_NAMES: Final = 20  # of rules that match, in a sentence: each job keeps it
_MOST_EQUAL: Final = 2  # rules as near as the nearest, in a sentence


class Choice(StrEnum):
    """The kind of decision on a series."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    EXCLUDED = "excluded"


class NearMiss(NamedTuple):
    """A rule that did not fire."""

    name: str
    failed: list[Explained]  # the innermost conditions that kept it from firing
    passed: int  # comparisons that are true
    note: str = ""  # "excludes" or "disabled": it would send nothing

    @property
    def order(self) -> tuple[bool, bool, int, int]:
        """The key for sorting, the nearest first: of two with one key neither is nearer."""
        return (self.note == _DISABLED, bool(self.note), -self.passed, len(self.failed))

    @property
    def text(self) -> str:
        """Its name, and how far away it is."""
        number = len(self.failed)
        far = "one condition away" if number == 1 else f"{number} conditions away"
        notes = [far if self.failed else "matches", *([self.note] if self.note else [])]
        return f"{self.name} ({'; '.join(notes)})"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The choice, the rules that made it, and why each rule fired or did not.

    Its texts contain no identifying values that the rules or the header have.
    """

    choice: Choice
    fired: tuple[Rule, ...]  # each template once, in the order of the file
    header: RuleHeader = field(repr=False)
    asked: tuple[Rule, ...] = field(repr=False)
    idle: tuple[Rule, ...] = field(default=(), repr=False)  # disabled

    @cached_property
    def explanation(self) -> Mapping[str, Explained]:
        """The explanation of every enabled rule, by its name."""
        patient = patient_of(self.header)
        return {rule.name: rule.when.explain(self.header).without(patient) for rule in self.asked}

    @property
    def sentence(self) -> str:
        """The reason, in one sentence without values of the series."""
        names = ", ".join(rule.name for rule in self.fired[:_MOST_NAMES])
        if more := len(self.fired[_MOST_NAMES:]):
            names += f" and {more} more"
        match self.choice:
            case Choice.MATCHED:
                return f"rule {names}"
            case Choice.EXCLUDED:
                return f"excluded by rule {names}"
            case Choice.AMBIGUOUS:
                return f"several rules with different templates match: {names}"
            case Choice.UNMATCHED:
                return f"no rule matches{self._nearest()}"

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates of the rules that made the choice, in the order of the file."""
        return tuple(template for rule in self.fired for template in rule.templates)

    @cached_property
    def near_misses(self) -> list[NearMiss]:
        """The rules that did not fire: first those with the most conditions passed.

        Rules that exclude come behind all that send, and disabled ones last.
        """
        patient = patient_of(self.header)
        found = [
            NearMiss(rule.name, parts, tree.passed, _EXCLUDES if rule.exclude else "")
            for rule in self.asked
            for tree in (self.explanation[rule.name],)
            if (parts := list(tree.failures()))
        ]
        for rule in self.idle:
            tree = rule.when.explain(self.header).without(patient)
            found.append(NearMiss(rule.name, list(tree.failures()), tree.passed, _DISABLED))
        return sorted(found, key=lambda miss: miss.order)

    def _nearest(self) -> str:
        """Return the nearest rule with its first failed conditions, and those as near."""
        if not self.near_misses:
            return ": there are no rules"
        first, *others = self.near_misses
        conditions = "; ".join(f"{part.text}: {part.outcome}" for part in first.failed[:3])
        note = f"{first.note}; " if first.note else ""
        equal = [miss.name for miss in others if miss.order == first.order]
        more = f" and {len(equal) - _MOST_EQUAL} more" if len(equal) > _MOST_EQUAL else ""
        as_near = f"; as near: {', '.join(equal[:_MOST_EQUAL])}{more}" if equal else ""
        return f"; nearest is {first.name} ({note}{conditions or 'it matches'}){as_near}"


def decide_early(header: RuleHeader, rules: Sequence[Rule]) -> Decision | None:
    """Return the decision on an incomplete series that no further slice can change, else None.

    Facts that depend on the number of slices, and elements that differ between slices, may change.
    """
    book = rules if isinstance(rules, Rules) else Rules(rules)
    decided = partial(Decision, header=header, asked=book.enabled, idle=book.disabled)
    asked = {path for rule in book.enabled for path in paths_in(rule.when)}
    unsure = _UNSURE | {path for path in asked if path in header.mixed}
    for rule in book.matching(header):
        if rule.exclude and unsure.isdisjoint(paths_in(rule.when)):
            return decided(choice=Choice.EXCLUDED, fired=(rule,))
    wanted = (rule.when for rule in book.enabled if not rule.exclude)
    if any(_may_be(when, header, unsure, wanted=Truth.TRUE) for when in wanted):
        return None
    return decided(choice=Choice.UNMATCHED, fired=())


def _may_be(
    when: Condition, header: RuleHeader, unsure: AbstractSet[str], *, wanted: Truth
) -> bool:
    """Return whether a condition may have the wanted outcome with more slices."""
    if isinstance(when, Compare):
        now = when.explain(header)
        return when.keyword in unsure or now.skipped or now.truth is wanted
    if isinstance(when, Negation):
        turned = Truth.FALSE if wanted is Truth.TRUE else Truth.TRUE
        return _may_be(when.part, header, unsure, wanted=turned)
    outcomes = [_may_be(part, header, unsure, wanted=wanted) for part in when.parts]
    if not outcomes:
        return wanted is Truth.TRUE
    needs_all = isinstance(when, Every) == (wanted is Truth.TRUE)
    return all(outcomes) if needs_all else any(outcomes)


def decide(header: RuleHeader, rules: Sequence[Rule], *, on_many: str = "hold") -> Decision:
    """Test every rule and return the decision.

    Parameters
    ----------
    header
        The elements of the series that every slice shares.
    rules
        In the order of the file.
    on_many
        What to do if rules with different templates match: "hold", "first" or "all".
    """
    book = rules if isinstance(rules, Rules) else Rules(rules)
    fits = book.matching(header)
    decided = partial(Decision, header=header, asked=book.enabled, idle=book.disabled)
    never = tuple(rule for rule in fits if rule.exclude)
    if never:
        return decided(choice=Choice.EXCLUDED, fired=never[:1])
    highest = max((rule.priority for rule in fits), default=0)
    by_template: dict[str, Rule] = {}
    for rule in fits:
        for template in rule.templates if rule.priority == highest else ():
            by_template.setdefault(template, replace(rule, template=template, others=()))
    fired = tuple(by_template.values())
    if not fired:
        return decided(choice=Choice.UNMATCHED, fired=())
    if len(fired) > 1 and on_many == "hold":
        return decided(choice=Choice.AMBIGUOUS, fired=fired)
    fired = fired if on_many == "all" else fired[:1]
    return decided(choice=Choice.MATCHED, fired=fired)
