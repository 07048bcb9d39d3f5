"""kill -9 at every effect of an exchange of tokens, and in the recovery: no site is locked out.

The server ends the old refresh token in the moment in which it makes a new pair.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import Site
from tests.torture.conftest import Make
from tests.torture.kit import KILLED, World, tell
from tests.waiting import PATIENCE

REFRESH = ("token", "refresh")
LEAST_EFFECTS = 15
FIRST_OF_THE_EXCHANGE = 8  # before it nothing has changed
ROUNDS = 5 * int(os.environ.get("TORTURE", "1"))  # the long form: make torture
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


def pair_of(world: World) -> tuple[str, str]:
    plain = json.loads((world.site.folder / "token.json").read_text())
    return plain["access_token"], plain["refresh_token"]


def said(world: World) -> str:
    return (world.site.folder / "last.err").read_text()


def can_go_on(world: World) -> None:
    """Run once more: it works, with the one pair that the server knows; nothing is left about."""
    assert world.run(*REFRESH) == 0, said(world)
    assert pair_of(world) == (world.server.draw.access, world.server.draw.refresh)
    left = {path.name for path in world.site.folder.glob("*token.json*")}
    assert left <= {"token.json", "token.json.lock"}
    assert (world.site.folder / "token.json").stat().st_mode & 0o777 == 0o600


def set_anew(world: World) -> None:
    """Do as a person does who has got a new pair."""
    new, draw = world.site.folder / "new.json", world.server.draw
    new.write_text(json.dumps({"access_token": draw.access, "refresh_token": draw.refresh}))
    assert world.run("token", "set", str(new)) == 0


def test_no_effect_of_an_exchange_is_the_wrong_one_to_die_at(world: Make) -> None:
    one = world()
    exchanged = effect = 0
    while True:
        effect += 1
        before = one.server.draw.access
        if one.run(*REFRESH, kill_at=effect) == 0:
            break
        exchanged += one.server.draw.access != before
        can_go_on(one)
    tell(f"effects: {effect - 1}, of which {exchanged} after the server had answered")
    assert effect > LEAST_EFFECTS
    assert exchanged >= 5


def test_the_power_may_fail_at_any_but_the_one_at_which_the_new_pair_goes_to_disk(
    world: Make,
) -> None:
    one = world()
    effect, lost = FIRST_OF_THE_EXCHANGE - 1, []
    while True:
        effect += 1
        if one.run(*REFRESH, kill_at=effect, power=True) == 0:
            break
        if one.run(*REFRESH) == 5:
            lost.append(effect)
            set_anew(one)
        can_go_on(one)
    assert effect > LEAST_EFFECTS
    assert len(lost) == 1


def test_nor_is_any_effect_of_the_recovery(world: Make) -> None:
    dice = random.Random(4711)  # noqa: S311 - moments, not secrets
    one = world()
    for _ in range(ROUNDS):
        for _ in range(dice.randint(2, 4)):
            one.run(*REFRESH, kill_at=dice.randint(1, LEAST_EFFECTS))
        can_go_on(one)
    assert one.kills >= 2 * ROUNDS


def test_an_answer_that_is_lost_on_the_wire_is_told_for_what_it_is(world: Make) -> None:
    one = world("lost", 1)

    assert one.run(*REFRESH) == 7
    for _ in range(2):
        assert one.run(*REFRESH) == 5
        assert "A refresh that was begun on " in said(one)
        assert "drawcli token set" in said(one)

    set_anew(one)
    can_go_on(one)


def test_killed_while_the_answer_was_on_its_way_it_is_told_too(world: Make) -> None:
    one, effect = world(), 0
    while not (one.site.folder / "token.json.next").exists():
        effect += 1
        assert one.run(*REFRESH, kill_at=effect) == KILLED
    assert one.server.requests == 0
    one.server.draw.access, one.server.draw.refresh = "access-4", "refresh-4"  # as if it had come

    assert one.run(*REFRESH) == 5
    assert "got no answer" in said(one)


@pytest.mark.parametrize("fault", ["500", "502", "429", "closed", "html", "cut", "other"])
def test_an_exchange_that_fails_and_is_killed_costs_nothing_but_a_wait(
    world: Make, fault: str
) -> None:
    one = world(fault, 1)
    took = fault == "cut"  # the server has exchanged the pair, and half of the answer came
    assert one.run(*REFRESH) == 7

    if took:
        assert one.run(*REFRESH) == 5
        assert "got no answer" in said(one)
    else:
        can_go_on(one)


def test_two_processes_that_refresh_at_once_end_with_one_pair(site: Site, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "drawcli", *REFRESH]
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        for _ in range(2):
            both = [
                subprocess.Popen(words, cwd=site.folder, stdout=subprocess.DEVNULL)
                for _ in range(2)
            ]
            assert [process.wait(timeout=PATIENCE) for process in both] == [0, 0]

        plain = json.loads((site.folder / "token.json").read_text())
        accounts = server.sandbox.accounts
        assert accounts.client_of(plain["access_token"]) == "sandbox"
        assert accounts.refresh(plain["refresh_token"]) is not None
