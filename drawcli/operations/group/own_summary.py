"""The summary of this site for the group view: the facts of `status --json` without its jobs."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from drawcli import __version__
from drawcli.adapters.state.qa_summary import read_summary
from drawcli.core.jobs.warned import unseen_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drawcli.core.jobs.job import Job, State
    from drawcli.operations.overview import RunHealth
    from drawcli.operations.verdict.findings import SiteVerdict
    from drawcli.pipeline.context import Context


def own_summary(
    ctx: "Context",
    counts: "Mapping[State, int]",
    concerns: "Sequence[Job]",
    health: "RunHealth",
    verdict: "SiteVerdict",
) -> dict[str, Any]:
    """Return the summary of a site as plain values; it names no patient, job or path.

    Parameters
    ----------
    ctx, health, verdict
        The site.
    counts
        The number of its jobs by state.
    concerns
        At least the held jobs, and those with warnings.
    """
    contours = read_summary(ctx.settings.state_dir)
    plain = health.as_plain(ctx.now())
    findings = [{"level": str(one.level), "code": one.code} for one in verdict.findings]
    held = Counter(job.reason_code or "unknown" for job in concerns if job.held)
    data = {
        "at": ctx.now().isoformat(),
        "version": __version__,
        "counts": {str(state): count for state, count in counts.items() if count},
        "held": held.total(),
        "held_reasons": dict(held),
        "archived": len(ctx.ledger.archive),
        "paused": plain["paused"] is not None,
        "last_run": plain["last_run"] and {"ended": plain["last_run"]["ended"]},
        "warnings": sum(bool(unseen_warnings(job)) for job in concerns),
        "contours": None if contours is None else contours.notice(ctx.now()) or None,
        "verdict": {
            "level": str(verdict.level),
            "headline": verdict.headline,
            "findings": findings,
        },
    }
    return {"schema": 1, "command": "status", "status": "success", "data": data, "errors": []}


def publish_summary(ctx: "Context") -> None:
    """Store the summary in the database of the ledger, for the group; nothing with a file."""
    if not ctx.settings.ledger:
        return
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.adapters.ledger.postgres.site_values import SUMMARY, write_value
    from drawcli.adapters.ledger.postgres.view import view_of
    from drawcli.operations.overview import RunHealth
    from drawcli.operations.verdict.site import SiteView, verdict_of

    if isinstance(ctx.ledger, DatabaseLedger):
        now, health = ctx.now(), RunHealth.of_site(ctx.settings, ctx.ledger.shared)
        view = view_of(ctx.ledger.database, ctx.ledger.site, 0, now)
        verdict = verdict_of(SiteView(ctx, health, view.concerns, now, []))
        text = json.dumps(own_summary(ctx, view.counts, view.concerns, health, verdict))
        write_value(ctx.ledger.database, ctx.ledger.site, SUMMARY, text)
