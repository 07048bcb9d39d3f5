"""What a run tells others: figures, alarms, a heartbeat. Whatever goes wrong there, it goes on."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from drawcli.adapters.state import logs
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.adapters.state.workdir import RunOwner
from drawcli.config.load import Settings
from drawcli.operations import alarms, heartbeat, metrics
from drawcli.operations.doctor.outcome import EXPECTED
from drawcli.operations.hung_runs import Hang, broken_off, forget_run, hanging_run
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import AT_ONCE, StepReport
from drawcli.system.threads import BackgroundCall, as_ended, run_in_thread

_log = logging.getLogger(__name__)


def note_run(
    ctx: Context, began: datetime, reports: Sequence[StepReport], *, exit_code: int, error: str = ""
) -> None:
    """Write a run into the run log; one that cannot be written changes nothing."""
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


def begun(ctx: Context, before: RunOwner | None) -> Callable[[], None]:
    """Note that a run has the lock; report the one before it, if that broke off.

    That is done at once: in the run log, in the log, and to the places of alarms in a thread
    beside the run. Where each run is killed, none comes to the end at which alarms are sent. Call
    what is returned to wait until they are.
    """
    forget_run(ctx.settings.state_dir)
    sending: list[BackgroundCall[bool]] = []
    if before is not None:
        run, alarm = broken_off(ctx.settings.state_dir, before, ctx.now())
        with suppress(OSError):
            RunLog(ctx.settings.state_dir).add(run)
        _log.warning("step=run outcome=%d code=%s began=%s", run.exit_code, run.error, run.began)
        tell = partial(alarms.tell_alone, ctx.settings, alarm, ctx.now())
        with suppress(MemoryError):  # no room for a thread: no message, and the run goes on
            sending.append(run_in_thread(partial(_tried, "notify", tell)))

    def wait() -> None:
        for _ in as_ended(sending):
            pass

    return wait


def report_out(ctx: Context, error: str, hung: Sequence[Hang] = ()) -> None:
    """Write the figures and tell the alarms, where the site asks for them.

    The run's lock need not be held: no other run waits for a monitor or a mail relay. Where the run
    ended early, by an error of some code, it may be that the ledger cannot be read: then that is
    all that can be told.
    """
    textfile = ctx.settings.metrics.textfile
    if textfile is not None:
        _tried("metrics", lambda: metrics.write_textfile(ctx, textfile))
    if not _tried("notify", lambda: alarms.tell(ctx, [one.alarm for one in hung])) and error:
        _tried("notify", lambda: alarms.tell_of_no_run(ctx.settings, error, ctx.now()))
    _tried("notify", lambda: alarms.tell_digest(ctx))


def report_no_run(settings: Settings, code: str, now: datetime) -> None:
    """Tell that a run could not begin: the ledger or a key cannot be used."""
    _tried("notify", lambda: alarms.tell_of_no_run(settings, code, now))
    _tried("heartbeat", lambda: heartbeat.ping(settings.metrics, "/fail"))


def report_hung(settings: Settings, now: datetime) -> Hang | None:
    """Return the run that another one cannot begin for, where it hangs; call for a person.

    Each place of alarms is told once, whatever number of runs meets it.
    """
    hung = hanging_run(settings, now)
    if hung is not None:
        _tried("notify", lambda: alarms.tell_alone(settings, hung.alarm, now))
    return hung


def _tried(what: str, call: Callable[[], object]) -> bool:
    """Do something that no run depends on; tell whether it could be done."""
    try:
        call()
    except (*EXPECTED, MemoryError) as err:
        _log.warning("step=%s outcome=failed code=%s", what, logs.origin(err))
        return False
    return True
