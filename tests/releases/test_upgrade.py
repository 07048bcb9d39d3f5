"""A site that an earlier release left opens with this one, and goes on where it stood."""

import tarfile
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli import __version__
from drawcli.core.jobs.job import State
from drawcli.operations.ledger_check import check, unattested
from drawcli.pipeline.runner import Selection, run_once
from tests.conftest import HEAD_NECK, NOON, PELVIS, SLICES, THORAX, Clock, Site, opened
from tests.fake_draw import FakeDraw, drawn_for

RELEASES = sorted(Path(__file__).parent.glob("*.tar.gz"))


def test_this_release_has_left_a_site_for_those_to_come() -> None:
    assert f"{__version__}.tar.gz" in {path.name for path in RELEASES}


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_the_site_of_an_earlier_release_goes_on(release: Path, tmp_path: Path) -> None:
    with tarfile.open(release) as archive:
        archive.extractall(tmp_path, filter="data")
    site, draw, clock = Site(tmp_path / "site"), FakeDraw(), Clock(NOON)
    before = {path.parent.name for path in site.store.rglob("RS.*")}
    clock.advance(hours=1)
    with opened(site, draw, clock) as ctx:
        (at_server,) = ctx.ledger.jobs([State.UPLOADED])
        package = (ctx.work.folder(at_server.id) / "package.zip").read_bytes()
        draw.uploads |= {"task-1": b"", "task-2": package}
        draw.results["task-2"] = drawn_for(package)

        for _ in range(3):
            list(run_once(ctx, Selection()))
            clock.advance(minutes=10)

        states = sorted(job.state for job in ctx.ledger.all_jobs())
        troubles = check(ctx)
        untold = unattested(ctx)

    assert states == sorted([State.DONE, State.DONE, State.DONE, State.UNMATCHED])
    assert (troubles, untold) == ([], [])
    assert before == {"a"}
    home = {path.parent.name: str(dcmread(path).PatientID) for path in site.store.rglob("RS.*")}
    people = zip("abc", (PELVIS, HEAD_NECK, THORAX), strict=True)
    assert home == {name: person.patient_id for name, person in people}
    assert draw.confirmed == ["task-2", "task-3"]  # what was sent before is not sent again
    assert len(list((site.store / "a").glob("*.dcm"))) == SLICES + 1
