"""The story of a job: every event with its time, its try and its sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.timeline import moments, stays
from drawcli.errors import NeedsPerson, ServerUnavailable

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)


def after(**span: float) -> datetime:
    return NOON + timedelta(**span)


def a_job() -> Job:
    return Job(id="0123456789ab-1", state=State.FOUND, since=NOON).begun(at=NOON)


def test_each_failure_has_its_try_its_time_and_its_sentence() -> None:
    job = a_job().to(State.MATCHED, at=after(seconds=2))
    for minute in (1, 3):
        err = ServerUnavailable("no answer", code="server-down")
        job = job.failed(err, at=after(minutes=minute), until=after(minutes=minute + 1))
    job = job.held_for(NeedsPerson("ask somebody"), at=after(minutes=9))

    told = [(one.what, one.after, one.attempt, one.why) for one in moments(job)]

    assert told == [
        ("found", None, 0, ""),
        ("matched", timedelta(seconds=2), 0, ""),
        ("failed: server-down", timedelta(seconds=58), 1, "no answer"),
        ("failed: server-down", timedelta(minutes=2), 2, "no answer"),
        ("held: held", timedelta(minutes=6), 0, "ask somebody"),
    ]


def test_tries_are_counted_anew_after_something_else_happened() -> None:
    err = ServerUnavailable("no answer")
    job = a_job().failed(err, at=NOON, until=NOON).released(at=NOON)
    job = job.failed(err, at=NOON, until=NOON)

    assert [one.attempt for one in moments(job)] == [0, 1, 0, 1]


def test_a_history_that_begins_with_a_failure_counts_it_as_the_first() -> None:
    job = a_job().failed(ServerUnavailable("no answer"), at=NOON, until=NOON)

    assert [one.attempt for one in moments(replace(job, events=job.events[1:]))] == [1]


def test_a_moment_as_json_has_six_keys_and_null_for_what_is_not_known() -> None:
    job = a_job().failed(ServerUnavailable("no answer"), at=after(seconds=1.23456), until=NOON)
    first, second = moments(job.signed("ann", a_job()))

    assert first.as_plain() == {
        "at": "2026-11-14T12:00:00+00:00",
        "what": "found",
        "seconds_after": None,
        "attempt": None,
        "why": None,
        "by": None,
    }
    assert second.as_plain() == {
        "at": "2026-11-14T12:00:01.234560+00:00",
        "what": "failed: server-unavailable",
        "seconds_after": 1.235,
        "attempt": 1,
        "why": "no answer",
        "by": "ann",
    }


def test_a_stay_lasts_from_a_state_to_the_next_whatever_failed_between() -> None:
    job = a_job().failed(ServerUnavailable("busy"), at=after(minutes=1), until=NOON)
    job = job.to(State.MATCHED, at=after(minutes=5)).to(State.PACKAGED, at=after(minutes=6))

    spans = [(one.state, one.following, one.span) for one in stays(job)]

    assert spans == [
        (State.FOUND, State.MATCHED, timedelta(minutes=5)),
        (State.MATCHED, State.PACKAGED, timedelta(minutes=1)),
    ]


def test_a_clock_that_went_back_makes_no_stay_shorter_than_nothing() -> None:
    job = a_job().to(State.MATCHED, at=NOON - timedelta(hours=1))

    assert [one.span for one in stays(job)] == [timedelta()]


def test_a_job_without_a_history_has_no_story() -> None:
    job = replace(a_job(), events=())

    assert (list(moments(job)), list(stays(job))) == ([], [])
