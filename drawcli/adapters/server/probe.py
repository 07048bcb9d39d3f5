"""One look at the server: does it answer, what time is it there, how long is its certificate good.

Nothing of ours goes out with it, no token and no name. What it finds is for `doctor`.
"""

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from drawcli.adapters.server.responses import oddities_named, transport_named
from drawcli.adapters.server.tls import connected
from drawcli.system.pacing import Deadline, with_deadline

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProbe:
    """What the server showed."""

    status: int  # of HTTP
    seconds: float  # until it answered
    clock: datetime | None  # its Date header, UTC; None where it sent none
    asked_at: datetime  # our time when it was asked
    seen_at: datetime  # our time when it answered
    tls: str  # such as TLSv1.3; "" over plain http
    certificate_until: datetime | None  # None over plain http

    @property
    def skew_seconds(self) -> float | None:
        """How much our clock is ahead of the server's at least, s; 0 where they may be the same.

        The header was written between question and answer, and is cut to whole seconds
        (RFC 9110 5.6.7).
        """
        if self.clock is None:
            return None
        most = (self.seen_at - self.clock).total_seconds()
        least = (self.asked_at - self.clock).total_seconds() - 1
        return max(least, 0.0) + min(most, 0.0)


def glance(site: "Site") -> ServerProbe:
    """Ask the server's health endpoint.

    Raises
    ------
    ServerUnavailable
        Where it cannot be reached.
    ConfigError
        Where its certificate is not accepted, or the proxy or the certificates that are named
        cannot be used.
    """
    url = site.url.rstrip("/") + site.path_of("health")
    with connected(site) as client, transport_named("health"):
        deadline = Deadline.of(site.timeout_seconds)
        found = _asked(client, url, deadline)
        missing = found.status == HTTPStatus.NOT_FOUND and not url.endswith("/")
        return _asked(client, url + "/", deadline) if missing else found


def _asked(client: httpx.Client, url: str, deadline: Deadline) -> ServerProbe:
    """Look at the head of the answer; its body is not read."""
    return with_deadline(deadline, lambda: _looked(client, url), lambda _late: None)


def _looked(client: httpx.Client, url: str) -> ServerProbe:
    begun, asked_at = time.monotonic(), datetime.now(UTC)
    with oddities_named(), client.stream("GET", url) as answer:
        secured = answer.extensions["network_stream"].get_extra_info("ssl_object")
        return ServerProbe(
            status=answer.status_code,
            seconds=time.monotonic() - begun,
            asked_at=asked_at,
            clock=_moment(answer.headers.get("date", "")),
            seen_at=datetime.now(UTC),
            tls="" if secured is None else str(secured.version()),
            certificate_until=None if secured is None else _until(secured.getpeercert()),
        )


def _until(certificate: Any) -> datetime | None:
    text = (certificate or {}).get("notAfter")
    return None if text is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
