import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.tasks import JOB_STEPS, QueueTask, queue_of, states_of, step_for, urgency
from tests.conftest import NOON

# Written out again, not taken from the code it checks; "": a scan, or nothing.
STEPS = {
    "waiting": "",
    "found": "match",
    "unmatched": "match",
    "ambiguous": "match",
    "excluded": "match",
    "matched": "deidentify",
    "packaged": "upload",
    "uploaded": "poll",
    "segmented": "fetch",
    "fetched": "reidentify",
    "delivered": "poll",
    "done": "",
    "cancelled": "",
}
FINISHED = ("done", "cancelled")


def job_in(state: str, **facts: object) -> Job:
    return Job(id="0123456789ab-1", state=State(state), since=NOON, **facts)  # type: ignore[arg-type] # any fact


@pytest.mark.parametrize("state", list(State))
def test_the_next_step_of_a_job_is_that_of_its_state(state: State) -> None:
    assert step_for(job_in(state)) == (STEPS[state] or None)
    assert step_for(job_in(state, held=True)) is None


@pytest.mark.parametrize("state", FINISHED)
def test_a_finished_job_whose_copies_are_at_the_server_asks_it_to_delete_them(state: str) -> None:
    assert step_for(job_in(state, replaced=("t-1",))) == "poll"


def test_the_states_of_a_step_are_those_of_its_jobs() -> None:
    for step in JOB_STEPS:
        own = {state for state, of_state in STEPS.items() if of_state == step}
        assert set(states_of(step)) == own | (set(FINISHED) if step == "poll" else set())


def test_steps_that_end_a_job_go_before_those_that_begin_one_then_priority_counts() -> None:
    first, later = ("fetch", "reidentify", "scan", "tidy"), ("match", "deidentify", "upload")

    assert {urgency(step) for step in first} == {1_000_000}
    assert {urgency(step) for step in later} == {urgency("poll")} == {0}
    assert [urgency("upload", number) for number in (-3, 5)] == [-3, 5]
    assert urgency("upload", 10**7) == 100_000 < urgency("fetch", -(10**7)) == 900_000


@pytest.mark.parametrize(
    ("host", "queue"),
    [
        ("", "upload"),
        ("ct-room-2", "upload@ct-room-2"),
        ("h" * 28, f"upload@{'h' * 28}"),
        ("h" * 29, f"upload@{'h' * 19}-3b8d67b2"),
    ],
)
def test_a_queue_has_the_name_of_the_step_and_at_most_28_characters_of_the_host(
    host: str, queue: str
) -> None:
    assert queue_of("upload", host) == queue
    assert QueueTask("site", "upload", "job-1", host).queue == queue
    assert queue_of("upload") == "upload"


def test_two_tasks_of_one_job_or_of_one_host_do_not_wait_twice() -> None:
    assert QueueTask("s", "upload", "job-1", "host").key == "s/upload/job-1"
    assert QueueTask("s", "scan", host="host").key == "s/scan/host"
