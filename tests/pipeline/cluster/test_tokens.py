"""The hosts of a site share one token pair: what one renews, the others use."""

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.site_key import make_site_key
from drawcli.config.sections_cluster import Cluster
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import ConfigError, OutOfReach
from drawcli.pipeline.cluster.tokens import SharedTokens, site_tokens
from drawcli.pipeline.context import open_context
from tests.conftest import Site, made_site
from tests.postgres import Postgres, needs_postgres, password_file, with_tables
from tests.waiting import PATIENCE

pytestmark = needs_postgres
NEW = Tokens(access="access-2", refresh="refresh-2", expires_at=None)


@pytest.fixture
def address(postgres_server: Postgres) -> Iterator[str]:
    with_tables(postgres_server, "tokens")
    yield postgres_server.url("north", "tokens")
    postgres_server.execute("DROP DATABASE tokens WITH (FORCE)")


def shared(site: Site, address: str, server: Postgres) -> SharedTokens:
    cluster = Cluster(password_file=password_file(server))
    store = site_tokens(site.settings().replace(ledger=address, cluster=cluster))
    assert isinstance(store, SharedTokens)
    return store


@pytest.fixture
def hosts(
    site: Site, address: str, postgres_server: Postgres, tmp_path: Path
) -> list[SharedTokens]:
    """Return the stores of two hosts with the same site key; only the first has a token file."""
    other = made_site(tmp_path / "other")
    (other.state / "site.key").write_bytes((site.state / "site.key").read_bytes())
    (other.folder / "token.json").unlink()
    return [shared(one, address, postgres_server) for one in (site, other)]


def test_a_pair_that_one_host_stores_is_read_by_another(
    hosts: list[SharedTokens], site: Site
) -> None:
    first, second = hosts
    with pytest.raises(ConfigError, match="there is no token"):
        second.read()
    old = first.read()
    with first.locked():
        first.begin_exchange(old, datetime.now(UTC))
        first.write(NEW)

    assert old == TokenFile(site.folder / "token.json").load()
    assert second.read() == first.read() == NEW


def test_the_database_has_the_pair_only_sealed(
    hosts: list[SharedTokens], postgres_server: Postgres
) -> None:
    hosts[0].write(NEW)

    [(value,)] = postgres_server.execute(
        "SELECT value FROM drawcli.site_state WHERE name = 'tokens'", database="tokens"
    )
    assert "access-2" not in value
    assert b"access-2" not in base64.b64decode(value)


def test_a_pair_of_another_site_key_or_a_damaged_one_is_reported(
    hosts: list[SharedTokens], address: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    hosts[0].write(NEW)
    stranger = made_site(tmp_path / "stranger")
    make_site_key(stranger.state)

    with pytest.raises(ConfigError, match="cannot be used"):
        shared(stranger, address, postgres_server).read()
    postgres_server.execute(
        "UPDATE drawcli.site_state SET value = 'eHh4' WHERE name = 'tokens'", database="tokens"
    )
    with pytest.raises(ConfigError, match="cannot be used"):
        hosts[1].read()


def test_one_host_at_a_time_renews_the_pair(hosts: list[SharedTokens]) -> None:
    first, second = hosts
    inside, most = [], []

    def renew(store: SharedTokens) -> None:
        for _ in range(5):
            with store.locked():
                inside.append(store)
                most.append(len(inside))
                inside.remove(store)

    threads = [threading.Thread(target=renew, args=(one,)) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert len(most) == 10
    assert max(most) == 1


def test_without_the_database_there_are_no_tokens(site: Site, postgres_server: Postgres) -> None:
    store = shared(site, "postgresql://north@127.0.0.1:9/tokens", postgres_server)

    with pytest.raises(OutOfReach):
        store.read()


def test_a_site_may_keep_a_pair_on_each_host(site: Site, address: str) -> None:
    settings = site.settings().replace(ledger=address, cluster=Cluster(share_tokens=False))

    assert isinstance(site_tokens(settings), TokenFile)
    assert isinstance(site_tokens(site.settings()), TokenFile)


def test_a_token_file_that_a_user_changes_replaces_the_shared_pair(
    hosts: list[SharedTokens], site: Site
) -> None:
    first, second = hosts
    first.read()
    first.write(NEW)
    second.read()
    (site.folder / "token.json").write_text('{"access_token": "a-3", "refresh_token": "r-3"}')

    assert first.read().access == "a-3"
    assert second.read().access == "a-3"
    first.write(NEW)
    assert first.read() == NEW  # the file is not taken twice


def test_a_run_reads_them_by_the_connection_of_its_ledger(
    site: Site, address: str, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new connection costs a login, and a start of `password_command`."""
    cluster = Cluster(password_file=password_file(postgres_server))
    settings = site.settings().replace(ledger=address, cluster=cluster)
    opened: list[Database] = []
    real = Database.parameters

    def parameters(database: Database) -> dict[str, Any]:
        opened.append(database)
        return real(database)

    monkeypatch.setattr(Database, "parameters", parameters)
    with open_context(settings) as ctx:
        begun = len(opened)
        old = ctx.tokens.read()
        assert ctx.tokens.read() == old
        assert len(opened) == begun
        with ctx.tokens.locked():
            ctx.tokens.begin_exchange(old, datetime.now(UTC))
            ctx.tokens.write(NEW)
        assert len(opened) == begun + 1  # the lock
        assert ctx.tokens.read() == NEW
