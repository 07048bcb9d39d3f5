"""Series that are not whole, or cannot be sent: how long they wait, and who is asked about them.

The rules first: of what they would not send no person is asked, however long it waits. Then, once
for just these files, a person.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from drawcli.config.sections import SeriesCriteria
from drawcli.core.jobs.job import Job
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.overrides import hint_for, released_codes
from drawcli.core.series.readiness import SETTLING
from drawcli.core.series.verdict import Readiness, Verdict
from drawcli.errors import DrawcliError, SeriesRefused
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.judge import SeriesSnapshot

_LEFT_ANYWAY: Final = "; nobody is asked, for the rules would not send it: "


def as_released(job: Job, seen: SeriesSnapshot) -> Verdict:
    """Return the verdict on a series, letting pass what a person has released of these files."""
    released = released_codes(job, seen.digest, seen.stamp)
    return seen.judge(released) if seen.verdict.code in released else seen.verdict


def as_it_was(job: Job, verdict: Verdict, seen: SeriesSnapshot, ctx: Context) -> bool:
    """Tell whether a waiting job waits for the same, and rules and a person were asked in time."""
    if not is_same(job, verdict, seen):
        return False
    if job.held:
        return not _rules_changed(job, ctx)
    if _LEFT_ANYWAY in (job.reason or ""):
        return job.rules_digest == _rules_digest(ctx)
    return verdict.readiness is Readiness.WAITING and not _too_long(job, seen.wanted, ctx)


def is_same(job: Job, verdict: Verdict, seen: SeriesSnapshot) -> bool:
    """Tell whether a waiting job was told the same already."""
    why = (job.reason or "").partition(_LEFT_ANYWAY)[0]
    told = (job.reason_code, why, job.source_stamp)
    return told == (verdict.code, verdict.text, seen.stamp)


def unready(job: Job, verdict: Verdict, seen: SeriesSnapshot | None, ctx: Context) -> Job:
    """Return the job waiting with its reason; held if it waits too long, or can never be ready.

    A person is asked only of what would be sent: the rules are asked first.
    """
    wanted = ctx.settings.scan if seen is None else seen.wanted
    lasts = verdict.code not in SETTLING and _too_long(job, wanted, ctx)
    if verdict.readiness is not Readiness.REFUSED and not lasts:
        return job.postponed(None, code=verdict.code, reason=verdict.text)
    if seen is not None and not _is_anyhow_sent(job):
        job = replace(job, rules_digest=_rules_digest(ctx))
        left = _left_anyway(seen.crosswalk, ctx)
        if left:
            reason = f"{verdict.text}{_LEFT_ANYWAY}{left}"
            return job.postponed(None, code=verdict.code, reason=reason)
    hint = hint_for(job, verdict.code)
    return job.held_for(SeriesRefused(verdict.text, code=verdict.code, hint=hint), at=ctx.now())


def _left_anyway(crosswalk: Crosswalk, ctx: Context) -> str:
    """Return why the rules would not send a series even if it were whole; "" where they may.

    Where its headers, or the rules, cannot be read, nobody knows.
    """
    from drawcli.adapters.datastore.rule_header import header_of
    from drawcli.core.rules.decision import decide_early

    try:
        header = header_of(crosswalk, ctx.now().date())
        decision = decide_early(header, ctx.rulebook.rules)
    except DrawcliError:
        return ""
    return "" if decision is None else decision.sentence


def _rules_changed(job: Job, ctx: Context) -> bool:
    """Tell whether the rules, where they can be read, are others than those that were asked."""
    if _is_anyhow_sent(job):
        return False
    return _rules_digest(ctx) not in (None, job.rules_digest)


def _rules_digest(ctx: Context) -> str | None:
    try:
        return ctx.rulebook.digest
    except DrawcliError:
        return None  # the step 'match' tells


def _is_anyhow_sent(job: Job) -> bool:
    """Tell whether no rule decides: a person showed the images, or chose the template."""
    return job.one_off or (job.template is not None and job.rule is None)


def _too_long(job: Job, wanted: SeriesCriteria, ctx: Context) -> bool:
    return ctx.now() - job.since > timedelta(hours=wanted.incomplete_hours)
