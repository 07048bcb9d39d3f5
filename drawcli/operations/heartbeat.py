"""A heartbeat: an address is pinged when a run begins and ends, in the way of healthchecks.io.

URL/start at the beginning, URL at the end, URL/fail if the run ended early. The monitor alerts when
pings stop, which is the only way to notice that cron no longer starts runs. A ping sends nothing
but the address; one that fails changes nothing. The run does not wait for the first one. Only the
head of an answer is read.
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
from drawcli.system.threads import as_completed, call_with_timeout, run_in_thread

if TYPE_CHECKING:
    from drawcli.config.sections_monitoring import Metrics

_TROUBLE: Final = (DrawcliError, OSError, ValueError, LookupError, MemoryError)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Heartbeat:
    """How the run ended; None if it was interrupted."""

    exit_code: int | None = None

    @property
    def ending(self) -> str:
        """The suffix of the address for the final ping."""
        return "/fail" if self.exit_code is None or self.exit_code in EARLY else ""


@contextmanager
def beating(settings: "Metrics") -> Iterator[Heartbeat]:
    """Ping at the beginning and at the end of a block; set `exit_code` before it ends."""
    beat = Heartbeat()
    if not settings.heartbeat_url:
        yield beat
        return
    under_way = []
    with suppress(MemoryError):  # without memory for a thread, no ping; the run continues
        under_way.append(run_in_thread(partial(ping, settings, "/start")))
    try:
        yield beat
    finally:
        for _ in as_completed(under_way):  # it has a deadline; the final ping follows it
            pass
        ping(settings, beat.ending)


def ping(settings: "Metrics", ending: str = "") -> bool:
    """Ping; return whether the answer came in time with a 2xx status."""
    if not settings.heartbeat_url:
        return False
    if settings.heartbeat_is_plain and not settings.allow_http:
        _log.warning("heartbeat outcome=not-sent code=plain-http")
        return False
    import httpx

    try:
        answer = call_with_timeout(
            partial(_status, settings, ending), EXCHANGES["heartbeat"].seconds
        )
    except (httpx.HTTPError, httpx.InvalidURL, *_TROUBLE) as err:
        # The limit of the whole ping is also that of each read: either may end first.
        kind = TimeoutError if isinstance(err, httpx.TimeoutException) else type(err)
        _log.warning("heartbeat outcome=not-taken code=%s", kind.__name__)
        return False
    is_taken = httpx.codes.is_success(answer)
    if not is_taken:
        _log.warning("heartbeat outcome=not-taken code=%d", answer)
    return is_taken


def _status(settings: "Metrics", ending: str) -> int:
    """Send the request and return the HTTP status. The body is not read: it may never end."""
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
