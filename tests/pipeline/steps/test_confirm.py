"""The server keeps no copy for ever: not of a delivered task, nor of one that was replaced."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.workdir import REFUSED
from drawcli.core.jobs.job import Job, State
from drawcli.errors import NeedsPerson
from drawcli.pipeline.actions import apply_action, cancel, resend, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw

Make = Callable[..., Job]
CONFIRMS = "/confirm/"
MOMENTS = 28  # before and after each write of the ledger and each request, of a series sent again


def run(ctx: Context, times: int = 1) -> Job:
    for _ in range(times):
        list(run_once(ctx, Selection()))
    return only_job(ctx)


@pytest.fixture
def refused(ctx: Context, pelvis: list[Path], draw: FakeDraw, clock: Clock) -> Job:
    """A job whose first structure set is refused; the server draws well from then on."""
    assert pelvis

    def swap(dataset: Dataset) -> None:
        first, second = dataset.ROIContourSequence[0].ContourSequence[:2]
        first.ContourData, second.ContourData = second.ContourData, first.ContourData

    draw.change = swap
    run(ctx)
    clock.advance(minutes=1)
    job = run(ctx)
    draw.change = None
    assert (job.state, job.held, job.reason_code) == (State.SEGMENTED, True, "contour-off-slice")
    return job


def test_a_refused_file_is_checked_again_with_the_settings_of_today(
    site: Site, draw: FakeDraw, clock: Clock, refused: Job
) -> None:
    asked = len(draw.asked)
    with site.config.open("a") as config:
        config.write("accept: {checks: {contour-off-slice: warn}}\n")

    with opened(site, draw, clock) as again:
        apply_action(refused, retry, again)
        run_step("fetch", again, Selection())

        assert only_job(again).state is State.FETCHED
    assert draw.asked[asked:] == []  # nothing was asked of the server


def test_a_file_that_is_still_refused_is_downloaded_again(
    ctx: Context, draw: FakeDraw, refused: Job
) -> None:
    bad = draw.results["task-1"]
    apply_action(refused, retry, ctx)

    job = run(ctx)

    assert (job.state, job.held, draw.posts()) == (State.SEGMENTED, True, 1)
    assert draw.asked.count("GET /api/rtstruct/task-1/") == 2
    assert draw.results["task-1"] == bad


def test_a_task_that_the_server_has_lost_is_sent_again_after_a_retry(
    ctx: Context, draw: FakeDraw, clock: Clock, refused: Job
) -> None:
    del draw.results["task-1"], draw.uploads["task-1"]
    draw.uploads["other"] = b""  # so that the next task has another number
    apply_action(refused, retry, ctx)

    assert run(ctx).state is State.UPLOADED
    clock.advance(minutes=1)
    job = run(ctx)

    assert (job.state, job.task_id, draw.posts()) == (State.DONE, "task-2", 2)
    assert job.replaced == ()


def test_a_result_that_is_late_for_a_moment_is_not_sent_again(
    ctx: Context, draw: FakeDraw, refused: Job
) -> None:
    del draw.results["task-1"]  # its status is still known
    apply_action(refused, retry, ctx)

    job = run(ctx)

    assert (job.state, job.reason_code, draw.posts()) == (State.SEGMENTED, "result-missing", 1)


def test_a_replaced_task_is_confirmed_after_the_delivery_of_the_other(
    ctx: Context, draw: FakeDraw, clock: Clock, refused: Job
) -> None:
    apply_action(refused, resend, ctx)
    assert run(ctx).replaced == ("task-1",)
    clock.advance(minutes=1)

    job = run(ctx)

    assert (job.state, job.replaced) == (State.DONE, ())
    assert draw.confirmed == ["task-2", "task-1"]
    assert draw.results == {}
    assert not ctx.work.file(job.id, REFUSED).exists()


@pytest.mark.parametrize("answer", [503, 500, 409, httpx.ConnectError("no way")])
def test_a_confirmation_that_fails_is_repeated_until_it_arrives(  # noqa: PLR0913, PLR0917 - fixtures
    ctx: Context,
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    refused: Job,
    monkeypatch: pytest.MonkeyPatch,
    answer: int | Exception,
) -> None:
    apply_action(refused, resend, ctx)
    run(ctx)
    clock.advance(minutes=1)
    whole = FakeDraw._answer

    def failing(self: FakeDraw, request: httpx.Request, body: bytes) -> httpx.Response:
        if request.url.path == "/api/rtstruct/task-1/confirm/":
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer)
        return whole(self, request, body)

    monkeypatch.setattr(FakeDraw, "_answer", failing)
    for _ in range(14):  # days: longer than any limit for what is on its way
        job = run(ctx)
        assert (job.state, job.held, job.replaced) == (State.DONE, False, ("task-1",))
        clock.advance(hours=7)
    monkeypatch.undo()

    with opened(site, draw, clock) as again:  # another process
        list(run_once(again, Selection()))
        assert draw.confirmed.count("task-1") == 1
        assert [job.replaced for job in again.ledger.all_jobs()] == [()]


def test_killed_between_replacing_and_confirming_the_copy_is_not_forgotten(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock, refused: Job
) -> None:
    apply_action(refused, resend, ctx)  # durable; the process ends here
    with opened(site, draw, clock) as second:
        run(second)  # sent; and ends again
    clock.advance(minutes=1)
    with opened(site, draw, clock) as third:
        for step in ("poll", "fetch", "reidentify"):
            run_step(step, third, Selection(job_id=refused.id))

    assert sorted(draw.confirmed) == ["task-1", "task-2"]


def test_killed_after_the_confirmation_its_repetition_is_a_404_and_success(
    ctx: Context, draw: FakeDraw, in_state: Make
) -> None:
    in_state(State.DONE, task_id="task-2", replaced=("task-1",))  # the answer was never recorded

    run_step("poll", ctx, Selection())

    assert only_job(ctx).replaced == ()
    assert [one for one in draw.asked if CONFIRMS in one] == ["POST /api/rtstruct/task-1/confirm/"]


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends the process at the n-th moment before or after a write of the ledger or a request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        for owner, name in ((FileLedger, "commit"), (FakeDraw, "__call__")):
            monkeypatch.setattr(owner, name, self._around(getattr(owner, name)))

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            self._strike()
            done = call(*args, **named)
            self._strike()
            return done

        return counted

    def _strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.sweep
@pytest.mark.parametrize("at", range(1, MOMENTS + 2))
def test_killed_anywhere_between_replacing_and_confirming_no_copy_stays(  # noqa: PLR0913, PLR0917 - fixtures
    ctx: Context,
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    refused: Job,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    with monkeypatch.context() as until_killed:
        killer = Killer(until_killed, at)
        with suppress(Killed):
            apply_action(refused, resend, ctx)
            for _ in range(3):
                run(ctx)
                clock.advance(hours=1)

    with opened(site, draw, clock) as after:
        for _ in range(6):
            (job,) = after.ledger.all_jobs()
            if job.held and job.reason_code == "contour-off-slice":  # killed before the resend
                apply_action(job, resend, after)
            list(run_once(after, Selection()))
            clock.advance(hours=1)
        (job,) = after.ledger.all_jobs()

    assert (killer.left <= 0) == (at <= MOMENTS)
    assert (job.state, job.replaced) == (State.DONE, ())
    sent = len(draw.uploads)
    assert 2 <= sent <= 3  # a lost answer is one upload more, of which nobody can know
    assert len(draw.results) == sent - 2
    assert len(draw.confirmed) == 2


def test_an_id_that_the_server_gave_again_is_not_confirmed_before_its_delivery(
    ctx: Context, draw: FakeDraw, in_state: Make
) -> None:
    job = in_state(State.PACKAGED, replaced=("task-1",))
    same = job.to(State.UPLOADED, at=ctx.now(), task_id="task-1")
    in_state(State.DONE, "aaaaaaaaaaaa-1", replaced=("task-9",))
    in_state(State.UPLOADED, "bbbbbbbbbbbb-1", task_id="task-9")

    run_step("reidentify", ctx, Selection())

    assert same.replaced == ()
    assert draw.asked == []


def test_a_task_still_at_work_is_waited_for_but_not_for_ever(
    ctx: Context, draw: FakeDraw, in_state: Make, clock: Clock
) -> None:
    draw.uploads["task-1"], draw.results["task-1"] = b"", b""
    draw.status = "PROCESSING"
    in_state(State.DONE, replaced=("task-1",))

    run_step("poll", ctx, Selection())
    assert draw.confirmed == []
    for _ in range(8):
        clock.advance(hours=7)
        run_step("poll", ctx, Selection())

    assert draw.confirmed == ["task-1"]


def test_a_cancelled_task_is_confirmed_too(ctx: Context, draw: FakeDraw, in_state: Make) -> None:
    draw.uploads["task-1"], draw.results["task-1"] = b"", b""
    apply_action(in_state(State.UPLOADED, task_id="task-1"), cancel, ctx)

    run_step("poll", ctx, Selection())

    assert (only_job(ctx).state, draw.confirmed) == (State.CANCELLED, ["task-1"])


def test_a_job_is_not_archived_before_the_server_has_deleted_all(
    ctx: Context, in_state: Make, clock: Clock
) -> None:
    in_state(State.DONE, replaced=("task-1",))
    in_state(State.DONE, "aaaaaaaaaaaa-1")
    clock.advance(days=3)

    assert ctx.ledger.archive_finished(clock.at) == 1
    assert only_job(ctx).replaced == ("task-1",)


def test_a_released_job_goes_the_same_way_as_a_retried_one(ctx: Context, in_state: Make) -> None:
    job = in_state(State.SEGMENTED, task_id="task-1")
    held = job.held_for(NeedsPerson("because", code="structure-volume"), at=ctx.now())

    assert retry(held, ctx).state is State.SEGMENTED
