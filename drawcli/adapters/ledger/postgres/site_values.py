"""Small texts that a site keeps in the database: its tokens, and its summary for a group."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

SUMMARY: Final = "summary"  # which the view for groups shows
_SITE: Final = "coalesce(nullif(%s, ''), (SELECT site FROM drawcli.site))"  # "": the only one
_WRITE: Final = f"""
INSERT INTO drawcli.site_state (site, name, value) VALUES ({_SITE}, %s, %s)
ON CONFLICT (site, name) DO UPDATE SET value = excluded.value, set_at = clock_timestamp()
"""
_READ: Final = f"SELECT value FROM drawcli.site_state WHERE site = {_SITE} AND name = %s"
_LOCK: Final = f"SELECT pg_try_advisory_lock(hashtext({_SITE}), hashtext(%s))"
_SUMMARIES: Final = "SELECT site, value, set_at FROM drawcli.site_summary ORDER BY site"


def read_value(database: "Database", site: str, name: str) -> str | None:
    """Return a text of a site; None if it has none of this name."""
    found = database.rows(_READ, site, name)
    return str(found[0][0]) if found else None


def write_value(database: "Database", site: str, name: str, text: str) -> None:
    """Replace a text of a site; durable on return."""
    database.rows(_WRITE, site, name, text)


def try_lock(database: "Database", site: str, name: str) -> bool:
    """Return whether a lock of a site was taken; it ends with the connection."""
    return bool(database.rows_once(_LOCK, site, name)[0][0])


def read_summaries(database: "Database") -> list[tuple[str, bytes, datetime | None]]:
    """Return name, summary and time of each site; the time is None without a report."""
    return [(site, (text or "").encode(), at) for site, text, at in database.rows(_SUMMARIES)]
