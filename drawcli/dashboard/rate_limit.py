"""Who guesses passwords is slowed down, and nobody is shut out.

Wrong ones are counted for the network they are from, for the wider network around it, and for all.
Above a few, the next try from there waits for its turn, in the order in which they came: so the
right one of a ward behind one address is looked at too, after as many pauses as others wait there.
A browser that has logged in before is counted by itself: guesses of others do not slow it.

At the longest pause a network has 17,280 guesses a day, and all networks together 86,400.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from time import monotonic
from typing import Final

from drawcli.dashboard.addresses import around, network_of
from drawcli.system.limits import EXCHANGES

FREE: Final = 5  # wrong ones of a network without a pause
_FORGOTTEN_SECONDS: Final = 900.0  # after these, one wrong one counts no more
_STEPS: Final = 5  # above the free ones: more would be remembered for days
_MOST: Final = 1000  # networks that are kept in mind
_MOST_WAITING: Final = 48  # tries that wait for their turn


@dataclass(frozen=True, slots=True)
class LoginCounter:
    """Whose wrong ones are counted together, how many are free, and the longest pause, s."""

    name: str
    free: int = FREE
    longest_seconds: float = 5.0


@dataclass(slots=True)
class _Record:
    wrong: float
    at: float  # when it was counted
    free_at: float  # when the next one may be looked at


def by_device(device: str) -> tuple[LoginCounter, ...]:
    """Return how a browser is counted that has logged in before."""
    return (LoginCounter(f"device {device}"),)


def by_network(address: str, what: str = "") -> tuple[LoginCounter, ...]:
    """Return how a try is counted that may be anybody's; programs (`what`) apart from persons."""
    return (
        LoginCounter(f"{what}{network_of(address)}"),
        LoginCounter(f"{what}around {around(address)}", 4 * FREE, 2.0),
        LoginCounter(f"{what}all", 20 * FREE, 1.0),
    )


class Attempts:
    """How often somebody was wrong, and when the next try has its turn."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._turns: list[float] = []

    def wait_seconds(self, counted: Sequence[LoginCounter]) -> float:
        """Return how long the next try would wait for its turn; 0: not at all."""
        now = self._clock()
        return max(0.0, *(self._record(one, now).free_at - now for one in counted))

    def turn(self, counted: Sequence[LoginCounter]) -> float:
        """Count a try as wrong, and return how long it has to wait, s; inf: it is not taken."""
        now = self._clock()
        self._turns = [turn for turn in self._turns if turn > now]
        wait = self.wait_seconds(counted)
        if wait > EXCHANGES["page-login"].seconds:
            return inf
        if wait and len(self._turns) >= _MOST_WAITING:
            return inf
        for one in counted:
            record = self._record(one, now)
            record.wrong = min(record.wrong + 1, one.free + _STEPS)
            above = ceil(record.wrong) - one.free
            if above >= 0:
                pause = min(2.0**above, one.longest_seconds)
                record.free_at = now + wait + pause
            self._records[one.name] = record
            self._records.move_to_end(one.name)
        while len(self._records) > _MOST:
            self._records.popitem(last=False)
        if wait:
            self._turns.append(now + wait)
        return wait

    def was_right(self, counted: Sequence[LoginCounter]) -> None:
        """Count a try no more: it was right. The wrong ones before it stay: others share them."""
        now = self._clock()
        for one in counted:
            record = self._record(one, now)
            record.wrong = max(record.wrong - 1, 0.0)
            if record.wrong < one.free:
                record.free_at = now

    def _record(self, counted: LoginCounter, now: float) -> _Record:
        """Return what is known, as far as it is not forgotten."""
        record = self._records.get(counted.name)
        if record is None:
            return _Record(0.0, now, now)
        record.wrong = max(record.wrong - (now - record.at) / _FORGOTTEN_SECONDS, 0.0)
        record.at = now
        return record
