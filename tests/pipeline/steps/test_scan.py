"""A series is taken up once, when it is whole; until then it waits and says for what."""

import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID

from drawcli.core.jobs.job import Job, State
from drawcli.errors import OutOfReach
from drawcli.pipeline.actions import assign_template, release
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.step_report import out_of_reach
from drawcli.pipeline.steps.scan import preview_scan, scan
from drawcli.sandbox.phantom import write_visit
from tests.conftest import HEAD_NECK, PELVIS, SLICES, THORAX, Clock, Site, only_job
from tests.fake_draw import FakeDraw
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def quiet(ctx: Context) -> Context:
    """Return the site with ten quiet minutes asked for."""
    asked = ctx.settings.scan.replace(quiet_minutes=10.0)
    return replace(ctx, settings=ctx.settings.replace(scan=asked))


def changed_at(paths: list[Path], clock: Clock, minutes_ago: float) -> None:
    stamp = clock.at.timestamp() - minutes_ago * 60
    for path in paths:
        os.utime(path, (stamp, stamp))


def test_a_whole_series_is_found_once(ctx: Context, pelvis: list[Path]) -> None:
    first, second = scan(ctx), scan(ctx)

    job = only_job(ctx)
    assert (job.state, job.modality, job.slices) == (State.FOUND, "CT", len(pelvis))
    assert [found.id for found in first.jobs] == [job.id]
    assert second.jobs == []


