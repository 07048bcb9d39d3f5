"""A running PostgreSQL for a module's tests, and an empty database of it for each test."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from tests.postgres import Postgres, password_file, with_tables

_numbers = count(1)
Opened = Callable[..., DatabaseLedger]


@pytest.fixture
def server(postgres_server: Postgres) -> Postgres:
    return postgres_server


@pytest.fixture
def database(server: Postgres) -> str:
    name = f"ledger{next(_numbers)}"
    with_tables(server, name)
    return name


@pytest.fixture
def opened(server: Postgres, database: str) -> Iterator[Opened]:
    """Open the ledger of a site, as a host; closed at the end."""
    ledgers = []

    def open_(host: str = "host1", site: str = "north", seconds: float = 60) -> DatabaseLedger:
        cluster = Cluster(password_file=password_file(server))
        ledger = DatabaseLedger(
            Database(server.url(site, database), cluster), "", LeaseHolder.present(host), seconds
        )
        ledgers.append(ledger.__enter__())
        return ledger

    yield open_
    for ledger in ledgers:
        ledger.__exit__()
