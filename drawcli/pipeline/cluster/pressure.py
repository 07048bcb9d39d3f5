"""Limits of uploads over all machines of a site, and waits that the server requests."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from drawcli.core.jobs.backoff import LONGEST_WAIT
from drawcli.errors import JobError, ServerUnavailable

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.pipeline.context import Context

BUSY: Final = "server-busy"  # 429, 503
_SOON_SECONDS: Final = 60.0  # if the server does not say how long


def server_name(settings: "Settings") -> str:
    """Return the name of the server, as the machines of a site write it down."""
    return urlsplit(settings.server.url).netloc.rpartition("@")[2]


def check_uploads_welcome(ctx: "Context") -> None:
    """Raise ServerUnavailable if the server takes no uploads or has requested a wait."""
    shared = ctx.ledger.shared
    wait = None if shared is None else shared.wait_of(server_name(ctx.settings))
    if wait is not None:
        seconds, reason = wait
        raise ServerUnavailable(reason, code=BUSY, wait_seconds=max(seconds, 1.0))
    try:
        ctx.check_uploads_welcome()
    except ServerUnavailable as err:
        note_server_wait(ctx, err)
        raise


def note_server_wait(ctx: "Context", err: JobError) -> None:
    """Stop uploads of all machines of the site if the server has requested a wait (429, 503)."""
    shared = ctx.ledger.shared
    if shared is None or not isinstance(err, ServerUnavailable) or err.code != BUSY:
        return
    seconds = min(err.wait_seconds or _SOON_SECONDS, LONGEST_WAIT.total_seconds())
    shared.set_wait(server_name(ctx.settings), seconds, str(err))


def slot_for(ctx: "Context", command: str, job_id: str) -> AbstractContextManager[None]:
    """Count a claimed job towards the limit of a step; LimitReached if the site allows no more."""
    shared, limit = ctx.ledger.shared, ctx.settings.cluster.limits.get(command)
    if shared is None or limit is None:
        return nullcontext()
    return shared.slot(command, job_id, limit)
