"""Series that are incomplete or cannot be sent: they wait, and are held after a time.

A series that the rules would not send is not held, however long it waits.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from drawcli.config.sections import SeriesCriteria
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.late_changes import SENT_ANEW
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.overrides import hint_for, released_codes
from drawcli.core.series.readiness import SETTLING
from drawcli.core.series.verdict import Readiness, Verdict
from drawcli.errors import DrawcliError, SeriesRefused
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.judge import SeriesSnapshot

_LEFT_ANYWAY: Final = "; not held, because the rules would not send it: "


def released_verdict(job: Job, seen: SeriesSnapshot) -> Verdict:
    """Return the verdict on a series, ignoring the reasons that a user has released."""
    released = released_codes(job, seen.digest, seen.stamp)
    return seen.judge(released) if seen.verdict.code in released else seen.verdict


def is_unchanged(job: Job, verdict: Verdict, seen: SeriesSnapshot, ctx: Context) -> bool:
    """Return whether a waiting job needs no update: same reason, same rules, not overdue."""
    if not has_same_reason(job, verdict, seen) or job.since > ctx.now():
        return False
    if job.held:
        return not _rules_changed(job, ctx)
    if _LEFT_ANYWAY in (job.reason or ""):
        return job.rules_digest == _rules_digest(ctx)
    return verdict.readiness is Readiness.WAITING and not _too_long(job, seen.wanted, ctx)


def has_same_reason(job: Job, verdict: Verdict, seen: SeriesSnapshot) -> bool:
    """Return whether a waiting job already has this reason for the same files."""
    why = (job.reason or "").partition(_LEFT_ANYWAY)[0]
    return (job.reason_code, why, job.source_stamp) == (verdict.code, verdict.text, seen.stamp)


def postpone_or_hold(job: Job, verdict: Verdict, seen: SeriesSnapshot | None, ctx: Context) -> Job:
    """Return the job waiting with its reason; held if it waits too long, or can never be ready.

    Only a series that the rules would send is held.
    """
    job = job.not_after(ctx.now())
    wanted = ctx.settings.scan if seen is None else seen.wanted
    lasts = verdict.code not in SETTLING and _too_long(job, wanted, ctx)
    if verdict.readiness is not Readiness.REFUSED and not lasts:
        return job.postponed(None, code=verdict.code, reason=verdict.text)
    if seen is not None and not is_anyhow_sent(job):
        job = replace(job, rules_digest=_rules_digest(ctx))
        left = _left_anyway(seen.crosswalk, ctx)
        if left:
            reason = f"{verdict.text}{_LEFT_ANYWAY}{left}"
            return job.postponed(None, code=verdict.code, reason=reason)
    hint = hint_for(job, verdict.code)
    return job.held_for(SeriesRefused(verdict.text, code=verdict.code, hint=hint), at=ctx.now())


def leave_out(job: Job, verdict: Verdict, seen: SeriesSnapshot, ctx: Context) -> Job:
    """Return an unsent job cancelled, because the settings leave its series out.

    It has no digest, so that a scan can tell it in the archive from those that a user cancelled.
    """
    after = job.to(State.CANCELLED, at=ctx.now(), **{**seen.facts, "source_digest": None})
    return after.postponed(None, code=verdict.code, reason=verdict.text)


def is_left_out(job: Job) -> bool:
    """Return whether a scan cancelled a job, which a scan takes back if the settings allow it."""
    is_cancelled = job.state is State.CANCELLED and not job.of_folder
    return is_cancelled and job.reason_code not in (None, SENT_ANEW)


def _left_anyway(crosswalk: Crosswalk, ctx: Context) -> str:
    """Return why the rules would not send a series even if it were complete; "" if unknown."""
    from drawcli.adapters.datastore.rule_header import header_of
    from drawcli.core.rules.decision import decide_early

    try:
        header = header_of(crosswalk, ctx.now().date())
        decision = decide_early(header, ctx.rulebook.rules)
    except DrawcliError:
        return ""
    return "" if decision is None else decision.sentence


def _rules_changed(job: Job, ctx: Context) -> bool:
    """Return whether the rules are readable and have changed since the job was judged."""
    if is_anyhow_sent(job):
        return False
    return _rules_digest(ctx) not in (None, job.rules_digest)


def _rules_digest(ctx: Context) -> str | None:
    try:
        return ctx.rulebook.digest
    except DrawcliError:
        return None  # reported by 'match'


def is_anyhow_sent(job: Job) -> bool:
    """Return whether no rule decides: a one-off job, or an assigned template."""
    return job.one_off or (job.template is not None and job.rule is None)


def _too_long(job: Job, wanted: SeriesCriteria, ctx: Context) -> bool:
    return ctx.now() - job.since > timedelta(hours=wanted.incomplete_hours)
