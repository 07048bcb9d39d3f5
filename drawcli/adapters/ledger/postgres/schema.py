"""The tables of the ledger in PostgreSQL: their version, and the steps to it, forward only."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from drawcli.errors import AnotherRun, LedgerError

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.database import Database

_LOCK: Final = 0x64726177  # of pg_advisory_xact_lock: one migration at a time


def migrations() -> dict[int, str]:
    """Return the SQL of each version of the tables, in order."""
    folder = files("drawcli.adapters.ledger.postgres").joinpath("migrations")
    found = (path for path in folder.iterdir() if path.name.endswith(".sql"))
    return {int(path.name[:4]): path.read_text("utf-8") for path in sorted(found, key=str)}


def version_of(database: "Database") -> int:
    """Return the version of the tables; 0 if there are none."""
    [(table,)] = database.rows("SELECT to_regclass('drawcli.schema_version')")
    if table is None:
        return 0
    return int(database.rows("SELECT max(version) FROM drawcli.schema_version")[0][0] or 0)


def check_version(database: "Database") -> None:
    """Raise LedgerError if the tables are of another version than this drawcli needs."""
    there, needed = version_of(database), max(migrations())
    if there == needed:
        return
    if there > needed:
        raise LedgerError(
            f"{database.name} was migrated by a newer drawcli (version {there}, here {needed})",
            hint="Install that version of drawcli on this machine, too.",
        )
    what = "has no tables of drawcli" if there == 0 else f"has tables of version {there}"
    raise LedgerError(
        f"{database.name} {what}; this drawcli needs version {needed}",
        hint="Run 'drawcli cluster init' or 'drawcli cluster upgrade' as its owner.",
    )


def missing_versions(database: "Database") -> list[int]:
    """Return the versions that `migrate` would apply.

    Raises
    ------
    LedgerError
        If the tables are of a newer drawcli.
    """
    there, known = version_of(database), [*migrations()]
    if there > max(known):
        check_version(database)
    return [version for version in known if version > there]


def migrate(database: "Database") -> list[int]:
    """Apply the missing steps in one transaction, as the owner; return their versions.

    Raises
    ------
    AnotherRun
        If a host works on a job: a step that began before could not be stored after.
    """

    def apply(cursor: "psycopg.Cursor[Any]") -> list[int]:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        cursor.execute("SELECT to_regclass('drawcli.schema_version')")
        [table] = cursor.fetchone() or [None]
        there = 0
        if table is not None:
            cursor.execute("SELECT coalesce(max(version), 0) FROM drawcli.schema_version")
            [there] = cursor.fetchone() or [0]
        missing = {version: text for version, text in migrations().items() if version > there}
        if there and missing:
            cursor.execute("LOCK TABLE drawcli.job IN ACCESS EXCLUSIVE MODE")
            _check_idle(cursor, database.name)
        for version, text in missing.items():
            cursor.execute(text.encode())
            cursor.execute("INSERT INTO drawcli.schema_version (version) VALUES (%s)", (version,))
        return list(missing)

    return database.run(apply)


def check_idle(database: "Database") -> None:
    """Raise AnotherRun if a host works on a job now, before a backup that may take long."""
    database.run(lambda cursor: _check_idle(cursor, database.name))


def _check_idle(cursor: "psycopg.Cursor[Any]", name: str) -> None:
    """Raise AnotherRun if a host works on a job; none can begin if the table is locked."""
    cursor.execute(
        "SELECT DISTINCT site, lease_host FROM drawcli.job WHERE lease_until > drawcli.clock()"
    )
    if busy := sorted(f"{site}/{host}" for site, host in cursor.fetchall()):
        raise AnotherRun(
            f"{name} is in use: {', '.join(busy)} works on jobs",
            hint="Stop the workers and runs of all hosts, then run the command again.",
        )
