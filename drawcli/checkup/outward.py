"""Does the site account for what leaves it, and can it call for a person? Checks of `doctor`."""

from typing import Final

from drawcli.auditlog import AuditLog
from drawcli.checkup.outcome import Check, Seen, Site


def audit_log(site: Site) -> Seen:
    """Follow the chain of the log of disclosures."""
    verdict = AuditLog(site.settings.state_dir).verify()
    if verdict.breaks:
        first = verdict.breaks[0]
        return Seen.failed(f"{first.where} {first.what}", "drawcli audit verify")
    if not verdict.lines:
        return Seen.well("nothing has left yet")
    return Seen.well(f"{verdict.lines:,} lines, the chain is whole")


OUTWARD: Final[tuple[tuple[str, Check], ...]] = (("audit log", audit_log),)
