"""Checks of `doctor`: audit log, alarms and metrics."""

import shlex
from typing import TYPE_CHECKING, Final

from drawcli.adapters.delivery.folder import check_writable
from drawcli.adapters.notifications import recipients_of
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.errors import DrawcliError
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult
from drawcli.operations.ledger_check import unattested
from drawcli.operations.notification_store import NotificationStore
from drawcli.system.addresses import is_loopback
from drawcli.system.durations import duration
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_VERIFIED: Final = "verify-full"
_UNVERIFIED: Final = "does not verify that it is the database that answers"
_WEAK: Final = {
    "disable": "does not encrypt",
    "verify-ca": "verifies who issued the certificate of the database, but not its name",
}
_VERIFY: Final = (
    "Leave sslmode out of the address (it is verify-full then), and name the authority of the "
    "certificate: ?sslrootcert=FILE. With a service, set sslmode=verify-full there."
)


def audit_log(site: CheckContext) -> CheckResult:
    """Verify the hash chain of the audit log, and compare the log with the ledger."""
    verdict = AuditLog(site.settings.state_dir).verify()
    if verdict.breaks:
        first = verdict.breaks[0]
        return CheckResult.failed(f"{first.where} {first.what}", "drawcli audit verify")
    if site.ctx is None:
        return CheckResult.not_checked(
            "the chain is intact, but the ledger to compare it with cannot be opened",
            "Fix that first.",
        )
    lacking = unattested(site.ctx)
    if lacking:
        return CheckResult.failed(str(lacking[0]), "drawcli audit verify")
    if not verdict.lines:
        return CheckResult.well("nothing was sent yet")
    return CheckResult.well(f"{verdict.lines:,} lines, the chain is intact")


def notify(site: CheckContext) -> CheckResult:
    """Check each recipient of alarms: a valid address, and accepting messages."""
    places = recipients_of(site.settings.notify)
    if not places:
        told = "workers print what goes wrong" if site.settings.ledger else "cron mails it"
        return CheckResult.well(f"not set up; {told}")
    names = [place.name for place in places]  # raises if apprise rejects one
    store = NotificationStore.read(site.settings.state_dir)
    for place in places:
        state = store.places.get(place.key(store.salt))
        if state is not None and state.failing_since is not None:
            span = duration(site.now - state.failing_since)
            return CheckResult.warned(
                f"{place.name} has accepted no message for {span}", "drawcli notify test"
            )
    return CheckResult.well(", ".join(names))


def metrics(site: CheckContext) -> CheckResult:
    """Check the folder of the metrics file and the address of the heartbeat."""
    wanted = site.settings.metrics
    if wanted.heartbeat_is_plain and not wanted.allow_http:
        text = "metrics.heartbeat_url is plain http to another machine: nothing is sent"
        return CheckResult.warned(text, "Use https, or set metrics.allow_http: true.")
    if wanted.textfile is None:
        return CheckResult.well("heartbeat" if wanted.heartbeat_url else "not set up")
    folder = wanted.textfile.parent
    try:
        check_writable(folder)
    except OSError as err:
        text = f"{folder} cannot be written: {err.strerror}"
        return CheckResult.warned(text, f"ls -ld {shlex.quote(str(folder))}")
    return CheckResult.well(str(wanted.textfile))


def database(site: CheckContext) -> CheckResult:
    """Check how the connection to the database of the ledger is protected."""
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger

    if site.ctx is None or not isinstance(site.ctx.ledger, DatabaseLedger):
        return CheckResult.not_checked("the ledger cannot be opened", "Fix that first.")
    return _protection(site.ctx.ledger.database)


def group_database(site: CheckContext) -> CheckResult:
    """Read the summaries of a group from its database, and check how the connection is protected.

    A database that cannot be read is a warning: runs of this site do not need it.
    """
    from drawcli.adapters.ledger.postgres.site_values import read_summaries
    from drawcli.operations.group.sites import database_of

    with database_of(site.settings.group) as own:
        try:
            sites = len(read_summaries(own))
        except DrawcliError as err:
            return CheckResult.warned(str(err), err.hint or "See docs/how-to/group.md.")
        found = _protection(own)
        return found._replace(text=f"{found.text}; {counted(sites, 'site')}")


def _protection(own: "Database") -> CheckResult:
    """Return how the connection to a database is protected."""
    found = own.transport()
    if not found.crosses_network:
        return CheckResult.well(f"{own.name}: the connection does not leave this machine")
    if found.mode == _VERIFIED:
        return CheckResult.well(f"{own.name}: TLS, certificate and name verified")
    now = "encrypted" if found.is_encrypted else "not encrypted"
    text = f"{own.name}: sslmode={found.mode} {_WEAK.get(found.mode, _UNVERIFIED)}; now {now}"
    return CheckResult.warned(text, _VERIFY)


def shared_storage(site: CheckContext) -> CheckResult:
    """Write, read and remove an object where the hosts of the site keep their packages."""
    if site.ctx is None:
        return CheckResult.not_checked("the ledger cannot be opened", "Fix that first.")
    text = f"{site.ctx.files.probe()}: written, read and removed"
    endpoint = site.settings.cluster.s3_endpoint
    if endpoint.startswith("http://") and not is_loopback(endpoint):
        return CheckResult.warned(
            f"{text}, by plain http: others on the network see names and sizes of the packages, "
            "which are sealed, and can change them",
            "Use https:// in cluster.s3_endpoint.",
        )
    return CheckResult.well(text)


OUTWARD: Final[tuple[tuple[str, Check], ...]] = (
    ("audit log", audit_log),
    ("notify", notify),
    ("metrics", metrics),
)
