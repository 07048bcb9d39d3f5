"""A heartbeat: an address is pinged when a run begins and when it ends, as healthchecks.io is.

ADDRESS/start at the beginning, ADDRESS at the end, ADDRESS/fail where the run could not come to it.
Who watches that address is told when pings stop: of a cron that calls no more, nothing here can
tell. Nothing goes along but the address itself, and a ping that fails changes nothing.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from drawcli import __version__
from drawcli.errors import DrawcliError
from drawcli.runs import EARLY
from drawcli.sections import Server

if TYPE_CHECKING:
    from drawcli.signals import Metrics

_PATIENCE_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Beat:
    """How the run ended; None where it broke off."""

    exit_code: int | None = None

    @property
    def ending(self) -> str:
        """What is added to the address at the end."""
        return "/fail" if self.exit_code is None or self.exit_code in EARLY else ""


@contextmanager
def beating(settings: "Metrics") -> Iterator[Beat]:
    """Ping at the beginning and at the end of a block; its end is told by the Beat."""
    beat = Beat()
    ping(settings, "/start")
    try:
        yield beat
    finally:
        ping(settings, beat.ending)


def ping(settings: "Metrics", ending: str = "") -> bool:
    """Ping; tell whether somebody answered that all is well."""
    if not settings.heartbeat_url:
        return False
    if settings.heartbeat_is_plain and not settings.allow_http:
        _log.warning("heartbeat outcome=not-sent code=plain-http")
        return False
    import httpx

    from drawcli.connection import tls_of

    plain = urlsplit(settings.heartbeat_url).scheme == "http"
    try:
        answer = httpx.get(
            settings.heartbeat_url + ending,
            headers={"user-agent": f"drawcli/{__version__}"},
            timeout=_PATIENCE_SECONDS,
            verify=not plain and tls_of(Server()),  # plain http has no certificates
            trust_env=not plain or settings.heartbeat_is_plain,  # no proxy on the way to ourselves
            follow_redirects=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL, DrawcliError, OSError, ValueError) as err:
        _log.warning("heartbeat outcome=not-taken code=%s", type(err).__name__)
        return False
    if not answer.is_success:
        _log.warning("heartbeat outcome=not-taken code=%d", answer.status_code)
    return answer.is_success
