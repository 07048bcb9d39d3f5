"""Jobs for the tests of ledgers."""

from datetime import UTC, datetime, timedelta

from drawcli.core.jobs.job import Event, EventKind, Job, State

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)


def a_job(job_id: str = "0123456789ab-1", state: State = State.FOUND, **facts: object) -> Job:
    return Job(id=job_id, state=state, since=NOON, **facts)  # type: ignore[arg-type] # any fact


def full_job() -> Job:
    """Return a job with something in every field."""
    return Job(
        id="0123456789ab-2",
        state=State.UPLOADED,
        since=NOON,
        modality="CT",
        slices=120,
        source_digest="d" * 16,
        source_stamp="a" * 16,
        aside="1 localizer",
        pet_counts=True,
        let_pass="a b crooked",
        late_digest="b" * 16,
        follows="b" * 16,
        one_off=True,
        of_folder=True,
        key_id="01234567",
        template="Prostate_OAR",
        rule="pelvis",
        priority=-3,
        rules_digest="e" * 64,
        rules_commit="abc+",
        zip_sha256="f" * 64,
        zip_bytes=31_000_000,
        posts=2,
        unanswered=1,
        attested=3,
        attested_at=("north-a",),
        task_id="task-1",
        replaced=("task-0",),
        uploaded_at=NOON - timedelta(minutes=1, microseconds=1),
        received_sha256="0" * 64,
        delivered_sha256="1" * 64,
        attempts=3,
        due_at=NOON + timedelta(hours=1),
        held=True,
        reason_code="later",
        reason="a sentence with ä and 漢",
        hint="do this",
        events=(
            Event(NOON, EventKind.REACHED, "found"),
            Event(NOON, EventKind.FAILED, "later", "no answer"),
            Event(NOON, EventKind.HELD, "gate"),
            Event(NOON, EventKind.RELEASED, ""),
            Event(NOON, EventKind.NOTED, "failed: "),
        ),
        revision=7,
    )
