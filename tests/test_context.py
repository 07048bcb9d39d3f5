"""A new job never takes the place of one that is there."""

from dataclasses import replace
from pathlib import Path

from drawcli.context import Context
from drawcli.core.crosswalk import Crosswalk
from drawcli.core.job import Job, State
from drawcli.pipeline import Selection, run_step

EMPTY = Crosswalk(series_uid="1.2", study_uid="1.3", patient_id="", patient_name="", files=())


def test_the_identity_of_a_job_is_not_overwritten_by_a_scan_that_was_slower(
    ctx: Context, pelvis: list[Path]
) -> None:
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    before = ctx.crosswalk(job)

    begun = ctx.begin(replace(job, state=State.FOUND, revision=0), EMPTY)

    assert not begun
    assert ctx.crosswalk(job) == before
    assert ctx.ledger.get(job.id) == job


def test_a_job_that_another_process_is_making_is_left_to_it(ctx: Context) -> None:
    job = Job(id="0123456789ab-1", state=State.FOUND, since=ctx.now())

    with ctx.work.job_lock(job.id):
        begun = ctx.begin(job, EMPTY)

    assert not begun
    assert ctx.ledger.jobs() == []


def test_a_new_job_has_its_identity_before_the_ledger_knows_it(ctx: Context) -> None:
    job = Job(id="0123456789ab-1", state=State.FOUND, since=ctx.now())

    assert ctx.begin(job, EMPTY)

    assert ctx.crosswalk(job) == EMPTY
    assert ctx.ledger.get(job.id) == job
