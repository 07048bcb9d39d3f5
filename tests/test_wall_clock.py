"""What the wall clock of a department does to runs that cron calls by it."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from httpx import Request

from drawcli.core.jobs.job import Job, State
from drawcli.operations.verdict.facts import facts_of
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once
from tests.conftest import NOON, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot choose its time zone there")
@pytest.mark.usefixtures("berlin", "pelvis")
@pytest.mark.parametrize(
    "changes_at",
    [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)],
    ids=["an hour that is not there", "an hour that comes twice"],
)
def test_daylight_saving_neither_delays_nor_doubles_anything(
    site: Site, clock: Clock, draw: FakeDraw, changes_at: datetime
) -> None:
    site.config.write_text(site.config.read_text().replace("quiet_minutes: 0", "quiet_minutes: 10"))
    clock.at = changes_at
    clock.advance(minutes=-25)
    draw.status = "SEGMENTATION STARTED"
    seen = []

    with opened(site, draw, clock) as ctx:
        for _ in range(5):  # every ten minutes, across the change
            list(run_once(ctx, Selection()))
            seen += [job.state for job in ctx.ledger.jobs()]
            clock.advance(minutes=10)
        draw.status = "SEGMENTATION COMPLETED"
        clock.advance(minutes=20)
        list(run_once(ctx, Selection()))
        (job,) = ctx.ledger.jobs()

    assert seen == [State.WAITING, *[State.UPLOADED] * 4]
    assert job.state is State.DONE
    assert len(draw.uploads) == 1
    times = [event.at for event in job.events]
    assert times == sorted(times)


@pytest.mark.usefixtures("pelvis")
def test_a_clock_that_is_set_back_delays_and_doubles_nothing(
    ctx: Context, clock: Clock, draw: FakeDraw
) -> None:
    list(run_once(ctx, Selection()))
    clock.advance(hours=-3)

    list(run_once(ctx, Selection()))

    (job,) = ctx.ledger.jobs()
    assert job.state is State.DONE
    assert len(draw.uploads) == 1


@pytest.fixture
def wrong_year(clock: Clock, site: Site, draw: FakeDraw) -> Callable[[], Job]:
    """Return a function: a run with a clock that is a year ahead, then runs for a day."""

    def runs() -> Job:
        right = clock.at
        for at in (right + timedelta(days=365), *(right + timedelta(hours=h) for h in (0, 8, 40))):
            clock.at = at
            with opened(site, draw, clock) as ctx:
                list(run_once(ctx, Selection()))
        with opened(site, draw, clock) as ctx:
            return only_job(ctx)

    return runs


@pytest.mark.usefixtures("pelvis")
def test_a_deadline_ends_though_the_upload_was_in_the_future(
    wrong_year: Callable[[], Job], draw: FakeDraw
) -> None:
    draw.status = "PROCESSING"

    job = wrong_year()

    assert (job.held, job.reason_code) == (True, "deadline")


@pytest.mark.usefixtures("pelvis")
def test_a_deadline_ends_though_the_server_only_answers_with_errors(
    wrong_year: Callable[[], Job], draw: FakeDraw
) -> None:
    def fail(request: Request) -> None:
        if request.url.path.endswith("/status/"):
            draw.answers.append(500)

    draw.watch = fail

    job = wrong_year()

    assert (job.state, job.held, job.reason_code) == (State.UPLOADED, True, "deadline")


def test_a_series_that_came_in_the_future_is_held_when_it_stays_incomplete(
    wrong_year: Callable[[], Job], pelvis: list[Path]
) -> None:
    pelvis[3].unlink()

    job = wrong_year()

    assert (job.held, job.reason_code) == (True, "missing-slices")


def test_files_that_were_unreadable_in_the_future_are_reported(
    wrong_year: Callable[[], Job], pelvis: list[Path]
) -> None:
    for path in pelvis:
        path.write_bytes(path.read_bytes()[:300])

    job = wrong_year()

    assert (job.of_folder, job.held) == (True, True)
    assert job.since < NOON + timedelta(days=1)


def test_a_delivery_in_the_future_does_not_silence_the_alarm_that_nothing_is_delivered(
    ctx: Context,
) -> None:
    ahead, before = ctx.now() + timedelta(days=300), ctx.now() - timedelta(days=9)

    assert facts_of(ctx, [], ahead, None).last_delivered is None
    assert facts_of(ctx, [], before, None).last_delivered == before
