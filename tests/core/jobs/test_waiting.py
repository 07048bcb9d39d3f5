"""What open jobs wait for, as a run and the status tell it."""

from dataclasses import replace

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import open_groups, waits_for
from tests.conftest import NOON


def test_jobs_of_one_state_are_told_apart_by_their_reason_where_they_have_one() -> None:
    codes = ("timeout", None, "timeout", "busy")
    jobs = [
        Job(id=f"{number:012x}-1", state=State.UPLOADED, since=NOON, reason=code, reason_code=code)
        for number, code in enumerate(codes)
    ]

    assert open_groups(jobs, NOON) == [
        (1, "uploaded: the server's contours"),
        (1, "uploaded: the server's contours: busy"),
        (2, "uploaded: the server's contours: timeout"),
    ]


def test_a_released_series_waits_for_a_run_and_not_to_be_complete() -> None:
    waiting = Job(id="0123456789ab-1", state=State.WAITING, since=NOON)
    released = replace(waiting, let_pass="digest stamp missing-slices")

    assert waits_for(waiting, NOON) == "the series to be complete"
    assert waits_for(released, NOON) == "the next run: scan"
