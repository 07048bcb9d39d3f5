from datetime import timedelta

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.late_changes import cancel_replaced, hold_changed, note_changed
from tests.conftest import NOON

JOB = Job(
    id="0123456789ab-1",
    state=State.UPLOADED,
    since=NOON,
    slices=12,
    template="Pelvis",
    task_id="t-1",
    late_digest="before",
)
LATER = NOON + timedelta(hours=1)


def test_a_job_that_a_newer_one_replaces_is_cancelled_and_its_copy_is_still_to_be_deleted() -> None:
    after = cancel_replaced(JOB, LATER, "0123456789ab-2")

    assert (after.state, after.since, after.due_at) == (State.CANCELLED, LATER, None)
    assert (after.task_id, after.replaced) == (None, ("t-1",))
    assert after.reason_code == "sent-again"
    assert after.reason == (
        "the series changed after it was sent; job 0123456789ab-2 sends the current images"
    )
    other = cancel_replaced(JOB, LATER, "0123456789ab-2", "the rules changed")
    assert (other.reason or "").startswith("the rules changed; ")


def test_a_change_after_the_upload_holds_the_job_with_both_ways_on() -> None:
    after = hold_changed(JOB, LATER, files=14, digest="now")

    assert (after.state, after.held, after.late_digest) == (State.UPLOADED, True, "now")
    assert (after.events[-1].at, after.events[-1].what) == (LATER, "held: changed-after-upload")
    assert after.reason == "the series changed after it was sent: 12 files then, 14 now"
    assert after.hint == (
        "'drawcli release 0123456789ab-1' delivers the contours of the images that were sent; "
        "'drawcli assign 0123456789ab-1 Pelvis' uploads the current images."
    )


def test_a_change_after_the_delivery_is_a_note_and_the_job_goes_on() -> None:
    after = note_changed(JOB, LATER, files=11, digest="now")

    assert (after.state, after.held, after.late_digest) == (State.UPLOADED, False, "now")
    event = after.events[-1]
    assert (event.at, event.what) == (LATER, "changed later")
    assert event.why == "12 files were sent, there are 11 now"
