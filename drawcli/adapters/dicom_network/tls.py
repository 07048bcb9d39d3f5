"""TLS of the DICOM listener: its certificate, and the authority of its callers."""

import ssl
from datetime import datetime
from pathlib import Path

from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.platforms import is_readable_by_others


def server_tls(cert: Path, key: Path | None, clients: Path | None) -> ssl.SSLContext:
    """Return the TLS context of a listener: TLS 1.2 or later.

    Parameters
    ----------
    cert, key
        PEM files; without a key it is in `cert`.
    clients
        Authority of the callers' certificates; None: no caller needs a certificate.

    Raises
    ------
    ConfigError
        If a file cannot be used, or others may read the key.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.options |= ssl.OP_NO_RENEGOTIATION
    secret = key or cert
    try:
        tls.load_cert_chain(cert, key, password=_no_password)
        if is_readable_by_others(secret):
            raise _unusable(f"{secret} can be read by other users", f"chmod 600 {secret}")
        if clients is not None:
            tls.load_verify_locations(clients)
            tls.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as err:  # an SSLError is an OSError
        is_ours = isinstance(err, ssl.SSLError | ValueError)
        what = "cannot be used, or the key has a password" if is_ours else in_words(err)
        names = ", ".join(str(path) for path in (cert, key, clients) if path)
        hint = "receive.tls_cert, tls_key and tls_ca should be PEM files that belong together."
        raise _unusable(f"one of {names}: {what}", hint) from None
    return tls


def expiry_of(cert: Path) -> datetime:
    """Return the end of a certificate, UTC; raise ConfigError if it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        raise _unusable(f"{cert} is no certificate", "It should be a PEM file.") from None


def _unusable(what: str, hint: str) -> ConfigError:
    return ConfigError(f"the listener cannot use TLS: {what}", code="receive-tls", hint=hint)


def _no_password() -> str:
    raise ValueError("the key has a password")  # else OpenSSL would ask at the terminal
