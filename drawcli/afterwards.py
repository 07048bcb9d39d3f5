"""What a run tells others: figures, alarms, a heartbeat. Whatever goes wrong there, it goes on."""

import logging
from collections.abc import Callable
from datetime import datetime

from drawcli import alarms, heartbeat, logs, metering
from drawcli.checkup.outcome import EXPECTED
from drawcli.config import Settings
from drawcli.context import Context

_log = logging.getLogger(__name__)


def report_out(ctx: Context, error: str) -> None:
    """Write the figures and tell the alarms, where the site asks for them; under the run's lock.

    Where the run ended early, by an error of some code, it may be that the ledger cannot be read:
    then that is all that can be told.
    """
    textfile = ctx.settings.metrics.textfile
    if textfile is not None:
        _tried("metrics", lambda: metering.write_textfile(ctx, textfile))
    if not _tried("notify", lambda: alarms.tell(ctx)) and error:
        _tried("notify", lambda: alarms.tell_of_no_run(ctx.settings, error, ctx.now()))
    _tried("notify", lambda: alarms.tell_digest(ctx))


def report_no_run(settings: Settings, code: str, now: datetime) -> None:
    """Tell that a run could not begin: the ledger or a key cannot be used."""
    _tried("notify", lambda: alarms.tell_of_no_run(settings, code, now))
    _tried("heartbeat", lambda: heartbeat.ping(settings.metrics, "/fail"))


def _tried(what: str, call: Callable[[], object]) -> bool:
    """Do something that no run depends on; tell whether it could be done."""
    try:
        call()
    except EXPECTED as err:
        _log.warning("step=%s outcome=failed code=%s", what, logs.origin(err))
        return False
    return True
