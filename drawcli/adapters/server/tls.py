"""The HTTP client and its TLS: trust, client certificate, proxy, and errors.

Certificates are verified with the system's trust store, where hospitals install their own
authorities, or with `server.ca_file`. TLS is at least 1.2. Redirects are never followed, so that
no other host sees the token.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from drawcli import __version__
from drawcli.errors import ConfigError
from drawcli.system.addresses import is_loopback
from drawcli.system.failures import in_words
from drawcli.system.pacing import after_abandoned_calls
from drawcli.system.platforms import is_readable_by_others

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site

CONNECT_SECONDS: Final = 10.0
_CA_HINT: Final = (
    "If your hospital inspects TLS traffic, or the server uses a private authority, ask IT for the "
    "authority's certificate and set server.ca_file. Never trust a certificate unchecked."
)
# Results of OpenSSL (X509_V_ERR_*, openssl/x509_vfy.h): text and hint.
_VERDICTS: Final = {
    9: ("is not valid yet", "Check the clock of this computer."),
    10: ("has expired", "Check the clock of this computer, then ask the DRAW administrator."),
    18: ("is self-signed, and not trusted here", _CA_HINT),
    19: ("is from an authority that is not trusted here", _CA_HINT),
    20: ("is from an authority that is not trusted here", _CA_HINT),
    21: ("is from an authority that is not trusted here", _CA_HINT),
    62: ("is for another name", "Compare server.url with what the administrator gave you."),
    64: ("is for another address", "Compare server.url with what the administrator gave you."),
}
_VERSION_REASONS: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
_CLIENT_CERT_REASONS: Final = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "ALERT_HANDSHAKE_FAILURE",
    "CERTIFICATE_UNKNOWN",
    "ALERT_ACCESS_DENIED",
)


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
    try:
        client = httpx.Client(
            timeout=timeout,
            headers={"user-agent": f"drawcli/{__version__}", "accept-encoding": "gzip"},
            verify=_empty_context() if is_local else tls_context(site),
            http2=not is_plain,
            trust_env=not is_local,
            follow_redirects=False,
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL):
        raise ConfigError(
            "the proxy in the environment cannot be used",
            hint="Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        ) from None
    # The protocol has no cookies. A cookie that is not ASCII would break every later request.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    try:
        yield client
    finally:
        after_abandoned_calls(client.close)


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
    authorities = site.ca_file or _authorities_in_environment()
    if authorities is None:
        import truststore

        tls: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        tls = _context_trusting(authorities)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if site.client_cert is not None:
        _load_client_cert(tls, site.client_cert, site.client_key or site.client_cert)
    return tls


def _authorities_in_environment() -> Path | None:
    name = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return Path(name) if name else None


def _context_trusting(authorities: Path) -> ssl.SSLContext:
    """Return a context that trusts only the authorities of a file or folder."""
    tls = _empty_context()
    try:
        if authorities.is_dir():
            tls.load_verify_locations(capath=authorities)
        else:
            tls.load_verify_locations(cafile=authorities)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"{authorities}: cannot be read as certificates of authorities: {in_words(err)}",
            code="certificates",
            hint="server.ca_file (or SSL_CERT_FILE) should name a PEM file of certificates.",
        ) from None
    return tls


def _empty_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load_client_cert(tls: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        if is_readable_by_others(key):
            raise ConfigError(
                f"{key}: others can read this private key", hint=f"Run 'chmod 600 {key}'."
            )
        tls.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as err:  # an SSLError is an OSError
        raise ConfigError(
            f"{cert}: cannot be used as client certificate with its key: {in_words(err)}",
            code="certificates",
            hint="server.client_cert and server.client_key should be PEM files that belong "
            "together; the key must have no password, because cron cannot type it.",
        ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")  # else OpenSSL would ask at the terminal


def tls_error(err: BaseException) -> ConfigError | None:
    """Return the error for a failed TLS handshake; None if the cause is not TLS.

    The text of OpenSSL is not quoted: it contains names from certificates.
    """
    cause: BaseException | None = err
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        text, hint = _VERDICTS.get(cause.verify_code, ("is not trusted here", _CA_HINT))
        return ConfigError(f"the server's certificate {text}", code="certificate", hint=hint)
    reason = (cause.reason or str(cause)).upper() if cause is not None else ""
    if any(name in reason for name in _VERSION_REASONS):
        return ConfigError(
            "the server does not offer TLS 1.2 or later",
            code="certificate",
            hint="Ask the administrator of the DRAW server, or of the proxy before it.",
        )
    if any(name in reason for name in _CLIENT_CERT_REASONS):
        return ConfigError(
            "the server refuses this site's certificate, or requires one and got none",
            code="certificate",
            hint="Compare server.client_cert with what the administrator gave you.",
        )
    return None
