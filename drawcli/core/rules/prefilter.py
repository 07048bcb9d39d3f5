"""Which of many rules can fit a header at all, before any of them is tested whole.

Every comparison that a rule cannot do without is made once for each value that an element has, and
its outcome kept as one bit a rule. A header is then asked about with one step for each element that
the rules name, however many the rules are; only those that are left are tested in full.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drawcli.core.rules.conditions import Compare, Condition, Every, Rule, RuleHeader, Truth

if TYPE_CHECKING:
    from datetime import date

_MOST_VALUES: Final = 4096  # remembered for each element
Values = tuple[str, ...] | None


class Screen:
    """The comparisons that rules cannot do without, by element."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._all = (1 << len(rules)) - 1
        self._asked: dict[str, dict[Compare, int]] = {}  # path -> comparison -> rules, as bits
        self._known: dict[str, dict[Values, int]] = {}  # path -> value -> rules it leaves
        self._today: date | None = None
        for bit, rule in enumerate(rules):
            for one in _needed(rule.when):
                asked = self._asked.setdefault(one.keyword, {})
                asked[one] = asked.get(one, 0) | 1 << bit

    def left(self, header: RuleHeader) -> int:
        """Return the rules that may fit, as bits in their order. The others do not."""
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
        for one, bits in asked.items():
            told = one.explain(header)
            if told.truth is not Truth.TRUE and not told.skipped:
                left &= ~bits
        return left


class Rules(tuple[Rule, ...]):  # noqa: SLOT001 - it keeps its screen
    """The rules of a site, in the order of the file."""

    @cached_property
    def enabled(self) -> tuple[Rule, ...]:
        """Those that are asked."""
        return tuple(rule for rule in self if rule.enabled)

    @cached_property
    def _screen(self) -> Screen:
        return Screen(self.enabled)

    def that_fit(self, header: RuleHeader) -> list[Rule]:
        """Return the enabled rules whose condition is true."""
        left = self._screen.left(header)
        asked = self.enabled
        return [
            asked[bit] for bit in _bits(left) if asked[bit].when.explain(header).truth is Truth.TRUE
        ]


def _needed(when: Condition) -> Iterator[Compare]:
    """Yield the comparisons without which a condition is not true."""
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
