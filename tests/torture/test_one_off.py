"""kill -9, and a power cut, at the effects of taking up a zip: nothing is lost, doubled or left."""

import shutil
import sys

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.workdir import UNPACKED
from tests.torture.conftest import Make
from tests.torture.kit import PEOPLE, World, fingerprint
from tests.torture.test_kills import LONG

STRIDE = 1 if LONG else 9  # every so-many-th effect
LEAST_EFFECTS = 12
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


def packed(world: World) -> list[tuple[str, ...]]:
    """Pack each patient of a world into a zip; return the commands that show them."""
    commands: list[tuple[str, ...]] = []
    world.sources.clear()
    for person in PEOPLE:
        folder = world.site.store / person.file_name
        made = shutil.make_archive(str(world.site.folder / person.file_name), "zip", folder)
        for path in folder.iterdir():
            path.unlink()
        commands.append(("scan", made, "--deliver-to", str(folder)))
        world.sources[world.site.folder / f"{person.file_name}.zip"] = fingerprint(
            world.site.folder / f"{person.file_name}.zip"
        )
    return commands


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power"])
def test_a_zip_is_taken_up_once_wherever_the_first_try_died(world: Make, *, power: bool) -> None:
    whole = world()
    (first, _) = packed(whole)
    assert whole.run(*first) == 0
    count = whole.effects
    assert count >= LEAST_EFFECTS
    for effect in range(1 + STRIDE // 2 * power, count + 1, STRIDE):
        one = world()
        commands = packed(one)
        one.run(*commands[0], kill_at=effect, power=power)
        one.run("run-once")  # by cron, before the person comes back
        with FileLedger(one.site.state / "ledger.json") as ledger:
            known = {job.id for job in ledger.all_jobs()}
        assert {path.parent.name for path in one.site.state.rglob(UNPACKED)} <= known
        for words in commands:
            assert one.run(*words) == 0
        one.bring_home()
        one.check_home()
        assert one.kills == 1
