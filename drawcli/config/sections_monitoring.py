"""The settings sections for monitoring: alarms, metrics, dashboard, logs."""

from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from drawcli.config.sections import HOURS
from drawcli.core.protocol.bandwidth import parse_time_of_day
from drawcli.system.addresses import is_loopback, parse_web_address
from drawcli.system.kinds import PATH, SWITCH, TEXT, choice, listed, maybe, number, text, whole
from drawcli.system.limits import RUN_HOURS
from drawcli.system.records import Kind, Record, setting

URLS_VARIABLE: Final = "DRAWCLI_NOTIFY_URLS"
DIGEST: Final = "digest"
_USUAL_EVENTS: Final = tuple(
    "held blocked token server node pull idle failed hung qa digest".split()
)
_EVENTS: Final = (*_USUAL_EVENTS, "qa-watch", "delivered")


def _digest_time(value: Any) -> time | None:
    """Return a time of day, or None for no digest (`off`, which YAML reads as false)."""
    return None if value is None or value is False or value == "off" else parse_time_of_day(value)


class Notify(Record):
    """Alarms and the digest; the addresses are secret and in a separate file."""

    urls_file: Path | None = setting(None, maybe(PATH))  # one apprise URL per line; mode 0600
    events: list[str] = setting(list(_USUAL_EVENTS), listed(choice(*_EVENTS)))
    token_days: float = setting(7.0, number(above=0, most=365))  # before it expires
    server_hours: float = setting(2.0, HOURS)  # without an answer
    node_hours: float = setting(2.0, HOURS)  # that a structure set waits for its node or folder
    idle_hours: float = setting(72.0, HOURS)  # without a delivery; longer than a weekend
    run_hours: float = setting(RUN_HOURS, HOURS)  # of one run; the next run reports it as hung
    digest_at: time | None = setting(time(7), Kind(_digest_time))  # local


def _ping_url(url: str) -> str:
    """Check an address; the message of an error does not quote it."""
    if url:
        parse_web_address(url)
    if " " in url:
        raise ValueError("should be an address without blanks")
    return url.rstrip("/")


class Metrics(Record):
    """Metrics for monitoring."""

    textfile: Path | None = setting(None, maybe(PATH))  # *.prom, for node_exporter
    heartbeat_url: str = setting("", text(check=_ping_url))  # pinged like healthchecks.io
    allow_http: bool = setting(default=False, kind=SWITCH)  # plain http to another machine

    @property
    def heartbeat_is_plain(self) -> bool:
        """Whether the heartbeat would be sent unencrypted to another machine."""
        plain = urlsplit(self.heartbeat_url).scheme == "http"
        return plain and not is_loopback(self.heartbeat_url)


def _addresses(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _networks(addresses: list[str]) -> list[str]:
    for address in addresses:
        try:
            ip_network(address)
        except ValueError:
            raise ValueError(f"{address!r} is not an address or network, as 10.1.2.3") from None
    return addresses


NETWORKS: Final = listed(TEXT, split=_addresses, check=_networks)


class Dashboard(Record):
    """The web page: its sessions, and a reverse proxy before it."""

    session_hours: float = setting(12.0, number(above=0, most=168))  # from the login
    idle_minutes: float = setting(60.0, number(least=0, most=10_080))  # of a user with a name
    identify: bool = setting(default=False, kind=SWITCH)  # as --identify, without a terminal
    tls_proxy: bool = setting(default=False, kind=SWITCH)  # it ends TLS: cookies for https
    proxies: list[str] = setting([], NETWORKS)  # whose X-Forwarded-For is trusted


class Logs(Record):
    """The log of the site, in state_dir/logs."""

    format: str = setting("text", choice("text", "json"))
    max_mb: float = setting(5.0, number(above=0, most=1000))  # of one file
    keep: int = setting(5, whole(least=1, most=1000))  # number of older files
