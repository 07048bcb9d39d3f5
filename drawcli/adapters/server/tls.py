"""The connection to the server: whom it trusts, how it shows itself, and what its failures mean.

Certificates are judged as the system judges them, where hospitals put their own authorities; a
site may name the authority that it trusts instead. TLS is 1.2 at least. Redirects are never
followed, so that no other host sees the token.
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
from drawcli.system.pacing import after_abandoned_calls
from drawcli.system.platforms import is_readable_by_others

if TYPE_CHECKING:
    from drawcli.config.sections import ServerSettings as Site

CONNECT_SECONDS: Final = 10.0
_CA_HINT: Final = (
    "If a device of your hospital reads TLS on the way, or the server has a private authority, ask "
    "IT for its certificate and name that in server.ca_file. Never trust one unseen."
)
# What OpenSSL found (X509_V_ERR_*, openssl/x509_vfy.h), in words and with what to do.
_VERDICTS: Final = {
    9: ("is not valid yet", "See that the clock of this computer is right."),
    10: ("is over", "See that the clock is right, then tell the DRAW administrator."),
    18: ("is signed by itself, and not trusted here", _CA_HINT),
    19: ("is from an authority that is not trusted here", _CA_HINT),
    20: ("is from an authority that is not trusted here", _CA_HINT),
    21: ("is from an authority that is not trusted here", _CA_HINT),
    62: ("is for another name", "Compare server.url with what the administrator gave you."),
    64: ("is for another address", "Compare server.url with what the administrator gave you."),
}
_WORDS_OF_VERSIONS: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
_WORDS_OF_OURS: Final = (
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
def connected(site: "Site") -> Iterator[httpx.Client]:
    """Make a client for a whole run; nothing is sent yet.

    Raises
    ------
    ConfigError
        Where the URL would send the token in the clear, or the certificates or the proxy that are
        named cannot be used.
    """
    is_plain, is_here = urlsplit(site.url).scheme == "http", is_loopback(site.url)
    if is_plain and not is_here and not site.allow_http:
        raise ConfigError(
            "server.url is plain http: the token would travel in the clear",
            hint="Use https, or set server.allow_http: true if the way is safe otherwise.",
        )
    unseen = is_plain and is_here  # then no proxy may see the token, and TLS is not loaded
    timeout = httpx.Timeout(
        site.timeout_seconds, connect=min(CONNECT_SECONDS, site.timeout_seconds)
    )
    try:
        client = httpx.Client(
            timeout=timeout,
            headers={"user-agent": f"drawcli/{__version__}", "accept-encoding": "gzip"},
            verify=_trusting_nobody() if unseen else tls_of(site),
            http2=not is_plain,
            trust_env=not unseen,
            follow_redirects=False,
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL):
        raise ConfigError(
            "the proxy that the environment names cannot be used",
            hint="Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        ) from None
    # The protocol has no cookies. One that is no ASCII would break every request after it.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    try:
        yield client
    finally:
        after_abandoned_calls(client.close)


def proxy_refusal(scheme: str) -> ConfigError:
    """Return what it means that a proxy asks who we are; its name is told, never a password."""
    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all") or ""
    host = urlsplit(named if "://" in named else f"//{named}").hostname
    return ConfigError(
        f"the proxy {host or 'on the way'} asks for a name and password (407)",
        code="proxy",
        hint="Put them into HTTPS_PROXY, in front of its host, with an @ between; or let NO_PROXY "
        "name the server, if no proxy is needed on the way to it.",
    )


def tls_of(site: "Site") -> ssl.SSLContext:
    """Return whom a site trusts, and by which certificate it shows itself.

    Raises
    ------
    ConfigError
        Where a file that is named cannot be used.
    """
    named = site.ca_file or _named_in_environment()
    if named is None:
        import truststore

        tls: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        tls = _trusting(named)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if site.client_cert is not None:
        _show(tls, site.client_cert, site.client_key or site.client_cert)
    return tls


def _named_in_environment() -> Path | None:
    name = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return Path(name) if name else None


def _trusting(authorities: Path) -> ssl.SSLContext:
    """Trust the authorities of a file or folder, and no other."""
    tls = _trusting_nobody()
    try:
        if authorities.is_dir():
            tls.load_verify_locations(capath=authorities)
        else:
            tls.load_verify_locations(cafile=authorities)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"{authorities}: cannot be read as certificates of authorities ({type(err).__name__})",
            code="certificates",
            hint="server.ca_file (or SSL_CERT_FILE) should name a PEM file of certificates.",
        ) from None
    return tls


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _show(tls: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Show the site's own certificate where the server asks for one."""
    try:
        if is_readable_by_others(key):
            raise ConfigError(
                f"{key}: others can read this private key", hint=f"Run 'chmod 600 {key}'."
            )
        tls.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as err:  # an SSLError is an OSError
        raise ConfigError(
            f"{cert}: cannot be used as client certificate with its key ({type(err).__name__})",
            code="certificates",
            hint="server.client_cert and server.client_key should be PEM files that belong "
            "together, the key without a password: nobody is there to type it under cron.",
        ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")  # else OpenSSL would ask at the terminal


def tls_trouble(err: BaseException) -> ConfigError | None:
    """Return what a failed handshake means; None where the trouble is none of TLS.

    The words of OpenSSL are not quoted: they hold names out of certificates.
    """
    cause: BaseException | None = err
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        said, hint = _VERDICTS.get(cause.verify_code, ("is not trusted here", _CA_HINT))
        return ConfigError(f"the server's certificate {said}", code="certificate", hint=hint)
    reason = (cause.reason or str(cause)).upper() if cause is not None else ""
    if any(word in reason for word in _WORDS_OF_VERSIONS):
        return ConfigError(
            "the server speaks no TLS that is safe: 1.2 is the least",
            code="certificate",
            hint="Tell the DRAW administrator, or whoever runs the proxy on the way.",
        )
    if any(word in reason for word in _WORDS_OF_OURS):
        return ConfigError(
            "the server does not take this site's certificate, or asks for one and has none",
            code="certificate",
            hint="Compare server.client_cert with what the administrator gave you.",
        )
    return None
