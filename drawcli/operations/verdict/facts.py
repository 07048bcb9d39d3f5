"""The facts of a site that alarms and the verdict are made from."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.state.qa_summary import FOLDER
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.waiting import delivered_at
from drawcli.errors import DrawcliError, ServerRefused
from drawcli.operations.alarm_conditions import Alarm, AlarmLimits, Facts
from drawcli.operations.pull.network_health import pulls_of

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.config.sections_monitoring import Notify
    from drawcli.core.protocol.tokens import Tokens
    from drawcli.pipeline.context import Context


def limits_of(settings: "Notify") -> AlarmLimits:
    """Return the alarm limits of a site."""
    return AlarmLimits(
        token=timedelta(days=settings.token_days),
        server=timedelta(hours=settings.server_hours),
        idle=timedelta(hours=settings.idle_hours),
        node=timedelta(hours=settings.node_hours),
    )


def facts_of(
    ctx: "Context", jobs: Sequence[Job], last_delivered: datetime | None, tokens: "Tokens | None"
) -> Facts:
    """Return the present state of a site.

    Parameters
    ----------
    ctx
        The site.
    jobs
        Of the current ledger.
    last_delivered
        The last delivery seen by an earlier run: its job may be archived by now.
    tokens
        Those that somebody must renew; see `tokens_to_renew`.
    """
    delivered = {job.id: at for job in jobs if (at := delivered_at(job)) is not None}
    known = [at for at in (*delivered.values(), last_delivered) if at and at <= ctx.now()]
    log = RunLog(ctx.settings.state_dir)
    runs = [*_since_answer(log.newest_first())]
    return Facts(
        jobs=jobs,
        delivered=delivered,
        last_delivered=max(known, default=None),
        server_away_since=runs[-1].began if runs else None,
        server_away_until=_last_tried(log.newest_first()) if runs else None,
        failing=_failing(log.newest_first()),
        tokens=tokens,
        pulls_failing=_pulls_failing(ctx.settings),
        contours=_contours(ctx.settings.state_dir),
    )


def tokens_to_renew(ctx: "Context") -> "Tokens | None":
    """Return the tokens that somebody must renew; `token_command` renews its own."""
    try:
        tokens = ctx.tokens.read()
    except DrawcliError:  # a run without a token ends early, which has an alarm of its own
        return None
    return None if ctx.settings.server.token_command and not tokens.refresh else tokens


def _pulls_failing(settings: "Settings") -> dict[str, datetime]:
    """Return since when each archive fails whose last pull failed."""
    pulls = pulls_of(settings)
    return {
        source.name: datetime.fromtimestamp(source.failed_since, UTC)
        for source in (pulls.sources if pulls else ())
        if source.failed_since
    }


def _contours(state_dir: Path) -> Sequence[Alarm]:
    """Return the alarms about contours; what computes them is imported only where there are any."""
    if not (state_dir / FOLDER).is_dir():
        return ()
    from drawcli.operations.qa.summary_text import contour_alarms

    return contour_alarms(state_dir)


def _failing(runs: Iterable[Run]) -> str:
    """Return the code of what ended the last run early, or ""; `runs` are the newest first.

    A token stays refused until a later run got an answer; runs without a request do not count.
    """
    for number, run in enumerate(runs):
        is_refused = run.exit_code == ServerRefused.exit_code
        if run.ended_early and (is_refused or not number):
            return run.error or "bug"
        if run.server == ANSWERED:
            break
    return ""


def _last_tried(runs: Iterable[Run]) -> datetime | None:
    """Return the start of the last run before those that ended early without a request, if any."""
    for number, run in enumerate(runs):
        if run.server or not run.ended_early:
            return run.began if number else None
    return None


def _since_answer(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield the runs since the server last answered that found it unreachable, newest first."""
    for run in runs:
        if run.server == ANSWERED:
            return
        if run.server == OUT_OF_REACH:
            yield run
