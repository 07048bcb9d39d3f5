"""Does the site account for what leaves it, and can it call for a person? Checks of `doctor`."""

import shlex
from typing import Final

from drawcli.adapters.delivery.folder import check_writable
from drawcli.adapters.notifications import places_of
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult
from drawcli.operations.ledger_check import unattested
from drawcli.operations.notification_store import NotificationStore
from drawcli.system.durations import ago


def audit_log(site: CheckContext) -> CheckResult:
    """Follow the chain of the log of disclosures, and hold it against the ledger."""
    verdict = AuditLog(site.settings.state_dir).verify()
    if verdict.breaks:
        first = verdict.breaks[0]
        return CheckResult.failed(f"{first.where} {first.what}", "drawcli audit verify")
    lacking = unattested(site.ctx) if site.ctx is not None else []
    if lacking:
        return CheckResult.failed(str(lacking[0]), "drawcli audit verify")
    if not verdict.lines:
        return CheckResult.well("nothing has left yet")
    return CheckResult.well(f"{verdict.lines:,} lines, the chain is whole")


def notify(site: CheckContext) -> CheckResult:
    """Look at each place of alarms: known to apprise, and taking messages."""
    places = places_of(site.settings.notify)
    if not places:
        return CheckResult.well("no place is set up; cron mails what goes wrong")
    names = [place.name for place in places]  # also that apprise knows each
    memory = NotificationStore.read(site.settings.state_dir)
    for place in places:
        told = memory.places.get(place.key(memory.salt))
        if told is not None and told.failing_since is not None:
            span = ago(site.now - told.failing_since)
            return CheckResult.warned(
                f"{place.name} has taken nothing for {span}", "drawcli notify test"
            )
    return CheckResult.well(", ".join(names))


def metrics(site: CheckContext) -> CheckResult:
    """Look at the folder of the text file, and at who could read the heartbeat."""
    wanted = site.settings.metrics
    if wanted.heartbeat_is_plain and not wanted.allow_http:
        text = "metrics.heartbeat_url is plain http to another machine: nothing is sent"
        return CheckResult.warned(text, "Use https, or set metrics.allow_http: true.")
    if wanted.textfile is None:
        return CheckResult.well("heartbeat" if wanted.heartbeat_url else "none are asked for")
    folder = wanted.textfile.parent
    try:
        check_writable(folder)
    except OSError as err:
        text = f"{folder} cannot be written: {err.strerror}"
        return CheckResult.warned(text, f"ls -ld {shlex.quote(str(folder))}")
    return CheckResult.well(str(wanted.textfile))


OUTWARD: Final[tuple[tuple[str, Check], ...]] = (
    ("audit log", audit_log),
    ("notify", notify),
    ("metrics", metrics),
)
