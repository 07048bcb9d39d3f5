"""What a person does to a job."""

from collections.abc import Callable

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.errors import NeedsPerson, UsageError
from drawcli.pipeline.actions import act_locked, assign, cancel, find_job, release, resend, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Clock

Make = Callable[..., Job]
OPEN = [state for state in State if state not in (State.DONE, State.CANCELLED, State.DELIVERED)]


def held(job: Job, code: str, ctx: Context) -> Job:
    return job.held_for(NeedsPerson("because", code=code), at=ctx.now())


@pytest.mark.usefixtures("pelvis")
def test_a_job_is_found_by_its_id_a_beginning_or_its_series(ctx: Context) -> None:
    run_step("scan", ctx, Selection())
    (job,) = ctx.ledger.jobs()
    series_uid = ctx.crosswalk(job).series_uid

    assert find_job(job.id, ctx) == job
    assert find_job(job.id[:5], ctx) == job
    assert find_job(series_uid, ctx) == job


def test_of_several_sendings_the_latest_is_meant(ctx: Context, in_state: Make) -> None:
    in_state(State.DONE, "0123456789ab-1")
    latest = in_state(State.FOUND, "0123456789ab-2")

    assert find_job("0123456789ab", ctx) == latest


@pytest.mark.parametrize("name", ["fedc", "", "xyz", "1.2.3"])
def test_a_job_that_is_not_clear_is_not_guessed(ctx: Context, in_state: Make, name: str) -> None:
    in_state(State.FOUND, "0123456789ab-1")

    with pytest.raises(UsageError, match="there is no job"):
        find_job(name, ctx)


def test_a_beginning_of_two_series_is_refused(ctx: Context, in_state: Make) -> None:
    in_state(State.FOUND, "0123456789ab-1")
    in_state(State.FOUND, "0123ffffffff-1")

    with pytest.raises(UsageError, match=r"matches 2 jobs: 0123456789ab-1, 0123ffffffff-1$"):
        find_job("0123", ctx)


def test_a_beginning_that_is_too_short_says_so(ctx: Context, in_state: Make) -> None:
    in_state(State.FOUND, "0123456789ab-1")

    with pytest.raises(UsageError, match="'012' is too short: give at least 4 characters"):
        find_job("012", ctx)


def test_release_frees_a_held_job_where_it_stands(ctx: Context, in_state: Make) -> None:
    job = held(in_state(State.FETCHED), "name-taken", ctx)

    after = release(job, ctx)

    assert (after.state, after.held, after.reason, after.hint) == (State.FETCHED, False, None, None)


def test_release_renews_the_patience_with_a_series_that_is_not_whole(
    ctx: Context, in_state: Make, clock: Clock
) -> None:
    job = held(in_state(State.WAITING), "missing-slices", ctx)
    clock.advance(days=3)

    assert release(job, ctx).since == clock.at


@pytest.mark.parametrize("state", OPEN)
def test_retry_makes_a_waiting_job_due_now(
    ctx: Context, in_state: Make, clock: Clock, state: State
) -> None:
    job = in_state(state, due_at=clock.at.replace(year=2027), attempts=3)

    after = retry(job, ctx)

    assert (after.state, after.attempts) == (state, 0)
    assert after.is_due(clock.at)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.UPLOADED, "segmentation-failed"),
        (State.UPLOADED, "task-unknown"),
        (State.SEGMENTED, "result-missing"),
    ],
)
def test_retry_sends_a_series_again_where_only_that_helps(
    ctx: Context, in_state: Make, state: State, code: str
) -> None:
    job = held(in_state(state, task_id="task-1", posts=2), code, ctx)

    after = retry(job, ctx)

    assert (after.state, after.task_id, after.posts) == (State.PACKAGED, None, 0)
    assert (after.held, after.replaced) == (False, ("task-1",))


