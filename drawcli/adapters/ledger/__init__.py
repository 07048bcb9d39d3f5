"""The job ledger: a hot file of what is open, and an archive by month of what is finished."""

from drawcli.adapters.ledger.archive import Archived
from drawcli.adapters.ledger.jobs import Ledger

__all__ = ["Archived", "Ledger"]
