"""The id of the site key in the database: hosts with another key would send all series again."""

from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.ledger.postgres.site_values import read_value
from drawcli.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger

_NAME: Final = "site-key-id"
_READ: Final = b"SELECT value FROM drawcli.site_state WHERE site = %s AND name = %s FOR SHARE"
_WRITE: Final = """
INSERT INTO drawcli.site_state (site, name, value) VALUES (%s, %s, %s)
ON CONFLICT (site, name) DO UPDATE SET value = excluded.value, set_at = clock_timestamp()
WHERE drawcli.site_state.value = %s
"""


def recorded_key(ledger: "DatabaseLedger") -> str:
    """Return the id of the key of the site; "" if no host has joined yet."""
    return read_value(ledger.database, ledger.site, _NAME) or ""


def record_key(ledger: "DatabaseLedger", key_id: str, former: str) -> None:
    """Record the id of the key of the site, unless another host has replaced the former one."""
    ledger.database.rows(_WRITE, ledger.site, _NAME, key_id, former)


def check_key(cursor: "psycopg.Cursor[Any]", site: str, key_id: str) -> None:
    """Check in a transaction that a key is that of the site, which cannot change until its end.

    Parameters
    ----------
    cursor
        The cursor of the transaction.
    site
        The site whose key is compared.
    key_id
        The key of this host; "" if it has not joined the site: then nothing is checked.

    Raises
    ------
    ConfigError
        If another host has replaced the key since this process read it.
    """
    if not key_id:
        return
    cursor.execute(_READ, (site, _NAME))
    there = cursor.fetchone()
    if there is not None and there[0] != key_id:
        raise other_key(key_id, str(there[0]))


def other_key(here: str, there: str) -> ConfigError:
    """Return the error of a host whose site key is not that of the site, by the ids of both."""
    return ConfigError(
        f"the site key here ({here}) is not that of the other hosts ({there}): it was replaced "
        "there, or is the key of another site",
        code="site-key",
        hint="Copy site.key and site.key.* from the state_dir of a host that works to the one "
        "here, mode 0600, or set site_key_command as on that host; then start again.",
    )
