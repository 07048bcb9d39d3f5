"""The job ledger: a file of open jobs, and an archive by month of finished jobs."""

from drawcli.adapters.ledger.archive import ArchiveEntry
from drawcli.adapters.ledger.jobs import Ledger

__all__ = ["ArchiveEntry", "Ledger"]