@pytest.mark.parametrize("state", [State.UPLOADED, State.SEGMENTED, State.FETCHED])
def test_a_series_is_sent_again_only_if_asked_for(
    ctx: Context, in_state: Make, state: State
) -> None:
    job = held(in_state(state, task_id="task-1", posts=2), "structure-volume", ctx)

    after, again = retry(job, ctx), resend(job, ctx)

    assert (after.state, after.task_id, after.held) == (state, "task-1", False)
    assert (again.state, again.task_id, again.replaced) == (State.PACKAGED, None, ("task-1",))


def test_retry_after_the_deadline_begins_it_again(
    ctx: Context, in_state: Make, clock: Clock
) -> None:
    job = held(in_state(State.UPLOADED, task_id="t", uploaded_at=clock.at), "deadline", ctx)
    clock.advance(hours=5)

    assert retry(job, ctx).uploaded_at == clock.at


def test_what_is_delivered_is_not_sent_again(ctx: Context, in_state: Make) -> None:
    with pytest.raises(UsageError, match="is delivered"):
        resend(in_state(State.DELIVERED), ctx)


def test_retry_of_unanswered_uploads_counts_from_nothing(ctx: Context, in_state: Make) -> None:
    job = held(in_state(State.PACKAGED, posts=5), "uploads-unanswered", ctx)

    after = retry(job, ctx)

    assert (after.state, after.posts, after.held) == (State.PACKAGED, 0, False)


def test_nothing_is_done_again_for_a_job_that_is_done(ctx: Context, in_state: Make) -> None:
    job = in_state(State.DONE)

    for action in (retry, cancel):
        with pytest.raises(UsageError, match="done"):
            action(job, ctx)


@pytest.mark.parametrize("state", OPEN)
def test_every_open_job_can_be_cancelled_and_taken_up_again(
    ctx: Context, in_state: Make, state: State
) -> None:
    cancelled = cancel(in_state(state), ctx)

    assert cancelled.state is State.CANCELLED
    assert retry(cancelled, ctx).state is State.WAITING


def test_what_is_delivered_cannot_be_cancelled(ctx: Context, in_state: Make) -> None:
    with pytest.raises(UsageError, match="nothing to cancel"):
        cancel(in_state(State.DELIVERED), ctx)


def test_a_template_that_does_not_exist_is_not_assigned(ctx: Context, in_state: Make) -> None:
    job = in_state(State.UNMATCHED)

    with pytest.raises(UsageError, match="did you mean 'Prostate_OAR'"):
        assign(job, "Prostate_OARs", ctx)

    assert ctx.ledger.get(job.id) == job


def test_a_series_that_is_not_whole_gets_no_template(ctx: Context, in_state: Make) -> None:
    with pytest.raises(UsageError, match="not complete"):
        assign(in_state(State.WAITING), "Prostate_OAR", ctx)


@pytest.mark.parametrize(
    "state", [State.FOUND, State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED, State.MATCHED]
)
def test_assign_before_the_upload_changes_the_job_itself(
    ctx: Context, in_state: Make, state: State
) -> None:
    job = held(in_state(state, rule="by-rule"), "ambiguous", ctx)

    after = assign(job, "Thorax_OAR", ctx)

    assert (after.id, after.state, after.template) == (job.id, State.MATCHED, "Thorax_OAR")
    assert (after.rule, after.held) == (None, False)


def test_a_series_on_its_way_is_not_sent_twice_with_one_template(
    ctx: Context, in_state: Make
) -> None:
    job = in_state(State.UPLOADED, template="Thorax_OAR")

    with pytest.raises(UsageError, match="already being processed"):
        assign(job, "Thorax_OAR", ctx)


def test_a_person_waits_for_a_step_at_work(ctx: Context, in_state: Make) -> None:
    job = in_state(State.FOUND)

    with ctx.work.job_lock(job.id), pytest.raises(UsageError, match="is being processed"):
        act_locked(job, ctx, lambda now: now)
