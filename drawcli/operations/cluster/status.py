"""The state of a cluster: its database, hosts, claimed jobs, jobs by state, servers that wait."""

from typing import Any

from drawcli.adapters.ledger.postgres import overview
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.adapters.work_queue.queue import WorkQueue
from drawcli.errors import ConfigError, LedgerError


def status_of(ledger: DatabaseLedger) -> dict[str, Any]:
    """Return the state of the cluster of an open ledger, with times as datetime.

    Raises
    ------
    OutOfReach
        If the database does not answer.
    """
    database, site = ledger.database, ledger.site
    return {
        **overview.facts_of(database),
        "ledger": "database",
        "site": site,
        "host": ledger.leases.holder.host,
        "lease_seconds": ledger.leases.seconds,
        "hosts": overview.hosts_of(database, site),
        "leases": overview.leases_of(database, site),
        "jobs": overview.jobs_of(database, site),
        "waits": overview.waits_of(database, site),
        **queue_facts(ledger),
    }


def queue_facts(ledger: DatabaseLedger) -> dict[str, list[dict[str, Any]]]:
    """Return the queues and the workers of a site, for status, page and metrics.

    Returns
    -------
    dict
        `queues`: for each with tasks its name, kind of work, host ("" for any), the numbers of
        tasks that wait, wait for a time in the future, and run, and the age of the oldest that
        waits, s. `workers`: host, pid, version, queues, parallel, running tasks, and seconds since
        they were active.
    """
    try:
        counts = WorkQueue(ledger.database, ledger.site).counts()
    except (LedgerError, ConfigError):  # no tables yet, or not installed
        counts = []
    queues = []
    for one in counts:
        kind, _, host = one.queue.partition("@")
        queues.append({**one._asdict(), "kind": kind, "host": host})
    workers = [
        {
            "host": one.host,
            "pid": one.pid,
            "version": str(one.facts.get("version", "")),
            "queues": one.queues,
            "parallel": int(one.facts.get("parallel", 0)),
            "running": list(one.facts.get("running", [])),
            "silent_seconds": one.silent_seconds,
        }
        for one in ledger.shared.workers()
    ]
    return {"queues": queues, "workers": workers}
