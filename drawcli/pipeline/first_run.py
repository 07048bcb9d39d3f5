"""The limit of a first run: a new site must not send a whole archive by mistake.

A site is new until it has sent more than `match.first_run_limit` series. While it is new, jobs that
rules chose are held if more than that are to be sent; one that a user released is not held again.
"""

from collections.abc import Callable, Iterable
from typing import Final

from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.errors import FIRST_RUN, NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps import Step

_TO_SEND: Final = (State.MATCHED, State.PACKAGED)
_HINT: Final = (
    "Check rules.yaml, and scan.studied_after in drawcli.yaml. "
    f"'drawcli release --reason {FIRST_RUN}' then sends what both still take; "
    f"'drawcli cancel --reason {FIRST_RUN}' sends none of them."
)


def hold_first_run(ctx: Context, advance: Callable[[Job, Step], None]) -> None:
    """Hold the jobs that a new site would send, if they are too many.

    Jobs that are held for it already count, so that an archive that is found in parts is held, too.

    Parameters
    ----------
    ctx
        The site.
    advance
        Runs a step on a job and stores the outcome.
    """
    limit = ctx.settings.match.first_run_limit
    open_ = [job for job in ctx.ledger.jobs(_TO_SEND) if _rules_chose(job) and not _was_sent(job)]
    new = [job for job in open_ if not job.held and not _was_released(job)]
    series = _series([*new, *(job for job in open_ if job.held and job.reason_code == FIRST_RUN)])
    if not limit or not new or len(series) <= limit or not _is_new(ctx, limit):
        return
    text = (
        f"this new site would send {len(series):,} series, "
        f"more than match.first_run_limit ({limit:,})"
    )

    def match(_job: Job, _ctx: Context) -> Job:
        raise NeedsPerson(text, code=FIRST_RUN, hint=_HINT)

    for job in new:
        advance(job, match)


def _is_new(ctx: Context, limit: int) -> bool:
    """Return whether the site has sent no more series than the limit."""
    sent = _series(job for job in ctx.ledger.jobs() if _was_sent(job))
    archived = (one for one in ctx.ledger.archive.entries() if one.state is State.DONE)
    return len(sent | {one.series_key for one in archived}) <= limit


def _was_sent(job: Job) -> bool:
    return bool(job.attested or job.uploaded_at)


def _rules_chose(job: Job) -> bool:
    return job.rule is not None and not job.one_off


def _was_released(job: Job) -> bool:
    """Return whether a user has released the job since it was held for this reason."""
    kinds = [event.kind for event in job.events if event.code in (FIRST_RUN, "")]
    return EventKind.HELD in kinds and EventKind.RELEASED in kinds[kinds.index(EventKind.HELD) :]


def _series(jobs: Iterable[Job]) -> set[str]:
    return {job.series_key for job in jobs}
