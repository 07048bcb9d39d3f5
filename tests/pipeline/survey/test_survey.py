"""What a scan reads: only what came or changed; and what it makes of a datastore in trouble."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore import listing, processes, walk
from drawcli.adapters.datastore.listing import Folder, Stamp
from drawcli.config.sections import SeriesCriteria
from drawcli.core.dicom.instance import Slice
from drawcli.core.jobs.job import State
from drawcli.core.series.image_file import File
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey import open_survey, readers
from drawcli.pipeline.survey.judge import Judge
from tests.conftest import HEAD_NECK, PELVIS, SLICES, THORAX, Clock, Site, only_job
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that are opened from now on, in order."""
    paths: list[str] = []

    def read(path: str, listed: File) -> Slice | str:
        paths.append(path)
        return walk.read_file(path, listed)

    monkeypatch.setattr(readers, "read_file", read)
    return paths


def asking(ctx: Context, **wanted: Any) -> Context:
    """Return the site with other settings of the scan."""
    changed = ctx.settings.scan.replace(**wanted)
    return replace(ctx, settings=ctx.settings.replace(scan=changed))


def codes(ctx: Context) -> list[tuple[str, int, str]]:
    """Return modality, files and verdict of every series."""
    with open_survey(ctx) as survey:
        return sorted((one.modality, one.files, one.verdict.code) for one in survey.series)


def test_a_scan_with_nothing_new_opens_no_file(
    ctx: Context, site: Site, pelvis: list[Path], opened: list[str]
) -> None:
    (site.store / "notes.txt").write_text("no image")
    scan(ctx)
    first = list(opened)
    opened.clear()

    again = scan(ctx)

    assert len(first) == len(pelvis) + 1
    assert opened == []
    assert again.passed_over == {"not-dicom": 1}
    assert again.jobs == []


def test_only_what_came_or_changed_is_read(
    ctx: Context, pelvis: list[Path], opened: list[str]
) -> None:
    late = pelvis[0].with_name("late.dcm")
    shutil.move(pelvis[-1], pelvis[-1].parents[2] / "elsewhere.dcm")
    scan(ctx)
    opened.clear()
    shutil.move(pelvis[-1].parents[2] / "elsewhere.dcm", late)
    pelvis[0].write_bytes(pelvis[0].read_bytes())

    scan(ctx)

    assert sorted(opened) == sorted([str(late), str(pelvis[0])])
    assert only_job(ctx).slices == SLICES


def test_a_file_that_is_no_image_is_not_read_again_while_unchanged(
    ctx: Context, site: Site, opened: list[str], clock: Clock
) -> None:
    (site.store / "empty.dcm").touch()
    (site.store / "cut.dcm").write_bytes(bytes(128) + b"DICM\x02\0\0\0UL\4\0")
    (site.store / "text.dcm").write_text("no image at all")
    for _ in range(3):
        clock.advance(minutes=2)
        scan(ctx)
    opened.clear()
    clock.advance(days=1)

    done = scan(ctx)

    assert opened == []
    assert done.passed_over == {"empty-file": 1, "truncated-header": 1, "not-dicom": 1}


