from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from drawcli.core.jobs.job import (
    BEFORE_UPLOAD,
    FARTHEST_WAIT,
    FINISHED,
    Event,
    EventKind,
    Job,
    State,
)
from drawcli.errors import DrawcliError

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3)

# Written out again from the drawing of the flow, not taken from the code it checks.
MOVES = {
    "waiting": "found cancelled",
    "found": "matched unmatched ambiguous excluded waiting cancelled",
    "unmatched": "matched unmatched ambiguous excluded waiting cancelled",
    "ambiguous": "matched unmatched ambiguous excluded waiting cancelled",
    "excluded": "matched unmatched ambiguous excluded waiting cancelled",
    "matched": "matched packaged waiting cancelled",
    "packaged": "uploaded matched excluded waiting cancelled",
    "uploaded": "segmented packaged cancelled",
    "segmented": "fetched packaged cancelled",
    "fetched": "delivered segmented packaged cancelled",
    "delivered": "done",
    "done": "",
    "cancelled": "waiting matched",
}


def job_in(state: State, **facts: object) -> Job:
    return Job(id="0123456789ab-2", state=state, since=NOON, **facts)  # type: ignore[arg-type] # any fact


def in_trouble(state: State = State.UPLOADED) -> Job:
    return job_in(state, attempts=3, due_at=LATER, held=True, reason_code="c", reason="r", hint="h")


def test_a_job_moves_only_along_the_drawing() -> None:
    for here, there in product(State, State):
        job = job_in(here)
        if there in MOVES[here].split():
            assert job.to(there, at=LATER).state is there
        else:
            with pytest.raises(DrawcliError, match=f"cannot go from {here} to {there}$"):
                job.to(there, at=LATER)


def test_every_state_but_the_last_has_a_way_to_done() -> None:
    ways = {state: set(MOVES[state].split()) for state in State}

    for _ in State:
        ways = {here: there.union(*(ways[State(s)] for s in there)) for here, there in ways.items()}

    assert [state for state, there in ways.items() if "done" not in there] == ["done"]


def test_nothing_is_sent_again_once_it_left_without_passing_packaged() -> None:
    gone = {"uploaded", "segmented", "fetched", "delivered", "done"}

    assert {"cancelled"} | gone == set(State) - BEFORE_UPLOAD
    assert {"done", "cancelled"} == FINISHED


def test_a_move_takes_the_facts_and_forgets_the_trouble() -> None:
    moved = in_trouble().to(State.SEGMENTED, at=LATER, task_id="t-7")

    assert (moved.task_id, moved.since) == ("t-7", LATER)
    assert (moved.attempts, moved.due_at, moved.held) == (0, None, False)
    assert (moved.reason_code, moved.reason, moved.hint) == (None, None, None)


def test_a_move_is_an_event() -> None:
    moved = job_in(State.WAITING).begun(at=NOON).to(State.FOUND, at=LATER)

    assert [(event.at, event.what) for event in moved.events] == [
        (NOON, "waiting"),
        (LATER, "found"),
    ]


def test_a_held_job_is_not_due_however_late_it_is() -> None:
    err = DrawcliError("who is this", code="odd", hint="Look.")

    held = job_in(State.MATCHED, due_at=NOON, attempts=1).held_for(err, at=NOON)

    assert not held.is_due(NOON + timedelta(days=365))
    assert (held.state, held.held, held.due_at) == (State.MATCHED, True, None)
    assert (held.reason_code, held.reason, held.hint) == ("odd", "who is this", "Look.")
    assert held.attempts == 1
    assert held.events[-1].what == "held: odd"


def test_a_failed_job_is_due_when_its_wait_is_over() -> None:
    failed = job_in(State.PACKAGED, attempts=1, reason_code="down").failed(
        DrawcliError("503", code="down"), at=NOON, until=LATER
    )

    assert (failed.state, failed.attempts, failed.held) == (State.PACKAGED, 2, False)
    assert not failed.is_due(LATER - timedelta(seconds=1))
    assert failed.is_due(LATER)
    assert (failed.reason_code, failed.reason, failed.hint) == ("down", "503", None)
    assert failed.events[-1].what == "failed: down"


def test_a_postponed_job_has_not_failed_and_has_no_event() -> None:
    job = job_in(State.UPLOADED, attempts=2, hint="old")

    postponed = job.postponed(LATER, code="running", reason="not ready")

    assert (postponed.attempts, postponed.due_at, postponed.events) == (0, LATER, ())
    assert (postponed.reason_code, postponed.reason, postponed.hint) == (
        "running",
        "not ready",
        None,
    )
    assert not postponed.is_due(NOON)


