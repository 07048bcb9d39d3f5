"""Probe of the server for `doctor`: status, clock, TLS version, expiry of its certificate.

The request carries no token and no client id.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from drawcli.adapters.server.responses import convert_http2_errors, convert_transport_errors
from drawcli.adapters.server.tls import open_client
from drawcli.system.network.client_tls import expiry_of
from drawcli.system.pacing import Deadline, with_deadline

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProbe:
    """Result of a probe."""

    status: int  # HTTP status
    seconds: float  # until it answered
    clock: datetime | None  # its Date header, UTC; None if it sent none
    asked_at: datetime  # our time before the request
    seen_at: datetime  # our time after the response
    tls: str  # such as TLSv1.3; "" over plain http
    certificate_until: datetime | None  # None over plain http

    @property
    def skew_seconds(self) -> float | None:
        """Least possible lead of our clock over the server's, s; 0 if they may be equal.

        The Date header was written between request and response, in whole seconds (RFC 9110 5.6.7).
        """
        if self.clock is None:
            return None
        most = (self.seen_at - self.clock).total_seconds()
        least = (self.asked_at - self.clock).total_seconds() - 1
        return max(least, 0.0) + min(most, 0.0)


def probe_server(site: "Site") -> ServerProbe:
    """Request the server's health endpoint; only the headers of the response are read.

    Raises
    ------
    ServerUnavailable
        If it cannot be reached.
    ConfigError
        If its certificate is not accepted, or the configured proxy or certificates cannot be used.
    """
    url = site.url.rstrip("/") + site.path_of("health")
    with open_client(site) as client, convert_transport_errors("health"):
        deadline = Deadline.of(site.timeout_seconds)
        probe = _probe_in_time(client, url, deadline)
        is_missing = probe.status == HTTPStatus.NOT_FOUND and not url.endswith("/")
        return _probe_in_time(client, url + "/", deadline) if is_missing else probe


def _probe_in_time(client: httpx.Client, url: str, deadline: Deadline) -> ServerProbe:
    return with_deadline(deadline, lambda: _probe(client, url), lambda _late: None)


def _probe(client: httpx.Client, url: str) -> ServerProbe:
    begun, asked_at = time.monotonic(), datetime.now(UTC)
    with convert_http2_errors(), client.stream("GET", url) as answer:
        secured = answer.extensions["network_stream"].get_extra_info("ssl_object")
        return ServerProbe(
            status=answer.status_code,
            seconds=time.monotonic() - begun,
            asked_at=asked_at,
            clock=_moment(answer.headers.get("date", "")),
            seen_at=datetime.now(UTC),
            tls="" if secured is None else str(secured.version()),
            certificate_until=None if secured is None else expiry_of(secured.getpeercert()),
        )


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