def test_what_was_not_given_is_asked_for_again_at_the_next_full_walk(
    ctx: Context,
    pelvis: list[Path],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(path: str, listed: File) -> Slice | str:
        return "unreadable-file" if path == str(pelvis[2]) else walk.read_file(path, listed)

    with monkeypatch.context() as patch:
        patch.setattr(readers, "read_file", broken)
        for _ in range(3):
            clock.advance(minutes=2)
            scan(ctx)
        of_series, of_folder = sorted(ctx.ledger.jobs(), key=lambda job: job.of_folder)
    clock.advance(minutes=90)

    scan(ctx)

    assert (of_series.state, of_series.reason_code) == (State.WAITING, "missing-slices")
    assert (of_folder.state, of_folder.reason_code) == (State.WAITING, "unread-folder")
    whole, readable = sorted(ctx.ledger.jobs(), key=lambda job: job.of_folder)
    assert (whole.state, whole.slices) == (State.FOUND, SLICES)
    assert (readable.state, readable.reason_code) == (State.CANCELLED, "readable-again")


@pytest.mark.parametrize("bytes_first", [b"", bytes(4000)])
def test_a_file_that_gets_its_bytes_within_one_tick_of_its_clock_is_seen_all_the_same(
    ctx: Context,
    pelvis: list[Path],
    clock: Clock,
    bytes_first: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some shares tell time in steps of two seconds, and sizes before contents."""
    listed = listing.list_folder

    def coarse(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
        folder, inside = listed(path, stamp)
        return folder._replace(rows=[(*row[:3], 0) for row in folder.rows or ()]), inside

    monkeypatch.setattr(walk, "list_folder", coarse)
    whole = pelvis[-1].read_bytes()
    pelvis[-1].write_bytes(bytes_first.ljust(len(whole), b"\0"))
    os.utime(pelvis[-1], (1_700_000_000, 1_700_000_000))
    at_first = pelvis[-1].stat()
    scan(ctx)
    waiting = only_job(ctx)
    pelvis[-1].write_bytes(whole)
    os.utime(pelvis[-1], (1_700_000_000, 1_700_000_000))
    clock.advance(minutes=2)

    scan(ctx)

    assert at_first.st_size == pelvis[-1].stat().st_size
    assert (waiting.state, waiting.reason_code) == (State.WAITING, "unreadable-files")
    assert (only_job(ctx).state, only_job(ctx).slices) == (State.FOUND, SLICES)


def test_a_folder_that_cannot_be_listed_any_more_keeps_its_series_waiting(
    ctx: Context, site: Site, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a series behind a folder that fails must not make the other half a series."""
    other = site.store / "other" / "deep"
    other.mkdir(parents=True)
    for path in pelvis[3:]:
        shutil.move(path, other / path.name)
    quiet = asking(ctx, quiet_minutes=10.0)
    scan(quiet)
    listed = listing.list_folder

    def failing(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
        if path == str(site.store / "other"):
            raise OSError(5, "Input/output error")
        return listed(path, stamp)

    monkeypatch.setattr(walk, "list_folder", failing)

    done = scan(ctx)

    job = only_job(ctx)
    assert (job.state, job.reason_code, job.slices) == (State.WAITING, "unreadable-files", SLICES)
    assert done.passed_over == {"unreadable-folder": 1}


def test_a_share_that_is_not_mounted_is_no_empty_datastore(
    ctx: Context, site: Site, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(ctx)
    shutil.rmtree(pelvis[0].parent)
    listed = listing.list_folder

    def elsewhere(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
        return listed(path, (stamp[0] + 1, *stamp[1:]))

    with monkeypatch.context() as patch:
        patch.setattr(walk, "list_folder", elsewhere)
        (lost,) = scan(ctx).lost
        again = scan(ctx).lost

    assert "on another disk" in str(lost)
    assert [one.code for one in (lost, *again)] == ["datastore-not-mounted"] * 2
    assert site.store.is_dir()
    assert only_job(ctx).state is State.FOUND
    assert codes(ctx) == []


def test_a_folder_that_did_not_change_for_an_hour_is_not_listed_but_at_full_walks(
    ctx: Context, site: Site, pelvis: list[Path], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = asking(ctx, full_walk_hours=6.0)
    scan(ctx)
    clock.advance(minutes=61)
    asked: list[str] = []
    listed = listing.list_folder

    def counting(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
        asked.append(path)
        return listed(path, stamp)

    monkeypatch.setattr(walk, "list_folder", counting)
    scan(ctx)
    calm = list(asked)
    asked.clear()
    shutil.copy(pelvis[0], pelvis[0].with_name("copy.dcm"))
    scan(ctx)
    changed = list(asked)
    asked.clear()
    clock.advance(hours=6)
    scan(ctx)

    assert calm == [str(site.store)]
    assert changed == [str(site.store), str(pelvis[0].parent)]
    assert asked == [str(site.store), str(pelvis[0].parent)]


def test_a_folder_of_a_series_that_waits_is_always_listed(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    """A file may be finished in place, which does not change its folder."""
    whole = pelvis[2].read_bytes()
    pelvis[2].write_bytes(whole[:-10])
    ctx = asking(ctx, full_walk_hours=1000.0)
    scan(ctx)
    clock.advance(minutes=61)
    scan(ctx)
    waiting = only_job(ctx)
    pelvis[2].write_bytes(whole)
    clock.advance(minutes=61)

    scan(ctx)

    assert (waiting.state, waiting.reason_code) == (State.WAITING, "truncated")
    assert only_job(ctx).state is State.FOUND


def test_what_is_left_out_is_not_opened_and_taken_once_the_site_wants_it(
    ctx: Context, site: Site, pelvis: list[Path], opened: list[str]
) -> None:
    write_planning_ct(site.store / "research" / "x", THORAX, slices=4, size=32)
    write_planning_ct(site.store / "thorax", HEAD_NECK, slices=4, size=32)
    (site.store / "notes.txt").write_text("no image")
    picky = asking(ctx, include=["*.dcm"], exclude=["research", "pelvis/*1.dcm"])

    few = codes(picky)
    with open_survey(picky) as survey:
        passed_over = survey.passed_over
    read = len(opened)
    every = codes(ctx)

    assert pelvis
    assert few == [("CT", 4, ""), ("CT", SLICES - 1, "")]
    assert passed_over == {"excluded": 2}
    assert read == 4 + SLICES - 1
    assert every == [("CT", 4, ""), ("CT", 4, ""), ("CT", SLICES, "")]


def test_other_demands_judge_anew_without_reading(
    ctx: Context, pelvis: list[Path], opened: list[str]
) -> None:
    assert codes(ctx) == [("CT", SLICES, "")]
    opened.clear()

    assert codes(asking(ctx, min_slices=SLICES + 1)) == [("CT", SLICES, "few-slices")]
    assert codes(asking(ctx, modalities=["MR"])) == [("CT", SLICES, "modality")]
    assert codes(ctx) == [("CT", SLICES, "")]
    assert opened == []
    assert pelvis


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"full_walk_hours": 0.5}, 0),
        ({"workers": 1}, 0),
        ({"answer_seconds": 30.0}, 0),
        ({"incomplete_hours": 1.0}, 1),
        ({"include": ["*"]}, 1),
        ({"folders": {"research": SeriesCriteria()}}, 1),
    ],
)
def test_only_a_change_of_criteria_judges_every_series_again(
    ctx: Context,
    pelvis: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    again: int,
) -> None:
    assert codes(ctx) == [("CT", len(pelvis), "")]
    judged: list[int] = []
    judge = Judge._judge

    def noted(self: Judge, number: int) -> None:
        judged.append(number)
        judge(self, number)

    monkeypatch.setattr(Judge, "_judge", noted)

    assert codes(asking(ctx, **change)) == [("CT", len(pelvis), "")]

    assert len(judged) == again


def test_the_same_file_twice_is_one_slice_and_another_under_its_name_is_not(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    copy = site.store / "copy.dcm"
    shutil.copy(pelvis[0], copy)
    same = codes(ctx)
    dataset = dcmread(copy)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(copy)

    other = codes(ctx)

    assert same == [("CT", SLICES, "")]
    assert other == [("CT", SLICES + 1, "duplicates")]


def test_junk_that_lay_there_long_before_does_not_hold_a_series_up(
    ctx: Context, site: Site, clock: Clock
) -> None:
    (site.store / "empty.dcm").touch()
    scan(ctx)
    clock.advance(hours=25)
    write_planning_ct(site.store, PELVIS, slices=4, size=32)
    (site.store / "fresh.dcm").touch()

    with_fresh = codes(ctx)
    (site.store / "fresh.dcm").unlink()

    assert with_fresh == [("CT", 4, "unreadable-files")]
    assert codes(ctx) == [("CT", 4, "")]


def test_a_clock_that_was_put_back_delays_nothing_for_long(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    quiet = asking(ctx, quiet_minutes=10.0)
    for path in pelvis:
        os.utime(path, (clock.at.timestamp() - 86400 * 400,) * 2)
    scan(quiet)
    clock.advance(days=-300)
    scan(quiet)
    clock.advance(minutes=11)

    scan(quiet)

    assert only_job(quiet).state is State.FOUND


def test_names_of_any_kind_come_back_from_the_index(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    odd = os.fsdecode(b"\xff\xfe \n'\".dcm")
    pelvis[0].rename(pelvis[0].with_name(odd))
    scan(ctx)

    paths = {file.path for file in ctx.crosswalk(only_job(ctx)).files}

    assert str(site.store / "pelvis" / odd) in paths
    assert len(paths) == SLICES


def test_a_time_some_centuries_away_is_a_time(ctx: Context, pelvis: list[Path]) -> None:
    os.utime(pelvis[0], (15_000_000_000, 15_000_000_000))
    far = pelvis[0].stat().st_mtime_ns

    scan(ctx)
    scan(ctx)

    assert only_job(ctx).state is State.FOUND
    assert far > (1 << 63) - 1 or far == 15_000_000_000 * 10**9


Make = Callable[..., None]


def test_several_processes_read_what_one_reads(
    ctx: Context, site: Site, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_planning_ct(site.store / "thorax", THORAX, slices=30, size=8)
    (site.store / "notes.txt").write_text("no image")
    monkeypatch.setattr(readers, "PAYS", 0)
    monkeypatch.setattr("drawcli.pipeline.survey.update._CHUNK", 3)

    done = scan(asking(ctx, workers=2))

    assert sorted(job.slices or 0 for job in ctx.ledger.jobs()) == [SLICES, 30]
    assert done.passed_over == {"not-dicom": 1}
    assert pelvis


@pytest.mark.parametrize("started", [0, 1])
def test_processes_that_cannot_be_started_cost_only_time(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    write_planning_ct(site.store / "thorax", THORAX, slices=30, size=8)
    monkeypatch.setattr(readers, "PAYS", 0)
    monkeypatch.setattr("drawcli.pipeline.survey.update._CHUNK", 3)
    start, left = processes._started, [started]

    def full(answer: Callable[[Any], object]) -> processes.ScanWorker:
        left[0] -= 1
        if left[0] < 0:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return start(answer)

    monkeypatch.setattr(processes, "_started", full)

    scan(asking(ctx, workers=2))

    assert only_job(ctx).slices == 30
    assert left == [-1]


def test_a_reading_process_that_dies_costs_nothing(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_planning_ct(site.store / "thorax", THORAX, slices=30, size=8)
    monkeypatch.setattr(readers, "PAYS", 0)
    monkeypatch.setattr("drawcli.pipeline.survey.update._CHUNK", 3)
    started = processes._started

    def dying(answer: Callable[[Any], object]) -> processes.ScanWorker:
        worker = started(answer)
        worker.process.kill()
        return worker

    monkeypatch.setattr(processes, "_started", dying)

    scan(asking(ctx, workers=2))

    assert only_job(ctx).slices == 30
