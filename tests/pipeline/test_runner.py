"""Failures become waits, holds, or the end of a run; and never the loss of a job."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import httpx
import pytest
from filelock import FileLock
from pydicom import dcmread

from drawcli.adapters.datastore import images
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.adapters.state.pause import Pause, end_pause, write_pause
from drawcli.adapters.state.workdir import PACKAGE, RECEIVED
from drawcli.core.dicom.header import Header
from drawcli.core.jobs.backoff import GIVE_UP_AFTER
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError, OutOfMemory, ServerRefused, TryLater
from drawcli.operations.after_run import note_run
from drawcli.pipeline.actions import retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, due_jobs, run_once, run_step
from drawcli.pipeline.step_report import StepReport, out_of_reach
from drawcli.pipeline.steps import match as steps_match
from drawcli.pipeline.steps.upload import MOST_POSTS
from drawcli.pipeline.survey.series_header import SeriesHeader
from drawcli.pipeline.tidying import tidy
from drawcli.system.limits import SILENT_IN_ALL
from tests.conftest import HEAD_NECK, THORAX, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

ALL = Selection()


@pytest.fixture
def packaged(ctx: Context, pelvis: list[Path]) -> Job:
    """Bring the pelvis to the door of the server."""
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, ALL)
    job = only_job(ctx)
    assert job.state is State.PACKAGED
    return job


@pytest.fixture
def uploaded(ctx: Context, packaged: Job) -> Job:
    assert packaged.posts == 0
    run_step("upload", ctx, ALL)
    job = only_job(ctx)
    assert job.state is State.UPLOADED
    return job


@pytest.fixture
def thorax(site: Site) -> None:
    """Put a second series into the datastore, after what was asked for before."""
    write_planning_ct(site.store / "thorax", THORAX, slices=4, size=32)


@pytest.mark.usefixtures("thorax", "pelvis")
def test_a_pause_stops_uploads_with_the_next_package_and_nothing_else(
    draw: FakeDraw, site: Site, clock: Clock
) -> None:
    one_at_once = site.config.read_text().replace("client_id:", "parallel: 1, client_id:")
    site.config.write_text(one_at_once)

    def pause_at_upload(request: httpx.Request) -> None:
        if request.url.path == "/api/upload/":
            write_pause(site.state, Pause(since=clock.now()))

    draw.watch = pause_at_upload
    with opened(site, draw, clock) as ctx:
        first = {report.step: report for report in run_once(ctx, ALL)}
        clock.advance(minutes=5)
        second = {report.step: report for report in run_once(ctx, ALL)}
        (waiting,) = ctx.ledger.jobs([State.PACKAGED])
        sent_before = draw.posts()
        end_pause(site.state)
        run_step("upload", ctx, ALL)

    assert first["upload"].counts == {"uploaded": 1}
    assert first["upload"].pause == second["upload"].pause is not None
    assert second["reidentify"].counts == {"delivered": 1, "done": 1}
    assert (waiting.due_at, waiting.held, waiting.posts) == (None, False, 0)
    assert (sent_before, draw.posts()) == (1, 2)


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), 503, 429], ids=str)
def test_a_server_that_takes_nothing_costs_a_wait_and_never_a_job(
    ctx: Context, draw: FakeDraw, clock: Clock, trouble: int | Exception
) -> None:
    ctx.check_uploads_welcome()
    for _ in range(GIVE_UP_AFTER + 2):
        draw.answers = [trouble]
        run_step("upload", ctx, ALL)
        waiting = only_job(ctx)
        assert (waiting.state, waiting.held, waiting.posts) == (State.PACKAGED, False, 0)
        clock.advance(hours=7)
    draw.answers = []

    run_step("upload", ctx, ALL)

    assert only_job(ctx).state is State.UPLOADED


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("trouble", [httpx.ReadTimeout("slow"), 500, 502, 504], ids=str)
def test_an_answer_that_says_nothing_of_the_upload_is_tried_again_and_counted(
    ctx: Context, draw: FakeDraw, clock: Clock, trouble: int | Exception
) -> None:
    draw.answers = [ready(), trouble]
    run_step("upload", ctx, ALL)
    waiting = only_job(ctx)
    clock.advance(hours=1)

    run_step("upload", ctx, ALL)

    assert (waiting.state, waiting.held, waiting.posts) == (State.PACKAGED, False, 1)
    assert (only_job(ctx).state, only_job(ctx).posts) == (State.UPLOADED, 2)


@pytest.mark.usefixtures("packaged")
def test_a_page_where_json_belongs_is_no_task(ctx: Context, draw: FakeDraw) -> None:
    draw.answers = [ready(), httpx.Response(200, html="<html>proxy</html>")]

    run_step("upload", ctx, ALL)

    job = only_job(ctx)
    assert (job.state, job.held, job.task_id) == (State.PACKAGED, False, None)
    assert "proxy in the way" in (job.reason or "")


@pytest.mark.usefixtures("packaged")
def test_a_server_that_is_down_is_asked_once_and_not_for_every_job(
    ctx: Context, site: Site, draw: FakeDraw
) -> None:
    for person in (HEAD_NECK, THORAX):
        write_planning_ct(site.store / person.file_name, person, slices=4, size=32)
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, ALL)
    draw.answers = [httpx.ConnectError("refused")] * 20

    report = run_step("upload", ctx, ALL)

    assert report.unreachable
    assert len(draw.asked) == 3  # the short tries of one request
    for job in ctx.ledger.jobs():
        assert (job.attempts, job.held, job.reason_code) == (0, False, "server-down")
        assert "no uploads now: server: no connection" in (job.reason or "")


@pytest.mark.usefixtures("packaged")
def test_a_server_that_is_back_is_noticed_within_a_quarter_of_an_hour(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    for _ in range(8):
        draw.answers = [httpx.ConnectError("refused")] * 3
        run_step("upload", ctx, ALL)
        clock.advance(minutes=15)
    draw.answers = []

    run_step("upload", ctx, ALL)

    assert only_job(ctx).state is State.UPLOADED


@pytest.mark.usefixtures("packaged")
def test_retry_after_is_honoured(ctx: Context, draw: FakeDraw) -> None:
    draw.answers = [ready(), httpx.Response(429, headers={"retry-after": "1800"})]

    run_step("upload", ctx, ALL)

    assert only_job(ctx).due_at == ctx.now() + timedelta(minutes=30)


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("refusal", [400, 415, 422])
def test_a_refused_package_waits_for_a_person(ctx: Context, draw: FakeDraw, refusal: int) -> None:
    draw.answers = [ready(), httpx.Response(refusal, text="template: unknown model 7")]

    report = run_step("upload", ctx, ALL)

    job = only_job(ctx)
    assert [held.id for held in report.held] == [job.id]
    assert job.held
    assert job.reason == f"upload: {refusal}: template: unknown model 7"


def test_a_refused_token_stops_the_run_and_blames_no_job(
    ctx: Context, draw: FakeDraw, packaged: Job
) -> None:
    draw.access = draw.refresh = "others-1"

    with pytest.raises(ServerRefused):
        run_step("upload", ctx, ALL)

    assert only_job(ctx) == packaged


def test_while_the_token_is_refused_no_further_run_sends_a_package(
    site: Site, draw: FakeDraw, clock: Clock, packaged: Job
) -> None:
    """Of a server that asks for no token to say that it is well."""
    well = httpx.Response(200, json={"status": "ready"})
    draw.access, draw.refresh = "others-1", "others-1"
    posts = []
    for _ in range(3):
        clock.advance(minutes=10)
        with opened(site, draw, clock) as ctx:
            draw.answers = [well]
            with pytest.raises(ServerRefused) as told:
                run_step("upload", ctx, ALL)
            note_run(ctx, clock.now(), [], exit_code=5, error=told.value.code)
            posts.append(draw.posts())
    draw.access = "access-1"
    with opened(site, draw, clock) as ctx:
        run_step("upload", ctx, ALL)

    assert posts == [1, 1, 1]
    assert draw.posts() == 2
    assert list(draw.uploads) == ["task-1"]
    assert packaged.zip_sha256


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("trouble", [500, 503, httpx.ReadTimeout("slow")], ids=str)
def test_a_token_that_cannot_be_renewed_now_is_no_unanswered_upload(
    ctx: Context, draw: FakeDraw, clock: Clock, trouble: int | Exception
) -> None:
    ctx.check_uploads_welcome()
    for _ in range(MOST_POSTS + 2):
        draw.answers = [401, trouble]
        report = run_step("upload", ctx, ALL)
        clock.advance(hours=7)

    job = only_job(ctx)
    assert (job.held, job.reason_code) == (False, "token-renewal")
    assert (job.posts, job.unanswered) == (0, 0)
    assert "could not be renewed" in report.unreachable
    lines = AuditLog(ctx.settings.state_dir).lines()
    assert {line.facts["what"] for line in lines} == {"attempt", "refused"}


def test_the_attempt_is_recorded_before_the_post(
    ctx: Context, draw: FakeDraw, packaged: Job
) -> None:
    seen: list[int] = []

    def look(request: httpx.Request) -> None:
        if request.url.path == "/api/upload/":
            seen.append(only_job(ctx).posts)

    draw.watch = look

    run_step("upload", ctx, ALL)

    assert seen == [packaged.posts + 1]


def test_blind_uploads_are_bounded_and_the_same_bytes(
    ctx: Context, draw: FakeDraw, clock: Clock, packaged: Job
) -> None:
    for _ in range(MOST_POSTS + 3):
        draw.answers = [ready(), httpx.ReadError("lost")]
        run_step("upload", ctx, ALL)
        clock.advance(hours=7)

    job = only_job(ctx)
    assert draw.posts() == MOST_POSTS
    assert (job.held, job.reason_code) == (True, "uploads-unanswered")
    assert job.zip_sha256 == packaged.zip_sha256


@pytest.mark.usefixtures("packaged")
def test_what_the_uploads_ended_with_is_told_and_an_hour_of_illness_holds_nothing(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    ctx.check_uploads_welcome()
    held_after: list[timedelta] = []
    began = clock.at
    while not held_after:
        draw.answers = [502 if draw.posts() < 3 else httpx.ReadError("lost")]
        run_step("upload", ctx, ALL)
        if only_job(ctx).held:
            held_after.append(clock.at - began)
        clock.advance(minutes=5)

    job = only_job(ctx)
    assert draw.posts() == MOST_POSTS
    assert held_after[0] > timedelta(hours=1)
    assert job.reason_code == "uploads-unanswered"
    assert job.reason == ("5 uploads failed: 2 x server: the connection broke, 3 x upload: 502")


@pytest.mark.usefixtures("packaged", "thorax")
@pytest.mark.parametrize("status", [403, 405])
def test_a_place_for_uploads_that_is_none_is_tried_a_few_times_and_others_go_on(
    ctx: Context, draw: FakeDraw, clock: Clock, status: int
) -> None:
    packaged = only_job(ctx)
    refused: list[int] = []

    def refuse(request: httpx.Request) -> None:
        if f"{packaged.zip_sha256}" in request.headers.get("idempotency-key", ""):
            draw.answers = [httpx.Response(status)]
            refused.append(status)

    draw.watch = refuse
    ended = 0
    for _ in range(MOST_POSTS + 3):
        try:
            list(run_once(ctx, ALL))
        except ConfigError:
            ended += 1
        clock.advance(minutes=20)

    job = ctx.ledger.get(packaged.id)
    assert job is not None
    assert (len(refused), ended) == (MOST_POSTS, MOST_POSTS)
    assert (job.held, job.reason_code, job.unanswered) == (True, "endpoint", 0)
    assert f"5 x the server answers {status} at /api/upload/" in (job.reason or "")
    assert "server.endpoints" in (job.hint or "")
    others = [one.state for one in ctx.ledger.jobs() if one.id != packaged.id]
    assert others == [State.DONE]


def test_a_lost_package_is_built_again_bit_for_bit(
    ctx: Context, draw: FakeDraw, packaged: Job
) -> None:
    package = ctx.work.file(packaged.id, PACKAGE)
    before = package.read_bytes()
    package.unlink()

    run_step("upload", ctx, ALL)
    back = only_job(ctx).state
    run_step("deidentify", ctx, ALL)

    assert back is State.MATCHED
    assert package.read_bytes() == before
    assert draw.posts() == 0


def test_a_package_that_was_changed_on_disk_is_not_sent(
    ctx: Context, draw: FakeDraw, packaged: Job
) -> None:
    package = ctx.work.file(packaged.id, PACKAGE)
    package.write_bytes(package.read_bytes() + b"x")

    run_step("upload", ctx, ALL)

    assert only_job(ctx).state is State.MATCHED
    assert draw.posts() == 0


@pytest.mark.usefixtures("uploaded")
def test_a_task_that_is_running_is_asked_again_later_and_later(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    draw.status = "PROCESSING"
    waits = []
    for _ in range(4):
        run_step("poll", ctx, ALL)
        due_at = only_job(ctx).due_at
        assert due_at is not None
        waits.append(due_at - clock.at)
        clock.at = due_at + timedelta(minutes=3)

    assert waits == sorted(waits)
    assert waits[0] < timedelta(minutes=1)
    assert only_job(ctx).attempts == 0


@pytest.mark.usefixtures("uploaded")
def test_a_task_without_an_end_is_held_at_the_deadline(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    draw.status = "PROCESSING"
    clock.advance(hours=4, minutes=1)

    run_step("poll", ctx, ALL)

    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "deadline")


@pytest.mark.usefixtures("uploaded")
def test_a_failed_segmentation_is_held_with_the_servers_words(ctx: Context, draw: FakeDraw) -> None:
    draw.status = "segmentation_failed"

    run_step("poll", ctx, ALL)

    job = only_job(ctx)
    assert job.held
    assert job.reason == "the server could not segment the series: no GPU"


def test_a_task_that_the_server_has_lost_is_sent_again(
    ctx: Context, draw: FakeDraw, clock: Clock, uploaded: Job
) -> None:
    first = draw.uploads.pop(uploaded.task_id or "")
    for _ in range(4):
        run_step("poll", ctx, ALL)
        clock.advance(hours=1)
    back = only_job(ctx).state

    run_step("upload", ctx, ALL)

    assert back is State.PACKAGED
    assert only_job(ctx).posts == 2
    assert list(draw.uploads.values()) == [first]


@pytest.mark.usefixtures("packaged")
def test_a_task_that_is_lost_as_soon_as_it_is_taken_is_sent_twice_and_held(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    def forget(request: httpx.Request) -> None:
        if request.url.path.endswith("/status/"):
            draw.answers = [404]

    draw.watch = forget
    for _ in range(12):
        for step in ("poll", "upload"):
            run_step(step, ctx, ALL)
        clock.advance(hours=1)
    held = only_job(ctx)
    ctx.ledger.commit(retry(held, ctx))
    run_step("upload", ctx, ALL)

    assert (held.held, held.reason_code, held.posts) == (True, "task-unknown", 2)
    assert "404 to the status" in (held.reason or "")
    assert "server.endpoints" in (held.hint or "")
    assert draw.posts() == 3


@pytest.mark.usefixtures("packaged", "thorax")
def test_a_server_that_stalls_is_waited_for_twice_and_not_for_every_job(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    for seed in range(3):
        write_planning_ct(site.store / f"head-{seed}", HEAD_NECK, slices=4, size=16, seed=seed)
    list(run_once(ctx, ALL))
    draw.asked.clear()

    def stall(request: httpx.Request) -> None:
        if request.url.path.endswith("/status/"):
            draw.answers = [httpx.ReadTimeout("slow")]

    draw.watch = stall
    clock.advance(minutes=20)
    report = run_step("poll", ctx, ALL)

    assert len(draw.uploads) == 5
    assert 2 <= len(draw.asked) <= 3  # no short tries; one may have been under way beside
    assert report.unreachable == "server: no answer in time"


@pytest.mark.usefixtures("uploaded", "thorax")
@pytest.mark.parametrize(
    ("at", "status"),
    [("status", 403), ("status", 405), ("rtstruct/task-1", 405), ("confirm", 403)],
)
def test_a_task_that_is_refused_holds_its_job_and_no_other(
    ctx: Context, draw: FakeDraw, clock: Clock, at: str, status: int
) -> None:
    def refuse(request: httpx.Request) -> None:
        path = request.url.path.rstrip("/")
        if "task-1" in path and path.endswith(at):
            draw.answers = [httpx.Response(status)]

    draw.watch = refuse
    for _ in range(3):
        list(run_once(ctx, ALL))
        clock.advance(minutes=20)

    jobs = {job.task_id: job for job in ctx.ledger.jobs()}
    held = jobs.pop("task-1")
    assert (held.held, held.reason_code) == (True, "endpoint")
    assert f"answers {status}" in (held.reason or "")
    assert "server.endpoints" in (held.hint or "")
    assert [job.state for job in jobs.values()] == [State.DONE]


@pytest.mark.usefixtures("uploaded")
def test_a_partial_structure_set_is_fetched_again_before_anything_is_confirmed(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    (task,) = draw.results
    whole = draw.results[task]
    draw.results[task] = without_last_structure(whole)
    run_step("poll", ctx, ALL)

    run_step("fetch", ctx, ALL)
    waiting = only_job(ctx)
    draw.results[task] = whole
    clock.advance(minutes=2)
    run_step("fetch", ctx, ALL)

    assert (waiting.state, waiting.reason_code) == (State.SEGMENTED, "structures-missing")
    assert "Femur_Head_R" in (waiting.reason or "")
    assert only_job(ctx).state is State.FETCHED
    assert draw.confirmed == []


@pytest.mark.usefixtures("uploaded")
def test_a_structure_set_that_stays_partial_is_held_and_not_delivered(
    ctx: Context, draw: FakeDraw, clock: Clock, site: Site
) -> None:
    (task,) = draw.results
    draw.results[task] = without_last_structure(draw.results[task])
    run_step("poll", ctx, ALL)
    for _ in range(GIVE_UP_AFTER):
        run_step("fetch", ctx, ALL)
        clock.advance(hours=7)

    job = only_job(ctx)
    assert (job.state, job.held, job.reason_code) == (State.SEGMENTED, True, "structures-missing")
    assert not list(site.store.rglob("RS.*"))


@pytest.mark.usefixtures("uploaded")
def test_a_structure_set_with_one_foreign_reference_is_never_delivered(
    ctx: Context, draw: FakeDraw, site: Site
) -> None:
    (task,) = draw.results
    draw.results[task] = with_foreign_reference(draw.results[task])
    for step in ("poll", "fetch", "reidentify"):
        run_step(step, ctx, ALL)

    job = only_job(ctx)
    assert (job.state, job.held) == (State.SEGMENTED, True)
    assert "outside this job" in (job.reason or "")
    assert not list(site.store.rglob("RS.*"))
    assert draw.confirmed == []


@pytest.mark.usefixtures("uploaded")
def test_a_lost_confirmation_is_made_up_for(ctx: Context, draw: FakeDraw, clock: Clock) -> None:
    run_step("poll", ctx, ALL)
    run_step("fetch", ctx, ALL)
    draw.answers = [httpx.ReadError("lost")] * 3
    run_step("reidentify", ctx, ALL)
    delivered = only_job(ctx).state
    draw.results.clear()  # the server had heard it: it answers 404 now
    clock.advance(minutes=5)

    run_step("poll", ctx, ALL)

    assert delivered is State.DELIVERED
    assert only_job(ctx).state is State.DONE


@pytest.mark.usefixtures("uploaded")
def test_nothing_is_confirmed_before_it_is_delivered(
    ctx: Context, draw: FakeDraw, site: Site, clock: Clock
) -> None:
    run_step("poll", ctx, ALL)
    run_step("fetch", ctx, ALL)
    nowhere = ctx.settings.deliver.replace(folder=site.folder / "nowhere")
    lost = replace(ctx, settings=ctx.settings.replace(deliver=nowhere))

    reports = []
    for _ in range(GIVE_UP_AFTER + 1):
        reports.append(run_step("reidentify", lost, ALL))
        clock.advance(minutes=16)

    job = only_job(ctx)
    assert all(report.undelivered for report in reports)  # told by every run
    assert (job.state, job.held, job.reason_code) == (State.FETCHED, False, "delivery")
    assert draw.confirmed == []


@pytest.mark.usefixtures("uploaded")
def test_contours_follow_a_series_that_was_moved(ctx: Context, site: Site, clock: Clock) -> None:
    run_step("poll", ctx, ALL)
    run_step("fetch", ctx, ALL)
    (site.store / "pelvis").rename(site.store / "moved")
    run_step("reidentify", ctx, ALL)
    waiting = only_job(ctx)

    run_step("scan", ctx, ALL)
    clock.advance(minutes=5)
    run_step("reidentify", ctx, ALL)

    assert (waiting.state, waiting.reason_code) == (State.FETCHED, "source-moved")
    assert only_job(ctx).state is State.DONE
    assert len(list((site.store / "moved").glob("RS.*"))) == 1


@pytest.mark.usefixtures("uploaded")
def test_contours_of_images_that_are_others_now_are_not_delivered(
    ctx: Context, pelvis: list[Path], draw: FakeDraw, site: Site
) -> None:
    run_step("poll", ctx, ALL)
    run_step("fetch", ctx, ALL)
    for path in pelvis:
        dataset = dcmread(path)
        dataset.ImagePositionPatient = [0, 0, float(dataset.ImagePositionPatient[2]) + 1]
        dataset.save_as(path)

    run_step("reidentify", ctx, ALL)

    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "source-moved")
    assert not list(site.store.rglob("RS.*"))
    assert draw.confirmed == []


def test_a_result_belongs_to_the_task_it_was_made_for(
    ctx: Context, uploaded: Job, draw: FakeDraw
) -> None:
    from drawcli.pipeline.actions import assign, cancel

    for step in ("poll", "fetch"):
        run_step(step, ctx, ALL)
    fetched = only_job(ctx)
    cancelled = ctx.ledger.commit(cancel(fetched, ctx))
    assign(cancelled, "Prostate_OAR", ctx)
    for step in ("scan", "match", "deidentify", "upload", "poll", "fetch"):
        run_step(step, ctx, ALL)

    downloads = [asked for asked in draw.asked if asked.startswith("GET /api/rtstruct/")]
    assert downloads == ["GET /api/rtstruct/task-1/", "GET /api/rtstruct/task-2/"]
    assert only_job(ctx).task_id == "task-2" != uploaded.task_id


def test_outages_are_no_tries_of_something_else(
    ctx: Context, uploaded: Job, draw: FakeDraw, clock: Clock
) -> None:
    for _ in range(6):
        draw.answers = [httpx.ConnectError("refused")] * 3
        run_step("poll", ctx, ALL)
        clock.advance(minutes=16)
    draw.answers = [404]

    run_step("poll", ctx, ALL)

    job = only_job(ctx)
    assert (job.state, job.reason_code, job.attempts) == (State.UPLOADED, "task-unknown", 1)
    assert job.task_id == uploaded.task_id


def test_a_persons_choice_outlives_a_change_of_the_series(
    ctx: Context, pelvis: list[Path], tmp_path: Path
) -> None:
    from drawcli.pipeline.actions import assign

    late = tmp_path / "late.dcm"
    pelvis[-1].rename(late)
    run_step("scan", ctx, ALL)
    assign(only_job(ctx), "Thorax_OAR", ctx)
    late.rename(pelvis[-1])
    for step in ("scan", "scan", "match"):
        run_step(step, ctx, ALL)

    job = only_job(ctx)
    assert (job.state, job.template, job.rule) == (State.MATCHED, "Thorax_OAR", None)


def test_a_received_file_that_is_gone_is_fetched_again(
    ctx: Context, draw: FakeDraw, uploaded: Job, site: Site
) -> None:
    for step in ("poll", "fetch"):
        run_step(step, ctx, ALL)
    ctx.work.file(uploaded.id, RECEIVED).unlink()

    for step in ("reidentify", "fetch", "reidentify"):
        run_step(step, ctx, ALL)

    assert only_job(ctx).state is State.DONE
    assert len(list(site.store.rglob("RS.*"))) == 1
    assert len(draw.confirmed) == 1


@pytest.mark.usefixtures("uploaded")
def test_another_file_of_the_same_name_is_not_touched(
    ctx: Context, draw: FakeDraw, pelvis: list[Path]
) -> None:
    from drawcli.pipeline.delivery import destination

    job = only_job(ctx)
    own, other = (
        destination(wanted, ctx.crosswalk(job), ctx)
        for wanted in (job, replace(job, template="Prostate_OAR"))
    )
    assert own is not None
    assert other is not None
    theirs = pelvis[0].parent / other.name
    theirs.write_bytes(b"another program's")
    for step in ("poll", "fetch", "reidentify"):
        run_step(step, ctx, ALL)

    assert theirs.name == own.name
    assert theirs.read_bytes() == b"another program's"
    assert only_job(ctx).reason_code == "name-taken"
    assert draw.confirmed == []


SHORTAGES = (
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("can't start new thread"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    ImportError("lib.so: failed to map segment from shared object"),
    NameError("name 'Image' is not defined"),  # of a library that was loaded by half
)


@pytest.mark.parametrize("shortage", SHORTAGES, ids=lambda err: type(err).__name__)
@pytest.mark.usefixtures("pelvis", "thorax")
def test_a_shortage_ends_the_run_and_is_blamed_on_no_job(
    ctx: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch, shortage: Exception
) -> None:
    run_step("scan", ctx, ALL)
    first, second = ctx.ledger.jobs()

    def fail(job: Job, _ctx: Context) -> SeriesHeader:
        if job.id == first.id:
            raise shortage
        return header_of(job, ctx)

    header_of = SeriesHeader
    monkeypatch.setattr(steps_match, "SeriesHeader", fail)
    monkeypatch.setattr(
        "drawcli.system.failures._PROBE_BYTES", 1 << 60
    )  # more than any machine has
    for _ in range(GIVE_UP_AFTER + 2):
        with pytest.raises(OutOfMemory) as caught:
            run_step("match", ctx, Selection(job_id=first.id))
        clock.advance(hours=7)
    with pytest.raises(OutOfMemory):
        run_step("match", ctx, ALL)
    run_step("match", ctx, ALL)  # the one that needs so much waits, and the other goes on

    waiting, other = ctx.ledger.get(first.id), ctx.ledger.get(second.id)
    assert waiting is not None
    assert other is not None
    of_system = "open files" in str(shortage)
    code = "out-of-resources" if of_system else "out-of-memory"
    assert (caught.value.exit_code, caught.value.code) == (12, code)
    assert (waiting.state, waiting.held, waiting.reason_code) == (State.FOUND, False, code)
    assert other.state is State.MATCHED


@pytest.mark.usefixtures("pelvis", "thorax")
def test_a_lock_that_another_process_keeps_costs_one_wait_a_step_and_holds_no_job(
    ctx: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, ALL)

    def busy(*_: object) -> None:
        raise TryLater("another process holds the audit log", code="audit-busy")

    with monkeypatch.context() as held:
        held.setattr(AuditLog, "add", busy)
        for _ in range(GIVE_UP_AFTER + 2):
            report = run_step("upload", ctx, ALL)
            clock.advance(hours=7)

    assert report.begun == 1
    assert [err.code for err in out_of_reach([report])] == ["audit-busy"]
    assert not any(job.held for job in ctx.ledger.jobs())


@pytest.mark.usefixtures("pelvis")
def test_a_scan_by_another_process_keeps_no_series_from_going_on(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step("scan", ctx, ALL)
    monkeypatch.setattr("drawcli.adapters.scan_index.opening._LOCK_SECONDS", 0.05)

    with FileLock(ctx.settings.state_dir / "scan-index.sqlite.lock"):
        reports = list(run_once(ctx, ALL))

    assert [err.code for err in out_of_reach(reports)] == ["another-run"]
    assert only_job(ctx).state is State.UPLOADED


@pytest.mark.usefixtures("pelvis")
def test_every_step_that_reads_images_is_watched(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[str] = []
    within: list[str] = []

    @contextmanager
    def reading(_ctx: Context, step: str) -> Iterator[None]:
        within.append(step)
        yield
        within.pop()

    def look(path: str) -> tuple[IO[bytes], Header]:
        watched.extend(within[-1:] or ["nothing"])
        return open_slice(path)

    open_slice = images.open_slice
    monkeypatch.setattr("drawcli.pipeline.runner.watch_step", reading)
    for step in ("deidentify", "reidentify"):
        monkeypatch.setattr(f"drawcli.pipeline.steps.{step}.open_slice", look)
    monkeypatch.setattr("drawcli.pipeline.preview_pixels.open_slice", look)
    monkeypatch.setattr("drawcli.adapters.datastore.images.open_slice", look)
    always = replace(ctx, settings=ctx.settings.replace(preview="always"))
    for _ in range(2):
        list(run_once(always, ALL))

    assert set(watched) == {"deidentify", "reidentify", "preview"}


def test_a_server_that_is_silent_now_and_then_ends_the_step(
    ctx: Context, draw: FakeDraw, in_state: Callable[..., Job]
) -> None:
    for number in range(20):
        in_state(State.UPLOADED, f"{number:012x}-1", task_id=f"task-{number}")
    silent, well = httpx.ReadTimeout("slow"), httpx.Response(200, json={"status": "PENDING"})
    draw.answers = [silent, well] * 20
    server = ctx.settings.server.replace(parallel=1)
    alone = replace(ctx, settings=ctx.settings.replace(server=server))

    report = run_step("poll", alone, ALL)

    assert report.unreachable
    assert report.begun == 2 * SILENT_IN_ALL - 1


def test_one_patients_bug_does_not_stop_the_next(
    ctx: Context, site: Site, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.pipeline.steps import match as module

    write_planning_ct(site.store / "thorax", THORAX, slices=4, size=32)
    run_step("scan", ctx, ALL)
    first = only_series(ctx, len(pelvis))
    real = SeriesHeader

    def burst(job: Job, context: Context) -> object:
        if job.id == first:
            raise ValueError("CANARY")
        return real(job, context)

    monkeypatch.setattr(module, "SeriesHeader", burst)

    report = run_step("match", ctx, ALL)

    held = ctx.ledger.get(first)
    assert held is not None
    assert report.counts == {"held": 1, "matched": 1}
    assert (held.held, held.reason) == (True, "bug: ValueError in match")


def only_series(ctx: Context, slices: int) -> str:
    return next(job.id for job in ctx.ledger.jobs() if job.slices == slices)


def test_a_job_that_is_given_up_is_held(ctx: Context, pelvis: list[Path], clock: Clock) -> None:
    run_step("scan", ctx, ALL)
    run_step("match", ctx, ALL)
    pelvis[2].unlink()

    for _ in range(GIVE_UP_AFTER):
        run_step("deidentify", ctx, ALL)
        clock.advance(hours=7)

    job = only_job(ctx)
    assert job.held
    assert (job.reason or "").startswith(f"gave up after {GIVE_UP_AFTER} tries")


def test_a_slice_that_became_another_is_not_sent(ctx: Context, pelvis: list[Path]) -> None:
    run_step("scan", ctx, ALL)
    run_step("match", ctx, ALL)
    pelvis[2].write_bytes(pelvis[3].read_bytes())

    run_step("deidentify", ctx, ALL)

    job = only_job(ctx)
    assert (job.state, job.reason_code) == (State.MATCHED, "source-changed")
    assert not ctx.work.file(job.id, PACKAGE).exists()


@pytest.mark.usefixtures("pelvis")
def test_several_templates_make_several_jobs_where_the_site_wants_all(
    ctx: Context, site: Site
) -> None:
    rules = site.folder / "rules.yaml"
    rules.write_text(
        rules.read_text() + "  - {name: any, template: Thorax_OAR, when: {Modality: CT}}\n"
    )
    every = replace(
        ctx,
        settings=ctx.settings.replace(match=type(ctx.settings.match)(on_many="all")),
    )
    run_step("scan", every, ALL)

    run_step("match", every, ALL)
    run_step("match", every, ALL)
    run_step("deidentify", every, ALL)

    jobs = ctx.ledger.jobs()
    assert sorted(str(job.template) for job in jobs) == ["Prostate_OAR", "Thorax_OAR"]
    assert {job.state for job in jobs} == {State.PACKAGED}
    assert len({job.series_key for job in jobs}) == 1


@pytest.mark.usefixtures("pelvis")
def test_rules_that_are_broken_stop_matching_and_lose_nothing(ctx: Context, site: Site) -> None:
    run_step("scan", ctx, ALL)
    (site.folder / "rules.yaml").write_text("rules: 7\n")

    with pytest.raises(ConfigError, match="rules"):
        run_step("match", ctx, ALL)

    assert only_job(ctx).state is State.FOUND


def test_limit_and_job_choose(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    write_planning_ct(site.store / "thorax", THORAX, slices=4, size=32)
    run_step("scan", ctx, ALL)
    wanted = only_series(ctx, len(pelvis))

    limited = run_step("match", ctx, Selection(limit=1))
    left = next(job.id for job in ctx.ledger.jobs([State.FOUND]))
    chosen = run_step("match", ctx, Selection(job_id=left))

    assert len(limited.outcomes) == 1
    assert [job for job, _ in chosen.outcomes] == [left]
    assert wanted in {limited.outcomes[0][0], left}


@pytest.mark.usefixtures("pelvis")
def test_no_job_is_begun_after_the_time_is_up(ctx: Context, clock: Clock) -> None:
    run_step("scan", ctx, ALL)

    report = run_step("match", ctx, Selection(until=clock.at))

    assert report.outcomes == []


def test_contours_come_home_before_new_series_go_out(ctx: Context) -> None:
    steps = [report.step for report in run_once(ctx, ALL)]

    assert steps == ["poll", "fetch", "reidentify", "scan", "match", "deidentify", "upload"]


def test_a_held_job_is_not_due(ctx: Context, in_state: Callable[..., Job]) -> None:
    in_state(State.MATCHED, held=True)

    assert list(due_jobs(State.MATCHED, ctx)) == []


def test_work_folders_go_when_they_are_old_and_finished(
    ctx: Context, in_state: Callable[..., Job], clock: Clock
) -> None:
    for number, state in enumerate((State.DONE, State.UPLOADED), 1):
        ctx.work.write(in_state(state, f"0123456789ab-{number}").id, "vault", b"x")
    clock.advance(days=29)
    tidy(ctx)
    young = ctx.work.has_folder("0123456789ab-1")
    clock.advance(days=2)

    tidy(ctx)

    assert young
    assert not ctx.work.has_folder("0123456789ab-1")
    assert ctx.work.has_folder("0123456789ab-2")


def test_counts_add_up() -> None:
    report = StepReport("poll", outcomes=[("a-1", "done"), ("b-1", "done"), ("c-1", "held")])

    assert report.counts == {"done": 2, "held": 1}


def without_last_structure(whole: bytes) -> bytes:
    def drop(dataset: object) -> None:
        for keyword in (
            "StructureSetROISequence",
            "ROIContourSequence",
            "RTROIObservationsSequence",
        ):
            getattr(dataset, keyword).pop()

    return changed(whole, drop)


def with_foreign_reference(whole: bytes) -> bytes:
    def plant(dataset: object) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]  # type: ignore[attr-defined]
        contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "2.25.4711"

    return changed(whole, plant)


def changed(whole: bytes, change: Callable[[object], None]) -> bytes:
    import io

    from pydicom import dcmread

    from tests.structure_sets import written

    dataset = dcmread(io.BytesIO(whole))
    change(dataset)
    return written(dataset)


def ready() -> httpx.Response:
    """Return the health of a server that takes uploads."""
    return httpx.Response(200, json={"status": "ready", "details": {}})
