"""The ledger of a site in PostgreSQL, by its settings."""

import os
import re
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.ledger.moves import FilePlace
from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.errors import ConfigError
from drawcli.system.files import make_private, rename_if_free, write_durably
from drawcli.system.platforms import fsync_folder

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_FILE: Final = "host.id"
_LONGEST: Final = 40  # characters of the name of the machine in it


def database_ledger(settings: "Settings", *, guard: bool = True) -> DatabaseLedger:
    """Return the ledger of a site in PostgreSQL, to be entered.

    Raises
    ------
    ConfigError
        If the state folder has a ledger of its own, unless `guard` is false. A ledger that was
        moved away from the database is refused when it is entered, with the same exception.
    """
    cluster = settings.cluster
    path = settings.state_dir / "ledger.json"
    if guard and FilePlace(path).exists():
        raise ConfigError(
            f"'ledger' names a database, and {path} has jobs: they would be sent again",
            code="two-ledgers",
            hint="Move them with 'drawcli ledger migrate --to ADDRESS', or move the file away. If "
            "a move to the file was interrupted: 'drawcli ledger migrate --to file' goes on.",
        )
    holder = LeaseHolder.present(cluster.host or host_name(settings.state_dir))
    database = Database(settings.ledger, cluster)
    ledger = DatabaseLedger(database, cluster.site, holder, cluster.lease_seconds)
    ledger.refuses_moved = guard
    return ledger


def host_name(state_dir: Path) -> str:
    """Return the name of this machine among those of a site, from state_dir/host.id.

    The first call makes it, from the name of the machine and a random number.
    """
    path = make_private(state_dir) / _FILE
    if not path.exists():
        short = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:_LONGEST]
        mine = path.with_name(f".{_FILE}.{os.getpid()}.tmp")
        write_durably(mine, f"{short or 'host'}-{secrets.token_hex(4)}\n".encode("ascii"))
        rename_if_free(mine, path)  # if two processes make one, the first is used
        mine.unlink(missing_ok=True)
        fsync_folder(state_dir)
    return path.read_text("ascii").strip()
