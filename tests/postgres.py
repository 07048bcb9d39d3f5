"""PostgreSQL of Debian on loopback, for the tests of a ledger in a database."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.ports import free_port

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda p: p.parts[-2])
needs_postgres = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
OWNER = "owner"
PASSWORD = "only for tests"


@dataclass
class Postgres:
    """A running PostgreSQL server with the role `owner`, who may create roles and databases."""

    port: int
    data: Path

    def url(self, user: str = OWNER, database: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute statements as the owner; return the rows of the last one."""
        import psycopg

        where = f"{self.url(database=database)}?password={PASSWORD.replace(' ', '%20')}"
        with psycopg.connect(where, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def speaking_tls(self, cert: Path, key: Path) -> Iterator[None]:
        """Accept TLS, besides connections without it, during a block."""
        for path, name in ((cert, "server.crt"), (key, "server.key")):
            copy = self.data / name
            shutil.copy(path, copy)
            shutil.chown(copy, self.data.owner(), self.data.group())
            copy.chmod(0o600)
        self.execute("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        try:
            while self.execute("SHOW ssl")[0][0] != "on":
                pass
            yield
        finally:
            self.execute("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")

    def stop(self, mode: str = "fast") -> None:
        _as_postgres("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def start(self) -> None:
        log = self.data.parent / "log"
        _as_postgres("pg_ctl", "-D", str(self.data), "-l", str(log), "-w", "start")


@contextmanager
def postgres(folder: Path, *, durable: bool = False, **settings: Any) -> Iterator[Postgres]:
    """Run PostgreSQL in a new folder; `durable` with fsync."""
    if os.geteuid() == 0:  # PostgreSQL refuses root, so another user must reach the folder, and
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest closes its own to others
        folder.chmod(0o711)
    folder.mkdir(parents=True, exist_ok=True)
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(secret, "postgres")
    _as_postgres(
        "initdb",
        *("-D", str(data), "-U", OWNER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        *("--auth=scram-sha-256", f"--pwfile={secret}"),
    )
    running = Postgres(free_port(), data)
    given = {
        "port": running.port,
        "listen_addresses": "'127.0.0.1'",
        "unix_socket_directories": "''",
        "fsync": "on" if durable else "off",
        "shared_buffers": "'32MB'",
        "max_connections": 100,
    } | settings
    with (data / "postgresql.conf").open("a") as stream:
        stream.writelines(f"{name} = {value}\n" for name, value in given.items())
    running.start()
    try:
        yield running
    finally:
        with suppress(subprocess.CalledProcessError):
            running.stop("immediate")
        if os.geteuid() == 0:
            shutil.rmtree(folder, ignore_errors=True)


def _as_postgres(program: str, *words: str) -> None:
    assert PROGRAMS is not None
    command = [str(PROGRAMS / program), *words]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    subprocess.run(
        command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def postgres_user() -> bool:
    """Return whether there is the user that PostgreSQL runs as."""
    with suppress(KeyError):
        return bool(pwd.getpwnam("postgres"))
    return False


SITES = ("north", "south")


def with_tables(server: Postgres, name: str) -> None:
    """Create a database with the tables of drawcli and two sites, each with a role of its name.

    One that is there is replaced: a test that is run again begins with an empty one.
    """
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.ledger.postgres.schema import migrate
    from drawcli.config.sections_cluster import Cluster

    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    with Database(server.url(database=name), Cluster(password_file=password_file(server))) as owner:
        migrate(owner)
    for site in SITES:
        there = server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{site}'")
        if not there:
            server.execute(f"CREATE ROLE {site} IN ROLE drawcli_site")
        server.execute(f"ALTER ROLE {site} LOGIN PASSWORD '{PASSWORD}'")
        server.execute(
            f"INSERT INTO drawcli.site VALUES ('{site}')",
            f"INSERT INTO drawcli.site_role VALUES ('{site}', '{site}')",
            database=name,
        )


def site_lines(server: Postgres) -> list[str]:
    """Add a site to a database with tables; return the settings of a host of it."""
    name, database = f"site-{uuid4().hex[:12]}", "pipelines"
    if not server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
        with_tables(server, database)
    server.execute(
        f"INSERT INTO drawcli.site VALUES ('{name}')",
        f"INSERT INTO drawcli.site_role VALUES ('{SITES[0]}', '{name}')",
        database=database,
    )
    return [
        f"ledger: {server.url(SITES[0], database)}",
        f"cluster: {{site: {name}, host: host1, password_file: {password_file(server)}}}",
    ]


def password_file(server: Postgres) -> Path:
    """Return a file with the password of all roles, mode 0600, of this user."""
    path = server.data.parent / "password-of-roles"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(PASSWORD)
    return path


def opened_ledger(
    address: str, secret: Path, host: str = "host1", seconds: float = 60
) -> "DatabaseLedger":
    """Return a ledger in a database, of a host, to be entered."""
    from drawcli.adapters.ledger.postgres.claims import LeaseHolder
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.config.sections_cluster import Cluster

    database = Database(address, Cluster(password_file=secret))
    return DatabaseLedger(database, "", LeaseHolder.present(host), seconds)


def emptied(server: Postgres, name: str) -> str:
    """Return the name of a database with tables, two sites and no jobs; it is made once."""
    if not server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        with_tables(server, name)
    server.execute(
        "TRUNCATE drawcli.job, drawcli.job_file, drawcli.host, drawcli.server_wait, drawcli.slot, "
        "drawcli.site_state",
        database=name,
    )
    return name
