"""kill -9 at every effect of a whole cycle, and in the recovery: nothing is lost or doubled."""

import os
import random
import sys

import pytest

from tests.dicom_peer import Peer, behind_meta, listening
from tests.torture.conftest import Make
from tests.torture.kit import FAULTS, KILLED, World, tell
from tests.web_archive import WebArchive, archive

TIMES = int(os.environ.get("TORTURE", "1"))  # the long form: make torture
LONG = TIMES > 1
STRIDE = 1 if LONG else 41  # every so-many-th effect
LEAST_EFFECTS = 60
RUNS = ("run-once", "run-once")  # out, and home
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


def effects(world: World) -> list[int]:
    """Return how many effects each run of a whole cycle has."""
    counts = []
    for words in RUNS:
        world.run("retry", "--all")
        assert world.run(words) == 0
        counts.append(world.effects)
    return counts


def cycle(world: World, at: dict[int, int]) -> None:
    """Run a cycle; the n-th run dies at the effect given for n; then bring everything home."""
    for number, words in enumerate(RUNS):
        world.run("retry", "--all")
        if number in at:
            world.run(words, kill_at=at[number])
        else:
            world.run(words)
    world.bring_home()
    world.check_home()


def test_a_whole_cycle_has_many_effects_and_comes_home(world: Make) -> None:
    whole = world()

    counts = effects(whole)

    whole.check_home()
    assert sum(counts) >= LEAST_EFFECTS
    tell(f"effects: {counts}")


def test_killed_at_every_effect_everything_comes_home_once(world: Make) -> None:
    counts = effects(world())
    kills = 0
    for number, count in enumerate(counts):
        for effect in range(1, count + 1, STRIDE):
            one = world()
            cycle(one, {number: effect})
            assert one.kills == 1
            kills += 1
    tell(f"kills: {kills} at {sum(counts)} effects")
    assert kills >= sum(counts) // STRIDE


def test_killed_at_every_effect_each_of_three_targets_has_every_structure_set(world: Make) -> None:
    """A kill repeats at most the one file whose confirmation was not yet recorded."""
    with listening(Peer()) as peer, archive(WebArchive()) as web:

        def made() -> World:
            one = world()
            one.site.add_line("deliver:\n  targets:\n  - {folder: beside}")
            one.site.add_line(f"  - {{node: 'TPS@127.0.0.1:{peer.port}'}}")
            one.site.add_line(f"  - {{stow: '{web.url}'}}")
            return one

        _, count = effects(made())
        for effect in range(1, count + 1, STRIDE):
            peer.received.clear()
            web.received.clear()
            one = made()
            cycle(one, {1: effect})
            assert one.kills == 1
            files = {home.read_bytes() for home in one.homes()}
            assert set(web.received) == files
            assert set(peer.received) == {behind_meta(home) for home in one.homes()}
            assert max(len(peer.received), len(web.received)) <= len(files) + 1
            assert len(peer.received) + len(web.received) <= 2 * len(files) + 1


def test_the_power_fails_at_every_effect_and_everything_comes_home_once(world: Make) -> None:
    counts = effects(world())
    cuts = 0
    for number, count in enumerate(counts):
        for effect in range(1 + STRIDE // 2, count + 1, STRIDE):
            one = world()
            for run, words in enumerate(RUNS):
                one.run("retry", "--all")
                one.run(words, **({"kill_at": effect, "power": True} if run == number else {}))
            one.bring_home()
            one.check_home()
            cuts += one.kills
    tell(f"power cuts: {cuts} at {sum(counts)} effects")
    assert cuts >= sum(counts) // STRIDE - 2


def test_killed_again_in_the_recovery_everything_comes_home_once(world: Make) -> None:
    counts = effects(world())
    dice = random.Random(4711)  # noqa: S311 - moments, not secrets
    kills = 0
    for _ in range(25 * TIMES if LONG else 5):
        one = world()
        for _ in range(dice.randint(2, 5)):
            one.run("run-once", kill_at=dice.randint(1, max(counts)))
        one.bring_home()
        one.check_home()
        kills += one.kills
    tell(f"kills in recoveries: {kills}")
    assert kills >= 6


def test_faults_of_the_server_mixed_with_kills(world: Make) -> None:
    counts, dice = effects(world()), random.Random(815)  # noqa: S311 - likewise
    scenarios = 12 * TIMES if LONG else len(FAULTS)
    for number in range(scenarios):
        one = world(FAULTS[number % len(FAULTS)], dice.randint(1, 12))
        for _ in range(2):
            one.run("retry", "--all")
            one.run("run-once", kill_at=dice.randint(1, 2 * max(counts)))
        one.bring_home()
        one.check_home()
        assert set(one.codes) <= {0, 3, 5, 6, 7, KILLED}  # 3: a 404 may be a wrong address
