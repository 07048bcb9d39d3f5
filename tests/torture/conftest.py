"""Worlds to go wrong in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drawcli.adapters.state.site_key import make_site_key
from tests.conftest import Site
from tests.fake_draw import FakeDraw
from tests.torture.kit import Bench, Forge, Troubled, World, listening

Make = Callable[..., World]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with benched(tmp_path_factory.mktemp("torture"), Forge()) as made:
        yield made


@contextmanager
def benched(folder: Path, forge: Forge) -> Iterator[Bench]:
    """Serve worlds that are made in a folder, and close the forge at the end."""
    with listening() as (url, at):
        yield Bench(folder, url, at, forge)
    forge.close()


@pytest.fixture
def world(bench: Bench, tmp_path: Path) -> Make:
    """Return what makes a fresh world; a fault of the server may be ordered."""

    def make(fault: str = "", at: int = 0) -> World:
        bench.made += 1
        site = Site(tmp_path / f"site-{bench.made}")
        site.store.mkdir(parents=True)
        root = Path(__file__).parents[2]
        for name in ("rules.yaml", "templates.yaml"):
            (site.folder / name).write_bytes((root / name).read_bytes())
        site.config.write_text(
            "datastore: store\nstate_dir: state\nscan: {quiet_minutes: 0}\n"
            f"server: {{url: '{bench.url}', client_id: ward-7}}\n"
        )
        token = site.folder / "token.json"
        token.write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
        token.chmod(0o600)
        make_site_key(site.state)
        server = Troubled(FakeDraw(), fault, at)
        bench.at["now"] = server
        return World(site, bench.store(), server, bench.forge)

    return make
