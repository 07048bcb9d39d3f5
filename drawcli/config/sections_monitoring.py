"""The settings sections for monitoring: alarms, metrics, dashboard, logs."""

from datetime import time
from ipaddress import ip_network
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from drawcli.config.sections import FilePath, Hours, SettingsSection
from drawcli.core.protocol.bandwidth import parse_time_of_day
from drawcli.system.addresses import is_loopback, parse_web_address
from drawcli.system.limits import RUN_HOURS

URLS_VARIABLE: Final = "DRAWCLI_NOTIFY_URLS"
DIGEST: Final = "digest"


def _digest_time(value: object) -> object:
    """Return a time of day, or None for no digest (`off`, which YAML reads as false)."""
    return None if value is None or value is False or value == "off" else parse_time_of_day(value)


class Notify(SettingsSection):
    """Alarms and the digest; the addresses are secret and in a separate file."""

    urls_file: FilePath | None = None  # one apprise URL per line; mode 0600
    events: list[
        Literal[
            "held",
            "blocked",
            "token",
            "server",
            "node",
            "idle",
            "failed",
            "hung",
            "delivered",
            "digest",
        ]
    ] = Field(["held", "blocked", "token", "server", "node", "idle", "failed", "hung", "digest"])
    token_days: float = Field(7.0, gt=0, le=365)  # before it expires
    server_hours: Hours = 2.0  # without an answer
    node_hours: Hours = 2.0  # that a structure set waits for the DICOM node
    idle_hours: Hours = 72.0  # without a delivery; longer than a weekend
    run_hours: Hours = RUN_HOURS  # of one run; after that the next run reports it as hung
    digest_at: Annotated[time | None, BeforeValidator(_digest_time)] = time(7)  # local


def _ping_url(url: str) -> str:
    """Check an address; the message of an error does not quote it."""
    if url:
        parse_web_address(url)
    if " " in url:
        raise ValueError("should be an address without blanks")
    return url.rstrip("/")


class Metrics(SettingsSection):
    """Metrics for monitoring."""

    textfile: FilePath | None = None  # *.prom, for node_exporter; written at the end of a run
    heartbeat_url: Annotated[str, AfterValidator(_ping_url)] = ""  # pinged like healthchecks.io
    allow_http: bool = False  # plain http to another machine

    @property
    def heartbeat_is_plain(self) -> bool:
        """Whether the heartbeat would be sent unencrypted to another machine."""
        plain = urlsplit(self.heartbeat_url).scheme == "http"
        return plain and not is_loopback(self.heartbeat_url)


def _networks(value: object) -> object:
    """Return addresses and networks as a list of strings; raise ValueError if invalid."""
    networks = value.replace(",", " ").split() if isinstance(value, str) else value
    if isinstance(networks, list):
        for text in networks:
            try:
                ip_network(str(text))
            except ValueError:
                raise ValueError(f"{text!r} is not an address or network, as 10.1.2.3") from None
    return networks


Networks = Annotated[list[str], BeforeValidator(_networks)]


class Dashboard(SettingsSection):
    """The dashboard behind a reverse proxy."""

    tls_proxy: bool = False  # a proxy in front terminates TLS: cookies are for https only
    proxies: Networks = Field([])  # whose X-Forwarded-For is trusted


class Logs(SettingsSection):
    """The log of the site, in state_dir/logs."""

    format: Literal["text", "json"] = "text"
    max_mb: float = Field(5.0, gt=0, le=1000)  # of one file
    keep: int = Field(5, ge=1, le=1000)  # number of older files
