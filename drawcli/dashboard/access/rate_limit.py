"""Rate limit of password attempts, without lockout.

Wrong attempts are counted for their network, for the wider network around it, and for all. After a
few, the next attempt waits; attempts are checked in the order of arrival, so a right password from
the same network is checked too, after the others. A browser that has logged in before is counted
separately: guesses of others do not slow it.

At the longest pause a network has 17,280 guesses a day, and all networks together 86,400.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from time import monotonic
from typing import Final

from drawcli.dashboard.access.addresses import network_of, wider_network
from drawcli.system.limits import EXCHANGES

FREE_ATTEMPTS: Final = 5  # wrong attempts of a network without a pause
_FORGOTTEN_SECONDS: Final = 900.0  # after which a wrong attempt no longer counts
_STEPS: Final = 5  # counted above the free ones; more would count for days
_MOST: Final = 1000  # networks that are remembered
_MOST_WAITING: Final = 48  # attempts that wait


@dataclass(frozen=True, slots=True)
class LoginCounter:
    """A group whose wrong attempts are counted together, its free attempts and longest pause."""

    name: str
    free: int = FREE_ATTEMPTS
    longest_seconds: float = 5.0


@dataclass(slots=True)
class _Record:
    wrong: float
    at: float  # when it was last updated
    free_at: float  # when the next attempt may be checked


def device_counters(device: str) -> tuple[LoginCounter, ...]:
    """Return the counter of a browser that has logged in before."""
    return (LoginCounter(f"device {device}"),)


def user_counters(name: str) -> tuple[LoginCounter, ...]:
    """Return the counter of a user, wherever the attempts come from; whether it exists or not."""
    return (LoginCounter(f"user {name[:64]}", 2 * FREE_ATTEMPTS, 2.0),) if name else ()


def network_counters(address: str, what: str = "") -> tuple[LoginCounter, ...]:
    """Return the counters of an attempt from an address; `what` separates programs from users."""
    return (
        LoginCounter(f"{what}{network_of(address)}"),
        LoginCounter(f"{what}around {wider_network(address)}", 4 * FREE_ATTEMPTS, 2.0),
        LoginCounter(f"{what}all", 20 * FREE_ATTEMPTS, 1.0),
    )


class LoginLimiter:
    """Counts wrong attempts, and schedules the next ones."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._turns: list[float] = []

    def wait_seconds(self, counted: Sequence[LoginCounter]) -> float:
        """Return how many seconds the next attempt would wait."""
        now = self._clock()
        return max(0.0, *(self._record(counter, now).free_at - now for counter in counted))

    def reserve(self, counted: Sequence[LoginCounter]) -> float:
        """Count an attempt as wrong; return the seconds that it has to wait, inf if refused."""
        now = self._clock()
        self._turns = [turn for turn in self._turns if turn > now]
        wait = self.wait_seconds(counted)
        if wait > EXCHANGES["page-login"].seconds:
            return inf
        if wait and len(self._turns) >= _MOST_WAITING:
            return inf
        for counter in counted:
            record = self._record(counter, now)
            record.wrong = min(record.wrong + 1, counter.free + _STEPS)
            above = ceil(record.wrong) - counter.free
            if above >= 0:
                pause = min(2.0**above, counter.longest_seconds)
                record.free_at = now + wait + pause
            self._records[counter.name] = record
            self._records.move_to_end(counter.name)
        while len(self._records) > _MOST:
            self._records.popitem(last=False)
        if wait:
            self._turns.append(now + wait)
        return wait

    def record_success(self, counted: Sequence[LoginCounter]) -> None:
        """Uncount an attempt that was right; earlier wrong ones, maybe of others, still count."""
        now = self._clock()
        for counter in counted:
            record = self._record(counter, now)
            record.wrong = max(record.wrong - 1, 0.0)
            if record.wrong < counter.free:
                record.free_at = now

    def _record(self, counter: LoginCounter, now: float) -> _Record:
        """Return the record of a counter, reduced by the time passed."""
        record = self._records.get(counter.name)
        if record is None:
            return _Record(0.0, now, now)
        record.wrong = max(record.wrong - (now - record.at) / _FORGOTTEN_SECONDS, 0.0)
        record.at = now
        return record
