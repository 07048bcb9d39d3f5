"""A heartbeat: an address is pinged when a run begins and when it ends, as healthchecks.io is.

ADDRESS/start at the beginning, ADDRESS at the end, ADDRESS/fail where the run could not come to it.
Who watches that address is told when pings stop: of a cron that calls no more, nothing here can
tell. Nothing goes along but the address itself, and a ping that fails changes nothing. The first
one is not waited for. Of an answer only the head is read.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from drawcli import __version__
from drawcli.adapters.state.run_log import EARLY
from drawcli.config.sections import ServerSettings
from drawcli.errors import DrawcliError
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import as_ended, in_time, run_in_thread

if TYPE_CHECKING:
    from drawcli.config.sections_monitoring import Metrics

_TROUBLE: Final = (DrawcliError, OSError, ValueError, LookupError, MemoryError)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Heartbeat:
    """How the run ended; None where it broke off."""

    exit_code: int | None = None

    @property
    def ending(self) -> str:
        """What is added to the address at the end."""
        return "/fail" if self.exit_code is None or self.exit_code in EARLY else ""


@contextmanager
def beating(settings: "Metrics") -> Iterator[Heartbeat]:
    """Ping at the beginning and at the end of a block; its end is told by the Beat."""
    beat = Heartbeat()
    if not settings.heartbeat_url:
        yield beat
        return
    under_way = []
    with suppress(MemoryError):  # no room for a thread: no ping, and the run goes on
        under_way.append(run_in_thread(partial(ping, settings, "/start")))
    try:
        yield beat
    finally:
        for _ in as_ended(under_way):  # its time is over soon; the last ping comes after it
            pass
        ping(settings, beat.ending)


def ping(settings: "Metrics", ending: str = "") -> bool:
    """Ping; tell whether somebody answered in time that all is well."""
    if not settings.heartbeat_url:
        return False
    if settings.heartbeat_is_plain and not settings.allow_http:
        _log.warning("heartbeat outcome=not-sent code=plain-http")
        return False
    import httpx

    try:
        answer = in_time(partial(_request, settings, ending), EXCHANGES["heartbeat"].seconds)
    except (httpx.HTTPError, httpx.InvalidURL, *_TROUBLE) as err:
        _log.warning("heartbeat outcome=not-taken code=%s", type(err).__name__)
        return False
    is_taken = httpx.codes.is_success(answer)
    if not is_taken:
        _log.warning("heartbeat outcome=not-taken code=%d", answer)
    return is_taken


def _request(settings: "Metrics", ending: str) -> int:
    """Ask; return the status of HTTP. The body is not read: it may have no end."""
    import httpx

    from drawcli.adapters.server.tls import tls_context

    plain = urlsplit(settings.heartbeat_url).scheme == "http"
    with httpx.stream(
        "GET",
        settings.heartbeat_url + ending,
        headers={"user-agent": f"drawcli/{__version__}"},
        timeout=EXCHANGES["heartbeat"].seconds,
        verify=not plain and tls_context(ServerSettings()),  # plain http has no certificates
        trust_env=not plain or settings.heartbeat_is_plain,  # no proxy on the way to ourselves
        follow_redirects=False,
    ) as answer:
        return answer.status_code
