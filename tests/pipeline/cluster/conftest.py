"""Hosts of one site: each with a state folder of its own, one database, datastore and server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.site_key import site_key_path
from drawcli.pipeline.context import Context, open_context
from tests.conftest import Clock, Site, made_site
from tests.fake_draw import FakeDraw
from tests.postgres import Postgres, password_file, with_tables

_numbers = count(1)
Hosts = Callable[..., AbstractContextManager[Context]]


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    name = f"hosts{next(_numbers)}"
    with_tables(postgres_server, name)
    return name


def made_host(folder: Path, site: Site, name: str, database: tuple[str, Path], more: str) -> Site:
    """Make another host of a site: its own settings and state folder, the same site key."""
    ledger, password = database
    host = made_site(folder / name)
    plain = site.config.read_text().replace("datastore: store", f"datastore: {site.store}")
    host.config.write_text(
        f"{plain}ledger: {ledger}\n"
        f"cluster: {{site: north, host: {name}, password_file: {password}, {more}}}\n",
        encoding="utf-8",
    )
    site_key_path(host.state).write_bytes(site_key_path(site.state).read_bytes())
    return host


@pytest.fixture
def work() -> str:
    """Return the settings of a host that say where the work folders are."""
    return "work: host"


@pytest.fixture
def host(
    site: Site, postgres_server: Postgres, database: str, tmp_path: Path, work: str
) -> Callable[[str], Site]:
    """Return a function that returns a host of the site by its name."""
    made: dict[str, Site] = {}
    reached = postgres_server.url("north", database), password_file(postgres_server)

    def of(name: str) -> Site:
        if name not in made:
            made[name] = made_host(tmp_path, site, name, reached, work)
        return made[name]

    return of


@pytest.fixture
def on(host: Callable[[str], Site], draw: FakeDraw, clock: Clock) -> Hosts:
    """Return a function that opens the site on a host, with the server in memory."""

    @contextmanager
    def open_(name: str) -> Iterator[Context]:
        with at_host(host(name), draw, clock) as ctx:
            yield ctx

    return open_


@contextmanager
def at_host(host: Site, draw: FakeDraw, clock: Clock) -> Iterator[Context]:
    settings = host.settings()
    tokens = TokenFile(settings.server.token_file)
    client = httpx.Client(transport=httpx.MockTransport(draw))
    with open_context(settings, clock.now) as ctx, client:
        server = DrawServer(client, settings.server, tokens, clock.now)
        server.pause = lambda _seconds: None
        vars(ctx).update(tokens=tokens, server=server)
        ctx.ledger.beat()
        yield ctx


def gone(server: Postgres, database: str, host: str) -> None:
    """Make a host inactive for an hour."""
    server.execute(
        f"UPDATE drawcli.host SET seen_at = seen_at - interval '1 hour' WHERE host = '{host}'",
        database=database,
    )
