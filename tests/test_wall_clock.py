"""What the wall clock of a department does to runs that cron calls by it."""

import sys
from datetime import UTC, datetime

import pytest

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once
from tests.conftest import Clock, Site, opened
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
