"""One-off jobs: what a person shows from outside the datastore goes the way of any other job."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore.zips import Zip
from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.workdir import UNPACKED
from drawcli.core.jobs.backoff import GIVE_UP_AFTER
from drawcli.core.jobs.job import Job, State
from drawcli.errors import DiskFull, NeedsPerson, OutOfReach, SeriesRefused, UsageError
from drawcli.operations import keys
from drawcli.pipeline.actions import act_locked, assign, cancel, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.one_off import OneOffRequest, OneOffResult, scan_paths
from drawcli.pipeline.results import redeliver, verify
from drawcli.pipeline.runner import Selection, run_once, run_step
from drawcli.pipeline.steps.scan import preview_scan, scan
from drawcli.sandbox.phantom import write_visit
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

Made = Callable[[Path], Path]
ONWARD = ("match", "deidentify", "upload", "poll", "fetch", "reidentify")


@pytest.fixture
def back(tmp_path: Path) -> Path:
    """Return a folder for structure sets, named after the patient as well."""
    folder = tmp_path / "back to KOWALSKI"
    folder.mkdir()
    return folder


@pytest.fixture
def packed(usb: Path) -> Path:
    """Return the medium as a zip, with what else lies on such media."""
    (usb / "README.txt").write_text("open with the viewer beside")
    path = _packed(usb)
    shutil.rmtree(usb)
    return path


def _packed(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.fixture(params=[lambda folder: folder, _packed], ids=["folder", "zip"])
def made(request: pytest.FixtureRequest) -> Made:
    """Return how what is shown is made of a folder: as it is, or packed."""
    return request.param  # type: ignore[no-any-return] # one of the two


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def shown(
    ctx: Context, *paths: Path, to: Path | None = None, dry_run: bool = False
) -> OneOffResult:
    return scan_paths(OneOffRequest(paths, "" if to is None else str(to)), ctx, dry_run=dry_run)


def carried_on(ctx: Context) -> Job:
    """Carry the one job on as cron and physicists do, until it is done."""
    for step in ONWARD:
        run_step(step, ctx, Selection())
    return only_job(ctx)


def delivered(folder: Path) -> Path:
    (path,) = folder.rglob("RS.*")
    return path


def folders_of(ctx: Context) -> list[str]:
    return [path.parent.name for path in ctx.work.state_dir.glob(f"work/*/{UNPACKED}")]


def everything(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


# From what is shown to the structure set


def test_from_a_zip_to_the_delivered_structure_set(
    ctx: Context, site: Site, packed: Path, back: Path, draw: FakeDraw
) -> None:
    (job,) = shown(ctx, packed, to=back).found
    packed.unlink()

    done = carried_on(ctx)

    home = dcmread(delivered(back))
    assert (job.state, job.one_off, job.slices) == (State.FOUND, True, SLICES)
    assert (done.state, done.template, draw.confirmed) == (State.DONE, "Prostate_OAR", ["task-1"])
    assert (home.PatientID, home.PatientName) == (PELVIS.patient_id, PELVIS.name)
    assert delivered(back).name == f"RS.{PELVIS.patient_id}.Prostate_OAR.{job.id}.dcm"
    assert list(site.store.rglob("*")) == []
    assert verify(done, ctx) == []


def test_a_folder_is_only_read_and_the_structure_set_lies_beside_its_images(
    ctx: Context, usb: Path
) -> None:
    before = everything(usb)
    shown(ctx, usb)

    carried_on(ctx)

    file = delivered(usb)
    assert file.parent == usb / "KOWALSKI"
    assert {path: was for path, was in everything(usb).items() if path != file} == before


def test_deliver_to_wins_over_beside_and_over_the_folder_of_the_settings(
    ctx: Context, usb: Path, back: Path, tmp_path: Path
) -> None:
    (tmp_path / "tps").mkdir()
    deliver = ctx.settings.deliver.replace(folder=tmp_path / "tps")
    ctx = replace(ctx, settings=ctx.settings.replace(deliver=deliver))
    shown(ctx, usb, to=back)

    carried_on(ctx)

    assert delivered(back).is_file()
    assert list((tmp_path / "tps").iterdir()) == []


def test_images_by_name_and_a_zip_need_no_deliver_to_where_the_settings_name_a_folder(
    ctx: Context, packed: Path, tmp_path: Path
) -> None:
    (tmp_path / "tps").mkdir()
    deliver = ctx.settings.deliver.replace(folder=tmp_path / "tps" / "{patient_id}")
    ctx = replace(ctx, settings=ctx.settings.replace(deliver=deliver))
    shown(ctx, packed)

    carried_on(ctx)

    assert delivered(tmp_path / "tps").parent.name == PELVIS.patient_id


def test_a_structure_set_without_a_place_is_held_and_not_lost(
    ctx: Context, packed: Path, tmp_path: Path
) -> None:
    (tmp_path / "tps").mkdir()
    deliver = ctx.settings.deliver.replace(folder=tmp_path / "tps")
    then = replace(ctx, settings=ctx.settings.replace(deliver=deliver))
    shown(then, packed)

    held = carried_on(ctx)  # with deliver.folder: beside

    assert (held.state, held.held, held.reason_code) == (State.FETCHED, True, "no-place")
    assert list(ctx.work.state_dir.rglob("RS.*")) == []


def test_the_structure_set_never_takes_the_place_of_another_file(
    ctx: Context, usb: Path, back: Path
) -> None:
    (job,) = shown(ctx, usb, to=back).found
    other = back / f"RS.{PELVIS.patient_id}.Prostate_OAR.{job.id}.dcm"
    other.write_bytes(b"of somebody")

    held = carried_on(ctx)

    assert (held.held, held.reason_code) == (True, "name-taken")
    assert other.read_bytes() == b"of somebody"


def test_a_folder_that_is_gone_at_delivery_is_waited_for_and_never_made(
    ctx: Context, usb: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, usb, to=back)
    back.rmdir()
    waiting = carried_on(ctx)
    was_made = back.exists()
    back.mkdir()
    clock.advance(minutes=20)

    run_step("reidentify", ctx, Selection())

    assert (waiting.state, waiting.reason_code, was_made) == (State.FETCHED, "delivery", False)
    assert delivered(back).is_file()


def test_redeliver_writes_it_where_it_was_delivered_to(
    ctx: Context, packed: Path, back: Path
) -> None:
    shown(ctx, packed, to=back)
    done = carried_on(ctx)
    before = delivered(back).read_bytes()
    delivered(back).unlink()

    redeliver(done, ctx)

    assert delivered(back).read_bytes() == before


def test_what_a_person_typed_is_in_no_file_but_the_vault(
    ctx: Context, site: Site, usb: Path, back: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    shown(ctx, usb, to=back)
    carried_on(ctx)

    written = b"".join(path.read_bytes() for path in site.state.rglob("*") if path.is_file())
    assert ctx.crosswalk(only_job(ctx)).deliver_to == str(back)
    assert b"KOWALSKI" not in written
    assert "KOWALSKI" not in caplog.text


def test_several_paths_are_read_as_one(ctx: Context, usb: Path, back: Path) -> None:
    first, second, third, *_ = images(usb)
    disc = usb.with_name("second.zip")
    with zipfile.ZipFile(disc, "w") as archive:
        archive.write(second, "CD2/slice")
    second.unlink()

    alone = shown(ctx, usb)
    (job,) = shown(ctx, first, third, usb, disc, to=back).found
    paths = [Path(file.path) for file in ctx.crosswalk(job).files]

    assert [err.code for err in alone.refused] == ["missing-slices"]
    assert job.slices == SLICES
    assert sum(ctx.work.holds(path) for path in paths) == 1
    assert carried_on(ctx).state is State.DONE


def test_each_series_of_a_zip_becomes_a_job_with_images_of_its_own(
    ctx: Context, tmp_path: Path, back: Path
) -> None:
    write_planning_ct(tmp_path / "cd" / "a", PELVIS, slices=SLICES, size=32, seed=1)
    write_visit(tmp_path / "cd" / "b", HEAD_NECK, slices=4, size=32)  # with a scout

    done = shown(ctx, _packed(tmp_path / "cd"), to=back)

    assert sorted(job.slices or 0 for job in done.found) == [4, SLICES]
    assert done.ignored == {"localizer": 1}
    assert len(images(site_work(ctx))) == 4 + SLICES
    for job in done.found:
        folder = ctx.work.file(job.id, UNPACKED)
        assert {Path(file.path).parent for file in ctx.crosswalk(job).files} == {folder}


def site_work(ctx: Context) -> Path:
    return ctx.work.state_dir / "work"


# Whole, or told at once


def test_nobody_waits_for_quiet_minutes_that_a_person_vouches_for(ctx: Context, usb: Path) -> None:
    update = {"quiet_minutes": 10.0, "min_age_minutes": 60.0}
    wanted = ctx.settings.scan.replace(**update)
    ctx = replace(ctx, settings=ctx.settings.replace(scan=wanted))

    assert [job.state for job in shown(ctx, usb).found] == [State.FOUND]


def test_a_series_that_is_not_whole_is_told_and_leaves_nothing_behind(
    ctx: Context, usb: Path
) -> None:
    images(usb)[2].unlink()

    told = shown(ctx, usb)

    (err,) = told.refused
    assert (err.code, err.exit_code) == ("missing-slices", 6)
    assert f"{SLICES} expected, {SLICES - 1} present" in str(err)
    assert (told.found, ctx.ledger.jobs(), site_work(ctx).exists()) == ([], [], False)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda raw: raw[:300], "unreadable-files"),
        (lambda _raw: b"", "unreadable-files"),
        (lambda raw: raw[:-100], "truncated"),
    ],
)
def test_a_last_slice_that_is_damaged_is_missed_though_the_rest_looks_whole(
    ctx: Context, usb: Path, made: Made, damage: Callable[[bytes], bytes], code: str
) -> None:
    last = images(usb)[-1]
    last.write_bytes(damage(last.read_bytes()))

    told = shown(ctx, made(usb), to=usb)

    assert [err.code for err in told.refused] == [code]
    assert told.found == []


def test_copies_that_are_the_same_are_taken_once_and_others_are_refused(
    ctx: Context, usb: Path, made: Made
) -> None:
    first = images(usb)[0]
    copy = usb / "copy.dcm"
    copy.write_bytes(first.read_bytes()[:-1] + b"\x7f")
    differing = shown(ctx, made(usb), to=usb)
    shutil.copy(first, copy)

    same = shown(ctx, made(usb), to=usb)

    assert [err.code for err in differing.refused] == ["duplicates"]
    assert [job.slices for job in same.found] == [SLICES]


def test_a_folder_that_cannot_be_listed_may_hold_the_last_slice(
    ctx: Context, usb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (usb / "more").mkdir()
    opened = os.open

    def closed(path: Any, *more: Any, **where: Any) -> int:
        if str(path).endswith("more"):
            raise PermissionError(13, os.strerror(13))
        return opened(path, *more, **where)

    monkeypatch.setattr("drawcli.adapters.datastore.listing.os.open", closed)

    told = shown(ctx, usb)

    assert [err.code for err in told.refused] == ["unreadable-folder"]


def test_an_old_study_is_taken_for_a_person_chose_it(ctx: Context, usb: Path) -> None:
    wanted = ctx.settings.scan.replace(studied_after=date(2099, 1, 1))
    ctx = replace(ctx, settings=ctx.settings.replace(scan=wanted))

    assert len(shown(ctx, usb).found) == 1


def test_a_folder_without_a_series_is_wrong_usage_and_says_what_is_there(
    ctx: Context, tmp_path: Path
) -> None:
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "holiday.jpg").write_bytes(b"\xff\xd8" * 200)

    with pytest.raises(UsageError, match="no series to send: 1 not-dicom"):
        shown(ctx, tmp_path / "usb")


def test_a_dry_run_writes_nothing(ctx: Context, site: Site, packed: Path, back: Path) -> None:
    before = everything(site.state)

    told = shown(ctx, packed, to=back, dry_run=True)

    assert [(seen.modality, seen.files) for seen in told.ready] == [("CT", SLICES)]
    assert everything(site.state) == before
    assert not site_work(ctx).exists()


# What makes no sense


def test_a_zip_needs_a_place_for_the_structure_set(ctx: Context, packed: Path) -> None:
    with pytest.raises(UsageError, match="--deliver-to"):
        shown(ctx, packed)


def test_images_by_name_need_a_place_for_the_structure_set(ctx: Context, usb: Path) -> None:
    with pytest.raises(UsageError, match="--deliver-to"):
        shown(ctx, *images(usb))


def test_a_place_that_is_not_there_or_our_own_is_refused(
    ctx: Context, site: Site, usb: Path, tmp_path: Path
) -> None:
    for place in (tmp_path / "KOWALSKI", images(usb)[0], site.state):
        with pytest.raises(UsageError, match="--deliver-to") as caught:
            shown(ctx, usb, to=place)
        assert "KOWALSKI" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(
    ctx: Context, usb: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    for place in (None, back):
        with pytest.raises(UsageError, match="not writable"):
            shown(ctx, usb, to=place)


def test_what_lies_in_the_datastore_or_in_our_own_folder_is_refused(
    ctx: Context, site: Site, pelvis: list[Path], back: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(site.store)
    for path in (
        site.store,
        pelvis[0].parent,
        pelvis[0],
        site.folder,
        site.state,
        tmp_path / "link",
    ):
        with pytest.raises(UsageError, match="PATH 1 of 1 is in"):
            shown(ctx, path, to=back)


def test_a_path_that_is_not_there_is_told_by_its_number(ctx: Context, usb: Path) -> None:
    with pytest.raises(UsageError, match=r"PATH 2 of 2: no such") as caught:
        shown(ctx, usb, usb / "KOWALSKI" / "none")
    assert "KOWALSKI" not in str(caught.value)


# What is known already


def test_a_series_of_the_datastore_is_told_and_not_doubled(
    ctx: Context, usb: Path, site: Site, back: Path
) -> None:
    shutil.copytree(usb, site.store / "same")
    scan(ctx)

    told = shown(ctx, usb, to=back)

    assert [(job.id, did) for job, did in told.known] == [(only_job(ctx).id, "")]
    assert (told.found, only_job(ctx).one_off) == ([], False)


def test_an_earlier_one_off_is_told_and_not_doubled_even_from_the_archive(
    ctx: Context, usb: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, usb, to=back)
    soon = shown(ctx, usb, to=back)
    done = carried_on(ctx)
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.at)
    late = shown(ctx, usb, to=back)

    assert [job.id for job, _ in soon.known] == [job.id for job, _ in late.known] == [done.id]
    assert (soon.found, late.found, ctx.ledger.jobs()) == ([], [], [])


def test_a_series_that_was_sent_under_a_retired_key_is_known(
    ctx: Context, site: Site, usb: Path, draw: FakeDraw, clock: Clock
) -> None:
    shown(ctx, usb)
    keys.rotate(ctx)

    with opened(site, draw, clock) as later:
        told = shown(later, usb)

    assert [job.id for job, _ in told.known] == [only_job(ctx).id]
    assert told.found == []


def test_the_datastore_does_not_disturb_a_one_off_job_nor_send_its_series_again(
    ctx: Context, site: Site, usb: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, usb, to=back)
    jobs = [only_job(ctx)]
    for number, step in enumerate(ONWARD):
        scan(ctx)
        if number % 2:  # the same series appears in the datastore, slice by slice
            copies = images(usb)[number - 1 : number + 1]
            (site.store / "same").mkdir(exist_ok=True)
            for path in copies:
                shutil.copy(path, site.store / "same")
        done = scan(ctx)
        assert (done.jobs, preview_scan(ctx)) == ([], [])
        run_step(step, ctx, Selection())
        jobs.append(only_job(ctx))
    scan(ctx)
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.at)

    after = scan(ctx)

    assert jobs[-1].state is State.DONE
    assert (after.jobs, ctx.ledger.jobs()) == ([], [])
    assert delivered(back).is_file()


def test_other_images_of_the_series_in_the_datastore_do_not_send_an_archived_one_off_again(
    ctx: Context, site: Site, usb: Path, back: Path, clock: Clock
) -> None:
    wanted = ctx.settings.scan.replace(late="resend")
    ctx = replace(ctx, settings=ctx.settings.replace(scan=wanted))
    shown(ctx, usb, to=back)
    done = carried_on(ctx)
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.at)
    shutil.copytree(usb, site.store / "same")
    images(site.store)[-1].unlink()

    told = scan(ctx)

    assert (told.jobs, told.changed_later) == ([], [done.id])


def test_assign_sends_a_one_off_once_more_from_images_of_its_own(
    ctx: Context, packed: Path, back: Path
) -> None:
    shown(ctx, packed, to=back)
    first = carried_on(ctx)

    second = act_locked(first, ctx, lambda now: assign(now, "Thorax_OAR", ctx))
    ctx.work.remove(first.id)
    run_step("scan", ctx, Selection())
    for step in ONWARD:
        run_step(step, ctx, Selection())

    after = ctx.ledger.get(second.id)
    assert after is not None
    assert (after.id, after.one_off, after.state) == (f"{first.series_key}-2", True, State.DONE)
    assert {path.name.split(".")[-3] for path in back.iterdir()} == {"Prostate_OAR", "Thorax_OAR"}


def test_a_second_template_of_the_rules_has_images_of_its_own(
    ctx: Context, site: Site, packed: Path, back: Path
) -> None:
    text = (site.folder / "rules.yaml").read_text()
    text += "  - name: any-ct\n    template: Thorax_OAR\n    when: {Modality: CT}\n"
    (site.folder / "rules.yaml").write_text(text)
    choice = ctx.settings.match.replace(on_many="all")
    ctx = replace(ctx, settings=ctx.settings.replace(match=choice))
    (job,) = shown(ctx, packed, to=back).found
    run_step("match", ctx, Selection())
    ctx.work.remove(job.id)

    run_step("deidentify", ctx, Selection(job_id=f"{job.series_key}-2"))

    sibling = ctx.ledger.get(f"{job.series_key}-2")
    assert sibling is not None
    assert (sibling.state, sibling.one_off) == (State.PACKAGED, True)


def test_a_cancelled_one_off_is_taken_up_again_from_where_it_lay(
    ctx: Context, site: Site, usb: Path
) -> None:
    shown(ctx, usb)
    job = ctx.ledger.commit(cancel(only_job(ctx), ctx))
    waiting = ctx.ledger.commit(retry(job, ctx))
    shutil.copytree(usb, site.store / "same")
    planned = preview_scan(ctx)

    scan(ctx)

    assert (waiting.state, only_job(ctx).state) == (State.WAITING, State.FOUND)
    assert (planned, only_job(ctx).one_off) == ([], True)
    assert Path(ctx.crosswalk(only_job(ctx)).files[0].path).is_relative_to(usb)


def test_a_job_that_waits_for_images_that_are_gone_gets_them_when_they_are_shown(
    ctx: Context, packed: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, packed, to=back)
    first = carried_on(ctx)
    clock.advance(days=40)
    list(run_once(ctx, Selection()))
    second = assign(ctx.ledger.get(first.id) or first, "Thorax_OAR", ctx)
    scan(ctx)
    waiting = only_job(ctx)

    (found,) = shown(ctx, packed, to=back).found

    assert not ctx.work.has_folder(first.id)
    assert (waiting.reason_code, waiting.hint) == ("not-seen", None)
    assert "'drawcli scan PATH' finds them" in str(waiting.reason)
    assert (found.id, found.state, found.template) == (second.id, State.FOUND, "Thorax_OAR")


def test_images_that_never_come_are_asked_for_once(ctx: Context, usb: Path, clock: Clock) -> None:
    shown(ctx, usb)
    ctx.ledger.commit(retry(ctx.ledger.commit(cancel(only_job(ctx), ctx)), ctx))
    shutil.rmtree(usb)
    scan(ctx)
    clock.advance(hours=25)

    told = run_step("scan", ctx, Selection())
    again = run_step("scan", ctx, Selection())

    assert [(job.reason_code, job.held) for job in told.held] == [("not-seen", True)]
    assert "scan PATH" in str(only_job(ctx).hint)
    assert again.outcomes == []


def test_a_series_of_the_datastore_that_is_gone_from_it_can_be_shown(
    ctx: Context, site: Site, usb: Path, back: Path
) -> None:
    shutil.copytree(usb, site.store / "same")
    scan(ctx)
    first = carried_on(ctx)
    shutil.rmtree(site.store / "same")
    second = assign(first, "Thorax_OAR", ctx)
    scan(ctx)

    (found,) = shown(ctx, usb, to=back).found

    assert (found.id, found.one_off, found.state) == (second.id, True, State.FOUND)


# Media come and go


def test_a_medium_that_is_gone_is_waited_for_with_a_reason_and_then_held(
    ctx: Context, usb: Path, clock: Clock
) -> None:
    shown(ctx, usb)
    run_step("match", ctx, Selection())
    usb.rename(usb.with_name("in a pocket"))
    run_step("deidentify", ctx, Selection())
    waiting = only_job(ctx)
    for _ in range(GIVE_UP_AFTER):
        clock.advance(hours=7)
        run_step("deidentify", ctx, Selection())
    held = only_job(ctx)
    usb.with_name("in a pocket").rename(usb)
    ctx.ledger.commit(retry(held, ctx))

    run_step("deidentify", ctx, Selection())

    assert (waiting.state, waiting.held, waiting.reason_code) == (
        State.MATCHED,
        False,
        "source-changed",
    )
    assert (held.held, "Reconnect the medium" in str(held.hint)) == (True, True)
    assert only_job(ctx).state is State.PACKAGED


def test_nothing_is_delivered_while_the_medium_with_the_images_is_gone(
    ctx: Context, usb: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, usb, to=back)
    for step in ONWARD[:-1]:
        run_step(step, ctx, Selection())
    usb.rename(usb.with_name("in a pocket"))
    run_step("reidentify", ctx, Selection())
    waiting = only_job(ctx)
    scan(ctx)
    usb.with_name("in a pocket").rename(usb)
    clock.advance(minutes=20)

    run_step("reidentify", ctx, Selection())

    assert (waiting.state, waiting.reason_code) == (State.FETCHED, "source-moved")
    assert "Reconnect the medium" in str(waiting.hint)
    assert delivered(back).is_file()


def test_images_that_have_changed_since_they_were_sent_hold_the_structure_set(
    ctx: Context, usb: Path, back: Path
) -> None:
    shown(ctx, usb, to=back)
    for step in ONWARD[:-1]:
        run_step(step, ctx, Selection())
    dataset = dcmread(images(usb)[0])
    dataset.StudyDescription = "another"
    dataset.save_as(images(usb)[0])

    run_step("reidentify", ctx, Selection())

    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "source-moved")
    assert list(back.iterdir()) == []


def test_a_medium_that_lies_elsewhere_now_is_followed_when_it_is_shown_again(
    ctx: Context, usb: Path, back: Path
) -> None:
    shown(ctx, usb, to=back)
    for step in ONWARD[:-1]:
        run_step(step, ctx, Selection())
    moved = usb.rename(usb.with_name("usb1"))
    run_step("reidentify", ctx, Selection())

    ((_, did),) = shown(ctx, moved).known
    run_step("reidentify", ctx, Selection())

    assert did == "continues with these images"
    assert (only_job(ctx).state, only_job(ctx).one_off) == (State.DONE, True)
    assert delivered(back).is_file()


def test_a_medium_with_other_images_is_not_followed(ctx: Context, usb: Path) -> None:
    shown(ctx, usb)
    before = ctx.crosswalk(only_job(ctx))
    moved = usb.rename(usb.with_name("usb1"))
    images(moved)[-1].unlink()

    ((_, did),) = shown(ctx, moved).known

    assert "other images" in did
    assert ctx.crosswalk(only_job(ctx)) == before


def test_images_that_are_gone_from_the_work_folder_come_back_from_the_zip(
    ctx: Context, packed: Path, back: Path
) -> None:
    (job,) = shown(ctx, packed, to=back).found
    images(ctx.work.file(job.id, UNPACKED))[0].unlink()

    shown(ctx, packed, to=back)

    assert carried_on(ctx).state is State.DONE
    assert delivered(back).is_file()


def test_another_place_can_be_named_until_the_structure_set_is_delivered(
    ctx: Context, usb: Path, back: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    shown(ctx, usb, to=tmp_path / "wrong")
    shown(ctx, usb, to=back)
    carried_on(ctx)

    ((_, did),) = shown(ctx, usb, to=tmp_path / "wrong").known

    assert did == ""
    assert list((tmp_path / "wrong").iterdir()) == []
    assert verify(only_job(ctx), ctx) == []


def test_a_vault_of_a_one_off_is_not_rebuilt_for_its_place_is_lost(ctx: Context, usb: Path) -> None:
    (job,) = shown(ctx, usb).found
    ctx.work.file(job.id, "vault").unlink()

    with pytest.raises(NeedsPerson, match="one-off"):
        keys.rebuild(job, ctx)


# Zips: crashes, disks, hostility


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, archive.read(info)


def test_images_out_of_a_zip_are_durable_before_the_ledger_knows_of_them(
    ctx: Context, packed: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, add = os.fsync, FileLedger.add
    synced, before = set[int](), set[int]()

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def noted_add(ledger: FileLedger, *jobs: Job) -> list[Job]:
        before.update(synced)
        return add(ledger, *jobs)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(FileLedger, "add", noted_add)

    (job,) = shown(ctx, packed, to=back).found

    folder = ctx.work.file(job.id, UNPACKED)
    assert {path.stat().st_ino for path in (folder, *images(folder))} <= before


@pytest.mark.parametrize("after", [0, 3, SLICES])
def test_a_crash_while_unpacking_leaves_no_job_and_the_next_run_cleans_up(
    ctx: Context,
    packed: Path,
    back: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    unpack, count = Zip.unpack, iter(range(SLICES))

    def dying(self: Zip, member: str, target: Path) -> None:
        if next(count) == after:
            raise KeyboardInterrupt
        unpack(self, member, target)

    with monkeypatch.context() as patched:
        patched.setattr(Zip, "unpack", dying)
        patched.setattr(FileLedger, "add", _die)  # where the last image was unpacked
        patched.setattr("drawcli.adapters.state.workdir.WorkDir.remove_unpacked", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            shown(ctx, packed, to=back)
    left = folders_of(ctx)
    list(run_once(ctx, Selection()))

    assert (len(left), folders_of(ctx), ctx.ledger.jobs()) == (1, [], [])
    assert len(shown(ctx, packed, to=back).found) == 1
    assert carried_on(ctx).state is State.DONE


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_zip_shown_again_after_a_crash_is_unpacked_anew(
    ctx: Context, packed: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(FileLedger, "add", _die)
        with pytest.raises(KeyboardInterrupt):
            shown(ctx, packed, to=back)
    (folder,) = site_work(ctx).glob(f"*/{UNPACKED}")
    (folder / "000001.dcm").write_bytes(b"half")

    shown(ctx, packed, to=back)

    assert carried_on(ctx).state is State.DONE


def test_an_interrupted_unpacking_leaves_nothing(
    ctx: Context, packed: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Zip, "unpack", _die)

    with pytest.raises(KeyboardInterrupt):
        shown(ctx, packed, to=back)

    assert [path for path in site_work(ctx).iterdir() if path.is_dir()] == []


def test_cleaning_does_not_touch_the_images_of_jobs_that_are_open(
    ctx: Context, packed: Path, back: Path
) -> None:
    (job,) = shown(ctx, packed, to=back).found

    ctx.work.remove_leftovers(lambda job_id: ctx.ledger.get(job_id) is not None)

    assert len(images(ctx.work.file(job.id, UNPACKED))) == SLICES


def test_the_images_go_with_the_work_folder_of_the_job(
    ctx: Context, packed: Path, back: Path, clock: Clock
) -> None:
    shown(ctx, packed, to=back)
    job = carried_on(ctx)
    kept = len(images(ctx.work.file(job.id, UNPACKED)))
    clock.advance(days=31)

    list(run_once(ctx, Selection()))

    assert kept == SLICES
    assert not ctx.work.has_folder(job.id)


def test_a_disk_that_the_images_would_fill_is_told_before_they_are_unpacked(
    ctx: Context, packed: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.adapters.state.workdir.WorkDir.free_bytes", lambda _self: 100)

    with pytest.raises(DiskFull):
        shown(ctx, packed, to=back)

    assert (images(site_work(ctx)), ctx.ledger.jobs()) == ([], [])


def test_a_medium_that_fails_while_it_is_unpacked_is_out_of_reach(
    ctx: Context, packed: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(5, os.strerror(5), "/media/KOWALSKI")

    monkeypatch.setattr(Zip, "unpack", failing)

    with pytest.raises(OutOfReach) as caught:
        shown(ctx, packed, to=back)

    assert "KOWALSKI" not in str(caught.value)
    assert folders_of(ctx) == []


@pytest.mark.parametrize("name", ["../../state/site.key", "/evil.dcm", "..\\evil.dcm"])
def test_one_hostile_name_and_nothing_of_the_zip_is_taken(
    ctx: Context, site: Site, packed: Path, back: Path, name: str
) -> None:
    before = everything(site.folder)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, b"evil")

    with pytest.raises(SeriesRefused) as caught:
        shown(ctx, packed, to=back)

    assert (caught.value.code, caught.value.exit_code) == ("zip-unsafe", 6)
    assert everything(site.folder) == before


def test_a_member_damaged_behind_its_header_refuses_its_series_alone(
    ctx: Context, packed: Path, back: Path, tmp_path: Path
) -> None:
    other = write_planning_ct(tmp_path / "other", HEAD_NECK, slices=4, size=128, seed=2)
    hurt = tmp_path / "hurt.zip"
    with zipfile.ZipFile(hurt, "w") as archive:
        for name, data in members(packed):
            archive.writestr(name, data)
        for path in other:
            archive.write(path, f"other/{path.name}")
    raw = bytearray(hurt.read_bytes())
    last = other[-1].read_bytes()[-64:]
    at = bytes(raw).index(last)
    raw[at : at + 8] = b"damaged!"
    hurt.write_bytes(raw)

    told = shown(ctx, hurt, to=back)

    assert [job.slices for job in told.found] == [SLICES]
    assert [err.code for err in told.refused] == ["zip-damaged"]
    assert folders_of(ctx) == [told.found[0].id]


def test_the_scan_index_knows_nothing_of_what_was_shown(
    ctx: Context, site: Site, usb: Path
) -> None:
    scan(ctx)
    index = (site.state / "scan-index.sqlite").read_bytes()

    shown(ctx, usb)

    assert (site.state / "scan-index.sqlite").read_bytes() == index