def test_tries_are_counted_for_one_reason_in_a_row() -> None:
    down = job_in(State.SEGMENTED, attempts=7, reason_code="server-down")

    other = down.failed(DrawcliError("404", code="result-missing"), at=NOON, until=LATER)

    assert (down.tries("server-down"), down.tries("result-missing")) == (7, 0)
    assert other.attempts == 1


def test_a_time_that_a_wrong_clock_set_is_due() -> None:
    job = job_in(State.PACKAGED, due_at=NOON + timedelta(days=365))

    assert job.is_due(NOON)


def test_a_released_job_is_due_at_once_and_keeps_its_state() -> None:
    free = in_trouble().released(at=LATER)

    assert free.is_due(LATER)
    assert (free.state, free.since, free.attempts, free.reason) == (
        State.UPLOADED,
        NOON,
        0,
        None,
    )
    assert free.events[-1].what == "released"


def test_a_released_series_that_waits_is_waited_for_anew() -> None:
    assert in_trouble(State.WAITING).released(at=LATER).since == LATER


def test_a_task_is_remembered_until_the_server_has_deleted_its_copy() -> None:
    sent = job_in(State.UPLOADED, task_id="t-2", replaced=("t-1",))

    again = sent.to(State.PACKAGED, at=LATER, task_id=None)
    same = sent.to(State.SEGMENTED, at=LATER)
    reused = sent.to(State.SEGMENTED, at=LATER, task_id="t-1")

    assert (again.task_id, again.replaced) == (None, ("t-1", "t-2"))
    assert (same.task_id, same.replaced) == ("t-2", ("t-1",))
    assert (reused.task_id, reused.replaced) == ("t-1", ("t-2",))


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_a_finished_job_that_fails_keeps_its_reason_and_waits(state: State) -> None:
    job = job_in(state, attempts=2, reason_code="sent-again", reason="a newer job sends it")

    failed = job.failed(DrawcliError("503", code="down"), at=NOON, until=LATER)

    assert (failed.attempts, failed.due_at, failed.tries("down")) == (3, LATER, 3)
    assert (failed.reason_code, failed.reason, failed.events) == (job.reason_code, job.reason, ())


def test_a_second_template_of_a_series_starts_without_uploads_tasks_and_results() -> None:
    images: dict[str, Any] = {"modality": "CT", "slices": 12, "let_pass": "d s crooked"}
    sent = replace(
        in_trouble(State.MATCHED),
        **images,
        zip_sha256="z",
        zip_bytes=1,
        posts=2,
        unanswered=1,
        attested=2,
        attested_at=("host",),
        task_id="t-2",
        replaced=("t-1",),
        uploaded_at=NOON,
        received_sha256="r",
        delivered_sha256="d",
        late_digest="l",
    )

    assert sent.never_sent() == job_in(State.MATCHED, **images)


def test_the_user_is_added_to_later_events_only() -> None:
    before = job_in(State.MATCHED).noted(NOON, "one")
    after = before.noted(LATER, "two").noted(LATER, "three").signed("ann", before)

    assert [(event.what, event.by) for event in after.events] == [
        ("one", ""),
        ("two", "ann"),
        ("three", "ann"),
    ]


def test_only_the_event_of_a_state_reaches_it() -> None:
    reached = Event(NOON, EventKind.REACHED, "delivered")

    assert reached.reached(State.DELIVERED)
    assert not reached.reached(State.DONE)
    assert not reached._replace(kind=EventKind.NOTED).reached(State.DELIVERED)
    assert not reached._replace(kind=EventKind.NOTED, code="note").reached(State.DELIVERED)


def test_the_longest_wait_is_kept() -> None:
    assert not job_in(State.PACKAGED, due_at=NOON + FARTHEST_WAIT).is_due(NOON)


def test_the_history_keeps_the_latest_sixty_events() -> None:
    job = job_in(State.WAITING)

    for number in range(100):
        job = job.noted(NOON, str(number))

    assert [event.what for event in job.events] == [str(number) for number in range(40, 100)]


def test_the_id_tells_the_series_and_which_sending_it_is() -> None:
    job = job_in(State.FOUND)

    assert (job.series_key, job.number) == ("0123456789ab", 2)