def test_the_crosswalk_knows_the_files_and_the_ledger_does_not(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    scan(ctx)

    crosswalk = ctx.crosswalk(only_job(ctx))
    ledger = (site.state / "ledger.json").read_text()
    assert [file.path for file in crosswalk.files] == sorted(str(path) for path in pelvis)
    assert crosswalk.patient_id == PELVIS.patient_id
    assert crosswalk.series_uid not in ledger
    assert "pelvis" not in ledger


def test_what_is_no_scan_is_counted_and_left_alone(ctx: Context, site: Site) -> None:
    write_visit(site.store / "head", HEAD_NECK, slices=4, size=32)  # with a scout
    write_visit(site.store / "thorax", THORAX, slices=4, size=32)  # with a dose report
    (site.store / "notes.dcm").write_text("no DICOM")

    done = scan(ctx)

    assert [job.state for job in ctx.ledger.jobs()] == [State.FOUND, State.FOUND]
    assert done.ignored == {"localizer": 1, "not-an-image": 1}
    assert done.passed_over == {"not-dicom": 1}


def test_mr_and_pt_are_taken_too(ctx: Context, site: Site) -> None:
    write_mr(site.store / "mr", PELVIS, slices=4, size=32)
    write_pt(site.store / "pt", PELVIS, slices=4, size=32)

    scan(ctx)

    assert sorted(str(job.modality) for job in ctx.ledger.jobs()) == ["MR", "PT"]
    assert {job.state for job in ctx.ledger.jobs()} == {State.FOUND}


def test_a_series_waits_until_nothing_in_it_has_changed_for_a_while(
    quiet: Context, pelvis: list[Path], clock: Clock
) -> None:
    changed_at(pelvis, clock, minutes_ago=60)
    changed_at(pelvis[:1], clock, minutes_ago=9)
    scan(quiet)
    waiting = only_job(quiet)
    clock.advance(minutes=9)
    scan(quiet)
    still = only_job(quiet)
    clock.advance(minutes=2)

    scan(quiet)

    assert (waiting.state, waiting.reason_code) == (State.WAITING, "arriving")
    assert still.state is State.WAITING
    assert only_job(quiet).state is State.FOUND


def test_a_missing_slice_is_waited_for_and_told(
    ctx: Context, pelvis: list[Path], tmp_path: Path
) -> None:
    late = tmp_path / "late.dcm"
    shutil.move(pelvis[2], late)
    scan(ctx)
    waiting = only_job(ctx)
    shutil.move(late, pelvis[2])

    scan(ctx)

    assert waiting.state is State.WAITING
    assert f"{SLICES} expected, {SLICES - 1} present" in (waiting.reason or "")
    assert (only_job(ctx).state, only_job(ctx).slices) == (State.FOUND, SLICES)


def test_a_hole_that_stays_is_held_and_told_once(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    pelvis[2].unlink()
    run_step("scan", ctx, Selection())
    clock.advance(hours=25)

    told = run_step("scan", ctx, Selection())
    again = run_step("scan", ctx, Selection())

    assert [job.reason_code for job in told.held] == ["missing-slices"]
    assert again.outcomes == []
    assert only_job(ctx).held


def test_a_held_series_that_changes_is_looked_at_again(
    ctx: Context, pelvis: list[Path], clock: Clock, tmp_path: Path
) -> None:
    late = tmp_path / "late.dcm"
    shutil.move(pelvis[2], late)
    scan(ctx)
    clock.advance(hours=25)
    scan(ctx)
    held = only_job(ctx).held
    shutil.move(late, pelvis[2])

    scan(ctx)

    assert held
    assert (only_job(ctx).state, only_job(ctx).held) == (State.FOUND, False)


def test_slices_in_two_folders_are_one_series(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    other = site.store / "elsewhere"
    other.mkdir()
    for path in pelvis[::2]:
        shutil.move(path, other / path.name)

    scan(ctx)

    assert (only_job(ctx).state, only_job(ctx).slices) == (State.FOUND, SLICES)


def test_two_patients_in_one_series_are_never_sent(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    dataset = dcmread(pelvis[0])
    dataset.PatientID = "another"
    dataset.save_as(pelvis[0])
    scan(ctx)
    waiting = only_job(ctx)
    clock.advance(hours=25)

    scan(ctx)

    assert (waiting.state, waiting.reason_code) == (State.WAITING, "mixed-patients")
    assert only_job(ctx).held


def test_burned_in_annotations_hold_the_series_at_once(ctx: Context, pelvis: list[Path]) -> None:
    for path in pelvis:
        dataset = dcmread(path)
        dataset.BurnedInAnnotation = "YES"
        dataset.save_as(path)

    scan(ctx)

    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "burned-in")


@pytest.mark.parametrize("steps", [("match",), ("match", "deidentify")])
def test_a_series_that_grows_before_it_is_sent_waits_again(
    ctx: Context, site: Site, pelvis: list[Path], steps: tuple[str, ...], tmp_path: Path
) -> None:
    late = tmp_path / "late.dcm"
    shutil.move(pelvis[-1], late)
    scan(ctx)
    for step in steps:
        run_step(step, ctx, Selection())
    shutil.move(late, pelvis[-1])

    scan(ctx)
    waiting = only_job(ctx)
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())

    assert (waiting.state, waiting.reason_code) == (State.WAITING, "series-changed")
    assert (only_job(ctx).state, only_job(ctx).slices) == (State.PACKAGED, SLICES)
    assert len(ctx.crosswalk(only_job(ctx)).files) == SLICES
    assert site.store.exists()


def test_images_that_change_after_the_upload_hold_the_job_once(
    ctx: Context, pelvis: list[Path]
) -> None:
    for step in ("scan", "match", "deidentify", "upload"):
        run_step(step, ctx, Selection())
    pelvis[-1].unlink()

    told, again = run_step("scan", ctx, Selection()), run_step("scan", ctx, Selection())

    job = only_job(ctx)
    assert [one.reason_code for one in told.held] == ["changed-after-upload"]
    assert again.held == []
    assert (job.state, job.held) == (State.UPLOADED, True)
    assert f"{SLICES} files then, {SLICES - 1} now" in (job.reason or "")


def late(ctx: Context, choice: str) -> Context:
    """Return the site with another choice for late images."""
    asked = ctx.settings.scan.replace(late=choice)
    return replace(ctx, settings=ctx.settings.replace(scan=asked))


def run_steps(ctx: Context, *steps: str) -> None:
    for step in steps:
        run_step(step, ctx, Selection())


def test_late_images_may_be_ignored(ctx: Context, pelvis: list[Path]) -> None:
    ctx = late(ctx, "ignore")
    run_steps(ctx, "scan", "match", "deidentify", "upload")
    pelvis[-1].unlink()

    done = scan(ctx)

    assert (done.jobs, done.changed_later) == ([], [])
    assert (only_job(ctx).state, only_job(ctx).held) == (State.UPLOADED, False)


def test_late_images_may_make_a_new_job_that_names_the_old_one(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = late(ctx, "resend")
    run_steps(ctx, "scan", "match", "deidentify", "upload")
    pelvis[-1].unlink()

    scan(ctx)
    again = scan(ctx)

    old, new = ctx.ledger.jobs()
    assert (old.state, old.reason_code) == (State.CANCELLED, "sent-again")
    assert new.id in (old.reason or "")
    assert (new.state, new.follows, new.slices) == (State.FOUND, old.id, SLICES - 1)
    assert again.jobs == []
    run_steps(ctx, "match", "deidentify", "upload", "poll", "fetch", "reidentify")
    assert ctx.ledger.jobs()[1].state is State.DONE


def test_a_late_series_that_is_not_whole_is_held_until_it_is_and_then_sent_again(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = late(ctx, "resend")
    run_steps(ctx, "scan", "match", "deidentify", "upload")
    kept = pelvis[2].read_bytes()
    pelvis[2].unlink()
    scan(ctx)
    held = only_job(ctx)
    pelvis[2].write_bytes(kept)
    pelvis[-1].unlink()

    scan(ctx)

    old, new = ctx.ledger.jobs()
    assert (held.held, held.reason_code) == (True, "changed-after-upload")
    assert (old.state, new.state) == (State.CANCELLED, State.FOUND)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("rule_says", ["ignore", "resend"])
def test_the_rule_that_chose_the_template_decides_about_late_images(
    ctx: Context, pelvis: list[Path], clock: Clock, *, archived: bool, rule_says: str
) -> None:
    rules = ctx.settings.rules
    rules.write_text(rules.read_text().replace("    when:", f"    late: {rule_says}\n    when:"))
    ctx = late(ctx, "resend" if rule_says == "ignore" else "ignore")
    run_steps(ctx, "scan", "match", "deidentify", "upload")
    if archived:
        run_steps(ctx, "poll", "fetch", "reidentify")
        clock.advance(days=3)
        ctx.ledger.archive_finished(ctx.now())
    pelvis[-1].unlink()

    done = scan(ctx)

    assert [job.number for job in done.jobs if job.follows] == (
        [2] if rule_says == "resend" else []
    )


def test_broken_rules_leave_late_images_to_the_settings(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    run_steps(late(ctx, "ignore"), "scan", "match", "deidentify", "upload")
    (site.folder / "rules.yaml").write_text("rules: [{late: resend}]\n")
    pelvis[-1].unlink()

    done = scan(replace(late(ctx, "ignore")))

    assert done.jobs == []


@pytest.mark.parametrize("archived", [False, True])
def test_late_images_of_a_finished_job_are_sent_again_once(
    ctx: Context, pelvis: list[Path], clock: Clock, *, archived: bool
) -> None:
    ctx = late(ctx, "resend")
    run_steps(ctx, "scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
    done = only_job(ctx)
    if archived:
        clock.advance(days=3)
        ctx.ledger.archive_finished(ctx.now())
    pelvis[-1].unlink()

    scan(ctx)
    again = scan(ctx)

    new = ctx.ledger.jobs()[-1]
    assert done.state is State.DONE
    assert (new.id, new.follows) == (f"{done.series_key}-2", done.id)
    assert again.jobs == []


def test_a_released_job_is_not_held_again_for_the_same_change(
    ctx: Context, pelvis: list[Path]
) -> None:
    for step in ("scan", "match", "deidentify", "upload"):
        run_step(step, ctx, Selection())
    pelvis[-1].unlink()
    scan(ctx)
    ctx.ledger.commit(release(only_job(ctx), ctx))

    scan(ctx)

    assert not only_job(ctx).held


def test_a_file_that_cannot_be_read_keeps_the_series_of_its_folder_waiting(
    ctx: Context, pelvis: list[Path]
) -> None:
    pelvis[-1].write_bytes(b"")
    scan(ctx)
    empty = only_job(ctx)
    pelvis[-1].write_bytes(pelvis[0].read_bytes()[:700])
    scan(ctx)
    cut = only_job(ctx)
    pelvis[-1].unlink()

    scan(ctx)

    assert (empty.state, empty.reason_code) == (State.WAITING, "unreadable-files")
    assert (cut.state, cut.reason_code) == (State.WAITING, "unreadable-files")
    assert only_job(ctx).state is State.FOUND


def test_pixels_that_hold_more_than_the_image_are_not_sent(
    ctx: Context, pelvis: list[Path]
) -> None:
    dataset = dcmread(pelvis[0])
    dataset.PixelData += b"KULKARNEE^ASHOK 19540819"
    dataset.save_as(pelvis[0])

    scan(ctx)

    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "extra-pixels")


def test_two_names_under_one_id_are_two_patients(ctx: Context, pelvis: list[Path]) -> None:
    dataset = dcmread(pelvis[0])
    dataset.PatientName = "Somebody^Else"
    dataset.save_as(pelvis[0])

    scan(ctx)

    assert only_job(ctx).reason_code == "mixed-patients"


def test_a_waiting_series_that_vanishes_says_so_and_is_held_in_the_end(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    pelvis[2].unlink()
    scan(ctx)
    shutil.rmtree(pelvis[0].parent)
    scan(ctx)
    gone = only_job(ctx)
    clock.advance(hours=25)

    scan(ctx)

    assert (gone.state, gone.reason_code) == (State.WAITING, "not-seen")
    assert only_job(ctx).held


def test_a_localizer_within_the_series_is_left_behind(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    scout = dcmread(pelvis[0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.SOPInstanceUID = "2.25.42"
    scout.file_meta.MediaStorageSOPInstanceUID = UID("2.25.42")
    scout.save_as(site.store / "pelvis" / "scout.dcm")

    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())

    assert (only_job(ctx).state, only_job(ctx).slices) == (State.PACKAGED, SLICES)


@pytest.mark.usefixtures("pelvis")
def test_our_own_structure_sets_start_nothing(ctx: Context) -> None:
    for step in ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify"):
        run_step(step, ctx, Selection())

    done = scan(ctx)

    assert only_job(ctx).state is State.DONE
    assert done.jobs == []
    assert done.changed_later == []


def test_a_cancelled_series_is_left_alone(ctx: Context, pelvis: list[Path]) -> None:
    scan(ctx)
    ctx.ledger.commit(only_job(ctx).to(State.CANCELLED, at=ctx.now()))
    pelvis[-1].unlink()

    scan(ctx)

    assert only_job(ctx).state is State.CANCELLED


def test_limit_bounds_new_series_and_the_rest_is_found_next_time(ctx: Context, site: Site) -> None:
    for person in (PELVIS, HEAD_NECK, THORAX):
        write_planning_ct(site.store / person.file_name, person, slices=4, size=32)

    scan(ctx, limit=2)
    first = len(ctx.ledger.jobs())
    scan(ctx)

    assert first == 2
    assert len(ctx.ledger.jobs()) == 3


def test_one_job_can_be_looked_at_alone(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    pelvis[2].unlink()
    scan(ctx)
    job = only_job(ctx)
    write_planning_ct(site.store / "thorax", THORAX, slices=4, size=32)

    scan(ctx, only=job.id)

    assert len(ctx.ledger.jobs()) == 1


def test_a_missing_datastore_is_an_error(ctx: Context, site: Site) -> None:
    site.store.rmdir()

    (lost,) = scan(ctx).lost

    assert "does not exist" in str(lost)
    assert out_of_reach([run_step("scan", ctx, Selection())]) != []
    with pytest.raises(OutOfReach, match="does not exist"):
        preview_scan(ctx)


def test_an_empty_datastore_is_well(ctx: Context) -> None:
    done = scan(ctx)

    assert (done.jobs, done.passed_over, done.ignored) == ([], {}, {})


def settle(ctx: Context, clock: Clock) -> None:
    """Scan as cron does until what came has lain still for long enough."""
    for _ in range(3):
        clock.advance(minutes=11)
        scan(ctx)


def hold(pelvis: list[Path], aside: Path, ctx: Context, clock: Clock) -> Job:
    """Let a slice be missing until the series is held."""
    shutil.move(pelvis[2], aside)
    settle(ctx, clock)
    clock.advance(hours=25)
    scan(ctx)
    return only_job(ctx)


def test_a_held_series_that_becomes_whole_settles_and_is_found(
    quiet: Context, pelvis: list[Path], clock: Clock, tmp_path: Path
) -> None:
    ctx = quiet
    held = hold(pelvis, tmp_path / "late.dcm", ctx, clock)
    shutil.move(tmp_path / "late.dcm", pelvis[2])
    os.utime(pelvis[2], (clock.now().timestamp(),) * 2)

    scan(ctx)
    settling = only_job(ctx)
    settle(ctx, clock)

    assert (held.held, held.reason_code) == (True, "missing-slices")
    assert (settling.held, settling.reason_code) == (False, "arriving")
    assert only_job(ctx).state is State.FOUND


def test_a_series_held_as_gone_that_comes_back_is_found(
    quiet: Context, pelvis: list[Path], clock: Clock, tmp_path: Path
) -> None:
    ctx, whole = quiet, tmp_path / "whole"
    shutil.move(pelvis[2], tmp_path / "late.dcm")
    settle(ctx, clock)
    shutil.move(tmp_path / "late.dcm", pelvis[2])
    shutil.move(pelvis[0].parent, whole)
    clock.advance(hours=25)
    scan(ctx)
    held = only_job(ctx)
    shutil.move(whole, pelvis[0].parent)

    settle(ctx, clock)

    assert (held.held, held.reason_code) == (True, "not-seen")
    assert only_job(ctx).state is State.FOUND


def test_a_waiting_series_of_which_little_is_seen_once_is_not_set_aside(
    ctx: Context, pelvis: list[Path], tmp_path: Path
) -> None:
    names = [pelvis[2], *pelvis[1:2], *pelvis[3:]]
    shutil.move(names[0], tmp_path / names[0].name)
    scan(ctx)
    for path in names[1:]:
        shutil.move(path, tmp_path / path.name)
    scan(ctx)
    few = only_job(ctx)
    for path in names:
        shutil.move(tmp_path / path.name, path)

    scan(ctx)

    assert (few.state, few.reason_code) == (State.WAITING, "few-slices")
    assert only_job(ctx).state is State.FOUND


@pytest.mark.parametrize("archived", [False, True])
def test_a_waiting_series_that_the_settings_left_out_for_a_time_is_taken_back(
    ctx: Context, quiet: Context, pelvis: list[Path], clock: Clock, *, archived: bool
) -> None:
    changed_at(pelvis, clock, minutes_ago=1)
    scan(quiet)
    without_ct = ctx.settings.scan.replace(modalities=("MR",))
    scan(replace(ctx, settings=ctx.settings.replace(scan=without_ct)))
    left = only_job(ctx)
    if archived:
        clock.advance(hours=48)
        assert ctx.ledger.archive_finished(ctx.now()) == 1
    named = preview_scan(ctx)

    scan(ctx)

    assert (left.state, left.reason_code) == (State.CANCELLED, "modality")
    assert [one.key for one in named] == [left.series_key]
    assert only_job(ctx).state is State.FOUND
    scan(ctx)
    assert only_job(ctx).state is State.FOUND


@pytest.mark.usefixtures("pelvis")
@pytest.mark.parametrize("is_assigned", [False, True])
def test_what_the_settings_leave_out_is_not_sent_though_it_is_packaged(
    ctx: Context, draw: FakeDraw, *, is_assigned: bool
) -> None:
    for step in ("scan", "match"):
        run_step(step, ctx, Selection())
    if is_assigned:
        assign_template(only_job(ctx), "Prostate_OAR", ctx)
    run_step("deidentify", ctx, Selection())
    newer = ctx.settings.scan.replace(studied_after=date(2099, 1, 1))
    other = replace(ctx, settings=ctx.settings.replace(scan=newer))

    for step in ("scan", "upload"):
        run_step(step, other, Selection())
    left = only_job(ctx)
    for step in ("scan", "match", "deidentify", "upload"):
        run_step(step, ctx, Selection())

    assert left.state is (State.UPLOADED if is_assigned else State.CANCELLED)
    assert left.reason_code == (None if is_assigned else "too-old")
    assert (only_job(ctx).state, draw.posts()) == (State.UPLOADED, 1)


def test_a_series_that_the_settings_leave_out_stays_so_while_they_do(
    ctx: Context, quiet: Context, pelvis: list[Path], clock: Clock
) -> None:
    changed_at(pelvis, clock, minutes_ago=1)
    scan(quiet)
    without_ct = ctx.settings.scan.replace(modalities=("MR",))
    other = replace(ctx, settings=ctx.settings.replace(scan=without_ct))
    scan(other)
    left = only_job(ctx)

    assert (scan(other).jobs, only_job(ctx)) == ([], left)
    clock.advance(hours=48)
    ctx.ledger.archive_finished(ctx.now())
    assert (scan(other).jobs, ctx.ledger.jobs(), ctx.ledger.get(left.id)) == ([], [], left)


def test_a_series_that_changes_after_its_delivery_is_told_once_and_noted(
    ctx: Context, pelvis: list[Path]
) -> None:
    scan(ctx)
    sent = only_job(ctx)
    ctx.ledger.commit(replace(sent, state=State.DONE))
    pelvis[-1].unlink()

    first, second = run_step("scan", ctx, Selection()), run_step("scan", ctx, Selection())

    assert first.scanned is not None
    assert second.scanned is not None
    assert [job.id for job in first.scanned.late] == [sent.id]
    assert second.scanned.late == []
    assert [one.what for one in only_job(ctx).events][-1] == "changed later"
    assert first.outcomes == []


def test_a_cancelled_successor_does_not_send_what_changes_after_it(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = late(ctx, "resend")
    scan(ctx)
    sent = only_job(ctx)
    ctx.ledger.commit(replace(sent, state=State.UPLOADED))
    newer = replace(sent, id=f"{sent.series_key}-2", state=State.CANCELLED, follows=sent.id)
    ctx.ledger.add(newer)
    pelvis[-1].unlink()

    scan(ctx)

    states = {job.id[-1]: job.state for job in ctx.ledger.jobs()}
    assert states == {"1": State.CANCELLED, "2": State.CANCELLED, "3": State.FOUND}


def test_a_series_without_a_study_date_is_not_called_old(ctx: Context, site: Site) -> None:
    for path in write_planning_ct(site.store / "a", PELVIS, slices=6, size=32):
        dataset = dcmread(path)
        dataset.StudyDate = ""
        dataset.save_as(path)
    wanted = ctx.settings.scan.replace(studied_after=date(2020, 1, 1))
    ctx = replace(ctx, settings=ctx.settings.replace(scan=wanted))

    done = scan(ctx)

    assert done.ignored == {"no-study-date": 1}
