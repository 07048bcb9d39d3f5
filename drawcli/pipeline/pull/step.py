"""The pull as a step of a run: for a limited time, and whatever fails, the run goes on."""

import logging
from datetime import datetime, timedelta

from drawcli.errors import AnotherRun, DrawcliError
from drawcli.pipeline.context import Context
from drawcli.pipeline.step_report import StepReport

_log = logging.getLogger(__name__)


def run_pull(ctx: Context, until: datetime | None) -> StepReport:
    """Pull from the archives until `pull.run_minutes` have passed, or `until` if that is earlier.

    Archives and series that failed are tried again later, with growing waits.
    """
    from drawcli.pipeline.pull.pull import pull
    from drawcli.pipeline.pull.source import PullOptions

    end = ctx.now() + timedelta(minutes=ctx.settings.pull.run_minutes)
    report = StepReport("pull")
    try:
        until = end if until is None else min(end, until)
        report.pulled = pull(ctx, PullOptions(until=until, all_due=False))
    except AnotherRun:
        _log.info("step=pull outcome=another-run")
    except DrawcliError as err:
        _log.warning("step=pull outcome=failed code=%s", err.code)
        report.pull_error = err
    return report
