"""What open jobs wait for, as a run and the status tell it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import (
    delivered_at,
    held_since,
    last_touched,
    open_groups,
    waits_for,
    way_out,
)
from drawcli.errors import NeedsPerson
from tests.conftest import NOON

LATER = NOON + timedelta(hours=1)


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


def job_in(state: State, **facts: object) -> Job:
    return Job(id="0123456789ab-1", state=state, since=NOON, **facts)  # type: ignore[arg-type] # any fact


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (job_in(State.MATCHED), "the next run: deidentify"),
        (job_in(State.MATCHED, held=True, reason="r"), "a user: r"),
        (job_in(State.PACKAGED, due_at=NOON), "the next run: upload"),
        (job_in(State.PACKAGED, due_at=LATER, reason="r"), "another try in 1 h: r"),
        (job_in(State.UPLOADED, due_at=LATER), "the server's contours, next poll in 1 h"),
        (job_in(State.WAITING, reason="slice 4 is missing"), "slice 4 is missing"),
        (job_in(State.WAITING, of_folder=True), "its files to be readable"),
        (job_in(State.WAITING, of_folder=True, let_pass="x"), "its files to be readable"),
        (job_in(State.WAITING, of_folder=True, reason="r"), "its files to be readable: r"),
    ],
)
def test_each_wait_has_its_reason(job: Job, text: str) -> None:
    assert waits_for(job, NOON) == text


def test_finished_and_excluded_jobs_are_in_no_group_and_held_ones_come_first() -> None:
    states = (State.DONE, State.CANCELLED, State.EXCLUDED, State.UNMATCHED, State.FOUND)
    jobs = [*map(job_in, states), job_in(State.UPLOADED, held=True, reason="r")]

    assert open_groups(jobs, NOON) == [
        (1, "held: 'drawcli quarantine' shows why, and what to do"),
        (1, "found: the next run: match"),
        (1, "unmatched: 'drawcli status --unmatched' shows the nearest rules"),
    ]


@pytest.mark.parametrize(
    ("job", "command"),
    [
        (job_in(State.UPLOADED), ""),
        (job_in(State.PACKAGED, reason_code="vault-lost"), "vault rebuild 0123456789ab-1"),
        (job_in(State.UNMATCHED), "assign 0123456789ab-1 TEMPLATE"),
        (job_in(State.AMBIGUOUS), "assign 0123456789ab-1 TEMPLATE"),
        (job_in(State.MATCHED, held=True), "release 0123456789ab-1"),
        (job_in(State.WAITING, held=True), "cancel 0123456789ab-1"),
        (job_in(State.SEGMENTED, held=True), "retry 0123456789ab-1"),
        (job_in(State.WAITING, held=True, of_folder=True), "show 0123456789ab-1 --identify"),
        (job_in(State.UPLOADED, held=True, reason_code="privacy-gate"), "show 0123456789ab-1"),
        (
            job_in(State.FETCHED, held=True, hint="Or 'drawcli fetch again 0123456789ab-1 -f'."),
            "fetch again 0123456789ab-1 -f",
        ),
    ],
)
def test_the_command_that_resumes_a_job_names_it(job: Job, command: str) -> None:
    assert way_out(job) == (f"drawcli {command}" if command else "")


def test_a_job_is_held_since_it_was_held_last() -> None:
    job = job_in(State.MATCHED)
    for minutes in (10, 20):
        job = job.held_for(NeedsPerson("r"), at=NOON + timedelta(minutes=minutes))
    job = job.noted(LATER, "seen")

    assert held_since(job) == NOON + timedelta(minutes=20)
    assert held_since(replace(job, events=())) == NOON


def test_a_job_was_delivered_when_it_reached_that_state_last() -> None:
    done = job_in(State.FETCHED).to(State.DELIVERED, at=LATER)
    done = done.to(State.DONE, at=LATER + timedelta(hours=1)).noted(LATER, "seen")

    assert delivered_at(done) == LATER
    assert delivered_at(replace(done, events=())) == done.since
    assert delivered_at(replace(done, events=(), state=State.DELIVERED)) == done.since
    assert delivered_at(job_in(State.FETCHED)) is None


def test_a_job_was_last_touched_by_its_last_event_also_after_the_clock_was_set_back() -> None:
    job = job_in(State.MATCHED)

    assert last_touched(job) == NOON
    assert last_touched(job.noted(LATER, "one")) == LATER
    assert last_touched(job.noted(NOON + timedelta(days=1), "wrong").noted(LATER, "one")) == LATER
    assert last_touched(job.noted(NOON - timedelta(hours=1), "before")) == NOON
