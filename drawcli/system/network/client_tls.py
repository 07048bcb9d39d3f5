"""TLS of connections that drawcli opens: trusted authorities, client certificate, errors.

Certificates are verified with the system's trust store, where hospitals install their own
authorities, or with a file of the settings. TLS is at least 1.2.
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.platforms import is_readable_by_others

# Results of OpenSSL (X509_V_ERR_*, openssl/x509_vfy.h).
VERDICTS: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed, and not trusted here",
    19: "is from an authority that is not trusted here",
    20: "is from an authority that is not trusted here",
    21: "is from an authority that is not trusted here",
    62: "is for another name",
    64: "is for another address",
}
OTHER_VERDICT: Final = "is not trusted here"
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


class TlsFiles(NamedTuple):
    """The files of a connection, and the names of the settings that name them."""

    ca_file: Path | None = None  # of trusted authorities; None: the trust store of the system
    cert: Path | None = None  # our own certificate
    key: Path | None = None  # None: in the same file as the certificate
    names: tuple[str, str, str] = ("tls.ca_file", "tls.cert", "tls.key")


class TlsFailure(NamedTuple):
    """Why a TLS handshake failed."""

    verdict: int | None = None  # of OpenSSL on the certificate of the other side
    too_old: bool = False  # the other side does not offer TLS 1.2 or later
    needs_certificate: bool = False  # it refuses our certificate, or requires one and got none

    def in_words(self) -> str:
        """Return the failure as a predicate of the other side.

        >>> TlsFailure(verdict=10).in_words()
        'shows a certificate that has expired'
        """
        if self.verdict is not None:
            return f"shows a certificate that {VERDICTS.get(self.verdict, OTHER_VERDICT)}"
        if self.needs_certificate:
            return "refuses the certificate of this site, or requires one and got none"
        return "does not offer TLS 1.2 or later" if self.too_old else "does not answer by TLS"


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the TLS context for connections to other systems.

    Raises
    ------
    ConfigError
        If a configured file cannot be used.
    """
    authorities = files.ca_file or _authorities_in_environment()
    if authorities is None:
        import truststore

        tls: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        tls = _context_trusting(authorities, files.names[0])
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.cert is not None:
        _load_client_cert(tls, files.cert, files.key or files.cert, files.names)
    return tls


def empty_context() -> ssl.SSLContext:
    """Return a context that trusts nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_failure(err: BaseException) -> TlsFailure | None:
    """Return why a TLS handshake failed; None if the cause of the error is not known as TLS.

    The text of OpenSSL is not quoted: it contains names from certificates.
    """
    cause: BaseException | None = err
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TlsFailure(verdict=cause.verify_code)
    reason = (cause.reason or str(cause)).upper() if cause is not None else ""
    if any(name in reason for name in _VERSION_REASONS):
        return TlsFailure(too_old=True)
    if any(name in reason for name in _CLIENT_CERT_REASONS):
        return TlsFailure(needs_certificate=True)
    return None


def _authorities_in_environment() -> Path | None:
    name = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return Path(name) if name else None


def _context_trusting(authorities: Path, setting: str) -> ssl.SSLContext:
    """Return a context that trusts only the authorities of a file or folder."""
    tls = empty_context()
    try:
        if authorities.is_dir():
            tls.load_verify_locations(capath=authorities)
        else:
            tls.load_verify_locations(cafile=authorities)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"{authorities}: cannot be read as certificates of authorities: {in_words(err)}",
            code="certificates",
            hint=f"{setting} (or SSL_CERT_FILE) should name a PEM file of certificates.",
        ) from None
    return tls


def _load_client_cert(
    tls: ssl.SSLContext, cert: Path, key: Path, names: tuple[str, str, str]
) -> None:
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
            hint=f"{names[1]} and {names[2]} should be PEM files that belong together; the key "
            "must have no password, because cron cannot type it.",
        ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")  # else OpenSSL would ask at the terminal


def expiry_of(certificate: Mapping[str, Any] | None) -> datetime | None:
    """Return when a certificate of `getpeercert` expires; None if there is none."""
    text = (certificate or {}).get("notAfter")
    return None if text is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
