"""Connections to the database of the ledger."""

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from drawcli.adapters.ledger.postgres.failures import TryAgain, as_own, as_unconnected
from drawcli.config.sections_cluster import Cluster, database_in_words
from drawcli.system.addresses import LOOPBACK
from drawcli.system.network.cluster_limits import (
    DATABASE_CONNECT_SECONDS,
    DATABASE_GRACE_SECONDS,
    DATABASE_STATEMENT_SECONDS,
)
from drawcli.system.network.idle_connections import has_news
from drawcli.system.network.secret_source import SecretSource
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

T = TypeVar("T")
_LONGEST_PASSWORD: Final = 1000
_FIXED: Final = {
    "connect_timeout": DATABASE_CONNECT_SECONDS,
    "keepalives_idle": 10,  # a peer that vanishes is noticed after half a minute
    "keepalives_interval": 10,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "client_encoding": "utf-8",
}


class Transport(NamedTuple):
    """How a connection is protected on its way."""

    crosses_network: bool  # it leaves this machine, or may, by one of the hosts in its address
    mode: str  # sslmode of libpq
    is_encrypted: bool  # by TLS, now


class Database:
    """One connection, opened on first use and again after it broke; threads take turns.

    Parameters
    ----------
    address
        postgresql://user@host:port/database
    cluster
        The settings, with the source of the password.
    seconds
        The longest time of a statement; None for the owner, whose changes of tables take long.
    """

    def __init__(
        self, address: str, cluster: Cluster, *, seconds: float | None = DATABASE_STATEMENT_SECONDS
    ) -> None:
        self._address, self._cluster, self._seconds = address, cluster, seconds
        self.name = database_in_words(address)
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._others: list[Database] = []

    def another(self, database: str = "") -> "Database":
        """Return a second connection, to another database if named; it is closed with this one."""
        address = self._address
        if database:
            address = urlsplit(address)._replace(path=f"/{database}").geturl()
        other = Database(address, self._cluster, seconds=self._seconds)
        self._others.append(other)
        return other

    def __enter__(self) -> Self:
        """Return itself; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection, and those of `another`."""
        for other in self._others:
            other.__exit__()
        self._close()

    def _close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def run(self, work: "Callable[[psycopg.Cursor[Any]], T]") -> T:
        """Return what `work` returns for a cursor in a transaction, which is committed.

        It is repeated once if the connection broke or another transaction conflicted. As the answer
        to a commit may be lost, `work` must detect what it has done already.

        Raises
        ------
        OutOfReach
            If the database does not answer; whether the transaction was committed is unknown.
        ConfigError
            If it refuses the login.
        LedgerError
            If it refuses the statement.
        """
        try:
            return self.run_once(work)
        except TryAgain:
            return self.run_once(work)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; values are its parameters, %s in the text.

        It is sent again, once, after the connection broke, so it must be one that may be done
        twice. Raises as `run`.
        """
        try:
            return self.rows_once(query, *values)
        except TryAgain:
            return self.rows_once(query, *values)

    def rows_once(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, a transaction of its own, which is sent once.

        Raises
        ------
        TryAgain
            If the answer is lost: it may have been done or not.
        """
        with self._connected() as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def run_once(self, work: "Callable[[psycopg.Cursor[Any]], T]") -> T:
        """Return what `work` returns for a cursor in a transaction, which is tried once.

        Raises
        ------
        TryAgain
            If the answer is lost: it may have been committed or not.
        """
        with (
            self._connected() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            return work(cursor)

    @contextmanager
    def _connected(self) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
        """Hold the connection during a block; errors of psycopg become our own."""
        import psycopg

        with self._lock:
            connection = self._opened()
            try:
                yield connection
            except psycopg.Error as err:
                raise self._failure(err) from None

    def _failure(self, err: "psycopg.Error") -> Exception:
        """Return the error for one of psycopg; a connection that broke is closed."""
        failure = as_own(err, self.name)
        if isinstance(failure, TryAgain):
            with suppress(Exception):
                self._close()
            self._connection = None
        return failure

    def _opened(self) -> "psycopg.Connection[tuple[Any, ...]]":
        known = self._connection
        if known is not None and not known.closed and not has_news(known.pgconn.socket):
            return known
        self._close()
        try:
            import psycopg

            from drawcli.adapters.ledger.postgres.connection import connection_class
        except ImportError:
            raise not_installed("ledger: postgresql://", "cluster") from None
        limit = None if self._seconds is None else self._seconds + DATABASE_GRACE_SECONDS
        try:
            self._connection = connection_class(limit).connect(**self.parameters(), autocommit=True)
        except psycopg.Error as err:
            raise as_unconnected(err, self.name) from None
        return self._connection

    def parameters(self) -> dict[str, Any]:
        """Return the connection parameters, with the password, for libpq."""
        parts = urlsplit(self._address)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        named: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "dbname": parts.path.strip("/") or None,
            "password": self._password() or None,
        }
        longest = round(1000 * (self._seconds or 0))
        fixed: dict[str, Any] = _FIXED | {
            "application_name": f"drawcli {os.getpid()}",
            "options": f"-c statement_timeout={longest} -c timezone=UTC -c jit=off",
        }
        known = {name: value for name, value in named.items() if value is not None} | given
        if crosses_network(known) and "service" not in given:
            fixed["sslmode"] = "verify-full"
        return fixed | known

    def transport(self) -> Transport:
        """Return how the open connection is protected, also by a service or the environment.

        Raises as `run`.
        """
        given = self.parameters()
        with self._connected() as connection:
            own = {one.keyword: (one.val or b"").decode() for one in connection.pgconn.info}
            return Transport(
                crosses_network=crosses_network(given) or crosses_network({"host": own[b"host"]}),
                mode=own[b"sslmode"],
                is_encrypted=connection.pgconn.ssl_in_use,
            )

    def _password(self) -> str:
        return SecretSource(
            file=self._cluster.password_file,
            command=self._cluster.password_command,
            what="password",
            file_setting="cluster.password_file",
            command_setting="cluster.password_command",
            longest=_LONGEST_PASSWORD,
        ).read()


def crosses_network(parameters: dict[str, Any]) -> bool:
    """Return whether a connection leaves this machine, by the hosts of its parameters.

    >>> crosses_network({}), crosses_network({"host": "/run/postgresql,localhost"})
    (False, False)
    >>> crosses_network({"host": "localhost,db.example"})
    True
    """
    hosts = str(parameters.get("host", "")).split(",")
    return any(host and not host.startswith("/") and host not in LOOPBACK for host in hosts)
