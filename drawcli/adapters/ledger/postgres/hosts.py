"""The hosts of a site in the database: each writes the time when it was last active."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from drawcli import __version__
from drawcli.errors import ConfigError
from drawcli.system.durations import duration

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.claims import LeaseHolder
    from drawcli.adapters.ledger.postgres.database import Database

CLOCK_SECONDS: Final = 1800.0  # that the clocks of a host and of the database may differ
# Site, host, boot, version, and twice the facts; NULL: they stay as they are.
SEEN: Final = """
INSERT INTO drawcli.host (site, host, boot, version, started_at, seen_at, facts)
VALUES (%s, %s, %s, %s, drawcli.clock(), drawcli.clock(), coalesce(%s, '{}'))
ON CONFLICT (site, host) DO UPDATE SET seen_at = excluded.seen_at, version = excluded.version,
  boot = excluded.boot, facts = coalesce(%s, drawcli.host.facts), started_at = CASE
    WHEN drawcli.host.boot = excluded.boot THEN drawcli.host.started_at ELSE excluded.started_at END
"""


def check_clock(database: "Database", now: float | None = None) -> None:
    """Check the clock of this host against that of the database; `now` is that of the host, s.

    A few minutes do no harm. With hours, a job would be given up before its deadline.

    Raises
    ------
    ConfigError
        If they differ by more than CLOCK_SECONDS.
    """
    [(there,)] = database.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    off = (time.time() if now is None else now) - float(there)
    if abs(off) > CLOCK_SECONDS:
        side = "ahead of" if off > 0 else "behind"
        span = duration(timedelta(seconds=abs(off)))
        raise ConfigError(
            f"the clock of this host is {span} {side} that of {database.name}",
            code="clock",
            hint="One of them is wrong: check 'timedatectl' on both, and set them by NTP. Until "
            "then this host does nothing, and no job is lost.",
        )


def note_host(database: "Database", site: str, holder: "LeaseHolder") -> None:
    """Record that a host is active now, by the clock of the database."""
    database.rows(SEEN, site, holder.host, holder.boot, __version__, None, None)
