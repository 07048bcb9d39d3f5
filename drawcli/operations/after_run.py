"""Metrics, alarms and the heartbeat at the end of a run. A failure here never fails the run."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from drawcli.adapters.notifications import recipients_of
from drawcli.adapters.state import logs
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.adapters.state.workdir import RunOwner
from drawcli.config.load import Settings
from drawcli.errors import AnotherRun, DrawcliError
from drawcli.operations import heartbeat
from drawcli.operations.alarm_conditions import Alarm, early_end
from drawcli.operations.doctor.outcome import EXPECTED
from drawcli.operations.hung_runs import Hang, broken_off, forget_run, hanging_run
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import AT_ONCE
from drawcli.pipeline.step_report import StepReport
from drawcli.system.limits import EXCHANGES, QA_SECONDS
from drawcli.system.threads import BackgroundCall, as_completed, ended_call, run_in_thread

if TYPE_CHECKING:
    from drawcli.operations.commissioning.golden import GoldenRun

_log = logging.getLogger(__name__)


def note_run(
    ctx: Context, began: datetime, reports: Sequence[StepReport], *, exit_code: int, error: str = ""
) -> None:
    """Add a run to the run log; an entry that cannot be written is dropped."""
    counts = {report.step: dict(report.counts) for report in reports if report.outcomes}
    lost = error == "server-down" or any(report.unreachable for report in reports)
    asked = AT_ONCE & counts.keys()
    run = Run(
        id=ctx.run_id,
        began=began,
        ended=ctx.now(),
        exit_code=exit_code,
        error=error,
        server=OUT_OF_REACH if lost else ANSWERED if asked else "",
        counts=counts,
    )
    with suppress(OSError):
        RunLog(ctx.settings.state_dir).add(run)
    seconds = (run.ended - began).total_seconds()
    _log.info("step=run outcome=%d code=%s seconds=%.1f", exit_code, error or "-", seconds)


def begin_run(ctx: Context, before: RunOwner | None) -> Callable[[], None]:
    """Record that this run has the lock, and report the run before it if that one was killed.

    The report is written at once to the run log and the log; alarms are sent from a thread, because
    a site whose every run is killed never reaches the end, where alarms are sent otherwise.
    Call the returned function to wait until they are sent.
    """
    forget_run(ctx.settings.state_dir)
    sending: list[BackgroundCall[bool]] = []
    if before is not None:
        run, alarm = broken_off(ctx.settings.state_dir, before, ctx.now())
        with suppress(OSError):
            RunLog(ctx.settings.state_dir).add(run)
        _log.warning("step=run outcome=%d code=%s began=%s", run.exit_code, run.error, run.began)
        send = partial(_send_alarm, ctx.settings, alarm, ctx.now())
        with suppress(MemoryError):  # without memory for a thread, no message; the run continues
            sending.append(run_in_thread(partial(_tried, "notify", send)))

    def wait() -> None:
        for _ in as_completed(sending):
            pass

    return wait


def report_out(ctx: Context, error: str, hung: Sequence[Hang] = ()) -> None:
    """Write the metrics and send alarms and digest, as far as the site has configured them.

    Call it without the run lock: a slow monitor or mail relay must not delay other runs. If the
    ledger cannot be read and the run ended with an error code, only that code is reported.
    """
    write_metrics(ctx)
    _tried("group", lambda: _publish_summary(ctx))
    news = [hang.alarm for hang in hung]
    if not _tried("notify", lambda: _send_alarms(ctx, news)) and error:
        _tried("notify", lambda: _send_early_end(ctx.settings, error, ctx.now()))
    _tried("notify", lambda: _send_digest(ctx))


def report_contours(ctx: Context, *, has_news: bool) -> None:
    """Send alarms about contours once they were compared; with news, write the metrics again."""
    if has_news:
        write_metrics(ctx)
    _tried("notify", lambda: _send_contours(ctx.settings, ctx.now()))


def write_metrics(ctx: Context) -> None:
    """Write the metrics of the site into the file of the settings, if there is one."""
    textfile = ctx.settings.metrics.textfile
    if textfile is not None:
        from drawcli.operations import metrics

        _tried("metrics", lambda: metrics.write_textfile(ctx, textfile))


def compare_contours(ctx: Context) -> dict[str, Any]:
    """Compare the contours that were delivered with clinical ones; return what was found.

    Call it last, without the run lock: no delivery waits for it. Whatever fails, or takes too long,
    is a warning in the log and in the result.
    """
    from drawcli.operations.qa.clinical.scan import scan_pairs
    from drawcli.operations.qa.clinical.scan_result import QaScanOptions

    call = ended_call(
        lambda: scan_pairs(ctx, QaScanOptions(seconds=QA_SECONDS)), EXCHANGES["clinical"].seconds
    )
    err = call.exception() if call.done() else TimeoutError()
    if err is None:
        done = call.result()
        said = [str(warning) for warning in done.warnings]
        return done.as_plain() | {"warning": "; ".join(said) or None}
    if isinstance(err, AnotherRun):
        return {"warning": None, "recorded": {}}  # it does the same
    text = str(err) if isinstance(err, DrawcliError) else f"{type(err).__name__}"
    _log.warning("step=qa outcome=failed code=%s", logs.origin(err))
    return {"warning": f"contours were not compared: {text}", "recorded": {}}


def send_golden_cases(ctx: Context) -> "GoldenRun | None":
    """Send golden cases that are due, without waiting; return what came back, None without cases.

    Call it last, without the run lock. The copy of the server's catalogue, which shows that a model
    has changed, is renewed twice a day. Whatever fails is a warning in the log.
    """
    call = ended_call(lambda: _golden(ctx))
    err = call.exception()
    if err is None:
        return call.result()
    if not isinstance(err, AnotherRun):  # which does the same
        _log.warning("step=golden outcome=failed code=%s", logs.origin(err))
    return None


def _golden(ctx: Context) -> "GoldenRun | None":
    from drawcli.adapters.state.golden_store import GoldenStore

    if not GoldenStore(ctx.site_dir).cases():
        from drawcli.operations.commissioning.models import catalogue_of_the_day

        catalogue_of_the_day(ctx)
        return None
    from drawcli.operations.commissioning.golden import run_golden

    return run_golden(ctx)


def report_no_run(settings: Settings, code: str, now: datetime) -> None:
    """Report that a run could not start, because the ledger or a key cannot be used."""
    _tried("notify", lambda: _send_early_end(settings, code, now))
    _tried("heartbeat", lambda: heartbeat.ping(settings.metrics, "/fail"))


def report_trouble(settings: Settings, code: str, now: datetime) -> None:
    """Send an alarm that a worker waits; in a thread, so that the worker is not delayed."""
    with suppress(MemoryError):
        run_in_thread(partial(_tried, "notify", partial(_send_early_end, settings, code, now)))


def report_hung(settings: Settings, now: datetime) -> Hang | None:
    """Return the hanging run that blocks this one, or None, and send an alarm about it.

    Each recipient gets one alarm, however many runs are blocked.
    """
    hung = hanging_run(settings, now)
    if hung is not None:
        _tried("notify", lambda: _send_alarm(settings, hung.alarm, now))
    return hung


def _send_early_end(settings: Settings, code: str, now: datetime) -> None:
    _send_alarm(settings, early_end(code), now)


# What writes messages is imported only where somebody gets them: most runs have nothing to do.


def _publish_summary(ctx: Context) -> None:
    if ctx.settings.ledger:
        from drawcli.operations.group.own_summary import publish_summary

        publish_summary(ctx)


def _send_alarms(ctx: Context, news: Sequence[Alarm]) -> None:
    if recipients_of(ctx.settings.notify):
        from drawcli.operations.alarms import send_alarms

        send_alarms(ctx, news)


def _send_digest(ctx: Context) -> None:
    if recipients_of(ctx.settings.notify):
        from drawcli.operations.alarms import send_digest

        send_digest(ctx)


def _send_alarm(settings: Settings, alarm: Alarm, now: datetime) -> None:
    if recipients_of(settings.notify):
        from drawcli.operations.alarms import send_only

        send_only(settings, {alarm.kind}, [alarm], now)


def _send_contours(settings: Settings, now: datetime) -> None:
    if recipients_of(settings.notify):
        from drawcli.operations.alarms import send_only
        from drawcli.operations.qa.summary_text import KINDS, contour_alarms

        send_only(settings, KINDS, contour_alarms(settings.state_dir), now)


def _tried(what: str, call: Callable[[], object]) -> bool:
    """Call something that no run depends on; return whether it succeeded."""
    try:
        call()
    except (*EXPECTED, MemoryError) as err:
        _log.warning("step=%s outcome=failed code=%s", what, logs.origin(err))
        return False
    return True
