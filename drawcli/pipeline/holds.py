"""Hold jobs that a user must check before they are sent, once for each reason.

With `qa.on_change: hold`, these are the jobs of a template whose golden case has changed. On a new
site they are the jobs of a first run, so that no whole archive is sent by mistake: a site is new
until it has sent more than `match.first_run_limit` series, and while it is new, the jobs that rules
chose are held if they are more than that. Series that were sent already are not held.
"""

import json
import math
import time
from collections.abc import Callable, Iterable
from typing import Final

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.errors import FIRST_RUN, MODEL_CHANGED, NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps import Step

_TO_SEND: Final = (State.MATCHED, State.PACKAGED)
_CHANGED: Final = "models-changed"  # in the state of a site: by host
_HINT: Final = (
    "Check rules.yaml, and scan.studied_after in drawcli.yaml. "
    f"'drawcli release --reason {FIRST_RUN}' then sends what both still take; "
    f"'drawcli cancel --reason {FIRST_RUN}' sends none of them."
)


def hold_new(ctx: Context, advance: Callable[[Job, Step], None], only: str | None = None) -> None:
    """Hold jobs that a user must check before they are sent.

    Parameters
    ----------
    ctx, advance
        See `hold_changed_models`.
    only
        The one job that is processed, as by a worker or because a user has named it; None: all.
    """
    hold_changed_models(ctx, advance, only)
    if only is None:
        hold_first_run(ctx, advance)


def hold_changed_models(
    ctx: Context, advance: Callable[[Job, Step], None], only: str | None = None
) -> None:
    """Hold the jobs that would be sent with a template whose golden case has changed.

    Parameters
    ----------
    ctx
        The site.
    advance
        Runs a step on a job and stores the outcome.
    only
        The one job that is looked at: workers process one at a time of many.
    """
    if ctx.settings.qa.on_change != "hold" or ctx.side_of is not None:
        return
    changed = _changed_templates(ctx)
    for job in ctx.jobs_in(_TO_SEND, only) if changed else ():
        if job.template in changed and _may_be_held(job):
            advance(job, _holding(job.template))


def _changed_templates(ctx: Context) -> set[str]:
    """Return the templates whose golden cases have changed: of this host, and of the others.

    Each host with golden cases records for the others which of its own have changed.
    """
    own, shared = set(GoldenStore(ctx.settings.state_dir).changed()), ctx.ledger.shared
    if shared is None:
        return own
    told: dict[str, list[str]] = json.loads(shared.state(_CHANGED) or "{}")
    if sorted(own) != told.get(ctx.files.host, []):
        told[ctx.files.host] = sorted(own)
        shared.set_state(_CHANGED, json.dumps(told))
    return own.union(*told.values())


def _holding(template: str) -> Step:
    def match(_job: Job, _ctx: Context) -> Job:
        raise NeedsPerson(
            f"a golden case shows that the contours of template {template} have changed",
            code=MODEL_CHANGED,
            hint=f"'drawcli qa golden list' shows how. 'drawcli qa golden accept {template}' "
            "accepts the change and releases these jobs; 'drawcli release JOB' only one.",
        )

    return match


def _may_be_held(job: Job) -> bool:
    """Return whether a job was not sent yet, is not held, and was not released from this hold."""
    return not (job.held or _was_sent(job) or _was_released(job, MODEL_CHANGED))


def hold_first_run(
    ctx: Context, advance: Callable[[Job, Step], None], seconds: float = math.inf
) -> bool:
    """Hold the jobs that a new site would send, if they are too many; return whether all are held.

    Jobs that are held for it already count, so that an archive that is found in parts is held, too.

    Parameters
    ----------
    ctx
        The site.
    advance
        Runs a step on a job and stores the outcome.
    seconds
        How long it may take. The next call holds the rest; until then nothing may be sent.
    """
    limit, began = ctx.settings.match.first_run_limit, time.monotonic()
    open_ = [job for job in ctx.ledger.jobs(_TO_SEND) if _rules_chose(job) and not _was_sent(job)]
    new = [job for job in open_ if not job.held and not _was_released(job, FIRST_RUN)]
    series = _series([*new, *(job for job in open_ if job.held and job.reason_code == FIRST_RUN)])
    if not limit or not new or len(series) <= limit or not is_new_site(ctx):
        return True
    text = (
        f"this new site would send {len(series):,} series, "
        f"more than match.first_run_limit ({limit:,})"
    )

    def match(_job: Job, _ctx: Context) -> Job:
        raise NeedsPerson(text, code=FIRST_RUN, hint=_HINT)

    for count, job in enumerate(new, 1):
        advance(job, match)
        if time.monotonic() - began >= seconds:
            return count == len(new)
    return True


def is_new_site(ctx: Context) -> bool:
    """Return whether there is a limit of a first run, and the site has not sent more series."""
    limit = ctx.settings.match.first_run_limit
    if not limit:
        return False
    sent = _series(job for job in ctx.ledger.jobs() if _was_sent(job))
    for one in ctx.ledger.archive.entries():  # of a large archive a few are enough
        if len(sent) > limit:
            return False
        if one.state is State.DONE:
            sent.add(one.series_key)
    return len(sent) <= limit


def _was_sent(job: Job) -> bool:
    return bool(job.attested or job.uploaded_at)


def _rules_chose(job: Job) -> bool:
    return job.rule is not None and not job.one_off


def _was_released(job: Job, code: str) -> bool:
    """Return whether a user has released a job since it was held for a reason."""
    kinds = [event.kind for event in job.events if event.code in (code, "")]
    return EventKind.HELD in kinds and EventKind.RELEASED in kinds[kinds.index(EventKind.HELD) :]


def _series(jobs: Iterable[Job]) -> set[str]:
    return {job.series_key for job in jobs}
