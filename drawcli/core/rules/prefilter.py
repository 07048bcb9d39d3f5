"""A prefilter for many rules: which of them can match a header.

Each comparison that a rule requires is made once for each distinct value of its element; the
outcomes are kept as one bit per rule. A header then takes one lookup per element, however many
rules there are. Only the remaining rules are tested in full.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drawcli.core.rules.conditions import Compare, Condition, Every, Rule, RuleHeader, Truth

if TYPE_CHECKING:
    from datetime import date

_MOST_VALUES: Final = 4096  # cached for each element
Values = tuple[str, ...] | None


class Screen:
    """The comparisons that rules require, by element."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._all = (1 << len(rules)) - 1
        self._asked: dict[str, dict[Compare, int]] = {}  # path -> comparison -> rules, as bits
        self._known: dict[str, dict[Values, int]] = {}  # path -> value -> remaining rules
        self._today: date | None = None
        for bit, rule in enumerate(rules):
            for compare in _needed(rule.when):
                asked = self._asked.setdefault(compare.keyword, {})
                asked[compare] = asked.get(compare, 0) | 1 << bit

    def left(self, header: RuleHeader) -> int:
        """Return the rules that may match, as bits in their order."""
        if header.today != self._today:
            self._known, self._today = {}, header.today
        left = self._all
        for path, asked in self._asked.items():
            if path in header.mixed:
                left &= self._of(asked, header)
                continue
            known = self._known.setdefault(path, {})
            values = header.values.get(path)
            found = known.get(values)
            if found is None:
                if len(known) >= _MOST_VALUES:
                    known.clear()
                found = known[values] = self._of(asked, header)
            left &= found
            if not left:
                break
        return left

    def _of(self, asked: dict[Compare, int], header: RuleHeader) -> int:
        left = self._all
        for compare, bits in asked.items():
            result = compare.explain(header)
            if result.truth is not Truth.TRUE and not result.skipped:
                left &= ~bits
        return left


class Rules(tuple[Rule, ...]):  # noqa: SLOT001 - caches its screen
    """The rules of a site, in the order of the file."""

    @cached_property
    def enabled(self) -> tuple[Rule, ...]:
        """The enabled rules."""
        return tuple(rule for rule in self if rule.enabled)

    @cached_property
    def disabled(self) -> tuple[Rule, ...]:
        """The disabled rules."""
        return tuple(rule for rule in self if not rule.enabled)

    @cached_property
    def by_name(self) -> dict[str, Rule]:
        """The rules by their names."""
        return {rule.name: rule for rule in self}

    @cached_property
    def _screen(self) -> Screen:
        return Screen(self.enabled)

    def matching(self, header: RuleHeader) -> list[Rule]:
        """Return the enabled rules whose condition is true."""
        left = self._screen.left(header)
        asked = self.enabled
        return [
            asked[bit] for bit in _bits(left) if asked[bit].when.explain(header).truth is Truth.TRUE
        ]


def _needed(when: Condition) -> Iterator[Compare]:
    """Yield the comparisons that must be true for a condition to be true."""
    if isinstance(when, Compare):
        yield when
    elif isinstance(when, Every):
        for part in when.parts:
            yield from _needed(part)


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
