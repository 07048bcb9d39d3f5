"""The machines of a site in the database of the ledger, as plain values."""

from typing import TYPE_CHECKING, Any, Final

from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, State

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_REST: Final = sorted({*FINISHED, *RULES_DECIDE, State.WAITING})  # without a step that is due
_LONGEST: Final = 1000  # open leases that are listed
# Leases are in no index, so that a claim touches none: only jobs that are not archived are read.
_HOSTS: Final = """
SELECT host, version, started_at, seen_at,
  extract(epoch FROM drawcli.clock() - seen_at)::float8, coalesce(claimed.jobs, 0), facts
FROM drawcli.host LEFT JOIN (
  SELECT lease_host, count(*) AS jobs FROM drawcli.job
  WHERE site = %s AND month IS NULL AND lease_until > drawcli.clock() GROUP BY lease_host
) AS claimed ON lease_host = host
WHERE site = %s ORDER BY host
"""
_LEASES: Final = f"""
SELECT id, state, lease_host, lease_pid, lease_until,
  extract(epoch FROM lease_until - drawcli.clock())::float8
FROM drawcli.job WHERE site = %s AND month IS NULL AND lease_until > drawcli.clock()
ORDER BY lease_until, id LIMIT {_LONGEST}
"""
_JOBS: Final = """
SELECT state, count(*), count(*) FILTER (WHERE held),
  count(*) FILTER (WHERE NOT held AND NOT state = ANY(%s)
    AND (due_at IS NULL OR due_at <= drawcli.clock())), min(since)
FROM drawcli.job WHERE site = %s AND month IS NULL GROUP BY state ORDER BY state
"""
_SERVER: Final = """
SELECT current_setting('server_version'), current_user::text, pg_is_in_recovery(), drawcli.clock(),
  (SELECT max(version) FROM drawcli.schema_version)
"""
_WAITS: Final = """
SELECT server, until, reason FROM drawcli.server_wait
WHERE site = %s AND until > drawcli.clock() ORDER BY server
"""


def facts_of(database: "Database") -> dict[str, Any]:
    """Return version, role and clock of the database."""
    [(version, role, is_standby, clock, tables)] = database.rows(_SERVER)
    return {
        "database": database.name,
        "server_version": version.partition(" ")[0],
        "tables": tables,
        "role": role,
        "standby": is_standby,
        "clock": clock,
    }


def hosts_of(database: "Database", site: str) -> list[dict[str, Any]]:
    """Return the hosts of a site: name, version, times, seconds since last active, leases."""
    names = ("host", "version", "started_at", "seen_at", "silent_seconds", "leases", "facts")
    return _named(names, database.rows(_HOSTS, site, site))


def leases_of(database: "Database", site: str) -> list[dict[str, Any]]:
    """Return the claimed jobs of a site, sorted by the end of their lease."""
    names = ("job", "state", "host", "pid", "until", "seconds_left")
    return _named(names, database.rows(_LEASES, site))


def jobs_of(database: "Database", site: str) -> list[dict[str, Any]]:
    """Return the numbers of jobs of a site that are not archived, by state."""
    names = ("state", "jobs", "held", "due", "oldest")
    return _named(names, database.rows(_JOBS, _REST, site))


def waits_of(database: "Database", site: str) -> list[dict[str, Any]]:
    """Return the servers that asked the site to wait."""
    return _named(("server", "until", "reason"), database.rows(_WAITS, site))


def _named(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
