"""The options of the commands that the owner of the database runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.errors import UsageError

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

AdminOption = Annotated[
    str,
    typer.Option(
        "--admin",
        help="The database and its owner: postgresql://OWNER@HOST:PORT/DATABASE, no password.",
        metavar="URL",
    ),
]
OwnPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="File with the password of the owner, mode 0600; by default PGPASSWORD or ~/.pgpass.",
        metavar="FILE",
    ),
]


def owner_of(address: str, password_file: Path | None) -> "Database":
    """Return the database of an address, to be entered as its owner."""
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_cluster import Cluster, ledger_address

    try:
        checked = ledger_address(address)
    except ValueError as err:
        said = str(err).partition(":")[0].partition(", or be left out")[0]
        raise UsageError(
            f"--admin {said}",
            hint="The password comes by --password-file, PGPASSWORD or ~/.pgpass.",
        ) from None
    if not checked:
        raise UsageError("--admin is empty", hint="Give postgresql://OWNER@HOST:PORT/DATABASE.")
    return Database(checked, Cluster(password_file=password_file), seconds=None)
