"""What `run-once` does at its end, as a task of each host."""

from typing import TYPE_CHECKING

from drawcli.operations.after_run import (
    compare_contours,
    report_contours,
    report_out,
    send_golden_cases,
    write_metrics,
)
from drawcli.operations.heartbeat import beating
from drawcli.pipeline.tidying import tidy

if TYPE_CHECKING:
    from drawcli.operations.workers.site import OpenSite


def end_of_run(site: "OpenSite") -> None:
    """Remove old work folders and write the metrics of this host.

    The first host of the site also sends alarms and the digest, and compares contours.
    """
    ctx = site.context()
    with beating(ctx.settings.metrics) as beat:
        beat.exit_code = 0
        ctx.work.remove_leftovers(lambda job_id: ctx.ledger.get(job_id) is not None)
        tidy(ctx)
    if site.is_first(site.host):
        report_out(ctx, "")
        if ctx.settings.qa.enabled:
            found = compare_contours(ctx)
            send_golden_cases(ctx)
            report_contours(ctx, has_news=bool(found["recorded"]))
    else:
        write_metrics(ctx)
