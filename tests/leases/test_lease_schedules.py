"""Claims hold in every schedule of what can go wrong, and each planted fault is found.

A seed is a schedule. To see one: `SEED=123 pytest tests/leases -k one_schedule`.
"""

import os
from collections import Counter
from typing import NamedTuple

import pytest

from tests.leases import faults
from tests.leases.hosts import Process, facts_of
from tests.leases.rows import Rows
from tests.leases.world import LEASE, Violation, World

FEW = 300  # schedules
MANY = 10_000 if "TORTURE" in os.environ else 3_000  # twice those that the rarest fault needs
RARE = 1000  # schedules until a fault is found: not with each change


class Protocol(NamedTuple):
    """The protocol, or one with a fault."""

    process: type[Process] = Process
    rows: type[Rows] = Rows
    world: type[World] = World

    def schedule(self, seed: int) -> World:
        return self.world(seed, self.rows(LEASE), self.process.start)


# Each with a part of the message, and the number of seeds within which it must be found.
FAULTS = {
    "no fencing": (Protocol(rows=faults.WritesWithoutFence), "old lease", 20),
    "a write after the release": (Protocol(rows=faults.WritesAfterRelease), "old lease", 1000),
    "a fence that is not counted": (Protocol(rows=faults.CountsNoFence), "given before", 10),
    "a lease counted from the answer": (
        Protocol(faults.CountsFromAnswer),
        "after the lease ended",
        30,
    ),
    "a lease renewed too late": (Protocol(faults.RenewsTooLate), "nothing had disturbed it", 20),
    "a lease without a margin": (Protocol(faults.NoMargin), "after the lease ended", 1000),
    "a lost lease that is kept": (Protocol(faults.IgnoresLostLeases), "", 1500),
    "a takeover without a revision": (
        Protocol(faults.StaleRead, faults.WritesWithoutRevision),
        "twice",
        10,
    ),
    "a clock of the hosts": (Protocol(world=faults.ByHostClock), "", 10),
    "a release without a fence": (Protocol(rows=faults.ReleasesWithoutFence), "given back", 20),
    "a released lease renewed": (Protocol(rows=faults.RenewsWhatWasReleased), "there again", 20),
    "begun after the end": (Protocol(faults.BeginsAfterTheEnd), "after the lease ended", 30),
    "lost answers ignored": (Protocol(faults.IgnoresLostAnswers), "not recorded", 800),
    "recorded after the upload": (Protocol(faults.RecordsAfterUpload), "not recorded", 10),
    "an unanswered upload taken back": (Protocol(faults.ForgetsUnanswered), "tasks at", 100),
    "leases of the living given back": (Protocol(faults.TakesFromTheLiving), "given back", 10),
    "a claim that is not durable": (Protocol(world=faults.ForgetsClaims), "given before", 20),
    "a lease never given back": (Protocol(faults.NeverReleases), "not done", 10),
}


def test_claims_hold_in_hundreds_of_schedules() -> None:
    seen = Counter[str]()
    for seed in range(FEW):
        world = Protocol().schedule(seed)
        world.run()
        seen.update(facts_of(world))

    assert min(seen.values()) > FEW, seen  # nothing that goes wrong was left out


@pytest.mark.sweep
def test_claims_hold_in_thousands_of_schedules() -> None:
    for seed in range(FEW, MANY):
        Protocol().schedule(seed).run()


def test_one_schedule() -> None:
    world = Protocol().schedule(int(os.environ.get("SEED", "0")))
    world.run()

    assert world.all_done()


def first_found(protocol: Protocol, most: int) -> tuple[int, str]:
    """Return how many schedules it took to find a fault, and the message."""
    for seed in range(most):
        try:
            protocol.schedule(seed).run()
        except Violation as err:
            return seed + 1, str(err)
    return most + 1, ""


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(name, marks=[pytest.mark.sweep] if most >= RARE else [])
        for name, (_, _, most) in FAULTS.items()
    ],
)
def test_a_planted_fault_is_found(fault: str) -> None:
    protocol, told, most = FAULTS[fault]

    seeds, text = first_found(protocol, most)

    assert seeds <= most, f"{fault} was not found"
    assert told in text.splitlines()[0]
    assert text.startswith(f"seed {seeds - 1}: ")
    assert "BROKEN" in text.splitlines()[-1]


def test_a_seed_always_gives_the_same_schedule() -> None:
    one, again = (Protocol().schedule(7) for _ in range(2))
    one.run()
    again.run()

    assert one.told() == again.told()
