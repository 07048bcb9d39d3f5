"""The output of `status` for a ledger in a database, which counts the jobs itself."""

from collections import Counter
from typing import TYPE_CHECKING

from drawcli.cli.status_view import LATELY, MOST_OPEN, Picture
from drawcli.core.jobs.job import State
from drawcli.core.jobs.waiting import delivered_at
from drawcli.operations.overview import Overview, RunHealth
from drawcli.operations.verdict.site import SiteView, setup_of_new_site, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

    from drawcli.pipeline.context import Context


def picture_of_many(ctx: "Context", config: "Path", contours: str) -> Picture:
    """Return the picture without a filter; `contours` is the line of contour QA."""
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.adapters.ledger.postgres.view import view_of

    ledger = ctx.ledger
    if not isinstance(ledger, DatabaseLedger):
        raise TypeError(f"{type(ledger).__name__} is no database")
    now, pulse = ctx.now(), RunHealth.of_site(ctx.settings, ctx.ledger.shared)
    view = view_of(ledger.database, ledger.site, MOST_OPEN, now - LATELY)
    shown = {job.id: job for job in (*view.concerns, *view.oldest)}
    is_new = not view.counts and view.newest_delivered is None
    known = [*shown.values(), *([view.newest_delivered] if view.newest_delivered else [])]
    setup = setup_of_new_site(ctx, config, pulse, known) if is_new or not known else []
    held = tuple(job for job in view.concerns if job.held)
    counts = Counter({state: view.counts.get(state, 0) for state in State})
    return Picture(
        pulse=pulse,
        verdict=verdict_of(SiteView(ctx, pulse, view.concerns, now, setup)),
        setup=setup,
        jobs=list(shown.values()),
        now=now,
        archived=len(ledger.archive),
        last_delivered=delivered_at(view.newest_delivered) if view.newest_delivered else None,
        who={},
        chosen=False,
        contours=contours,
        overview=Overview(held, tuple(view.oldest), (), (), counts),
        more=view.in_progress - len(view.oldest),
        unmatched_lately=view.unmatched_lately,
    )
