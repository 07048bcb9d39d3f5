"""Sites and their roles in the database of the ledger, made by its owner."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from drawcli.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    from drawcli.adapters.ledger.postgres.database import Database

_USUAL_PORT: Final = "5432"
_POWERS: Final = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"


class AddedSite(NamedTuple):
    """What `add_site` has made; what was there already is false."""

    is_new: bool
    is_new_role: bool
    has_new_password: bool


def create_database(owner: "Database") -> bool:
    """Create the database of the owner; return False if it exists.

    Raises
    ------
    ConfigError
        If the owner may create none, or has no login.
    """
    from psycopg import sql

    name = owner.parameters().get("dbname")
    server = owner.another("postgres")
    if not name or server.rows("SELECT 1 FROM pg_database WHERE datname = %s", name):
        return False
    text = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
    server.rows(text.format(sql.Identifier(name)).as_string())
    return True


def address_of_role(owner: "Database", admin: str, role: str) -> str:
    """Return the address at which a role logs in with its password.

    An owner without a host uses the socket, where the server accepts only users of the system; the
    role then uses the loopback interface.
    """
    parts = urlsplit(admin)
    at = parts.netloc.rpartition("@")[2]
    if not at and not parts.query:
        [(port,)] = owner.rows("SHOW port")
        at = "127.0.0.1" if port == _USUAL_PORT else f"127.0.0.1:{port}"
    return parts._replace(netloc=f"{role}@{at}").geturl()


def role_exists(owner: "Database", role: str) -> bool:
    """Return whether the server has a role."""
    return bool(owner.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", role))


def add_site(owner: "Database", site: str, role: str, password: str | None) -> AddedSite:
    """Add a site and its login role, unless they exist; all of it in one transaction.

    The password is sent as SCRAM verifier, so that no log of the server has it. None leaves the
    password of an existing role as it is.

    Raises
    ------
    ConfigError
        If an existing role has rights with which it could read other sites.
    """
    from psycopg import sql

    name = sql.Identifier(role)

    def add(cursor: "psycopg.Cursor[Any]") -> AddedSite:
        cursor.execute(f"SELECT {_POWERS} FROM pg_roles WHERE rolname = %s".encode(), (role,))
        there = cursor.fetchone()
        if there and there[0]:
            raise ConfigError(
                f"role '{role}' may do more than the role of a site may",
                hint="Name another role with --role, or take its attributes away (ALTER ROLE).",
            )
        if not there:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        cursor.execute(sql.SQL("GRANT drawcli_site TO {}").format(name))
        if password is not None:
            encrypted = cursor.connection.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            )
            text = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            cursor.execute(text.format(name, sql.Literal(encrypted.decode())))
        cursor.execute(
            "INSERT INTO drawcli.site (site) VALUES (%s) ON CONFLICT DO NOTHING", (site,)
        )
        is_new = cursor.rowcount == 1
        cursor.execute(
            "INSERT INTO drawcli.site_role (role, site) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (role, site),
        )
        return AddedSite(is_new, not there, password is not None)

    return owner.run(add)
