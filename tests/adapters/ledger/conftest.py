"""An empty ledger: in a file, or in a file and in a database by turns."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.ledger import Ledger
from tests.postgres import (
    SITES,
    Postgres,
    emptied,
    needs_postgres,
    opened_ledger,
    password_file,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.json"


@pytest.fixture
def ledger(path: Path) -> Iterator[FileLedger]:
    with FileLedger(path) as opened:
        yield opened


@dataclass
class Store:
    """The place of a ledger of either kind; any number of processes may open it."""

    opened: Callable[[], AbstractContextManager[Ledger]]
    words: list[str]  # for a process: what `ledger_of_words` opens
    is_file: bool = False


def ledger_of_words(*words: str) -> AbstractContextManager[Ledger]:
    """Return the ledger of a store in another process, to be entered."""
    if len(words) == 1:
        return FileLedger(Path(words[0]))
    address, secret = words
    return opened_ledger(address, Path(secret))


@pytest.fixture(params=["file", pytest.param("database", marks=needs_postgres)])
def store(request: pytest.FixtureRequest, path: Path) -> Store:
    if request.param == "file":
        return Store(lambda: FileLedger(path), [str(path)], is_file=True)
    return database_store(request.getfixturevalue("postgres_server"))


def database_store(server: Postgres) -> Store:
    """Return the store of a database, emptied."""
    address = server.url(SITES[0], emptied(server, "ledgers"))
    secret = password_file(server)
    return Store(lambda: opened_ledger(address, secret), [address, str(secret)])


@pytest.fixture
def kept(store: Store) -> Iterator[Ledger]:
    """Open a ledger of either kind."""
    with store.opened() as opened:
        yield opened


@pytest.fixture
def another(store: Store) -> Iterator[Ledger]:
    """Open the same ledger once more, as another process would."""
    with ExitStack() as stack:
        yield stack.enter_context(store.opened())


def committed(ledger: Ledger, job: Job) -> Job:
    """Commit a job as a step does, under its claim."""
    with ledger.claim(job.id):
        return ledger.commit(job)
