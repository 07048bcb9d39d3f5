"""The job ledger: a file of open jobs with an archive by month, or a database."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.ledger.jobs import FileLedger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from drawcli.config.load import Settings
    from drawcli.core.jobs.ledger import Ledger, SharedFacts

__all__ = ["FileLedger", "ledger_of", "ledger_path", "shared_facts"]


def ledger_path(state_dir: Path) -> Path:
    """Return the path of the ledger of a state folder that has its ledger in a file."""
    return state_dir / "ledger.json"


def ledger_of(settings: "Settings") -> "AbstractContextManager[Ledger]":
    """Return the ledger of a site, to be entered."""
    if not settings.ledger:
        return FileLedger(ledger_path(settings.state_dir))
    from drawcli.adapters.ledger.postgres.site import database_ledger

    return database_ledger(settings)


@contextmanager
def shared_facts(settings: "Settings") -> "Iterator[SharedFacts | None]":
    """Yield what the machines of a site share besides the jobs; None if there is one machine."""
    if not settings.ledger:
        yield None
        return
    from drawcli.adapters.ledger.postgres.site import database_ledger

    with database_ledger(settings) as ledger:
        yield ledger.shared
