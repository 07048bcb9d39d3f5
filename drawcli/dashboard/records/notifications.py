"""Notifications: who gets them, what was sent, and a silence of the alarms."""

import logging
from datetime import timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.adapters.messages.sent import SentMessages
from drawcli.adapters.messages.silence import (
    LONGEST_REASON,
    end_silence,
    new_silence,
    read_silence,
    write_silence,
)
from drawcli.adapters.notifications import recipients_of
from drawcli.adapters.state.audit_log import Actor
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import DrawcliError, UsageError

_log = logging.getLogger(__name__)
_MOST: Final = 200
SPANS: Final = {
    "1h": ("an hour", timedelta(hours=1)),
    "4h": ("4 hours", timedelta(hours=4)),
    "1d": ("a day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("a week", timedelta(days=7)),
}


def notifications(request: Request) -> Response:
    """Show recipients, the last messages, and the silence."""
    site = parts_of(request).site
    settings = site.ctx.settings
    trouble, places = "", []
    try:
        places = [place.masked for place in recipients_of(settings.notify)]
    except DrawcliError as err:
        trouble = f"{err}. {err.hint}"
    return page(
        request,
        "notifications.html",
        places=places,
        trouble=trouble,
        notify=settings.notify,
        silence=read_silence(settings.state_dir, site.now),
        messages=SentMessages(settings.state_dir).newest_first(_MOST),
        spans={name: words for name, (words, _) in SPANS.items()},
        longest_reason=LONGEST_REASON,
    )


async def silence(request: Request) -> Response:
    """Silence the alarms, or end the silence; 403 without --allow-actions."""
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    site, span = parts_of(request).site, str(form.get("span", ""))
    reason = str(form.get("reason", ""))
    await run_in_threadpool(_silenced, site, span, reason, visitor.name)
    return RedirectResponse("/notifications", SEE_OTHER)


def _silenced(site: SiteReader, span: str, reason: str, by: str) -> None:
    state_dir, now = site.ctx.settings.state_dir, site.now
    if span == "end":
        site.record(by, "end-silence")
        end_silence(state_dir)
        _log.info("step=notify outcome=silence-ended from=page")
        return
    if span not in SPANS:
        raise UsageError("a silence needs an end", hint="Choose how long.")
    begun = new_silence(now, SPANS[span][1], Actor.of_page(by).label, reason)
    site.record(by, "silence", until=begun.until.isoformat())
    write_silence(state_dir, begun)
    _log.info("step=notify outcome=silenced from=page")
