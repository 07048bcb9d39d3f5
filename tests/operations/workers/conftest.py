"""A site with ledger and queues in PostgreSQL, a sandbox as its server; hosts are processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.work_queue.tables import install_queues
from drawcli.config.sections_cluster import Cluster
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import Site, made_site
from tests.postgres import Postgres, password_file, with_tables
from tests.waiting import wait_until

_numbers = count(1)


@dataclass
class Host:
    """A machine of the site: a state folder of its own, the same settings and key."""

    name: str
    site: Site
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def worker(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `drawcli worker`."""
        command = [sys.executable, "-m", "drawcli", "worker", "-c", str(self.site.config), *words]
        with (self.site.folder / "said").open("ab") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said)
        self.processes.append(process)
        return process

    @property
    def said(self) -> str:
        """What its workers have written to the terminal."""
        return (self.site.folder / "said").read_text()


@dataclass
class Ward:
    """A site of several hosts."""

    server: Postgres
    database: str
    folder: Path
    token: Path
    url: str
    hosts: dict[str, Host] = field(default_factory=dict)

    def host(self, name: str, **cluster: Any) -> Host:
        """Add a host; its datastore is that of the first."""
        site = made_site(self.folder / name)
        at_sandbox(site, self.url, self.token)
        first = next(iter(self.hosts.values()), None)
        facts = {
            "site": "north",
            "host": name,
            "password_file": str(password_file(self.server)),
            "lease_seconds": 5,
            **cluster,
        }
        text = site.config.read_text()
        if first is not None:
            text = text.replace("datastore: store", f"datastore: {first.site.store}")
            key = (first.site.state / "site.key").read_bytes()
            (site.state / "site.key").write_bytes(key)
        site.config.write_text(text)
        site.add_line(f"ledger: {self.server.url('north', self.database)}")
        site.add_line(f"cluster: {json.dumps(facts)}")
        self.hosts[name] = Host(name, site)
        return self.hosts[name]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query by the owner of the database."""
        return self.server.execute(query, database=self.database)

    def states(self) -> list[str]:
        return [state for (state,) in self.rows("SELECT state FROM drawcli.job ORDER BY id")]

    def wait_for(self, state: str, jobs: int, seconds: float = 120) -> None:
        wait_until(lambda: self.states() == [state] * jobs, seconds)


def made_database(server: Postgres) -> str:
    """Make a database with the tables of two sites and their queues."""
    name = f"workers{os.getpid()}x{next(_numbers)}"
    with_tables(server, name)
    secret = Cluster(password_file=password_file(server))
    with Database(server.url(database=name), secret) as owner:
        install_queues(owner)
    return name


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    name = made_database(postgres_server)
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ward(postgres_server: Postgres, database: str, tmp_path: Path) -> Iterator[Ward]:
    """Return a site without hosts; its server is a sandbox."""
    with running(tmp_path / "sandbox", options=SandboxOptions()) as sandbox:
        made = Ward(postgres_server, database, tmp_path, sandbox.token_file, sandbox.url)
        yield made
        for host in made.hosts.values():
            for process in host.processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
