"""Guesses are slowed down, by network; nobody is shut out."""

from collections.abc import Callable, Iterator
from itertools import count
from math import inf

import pytest

from drawcli.dashboard.access.rate_limit import (
    FREE_ATTEMPTS,
    LoginLimiter,
    device_counters,
    network_counters,
)
from drawcli.system.limits import EXCHANGES

LONGEST = 5.0  # seconds of a pause
HOUR, DAY = 3600.0, 24 * 3600.0


class Time:
    """A clock, and the tries that are made by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.attempts = LoginLimiter(lambda: self.now)

    def guesses(self, addresses: Iterator[str], seconds: float) -> int:
        """Try wrong ones, each as soon as the one before was looked at; return how many."""
        ends, number = self.now + seconds, 0
        while self.now < ends:
            self.now += self.attempts.reserve(network_counters(next(addresses))) + 0.001
            number += 1
        return number


@pytest.fixture
def time() -> Time:
    return Time()


def always(address: str) -> Iterator[str]:
    while True:
        yield address


SOME = {
    "one address": (lambda _: "192.0.2.7", LONGEST),
    "this machine": (lambda n: f"127.{n % 250}.{n // 250 % 250}.1", LONGEST),
    "a /64": (lambda n: f"2001:db8::{n % 65536:x}:{n // 65536:x}", LONGEST),
    "mapped": (lambda n: "::ffff:192.0.2.7" if n % 2 else "192.0.2.7", LONGEST),
    "mapped loopback": (lambda n: f"::ffff:127.0.0.{n % 250 + 1}", LONGEST),
    "a /24": (lambda n: f"192.0.2.{n % 256}", 2.0),
    "a /48": (lambda n: f"2001:db8:1:{n % 65536:x}::1", 2.0),
    "everywhere": (lambda n: f"{n % 100 + 20}.{n // 100 % 250}.{n // 25000 % 250}.1", 1.0),
}


@pytest.mark.parametrize(("address", "pause"), SOME.values(), ids=SOME)
def test_guesses_are_slowed_wherever_they_are_from(
    time: Time, address: Callable[[int], str], pause: float
) -> None:
    tries = time.guesses(map(address, count()), HOUR)

    assert tries <= HOUR / pause + 20 * FREE_ATTEMPTS + 10
    assert tries >= HOUR / pause / 2  # and the pauses are no longer than they are said to be


def test_the_first_few_wait_for_nothing_and_the_pause_doubles(time: Time) -> None:
    waits = []
    for _ in range(FREE_ATTEMPTS + 6):
        time.attempts.reserve(network_counters("192.0.2.7"))
        waits.append(time.attempts.wait_seconds(network_counters("192.0.2.7")))
        time.now += waits[-1]

    assert waits == [0.0] * (FREE_ATTEMPTS - 1) + [1, 2, 4, 5, 5, 5, 5]
    assert time.attempts.wait_seconds(network_counters("198.51.100.1")) == 0.0
    assert time.attempts.wait_seconds(device_counters("a")) == 0.0


@pytest.mark.parametrize("guessers", [1, 3, 6])
def test_the_right_one_of_a_network_has_its_turn(time: Time, guessers: int) -> None:
    everybody = network_counters("192.0.2.7")
    time.guesses(always("192.0.2.7"), 3600.0)
    for _ in range(guessers):  # each waits for its turn
        assert time.attempts.reserve(everybody) < inf

    wait = time.attempts.reserve(everybody)

    assert 0 < wait <= (guessers + 1) * LONGEST
    assert wait <= EXCHANGES["page-login"].seconds


def test_more_than_can_have_their_turn_cost_nothing(
    time: Time,
) -> None:
    everybody = network_counters("192.0.2.7")
    turns = [time.attempts.reserve(everybody) for _ in range(1000)]
    longest = time.attempts.wait_seconds(everybody)

    assert turns.count(inf) > 975
    assert longest <= EXCHANGES["page-login"].seconds + LONGEST
    time.now += longest
    assert time.attempts.reserve(everybody) == 0.0


def test_tries_of_many_networks_at_once_are_bounded(time: Time) -> None:
    turns = [
        time.attempts.reserve(network_counters(f"{n}.1.1.1"))
        for n in range(20, 120)
        for _ in range(9)
    ]

    assert sum(0 < turn < inf for turn in turns) <= 48


def test_what_was_wrong_is_forgotten_in_time_however_many_they_were(time: Time) -> None:
    everybody = network_counters("192.0.2.7")
    time.guesses(always("192.0.2.7"), DAY)
    time.now += 3 * 3600

    waits = []
    for _ in range(FREE_ATTEMPTS):
        time.attempts.reserve(everybody)
        waits.append(time.attempts.wait_seconds(everybody))

    assert waits[: FREE_ATTEMPTS - 1] == [0.0] * (FREE_ATTEMPTS - 1)


def test_one_that_is_right_is_not_counted_and_makes_no_guess_forgotten(time: Time) -> None:
    everybody = network_counters("192.0.2.7")
    for _ in range(FREE_ATTEMPTS - 1):
        time.attempts.reserve(everybody)
    for _ in range(50):
        assert time.attempts.reserve(everybody) == 0.0
        time.attempts.record_success(everybody)

    time.attempts.reserve(everybody)

    assert time.attempts.wait_seconds(everybody) == 1.0


def test_what_is_kept_in_mind_is_bounded(time: Time) -> None:
    for n in range(5000):
        time.attempts.reserve(network_counters(f"2001:db8:{n:x}::1"))
        time.now += 10

    assert len(time.attempts._records) <= 1000
