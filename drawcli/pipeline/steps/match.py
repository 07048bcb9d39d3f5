"""FOUND -> MATCHED, or UNMATCHED, AMBIGUOUS, EXCLUDED: let the rules choose the template.

Safe to repeat: the same header and rules give the same choice. Unmatched jobs are tried again when
rules.yaml or templates.yaml changes.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from drawcli.core.jobs.job import BEFORE_UPLOAD, Job, State
from drawcli.core.jobs.late_changes import SENT_ANEW
from drawcli.core.rules.conditions import Rule
from drawcli.core.rules.decision import Choice, Decision
from drawcli.errors import NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.stored_explanation import write_explanation
from drawcli.pipeline.survey.series_header import SeriesHeader


def match(job: Job, ctx: Context) -> Job:
    """Choose the template of a series; store the explanation."""
    facts: dict[str, Any] = {
        "rules_digest": ctx.rulebook.digest,
        "rules_commit": ctx.rulebook.commit,
    }
    if job.template in ctx.rulebook.templates and job.rule is None:
        return job.to(State.MATCHED, at=ctx.now(), **facts)  # assigned by a user
    series = SeriesHeader(job, ctx)
    decision = series.decision()
    write_explanation(job, decision, ctx.work)
    if decision.choice is Choice.MATCHED:
        mine, *others = _own_first(job, decision.fired, ctx)
        for rule in others:
            _add_sibling(job, rule, facts, ctx)
        return _matched(job, mine, facts, ctx)
    series.keep()
    if _is_unchanged(job, decision):
        return replace(_as_before(job, decision), **facts)
    after = job.to(State(decision.choice.value), at=ctx.now(), **facts)
    if decision.choice is Choice.AMBIGUOUS:
        err = NeedsPerson(
            decision.sentence,
            code="ambiguous",
            hint=f"Make the rules exclude each other, or run 'drawcli assign {job.id} TEMPLATE'.",
        )
        return after.held_for(err, at=ctx.now())
    return after.postponed(None, code=str(decision.choice), reason=decision.sentence)


def _is_unchanged(job: Job, decision: Decision) -> bool:
    """Return whether a job already has this verdict: then nothing has happened to it.

    For changed rules, the nearest one may be another; several that match make another verdict.
    """
    if job.state != decision.choice.value:
        return False
    return job.held and job.reason == decision.sentence if _is_held(decision) else not job.held


def _as_before(job: Job, decision: Decision) -> Job:
    if _is_held(decision):
        return job
    return job.postponed(None, code=str(decision.choice), reason=decision.sentence)


def _is_held(decision: Decision) -> bool:
    return decision.choice is Choice.AMBIGUOUS


def decision_for(job: Job, ctx: Context) -> Decision:
    """Return the decision of the rules for a series; write nothing."""
    return SeriesHeader(job, ctx).decision()


def wants_match(job: Job, ctx: Context) -> bool:
    """Return whether a job is new, or the rules have changed since they left it unmatched."""
    return job.state is State.FOUND or job.rules_digest != ctx.rulebook.digest


def _own_first(job: Job, fired: Sequence[Rule], ctx: Context) -> list[Rule]:
    """Return the rules, first the one of the job's template, or of a template without a job."""
    siblings = ctx.ledger.of_series(job.series_key)
    taken = {other.template for other in siblings if other.id != job.id and _counts(other, job)}
    return sorted(fired, key=lambda rule: (rule.template != job.template, rule.template in taken))


def _counts(other: Job, job: Job) -> bool:
    """Return whether a sibling is for the images of a job, or a user has cancelled it."""
    if other.state is State.CANCELLED and other.reason_code != SENT_ANEW:
        return True
    return other.state in BEFORE_UPLOAD or other.source_digest == job.source_digest


def _matched(job: Job, rule: Rule, facts: dict[str, Any], ctx: Context) -> Job:
    chosen = {"template": rule.template, "rule": rule.name, "priority": rule.priority}
    return job.to(State.MATCHED, at=ctx.now(), **chosen, **facts)


def _add_sibling(job: Job, rule: Rule, facts: dict[str, Any], ctx: Context) -> None:
    """Make a job for a further template of the same series, once."""
    jobs = ctx.ledger.of_series(job.series_key)
    if any(other.template == rule.template and _counts(other, job) for other in jobs):
        return
    for number in count(jobs[-1].number + 1):
        sibling = replace(job.never_sent(), id=f"{job.series_key}-{number}", events=(), revision=0)
        if ctx.begin(_matched(sibling, rule, facts, ctx), ctx.crosswalk(job)):
            return
