"""The server's catalogue as it was last asked for: a cache beside the ledger.

state_dir/catalogue.json    {"at": when, "models": the answer of the server, as it came}
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from drawcli.core.templates.catalogue import CatalogueModel, parse_catalogue
from drawcli.errors import UsageError
from drawcli.system.files import write_durably

_NAME: Final = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the server offered, and when."""

    at: datetime
    offers: tuple[CatalogueModel, ...]


def keep_catalogue(state_dir: Path, models: list[Any], at: datetime) -> None:
    """Keep the answer of the server."""
    text = json.dumps({"at": at.isoformat(), "models": models}, indent=1) + "\n"
    write_durably(state_dir / _NAME, text.encode("utf-8"))


def kept_catalogue(state_dir: Path) -> Catalogue | None:
    """Return what was kept; None where nothing was, or it cannot be read any more."""
    try:
        plain = json.loads((state_dir / _NAME).read_bytes())
        at, models = datetime.fromisoformat(plain["at"]), plain["models"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Catalogue(at, tuple(parse_catalogue(models))) if isinstance(models, list) else None


def needed_catalogue(state_dir: Path) -> Catalogue:
    """Return what was kept.

    Raises
    ------
    UsageError
        Where nothing was.
    """
    kept = kept_catalogue(state_dir)
    if kept is None or not kept.offers:
        raise UsageError(
            "nothing is known of what the server offers",
            hint="Run 'drawcli templates pull' first; it keeps the server's catalogue.",
        )
    return kept
