"""Actions of a user on a job: release, retry, assign, cancel. Each runs under the job's lock."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from drawcli.core.jobs import warned
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State
from drawcli.core.jobs.late_changes import CHANGED, cancel_replaced
from drawcli.core.jobs.ledger import Busy
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.overrides import RELEASABLE, hint_for, remember_release
from drawcli.errors import FIRST_RUN, MODEL_CHANGED, JobError, UsageError
from drawcli.pipeline.context import Context

_Made = TypeVar("_Made")
Action = Callable[[Job, Context], Job]  # named as in the audit log
ASSIGN: Final = "assign"
SHORTEST_PREFIX: Final = 4
_IS_PREFIX: Final = re.compile("[0-9a-f]+")
_MOST_LISTED: Final = 10
_LIST_HINT: Final = "'drawcli status --all' lists the jobs with their ids."
_RESENDABLE: Final = frozenset({State.UPLOADED, State.SEGMENTED, State.FETCHED})
# A job held after the upload for these reasons can only go on if the series is sent again: the task
# has failed or is lost, or what was sent is.
_NEEDS_UPLOAD: Final = frozenset(
    {"segmentation-failed", "task-unknown", "result-missing", "template-missing", "no-task"}
)
_OVER: Final = FINISHED | {State.DELIVERED}
_ASSIGNABLE: Final = frozenset(
    {State.FOUND, State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED, State.MATCHED}
    | {State.PACKAGED}
)


def find_job(name: str, ctx: Context) -> Job:
    """Return the job of an id, of an unambiguous prefix of one, or of a SeriesInstanceUID.

    If a series was sent more than once, return its latest job. Its files are on this host then.

    Raises
    ------
    UsageError
        If no series matches, or more than one, or the prefix is too short.
    """
    wanted = name.strip().lower()
    if "." in wanted:
        keys = [key.series_key(name.strip()) for key in (ctx.stand_ins, *ctx.retired)]
        wanted = next((key for key in keys if ctx.ledger.of_series(key)), keys[0])
    if (exact := ctx.ledger.get(wanted)) is not None:
        return ctx.look(exact)
    if len(wanted) < SHORTEST_PREFIX and _IS_PREFIX.fullmatch(wanted):
        raise UsageError(
            f"'{name}' is too short: give at least {SHORTEST_PREFIX} characters of a job's id",
            hint=_LIST_HINT,
        )
    if not (fits := _beginning_with(wanted, ctx) if wanted else []):
        raise UsageError(f"there is no job '{name}'", hint=_LIST_HINT)
    if len({job.series_key for job in fits}) > 1:
        ids = [job.id for job in fits]
        more = f" and {len(ids) - _MOST_LISTED} more" if len(ids) > _MOST_LISTED else ""
        raise UsageError(
            f"'{name}' matches {len(ids)} jobs: {', '.join(ids[:_MOST_LISTED])}{more}",
            hint="Give more of the id.",
        )
    return ctx.look(max(fits, key=lambda job: job.number))


def _beginning_with(wanted: str, ctx: Context) -> list[Job]:
    """Return the jobs whose ids begin with a prefix: open jobs, or else archived ones."""
    if fits := [job for job in ctx.ledger.jobs() if job.id.startswith(wanted)]:
        return fits
    archived = (job.id for job in ctx.ledger.archive.entries() if job.id.startswith(wanted))
    return [job for job_id in archived if (job := ctx.ledger.get(job_id)) is not None]


def release(job: Job, ctx: Context) -> Job:
    """Let a held job continue; an incomplete series is processed as it is."""
    is_not_whole = job.state is State.WAITING and job.reason_code in RELEASABLE
    if not (job.held or is_not_whole):
        raise UsageError(
            f"job {job.id} is not held",
            hint=f"'drawcli retry {job.id}' makes a waiting job due at once.",
        )
    if job.of_folder:
        reason = "released by a user: these files are not read"
        cancelled = job.to(State.CANCELLED, at=ctx.now())
        return cancelled.postponed(None, code="left-unread", reason=reason)
    if job.state is State.WAITING and not is_not_whole:
        raise UsageError(
            f"job {job.id} cannot be released: {job.reason}",
            hint=hint_for(job, job.reason_code or ""),
        )
    after = remember_release(job).released(at=ctx.now())
    if job.reason_code == FIRST_RUN:
        return _judged_again(after, ctx)
    return _asked_again(after, job, ctx)


def _judged_again(job: Job, ctx: Context) -> Job:
    """Return a job for the next scan: the present settings and rules decide on its series."""
    after = job.to(State.WAITING, at=ctx.now())
    reason = "released; the next scan checks it by the present settings and rules"
    return after.postponed(None, code=FIRST_RUN, reason=reason)


def retry(job: Job, ctx: Context) -> Job:
    """Make a waiting job due now; repeat the failed step of a held job.

    The series is sent again only if the server has failed, or has lost the task.
    """
    if job.held and job.reason_code == FIRST_RUN:
        return release(job, ctx)
    if job.state is State.DONE:
        raise UsageError(f"job {job.id} is done; there is nothing to retry")
    if job.state is State.CANCELLED:
        _check_not_open(job, job.template, ctx)
        return job.to(State.WAITING, at=ctx.now(), posts=0)  # the next scan checks it again
    if job.held and job.state in _RESENDABLE and job.reason_code in _NEEDS_UPLOAD:
        return _packaged_again(job, ctx)
    after = job.released(at=ctx.now())
    return _asked_again(replace(after, posts=0) if job.held else after, job, ctx)


def awaits_decision(job: Job) -> bool:
    """Return whether a retry would decide what a user must: it is not part of `retry --all`."""
    return job.held and job.reason_code in (FIRST_RUN, CHANGED, MODEL_CHANGED)


def resend(job: Job, ctx: Context) -> Job:
    """Send the package of a job again; before its first upload this is the same as `retry`."""
    if job.state in (State.DELIVERED, State.DONE):
        raise UsageError(
            f"job {job.id} is {job.state}",
            hint=f"'drawcli assign {job.id} {job.template}' sends its series once more.",
        )
    return _packaged_again(job, ctx) if job.state in _RESENDABLE else retry(job, ctx)


def _packaged_again(job: Job, ctx: Context) -> Job:
    facts = {"task_id": None, "uploaded_at": None, "posts": 0, "late_digest": None}
    return job.to(State.PACKAGED, at=ctx.now(), **facts)


def _asked_again(after: Job, held: Job, ctx: Context) -> Job:
    """Return a released job with its deadline reset, to be decided again by the rules."""
    if held.reason_code == "deadline" and held.state is State.UPLOADED:
        return replace(after, uploaded_at=ctx.now())
    return replace(after, rules_digest=None) if after.state in RULES_DECIDE else after


def cancel(job: Job, ctx: Context) -> Job:
    """Cancel a job: nothing is done for it until someone retries or assigns it."""
    if job.state in FINISHED or job.state is State.DELIVERED:
        raise UsageError(f"job {job.id} is {job.state}; there is nothing to cancel")
    return job.to(State.CANCELLED, at=ctx.now(), task_id=None)


def seen(job: Job, ctx: Context) -> Job:
    """Mark the warnings of a delivery as seen; UsageError if it has none."""
    return warned.seen(job, at=ctx.now())


def assign(job: Job, template: str, ctx: Context) -> Job:
    """Assign a template to a series, whatever the rules say.

    A series that was already sent gets a new job; the old job does not change.
    """
    check_assignable(job, template, ctx)
    facts = {
        "template": template,
        "rule": None,
        "rules_digest": ctx.rulebook.digest,
        "rules_commit": ctx.rulebook.commit,
        "posts": 0,
    }
    if job.state is State.CANCELLED:
        _check_not_open(job, template, ctx)
        again = job.to(State.WAITING, at=ctx.now(), **facts)
        return _stored(ASSIGN, job, _taken_up_by_scan(again), ctx, template=template)
    if job.state in _ASSIGNABLE:
        after = job.to(State.MATCHED, at=ctx.now(), **facts)
        return _stored(ASSIGN, job, after, ctx, template=template)
    return _sent_again(job, facts, ctx)


def check_assignable(job: Job, template: str, ctx: Context) -> None:
    """Raise UsageError if a template cannot be assigned to a series."""
    ctx.rulebook.template_named(template)
    if job.of_folder:
        raise UsageError(
            f"job {job.id} is for a folder with unreadable files, not for a series",
            hint=f"'drawcli show {job.id} --identify' names the folder.",
        )
    if job.state is State.WAITING:
        raise UsageError(
            f"job {job.id} is not complete yet: {job.reason}", hint="Assign it once it is found."
        )


def _check_not_open(job: Job, template: str | None, ctx: Context) -> None:
    """Raise UsageError if another job sends the series of a job with this template."""
    open_ = [
        other.id
        for other in ctx.ledger.of_series(job.series_key)
        if other.id != job.id and other.template == template and other.state not in _OVER
    ]
    if open_ and template is not None:
        raise UsageError(
            f"series {job.series_key} is already being processed with this template: {open_[-1]}",
            hint="Cancel that job first, or retry it.",
        )


def _sent_again(job: Job, facts: dict[str, Any], ctx: Context) -> Job:
    """Make a new job for a series that was sent; the next scan reads its present state.

    A held job of the same template is cancelled, because the new one replaces it.
    """
    _check_not_open(job, facts["template"], ctx)
    is_same = job.template == facts["template"] and job.state not in _OVER
    if is_same and not job.held:
        raise UsageError(
            f"series {job.series_key} is already being processed with this template",
            hint="Cancel that job first, or retry it.",
        )
    jobs = ctx.ledger.of_series(job.series_key)
    fresh = Job(
        id=f"{job.series_key}-{jobs[-1].number + 1}",
        state=State.WAITING,
        since=ctx.now(),
        modality=job.modality,
        slices=job.slices,
        key_id=job.key_id,
        template=facts["template"],
        one_off=job.one_off,
    )
    after = _taken_up_by_scan(fresh.begun(at=ctx.now())).signed(ctx.actor.label, fresh)
    ctx.record(ASSIGN, after, template=after.template, follows=job.id)
    if not ctx.begin(after, _shown(job, ctx)):
        raise UsageError(
            f"another process has just made job {after.id}", hint="Run the command again."
        )
    if is_same:
        cancelled = cancel_replaced(job, ctx.now(), after.id, "assigned again")
        ctx.ledger.commit(cancelled.signed(ctx.actor.label, job))
    return after


def _shown(job: Job, ctx: Context) -> Crosswalk | None:
    """Return the crosswalk of a one-off job, whose images no scan of the datastore finds."""
    if job.one_off:
        with suppress(JobError):  # if its work folder is gone, 'scan PATH' finds the images again
            return ctx.crosswalk(job)
    return None


def _taken_up_by_scan(job: Job) -> Job:
    return job.postponed(None, code="assigned", reason="the next scan takes the series")


def act_locked(job: Job, ctx: Context, act: Callable[[Job], _Made]) -> _Made:
    """Act on a job under its lock.

    Raises
    ------
    UsageError
        If a step is working on it.
    """
    try:
        with ctx.job_lock(job.id):
            return act(ctx.ledger.get(job.id) or job)
    except Busy:
        raise UsageError(
            f"job {job.id} is being processed",
            hint="Try again later; 'drawcli unlock' shows which process has the lock.",
        ) from None


def apply_action(job: Job, action: Action, ctx: Context) -> Job:
    """Release, retry, resend or cancel a job under its lock; return the stored job."""
    return act_locked(job, ctx, lambda now: carry_out(now, action, ctx))


def carry_out(job: Job, action: Action, ctx: Context) -> Job:
    """Release, retry, resend or cancel a locked job; the action's name is in the audit log."""
    return _stored(action.__name__, job, action(job, ctx), ctx)


def _stored(action: str, before: Job, after: Job, ctx: Context, **facts: Any) -> Job:
    """Store what a user did to a job; first it is in the audit log."""
    ctx.record(action, before, **facts)
    return ctx.ledger.commit(after.signed(ctx.actor.label, before))


def assign_template(job: Job, template: str, ctx: Context) -> Job:
    """Assign a template to a series under the lock of its job; see `assign`."""
    return act_locked(job, ctx, lambda now: assign(now, template, ctx))
