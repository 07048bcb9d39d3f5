"""How the checks of nodes and archives show the TLS of a connection."""

from datetime import datetime

from drawcli.system.printable import counted


def tls_text(tls: str | None, until: datetime | None, now: datetime, *, reachable: bool) -> str:
    """Return the protocol, and how long the certificate of the other side is valid."""
    if tls is None:
        return "no" if reachable else "not known"
    if until is None:
        return tls
    return f"{tls}; its certificate is valid for {counted((until - now).days, 'day')}"
