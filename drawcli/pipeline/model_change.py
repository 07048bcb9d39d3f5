"""Hold new jobs of a template whose golden case has come back different, until someone looked.

Only with `qa.on_change: hold`. What was sent already goes on; a job that a user has released is not
held again.
"""

from collections.abc import Callable
from typing import Final

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.errors import MODEL_CHANGED, NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.first_run import hold_first_run
from drawcli.pipeline.steps import Step

_TO_SEND: Final = (State.MATCHED, State.PACKAGED)


def hold_new(ctx: Context, advance: Callable[[Job, Step], None], *, whole_run: bool) -> None:
    """Hold jobs that are not to be sent before a user has looked.

    Parameters
    ----------
    ctx, advance
        See `hold_changed_models`.
    whole_run
        Whether all jobs are processed, not one that a user has named.
    """
    hold_changed_models(ctx, advance)
    if whole_run:
        hold_first_run(ctx, advance)


def hold_changed_models(ctx: Context, advance: Callable[[Job, Step], None]) -> None:
    """Hold the jobs that would be sent with a template whose golden case has changed.

    Parameters
    ----------
    ctx
        The site.
    advance
        Runs a step on a job and stores the outcome.
    """
    if ctx.settings.qa.on_change != "hold" or ctx.side_of is not None:
        return
    jobs = [job for job in ctx.ledger.jobs(_TO_SEND) if _may_be_held(job)]
    changed = GoldenStore(ctx.settings.state_dir).changed() if jobs else {}
    for job in jobs:
        if job.template in changed:
            advance(job, _holding(job.template))


def _holding(template: str) -> Step:
    def match(_job: Job, _ctx: Context) -> Job:
        raise NeedsPerson(
            f"a golden case shows that the contours of template {template} have changed",
            code=MODEL_CHANGED,
            hint=f"'drawcli qa golden list' shows how. 'drawcli qa golden accept {template}' "
            "accepts the change and lets these jobs go on; 'drawcli release JOB' only one.",
        )

    return match


def _may_be_held(job: Job) -> bool:
    """Return whether a job was not sent yet, is not held, and was not released from this hold."""
    if job.held or job.attested or job.uploaded_at:
        return False
    kinds = [event.kind for event in job.events if event.code in (MODEL_CHANGED, "")]
    return not (
        EventKind.HELD in kinds and EventKind.RELEASED in kinds[kinds.index(EventKind.HELD) :]
    )
