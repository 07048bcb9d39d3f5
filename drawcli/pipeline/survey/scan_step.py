"""The scan as a step of a run."""

import logging

from drawcli.pipeline.context import Context
from drawcli.pipeline.step_report import StepReport
from drawcli.pipeline.steps.scan import scan

_log = logging.getLogger(__name__)


def run_scan(ctx: Context, only: str | None, limit: int | None) -> StepReport:
    """Scan the datastore and log what was found; `only` and `limit` as for `scan`."""
    with ctx.progress.part("files read") as read:
        done = scan(ctx, only=only, limit=limit, tell=read.to)
    report = StepReport("scan", scanned=done)
    if done.rebuilt:
        _log.warning("scan index rebuilt: %s; every file is read again", done.rebuilt)
    counted = sorted((done.ignored + done.passed_over).items())
    if skipped := " ".join(f"{reason}={count}" for reason, count in counted):
        _log.info("step=scan skipped: %s", skipped)
    for name in done.folders_missing:
        _log.warning("scan.folders: no folder '%s' in the datastore", name)
    for job in done.late:
        _log.warning("job=%s step=scan changed later: %s", job.id, job.events[-1].why)
    for job in done.jobs:
        what = "held" if job.held else str(job.state)
        report.outcomes.append((job.id, what))
        report.held += [job] if job.held else []
        _log.info("job=%s step=scan outcome=%s code=%s", job.id, what, job.reason_code or "-")
    return report
