"""Clocks that jump, and images that change underfoot."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import State
from tests.torture.conftest import Make
from tests.torture.kit import PEOPLE, World, fingerprint
from tests.torture.test_kills import LONG, RUNS

HOUR, YEAR = 3600.0, 365 * 86400.0
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


@pytest.mark.parametrize(
    "jumps",
    [(YEAR, 0.0), (0.0, YEAR), (-YEAR, 0.0), (0.0, -YEAR), (0.0, -HOUR), (-HOUR, HOUR)],
    ids=str,
)
def test_a_clock_that_jumps_loses_and_doubles_nothing(
    world: Make, jumps: tuple[float, float]
) -> None:
    one = world()
    for words, clock in zip(RUNS, jumps, strict=True):
        one.run("retry", "--all", clock=clock)
        one.run(words, clock=clock)
    one.bring_home()
    one.check_home()


def test_nothing_waits_for_a_time_that_a_wrong_clock_set(world: Make) -> None:
    """A run a year ahead sets due times there; the next one, in time, does not wait for them."""
    one = world("502", 4)
    one.run("run-once", clock=YEAR)
    one.run("run-once", clock=YEAR)

    for _ in range(4):
        one.run("run-once")

    one.check_home()


def first_series(world: World) -> list[Path]:
    return sorted((world.site.store / PEOPLE[0].file_name).glob("*.dcm"))


def cut(world: World) -> None:
    path = first_series(world)[1]
    path.write_bytes(path.read_bytes()[:-100])


def gone(world: World) -> None:
    first_series(world)[1].unlink()


def one_more(world: World) -> None:
    """A slice that lies as if it belonged there."""
    path = [one for one in first_series(world) if not one.name.startswith("RS.")][-1]
    more = dcmread(path)
    more.SOPInstanceUID = generate_uid()
    more.file_meta.MediaStorageSOPInstanceUID = more.SOPInstanceUID
    more.ImagePositionPatient[2] += more.SliceThickness
    more.save_as(path.with_name("more.dcm"))


def of_another(world: World) -> None:
    """A slice of another patient under the same names."""
    other = sorted((world.site.store / PEOPLE[1].file_name).glob("*.dcm"))[1]
    shutil.copy(other, first_series(world)[1])


def moved(world: World) -> None:
    (world.site.store / PEOPLE[0].file_name).rename(world.site.store / "elsewhere")


def garbage(world: World) -> None:
    first_series(world)[1].write_bytes(b"\0" * 4000)


FIRST_OF_A_RUN = 4  # from poll on, the steps are those that a run begins with


@pytest.mark.parametrize("change", [cut, gone, one_more, of_another, garbage, moved])
@pytest.mark.parametrize("behind", range(7) if LONG else (0, 3, 5))
def test_images_that_change_underfoot_are_never_delivered_for(
    world: Make, change: Callable[[World], None], behind: int
) -> None:
    """Behind any step: what comes home belongs to the images as they are, or waits and says so."""
    one = world()
    steps = ["scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify"]
    for number, step in enumerate(steps[: max(behind + 1, FIRST_OF_A_RUN)]):
        one.run("retry", "--all")
        one.run(step)
        if number == behind:
            change(one)
            one.sources = {
                path: fingerprint(path)
                for path in one.site.store.rglob("*.dcm")
                if not path.name.startswith("RS.")
            }
    for _ in range(3):
        one.run("retry", "--all")
        one.run("run-once")

    with FileLedger(one.site.state / "ledger.json") as ledger:
        jobs = ledger.jobs()
    done = [job for job in jobs if job.state is State.DONE]
    homes = one.homes()
    assert len(done) == len(homes)
    whole = change is moved or behind == len(steps) - 1
    assert len(homes) == len(PEOPLE) if whole else len(homes) in (1, 2)
    for home in homes:
        if home.parent.name == PEOPLE[0].file_name and not whole:
            check_against_images(home, one)
    if len(homes) < len(PEOPLE):
        assert any(job.reason for job in jobs if job.state is not State.DONE)
    one.check_private()


def check_against_images(home: Path, world: World) -> None:
    """Every image that the structure set names is there, readable, and of its patient."""
    drawn = dcmread(home)
    there = {}
    for path in first_series(world):
        if path != home:
            image = dcmread(path, force=True)
            there[str(image.get("SOPInstanceUID"))] = str(image.get("PatientID"))
    for roi in drawn.ROIContourSequence:
        for contour in roi.ContourSequence:
            uid = str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
            assert there[uid] == drawn.PatientID
