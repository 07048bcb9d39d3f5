"""A backup of the whole database with pg_dump, before its tables change."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.errors import ConfigError, LedgerError, OutOfReach
from drawcli.system.files import fresh_file

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database

_DEBIAN: Final = Path("/usr/lib/postgresql")  # each version in a folder of its own
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "password": "PGPASSWORD",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def dump(owner: "Database", target: Path) -> int:
    """Write a database into a new file for pg_restore, mode 0600; return its size in bytes.

    Connection and password go to pg_dump as environment, which other users cannot read.

    Raises
    ------
    ConfigError
        If the file exists, or there is no pg_dump.
    LedgerError
        If pg_dump fails; there is no file then.
    """
    if target.exists():
        raise ConfigError(f"{target} exists already", hint="Name another file with --backup.")
    given = owner.parameters()
    environment = {variable: str(given[n]) for n, variable in _VARIABLES.items() if n in given}
    with fresh_file(target) as stream:
        ended = subprocess.run(  # noqa: S603 - of PostgreSQL, without a shell
            [_program(), "--format=custom", "--no-password"],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
        if ended.returncode != 0:
            lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            said = lines[0] if lines else f"exit code {ended.returncode}"
            kind = OutOfReach if "connection" in said else LedgerError
            raise kind(
                f"{owner.name}: no backup could be made: {said}",
                hint="pg_dump should not be older than the server. Nothing was changed.",
            )
    return target.stat().st_size


def _program() -> str:
    found = shutil.which("pg_dump")
    versions = sorted(_DEBIAN.glob("*/bin/pg_dump"), key=lambda path: float(path.parts[-3]))
    if versions:
        return str(versions[-1])
    if found is None:
        raise ConfigError(
            "there is no pg_dump on this machine for the backup",
            hint="Install the client programs of PostgreSQL (Debian: postgresql-client).",
        )
    return found
