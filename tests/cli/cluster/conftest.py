"""An empty database for the commands of the cluster."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.cli.conftest import Ended, Run
from tests.conftest import Site
from tests.postgres import Postgres, password_file, with_tables

_numbers = count(1)
Owner = Callable[..., Ended]


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    """Create an empty database; the roles made for it are of the server, so they are dropped."""
    name = f"cluster{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    before = _roles(postgres_server)
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for role in _roles(postgres_server) - before - {"drawcli_site", "drawcli_group"}:
        postgres_server.execute(f'DROP ROLE "{role}"')


def _roles(server: Postgres) -> set[str]:
    return {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}


@pytest.fixture
def by_owner(drawcli: Run, postgres_server: Postgres, database: str) -> Owner:
    """Return a function that runs `drawcli cluster ...` as the owner of the database."""
    admin = ("--admin", postgres_server.url(database=database))
    secret = ("--password-file", str(password_file(postgres_server)))
    return lambda *words: drawcli("cluster", *words, *admin, *secret)


@pytest.fixture
def address(postgres_server: Postgres, site: Site) -> Iterator[str]:
    """Return the address of a database with the site `north`; the settings name its password."""
    name = f"filled{next(_numbers)}"
    with_tables(postgres_server, name)
    password = password_file(postgres_server)
    site.add_line(f"cluster: {{password_file: '{password}'}}")
    yield postgres_server.url("north", name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
