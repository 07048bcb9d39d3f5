"""What a person does to a job: release, retry, assign, cancel. Each under the job's lock."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from drawcli.adapters.state.workdir import Busy
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job, State
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.overrides import RELEASABLE, hint_for, remember_release
from drawcli.errors import JobError, UsageError
from drawcli.pipeline.context import Context

_Made = TypeVar("_Made")
SHORTEST_PREFIX: Final = 4
# A job that is held while the server has it is only helped by sending the series once more.
_AT_SERVER: Final = frozenset({State.UPLOADED, State.SEGMENTED})
_ASSIGNABLE: Final = frozenset(
    {State.FOUND, State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED, State.MATCHED}
    | {State.PACKAGED}
)


def find_job(name: str, ctx: Context) -> Job:
    """Return the job of an id, of an unambiguous beginning of one, or of a SeriesInstanceUID.

    Of several sendings of a series the latest is meant.

    Raises
    ------
    UsageError
        Where there is none, or more than one series fits.
    """
    wanted = name.strip().lower()
    if "." in wanted:
        keys = [one.series_key(name.strip()) for one in (ctx.stand_ins, *ctx.retired)]
        wanted = next((key for key in keys if ctx.ledger.of_series(key)), keys[0])
    exact = ctx.ledger.get(wanted)
    if exact is not None:
        return exact
    fits = _beginning_with(wanted, ctx) if len(wanted) >= SHORTEST_PREFIX else []
    if not fits:
        raise UsageError(
            f"there is no job '{name}'", hint="'drawcli status' lists the jobs with their ids."
        )
    if len({job.series_key for job in fits}) > 1:
        raise UsageError(f"'{name}' fits {len(fits)} jobs", hint="Give more of the id.")
    return max(fits, key=lambda job: job.number)


def _beginning_with(wanted: str, ctx: Context) -> list[Job]:
    """Return the jobs whose ids begin so: the open ones, or else those of the archive."""
    fits = [job for job in ctx.ledger.jobs() if job.id.startswith(wanted)]
    if fits:
        return fits
    archived = (one.id for one in ctx.ledger.archive.entries() if one.id.startswith(wanted))
    return [job for job_id in archived if (job := ctx.ledger.get(job_id)) is not None]


def release(job: Job, ctx: Context) -> Job:
    """Let a held job go on from where it stands; a series that is not whole, as it is."""
    is_not_whole = job.state is State.WAITING and job.reason_code in RELEASABLE
    if not (job.held or is_not_whole):
        raise UsageError(
            f"job {job.id} is not held",
            hint=f"'drawcli retry {job.id}' makes a waiting job due at once.",
        )
    if job.of_folder:
        reason = "a person said that these files need not be read"
        aside = job.to(State.CANCELLED, at=ctx.now())
        return aside.postponed(None, code="left-unread", reason=reason)
    if job.state is State.WAITING and not is_not_whole:
        raise UsageError(
            f"job {job.id} cannot be released: {job.reason}",
            hint=hint_for(job, job.reason_code or ""),
        )
    after = remember_release(job).released(at=ctx.now())
    if job.reason_code == "deadline" and job.state is State.UPLOADED:
        return replace(after, uploaded_at=ctx.now())  # another span of patience
    return _asked_again(after)


def retry(job: Job, ctx: Context) -> Job:
    """Make a waiting job due now; take a held one up again from the step that failed."""
    if job.state is State.DONE:
        raise UsageError(f"job {job.id} is done; there is nothing to try again")
    if job.state is State.CANCELLED:
        return job.to(State.WAITING, at=ctx.now())  # the next scan looks at the series again
    if job.held and job.state in _AT_SERVER:
        return job.to(State.PACKAGED, at=ctx.now(), task_id=None, uploaded_at=None, posts=0)
    after = job.released(at=ctx.now())
    return _asked_again(replace(after, posts=0) if job.held else after)


def _asked_again(job: Job) -> Job:
    """Return the job so that the rules are asked once more, where it is they that decide."""
    return replace(job, rules_digest=None) if job.state in RULES_DECIDE else job


def cancel(job: Job, ctx: Context) -> Job:
    """Set a job aside; nothing more is done for it until a person retries or assigns it."""
    if job.state in FINISHED or job.state is State.DELIVERED:
        raise UsageError(f"job {job.id} is {job.state}; there is nothing to cancel")
    return job.to(State.CANCELLED, at=ctx.now())


def assign(job: Job, template: str, ctx: Context) -> Job:
    """Give a series a template, whatever the rules say.

    A series that was already sent gets a new job; the old one stays as it is.
    """
    check_assignable(job, template, ctx)
    facts = {
        "template": template,
        "rule": None,
        "rules_digest": ctx.rulebook.digest,
        "rules_commit": ctx.rulebook.commit,
    }
    if job.state is State.CANCELLED:
        again = job.to(State.WAITING, at=ctx.now(), **facts)
        return ctx.ledger.commit(_taken_up_by_scan(again))
    if job.state in _ASSIGNABLE:
        return ctx.ledger.commit(job.to(State.MATCHED, at=ctx.now(), **facts))
    return _sent_again(job, facts, ctx)


def check_assignable(job: Job, template: str, ctx: Context) -> None:
    """Raise what keeps a series from getting a template."""
    ctx.rulebook.template_named(template)
    if job.of_folder:
        raise UsageError(
            f"job {job.id} is of a folder with files that cannot be read, not of a series",
            hint=f"'drawcli show {job.id} --identify' names the folder.",
        )
    if job.state is State.WAITING:
        raise UsageError(
            f"job {job.id} is not whole yet: {job.reason}", hint="Assign it once it is found."
        )


def _sent_again(job: Job, facts: dict[str, str | None], ctx: Context) -> Job:
    """Make a new job of a series that was sent; the next scan finds it as it is now."""
    jobs = ctx.ledger.of_series(job.series_key)
    if any(other.template == facts["template"] and other.state not in FINISHED for other in jobs):
        raise UsageError(
            f"series {job.series_key} is already on its way with this template",
            hint="Cancel that job first, or retry it.",
        )
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
    after = _taken_up_by_scan(fresh.begun(at=ctx.now()))
    if not ctx.begin(after, _shown(job, ctx)):
        raise UsageError(
            f"another process made job {after.id} at this moment", hint="Run the command again."
        )
    return after


def _shown(job: Job, ctx: Context) -> Crosswalk | None:
    """Return where the images of a one-off job are: no scan of the datastore would find them."""
    if job.one_off:
        with suppress(JobError):  # of one whose work folder is gone a person shows them again
            return ctx.crosswalk(job)
    return None


def _taken_up_by_scan(job: Job) -> Job:
    return job.postponed(None, code="assigned", reason="the next scan takes the series up")


def locked(job: Job, ctx: Context, act: Callable[[Job], _Made]) -> _Made:
    """Act on a job under its lock.

    Raises
    ------
    UsageError
        Where a step works on it at this moment.
    """
    try:
        with ctx.work.job_lock(job.id):
            return act(ctx.ledger.get(job.id) or job)
    except Busy:
        raise UsageError(
            f"a step works on job {job.id} at this moment",
            hint="Try again when it has ended; 'drawcli unlock' says which process it is.",
        ) from None


def changed(job: Job, action: Callable[[Job, Context], Job], ctx: Context) -> Job:
    """Release, retry or cancel a job, under its lock; return it as the ledger has it then."""
    return locked(job, ctx, lambda now: ctx.ledger.commit(action(now, ctx)))


def assigned(job: Job, template: str, ctx: Context) -> Job:
    """Give a series a template, under the lock of its job; see `assign`."""
    return locked(job, ctx, lambda now: assign(now, template, ctx))
