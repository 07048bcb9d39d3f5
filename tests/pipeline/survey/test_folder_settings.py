"""A folder of the datastore may have settings of its own."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from drawcli.config.sections import Scan
from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey.folder_settings import ELSEWHERE, FolderSettings
from drawcli.system import platforms
from tests.conftest import PELVIS, SLICES, THORAX, Clock, Site
from tests.phantoms.planning import write_planning_ct

ROOT = Path("/dicom")


def wishing(ctx: Context, **folders: dict[str, Any]) -> Context:
    """Return the site with settings of folders."""
    own = {"folders": {name.replace("__", "/"): one for name, one in folders.items()}}
    wanted = Scan.read(ctx.settings.scan.as_plain() | own)
    return replace(ctx, settings=ctx.settings.replace(scan=wanted))


def test_the_nearest_folder_above_a_series_decides() -> None:
    folders = {"ward": {"min_slices": 4}, "ward/ct2/": {"min_slices": 9}, "/dicom/b": {}}
    wishes = FolderSettings(Scan.read({"min_slices": 5, "folders": folders}), [ROOT])

    asked = {
        place: wishes.demands(wishes.number_of(f"/dicom/{place}/")).min_slices
        for place in ("ward/x", "ward/ct2", "ward/ct2/p/s", "ward/ct22", "b", "wards")
    }

    expected = {"ward/x": 4, "ward/ct2": 9, "ward/ct2/p/s": 9, "ward/ct22": 4, "b": 5, "wards": 5}
    assert asked == expected
    assert wishes.number_of("/elsewhere/ward/") == ELSEWHERE


def test_what_a_folder_does_not_say_is_as_everywhere() -> None:
    folders = {"ward": {"late": "resend"}}
    wanted = Scan.read({"quiet_minutes": 30, "late": "ignore", "folders": folders})

    own = wanted.in_folder("ward")

    assert (own.late, own.quiet_minutes, wanted.late) == ("resend", 30, "ignore")


@pytest.mark.parametrize("name", ["", "/", "../other", "a/../b"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="should name folders"):
        Scan.read({"folders": {name: {}}})


def test_a_series_is_taken_by_the_settings_of_its_folder(ctx: Context, site: Site) -> None:
    write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16)
    write_planning_ct(site.store / "b", THORAX, slices=SLICES, size=16)

    done = scan(wishing(ctx, b={"min_slices": SLICES + 1}))

    assert [job.state for job in done.jobs] == [State.FOUND]
    assert done.ignored == {"few-slices": 1}


def test_another_wish_judges_anew_and_a_stray_copy_does_not_decide(
    ctx: Context, site: Site
) -> None:
    files = write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16)
    (site.store / "b").mkdir()
    shutil.move(files[-1], site.store / "b")

    first = scan(wishing(ctx, a={"modalities": ["MR"]}, b={"modalities": ["CT"]}))
    then = scan(wishing(ctx, a={"modalities": ["CT"]}, b={"modalities": ["MR"]}))

    assert (first.jobs, dict(first.ignored)) == ([], {"modality": 1})
    assert [job.state for job in then.jobs] == [State.FOUND]


def test_quiet_minutes_and_patience_count_by_folder(ctx: Context, site: Site, clock: Clock) -> None:
    write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16)
    write_planning_ct(site.store / "b", THORAX, slices=SLICES, size=16)[3].unlink()
    ctx = wishing(ctx, a={"quiet_minutes": 30}, b={"incomplete_hours": 1})

    states = []
    for minutes in (0, 20, 45):
        clock.advance(minutes=minutes)
        scan(ctx)
        states.append(sorted((str(job.state), job.held) for job in ctx.ledger.jobs()))

    assert states[0] == [("waiting", False), ("waiting", False)]
    assert states[1] == [("waiting", False), ("waiting", False)]
    assert states[2] == [("found", False), ("waiting", True)]


def test_a_folder_that_is_not_there_is_told(ctx: Context) -> None:
    assert scan(wishing(ctx, wrad={"min_slices": 4})).folders_missing == ["wrad"]


class Share(PureWindowsPath):
    """A folder of a share, which is there however it is written."""

    def is_dir(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("name", "folder", "number"),
    [
        ("ward", r"\\srv\dicom\ward\1", 1),
        ("ward", r"\\srv\dicom\WARD", 1),  # the same folder there
        ("Ward/ct", r"\\srv\dicom\ward\CT", 1),
        ("ward", r"\\srv\dicom\ward2\1", ELSEWHERE),
        (r"\\SRV\Research", r"\\srv\research\1", 1),  # the root of a share
    ],
)
def test_settings_count_in_a_folder_of_windows_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, name: str, folder: str, number: int
) -> None:
    monkeypatch.setattr(platforms, "system", lambda: "windows")
    monkeypatch.setattr(os, "sep", "\\")
    scan = Scan.read({"folders": {name: {"min_slices": 9}}})

    wishes = FolderSettings(scan, [Share(r"\\srv\dicom")])  # type: ignore[list-item] # a stand-in

    assert wishes.number_of(folder + os.sep) == number


def test_elsewhere_names_that_differ_by_case_are_two_folders() -> None:
    wishes = FolderSettings(Scan.read({"folders": {"ward": {"min_slices": 9}}}), [Path("/store")])

    assert wishes.number_of(str(Path("/store/ward")) + os.sep) == 1
    if sys.platform not in ("win32", "darwin"):
        assert wishes.number_of(str(Path("/store/WARD")) + os.sep) == ELSEWHERE
