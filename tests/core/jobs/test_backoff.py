from dataclasses import replace
from datetime import timedelta

import pytest

from drawcli.core.jobs.backoff import GIVE_UP_AFTER, backoff, failed_too_long, wait_after
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ServerUnavailable, TryLater
from tests.conftest import NOON

LOST = ServerUnavailable("status: 500")
OWN = TryLater("a file is gone", code="io")
FOUR_HOURS = timedelta(hours=4)
JOB = Job(id="0123456789ab-1", state=State.UPLOADED, since=NOON, uploaded_at=NOON)
IDS = [f"{number:012x}-1" for number in range(200)]


def test_waits_grow_and_those_for_the_server_end_at_a_quarter_of_an_hour() -> None:
    own = [wait_after(OWN, tries, JOB.id) for tries in range(12)]
    servers = [wait_after(LOST, tries, JOB.id) for tries in range(12)]

    assert own[:3] == servers[:3] == sorted(own[:3])
    assert timedelta(hours=4.5) <= own[-1] <= timedelta(hours=6)
    assert max(servers) <= timedelta(minutes=15)


def test_the_wait_doubles_from_a_minute_to_six_hours() -> None:
    waits = [backoff(tries) / timedelta(minutes=1) for tries in (0, 1, 2, 3, 8, 9, 1_000)]

    assert waits == [1, 2, 4, 8, 256, 360, 360]


def test_jobs_that_failed_together_are_not_tried_again_together() -> None:
    waits = {wait_after(LOST, 4, job_id) for job_id in IDS}

    assert len(waits) > 150
    assert timedelta(minutes=11) < min(waits) < timedelta(minutes=11.5)
    assert timedelta(minutes=14.5) < max(waits) <= timedelta(minutes=15)


def test_the_wait_of_a_job_is_the_same_each_time_it_is_asked() -> None:
    assert wait_after(LOST, 3, JOB.id) == wait_after(LOST, 3, JOB.id)
    assert wait_after(LOST, 3, JOB.id) * 2 != wait_after(LOST, 4, JOB.id)


@pytest.mark.parametrize("seconds", [0.0, 90.0, 1800.0])
def test_what_the_server_asks_for_is_taken_exactly(seconds: float) -> None:
    asked = ServerUnavailable("busy", wait_seconds=seconds)

    assert wait_after(asked, 5, JOB.id) == timedelta(seconds=seconds)


def test_a_server_that_asks_for_a_day_is_asked_after_six_hours() -> None:
    asked = ServerUnavailable("busy", wait_seconds=86_400.0)

    assert wait_after(asked, 0, JOB.id) == timedelta(hours=6)


def test_what_fails_here_is_given_up_after_some_tries() -> None:
    def given_up(tries: int) -> bool:
        return bool(failed_too_long(JOB, OWN, tries, now=NOON, deadline=FOUR_HOURS))

    assert [given_up(tries) for tries in (0, GIVE_UP_AFTER - 2, GIVE_UP_AFTER - 1)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("hint", ["Ask the physicist.", ""])
def test_a_job_that_is_given_up_keeps_code_and_hint_of_its_error(hint: str) -> None:
    err = TryLater("a file is gone", code="io", hint=hint)

    told = failed_too_long(JOB, err, GIVE_UP_AFTER - 1, now=NOON, deadline=FOUR_HOURS)

    assert told is not None
    assert (str(told), told.code) == ("gave up after 12 tries: a file is gone", "io")
    again = "'drawcli retry 0123456789ab-1' tries again; the log has each failure."
    assert told.hint == (hint or again)


@pytest.mark.parametrize("state", [State.UPLOADED, State.SEGMENTED, State.DELIVERED])
def test_a_server_that_answers_and_does_not_do_its_part_is_told_at_the_deadline(
    state: State,
) -> None:
    job, late = replace(JOB, state=state), NOON + timedelta(hours=4, seconds=1)

    early = failed_too_long(job, LOST, 40, now=NOON + FOUR_HOURS, deadline=FOUR_HOURS)
    first = failed_too_long(job, LOST, 1, now=late, deadline=FOUR_HOURS)
    told = failed_too_long(job, LOST, 2, now=late, deadline=FOUR_HOURS)

    assert early is None
    assert first is None  # a person who released it, or a clock that jumped: some more tries
    assert told is not None
    assert told.code == "deadline"
    assert str(told) == "no result from the server within 4 hours; the last answer: status: 500"
    assert job.id in told.hint


def test_patience_counts_from_the_last_upload_and_from_the_last_step() -> None:
    later = NOON + timedelta(hours=3)
    now = NOON + timedelta(hours=5)

    moved = failed_too_long(replace(JOB, since=later), LOST, 9, now=now, deadline=FOUR_HOURS)
    again = failed_too_long(replace(JOB, uploaded_at=later), LOST, 9, now=now, deadline=FOUR_HOURS)

    assert moved is again is None


def test_an_upload_that_is_not_taken_has_a_bound_of_its_own() -> None:
    job, much_later = replace(JOB, state=State.PACKAGED), NOON + timedelta(days=9)

    assert failed_too_long(job, LOST, 99, now=much_later, deadline=FOUR_HOURS) is None
