"""The ledger check finds what is not as the ledger says; repair loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.state.workdir import PACKAGE, RECEIVED, TEMPLATE, VAULT
from drawcli.core.jobs.job import Job, State
from drawcli.operations.ledger_check import check, repair
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.tidying import expired_jobs, tidy
from tests.conftest import Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
ALL = Selection()


def brought_to(state: State, ctx: Context) -> Job:
    for step in STEPS:
        there = [job for job in ctx.ledger.jobs() if job.state is state]
        if there:
            return there[0]
        run_step(step, ctx, ALL)
    (job,) = ctx.ledger.jobs()
    assert job.state is state
    return job


def codes(ctx: Context, *, deep: bool = False) -> list[str]:
    return [one.code for one in check(ctx, deep=deep)]


@pytest.mark.parametrize(
    "state",
    [
        *(State.FOUND, State.MATCHED, State.PACKAGED, State.UPLOADED),
        *(State.SEGMENTED, State.FETCHED, State.DONE),
    ],
)
@pytest.mark.usefixtures("pelvis")
def test_nothing_is_found_on_the_way(ctx: Context, state: State) -> None:
    brought_to(state, ctx)

    assert check(ctx, deep=True) == []


def damaged(job: Job, ctx: Context, name: str) -> None:
    path = ctx.work.file(job.id, name)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def gone(job: Job, ctx: Context, name: str) -> None:
    ctx.work.file(job.id, name).unlink()


@pytest.mark.parametrize("harm", [damaged, gone])
@pytest.mark.usefixtures("pelvis")
def test_a_package_that_is_not_what_it_was_is_built_again(
    ctx: Context, harm: Callable[[Job, Context, str], None]
) -> None:
    job = brought_to(State.PACKAGED, ctx)
    harm(job, ctx, PACKAGE)

    (trouble,) = check(ctx, deep=True)
    mended = repair([trouble], ctx)

    assert (trouble.code, mended) == ("no-package", [trouble])
    assert only_job(ctx).state is State.MATCHED
    assert brought_to(State.PACKAGED, ctx).zip_sha256 == job.zip_sha256
    assert check(ctx, deep=True) == []


@pytest.mark.usefixtures("pelvis")
def test_only_the_deep_check_reads_packages(ctx: Context) -> None:
    damaged(brought_to(State.PACKAGED, ctx), ctx, PACKAGE)

    assert codes(ctx) == []
    assert codes(ctx, deep=True) == ["no-package"]


@pytest.mark.parametrize("harm", [damaged, gone])
@pytest.mark.usefixtures("pelvis")
def test_a_result_that_is_not_what_it_was_is_fetched_again(
    ctx: Context, harm: Callable[[Job, Context, str], None]
) -> None:
    job = brought_to(State.FETCHED, ctx)
    harm(job, ctx, RECEIVED)

    repair(check(ctx), ctx)

    assert only_job(ctx).state is State.SEGMENTED
    assert brought_to(State.FETCHED, ctx).received_sha256 == job.received_sha256


@pytest.mark.usefixtures("pelvis")
def test_a_copy_that_was_changed_so_that_it_still_fits_is_not_delivered(
    ctx: Context, site: Site
) -> None:
    """A flipped bit moves a contour by ten millimetres: no gate could see it."""
    job = brought_to(State.FETCHED, ctx)
    received = ctx.work.file(job.id, RECEIVED)
    raw = received.read_bytes()
    first = dcmread(received).ROIContourSequence[0].ContourSequence[0]
    number = str(first.ContourData[0]).encode()
    other = number[:1] + bytes([number[1] ^ 1]) + number[2:]
    received.write_bytes(raw.replace(number, other, 1))

    for step in ("reidentify", "fetch", "reidentify"):
        run_step(step, ctx, ALL)

    (home,) = site.store.rglob("RS.*")
    moved = dcmread(home).ROIContourSequence[0].ContourSequence[0].ContourData
    assert [str(v) for v in moved] == [str(v) for v in first.ContourData]
    assert ctx.work.file(job.id, f"{RECEIVED}.altered").read_bytes() != raw


@pytest.mark.usefixtures("pelvis")
def test_a_template_that_is_gone_asks_a_person(ctx: Context) -> None:
    gone(brought_to(State.UPLOADED, ctx), ctx, TEMPLATE)

    repair(check(ctx), ctx)

    assert only_job(ctx).held
    assert only_job(ctx).reason_code == "template-missing"
    assert "repaired" in [event.what for event in only_job(ctx).events]
    assert [one.action for one in check(ctx)] == [None]  # told still, and not held a second time


@pytest.mark.usefixtures("pelvis")
def test_a_vault_that_is_gone_is_told_and_left_to_a_person(ctx: Context) -> None:
    gone(brought_to(State.MATCHED, ctx), ctx, VAULT)

    (trouble,) = check(ctx)

    assert "vault rebuild" in trouble.text
    assert repair([trouble], ctx) == []


def test_a_job_without_what_its_state_needs_is_held(
    ctx: Context, in_state: Callable[..., Job]
) -> None:
    job = in_state(State.UPLOADED, template=None, task_id=None)
    ctx.work.write(job.id, TEMPLATE, b"name: x\n")

    found = {one.code for one in check(ctx)}
    repair(check(ctx), ctx)

    assert {"no-template", "no-task"} <= found
    assert only_job(ctx).held


def test_a_held_job_says_why(ctx: Context, in_state: Callable[..., Job]) -> None:
    in_state(State.WAITING, held=True)

    assert codes(ctx) == ["no-reason"]


def test_a_folder_that_nobody_knows_is_moved_and_not_removed(ctx: Context, site: Site) -> None:
    for _ in range(2):
        ctx.work.write("0123456789ab-1", VAULT, b"sealed")
        repair(check(ctx), ctx)

    assert check(ctx) == []
    kept = sorted(path.relative_to(site.state).as_posix() for path in site.state.rglob(VAULT))
    assert kept == ["orphans/0123456789ab-1.2/vault", "orphans/0123456789ab-1/vault"]


def test_a_folder_that_was_taken_up_meanwhile_stays(
    ctx: Context, in_state: Callable[..., Job]
) -> None:
    ctx.work.write("0123456789ab-1", VAULT, b"sealed")
    found = check(ctx)
    in_state(State.WAITING)

    repair(found, ctx)

    assert ctx.work.has_folder("0123456789ab-1")


@pytest.mark.usefixtures("pelvis")
def test_what_another_process_works_on_is_left(ctx: Context) -> None:
    job = brought_to(State.PACKAGED, ctx)
    gone(job, ctx, PACKAGE)
    found = check(ctx)

    with ctx.work.job_lock(job.id):
        assert repair(found, ctx) == []

    assert only_job(ctx) == job


@pytest.mark.usefixtures("pelvis")
def test_what_has_changed_since_the_check_is_left(ctx: Context) -> None:
    job = brought_to(State.PACKAGED, ctx)
    gone(job, ctx, PACKAGE)
    found = check(ctx)
    now = ctx.ledger.commit(job.noted(ctx.now(), "looked at"))

    repair(found, ctx)

    assert only_job(ctx) == now


# --- the archive, and series that are in it --------------------------------------------------


@pytest.fixture
def archived(site: Site, draw: FakeDraw, clock: Clock, pelvis: list[Path]) -> Iterator[Job]:
    """Bring a job home and into the archive."""
    assert pelvis
    with opened(site, draw, clock) as ctx:
        job = brought_to(State.DONE, ctx)
        clock.at += timedelta(days=2)
        tidy(ctx)
        assert ctx.ledger.jobs() == []
        yield job


@contextmanager
def again(site: Site, draw: FakeDraw, clock: Clock) -> Iterator[Context]:
    with opened(site, draw, clock) as ctx:
        yield ctx


def test_a_series_whose_job_is_archived_is_not_sent_again(
    site: Site, draw: FakeDraw, clock: Clock, archived: Job
) -> None:
    with again(site, draw, clock) as ctx:
        for step in STEPS:
            run_step(step, ctx, ALL)

        assert ctx.ledger.jobs() == []
        assert [job.id for job in ctx.ledger.all_jobs()] == [archived.id]
    assert draw.posts() == 1


def test_images_that_changed_later_are_told_of_an_archived_job(
    site: Site, draw: FakeDraw, clock: Clock, archived: Job, pelvis: list[Path]
) -> None:
    pelvis[0].unlink()

    with again(site, draw, clock) as ctx:
        report = run_step("scan", ctx, ALL)

    assert report.scanned is not None
    assert report.scanned.changed_later == [archived.id]
    assert draw.posts() == 1


def test_an_index_that_is_lost_is_made_anew(
    site: Site, draw: FakeDraw, clock: Clock, archived: Job
) -> None:
    (site.state / "archive" / "index").unlink()

    with again(site, draw, clock) as ctx:
        (trouble,) = check(ctx)
        repair([trouble], ctx)

        assert trouble.code == "archive-index"
        assert check(ctx) == []
        found = ctx.ledger.get(archived.id)
        assert found is not None
        assert found.state is State.DONE


def test_a_damaged_month_is_told_and_no_index_made_without_it(
    site: Site, draw: FakeDraw, clock: Clock, archived: Job
) -> None:
    (month,) = (site.state / "archive").glob("*.json")
    month.write_bytes(month.read_bytes()[:-3])

    with again(site, draw, clock) as ctx:
        (trouble,) = check(ctx)

        assert (trouble.code, trouble.action) == ("archive", None)
        assert archived.id in {one.id for one in ctx.ledger.archive.entries()}


def test_folders_go_by_age_and_earlier_on_a_full_disk(
    site: Site, draw: FakeDraw, clock: Clock, archived: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with again(site, draw, clock) as ctx:
        assert expired_jobs(ctx) == []
        clock.at += timedelta(days=29)
        assert [job.id for job in expired_jobs(ctx)] == [archived.id]
        clock.at -= timedelta(days=29)

        monkeypatch.setattr("drawcli.adapters.state.workdir.WorkDir.free_bytes", lambda _self: 100)
        assert [job.id for job in expired_jobs(ctx)] == [archived.id]
        tidy(ctx)

        assert not ctx.work.has_folder(archived.id)


@pytest.mark.usefixtures("pelvis")
def test_what_is_not_finished_stays_on_the_fullest_disk(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = brought_to(State.FETCHED, ctx)
    ctx.ledger.commit(replace(job, since=job.since - timedelta(days=900)))
    monkeypatch.setattr("drawcli.adapters.state.workdir.WorkDir.free_bytes", lambda _self: 0)

    assert expired_jobs(ctx) == []
