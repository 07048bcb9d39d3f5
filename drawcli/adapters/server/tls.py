"""The HTTP client and its TLS: trust, client certificate, proxy, and errors.

Certificates are verified with the system's trust store, where hospitals install their own
authorities, or with `server.ca_file`. TLS is at least 1.2. Redirects are never followed, so that
no other host sees the token.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from drawcli import __version__
from drawcli.errors import ConfigError
from drawcli.system.addresses import is_loopback
from drawcli.system.network.client_tls import (
    OTHER_VERDICT,
    VERDICTS,
    TlsFiles,
    client_context,
    empty_context,
    tls_failure,
)
from drawcli.system.network.http_client import open_http_client

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site

CONNECT_SECONDS: Final = 10.0
_CA_HINT: Final = (
    "If your hospital inspects TLS traffic, or the server uses a private authority, ask IT for the "
    "authority's certificate and set server.ca_file. Never trust a certificate unchecked."
)
_HINTS: Final = {  # by the verdict on the certificate
    9: "Check the clock of this computer.",
    10: "Check the clock of this computer, then ask the DRAW administrator.",
    62: "Compare server.url with what the administrator gave you.",
    64: "Compare server.url with what the administrator gave you.",
}
_SETTINGS: Final = ("server.ca_file", "server.client_cert", "server.client_key")


@contextmanager
def open_client(site: "Site") -> Iterator[httpx.Client]:
    """Yield an HTTP client for a whole run; nothing is sent yet.

    Raises
    ------
    ConfigError
        If the URL would send the token in plain text, or the configured certificates or proxy
        cannot be used.
    """
    is_plain, is_here = urlsplit(site.url).scheme == "http", is_loopback(site.url)
    if is_plain and not is_here and not site.allow_http:
        raise ConfigError(
            "server.url is plain http: the token would be sent unencrypted",
            hint="Use https, or set server.allow_http: true if the connection is safe otherwise.",
        )
    is_local = is_plain and is_here  # then no proxy may see the token, and TLS is not loaded
    timeout = httpx.Timeout(
        site.timeout_seconds, connect=min(CONNECT_SECONDS, site.timeout_seconds)
    )
    headers = {"user-agent": f"drawcli/{__version__}", "accept-encoding": "gzip"}
    tls = empty_context() if is_local else tls_context(site)
    with open_http_client(
        timeout, headers, tls, http2=not is_plain, with_proxy=not is_local
    ) as client:
        yield client


def proxy_auth_error(scheme: str) -> ConfigError:
    """Return the error for a 407 of a proxy; it names the host, never the password."""
    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all") or ""
    host = urlsplit(named if "://" in named else f"//{named}").hostname
    return ConfigError(
        f"the proxy{f' {host}' if host else ''} asks for a name and password (407)",
        code="proxy",
        hint="Put them into HTTPS_PROXY before the host, followed by @; or add the server to "
        "NO_PROXY if it can be reached without a proxy.",
    )


def tls_context(site: "Site") -> ssl.SSLContext:
    """Return the TLS context of a site: trusted authorities and client certificate.

    Raises
    ------
    ConfigError
        If a configured file cannot be used.
    """
    return client_context(TlsFiles(site.ca_file, site.client_cert, site.client_key, _SETTINGS))


def tls_error(err: BaseException) -> ConfigError | None:
    """Return the error for a failed TLS handshake; None if the cause is not TLS.

    The text of OpenSSL is not quoted: it contains names from certificates.
    """
    failure = tls_failure(err)
    if failure is None:
        return None
    if failure.verdict is not None:
        text = VERDICTS.get(failure.verdict, OTHER_VERDICT)
        hint = _HINTS.get(failure.verdict, _CA_HINT)
        return ConfigError(f"the server's certificate {text}", code="certificate", hint=hint)
    if failure.too_old:
        return ConfigError(
            "the server does not offer TLS 1.2 or later",
            code="certificate",
            hint="Ask the administrator of the DRAW server, or of the proxy before it.",
        )
    return ConfigError(
        "the server refuses this site's certificate, or requires one and got none",
        code="certificate",
        hint="Compare server.client_cert with what the administrator gave you.",
    )
