"""Cache of the server's catalogue.

state_dir/catalogue.json    {"at": time of the request, "models": the server's answer}
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from drawcli.core.templates.catalogue import CatalogueModel, parse_catalogue
from drawcli.errors import UsageError
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably

_NAME: Final = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models that the server offered at a time."""

    at: datetime
    offers: tuple[CatalogueModel, ...]
    digests: Mapping[int, str] = field(default_factory=dict)  # SHA-256 of each model's entry

    def digest_of(self, models: Iterable[int]) -> str:
        """Return the SHA-256 of the entries of models; it changes if one of them does.

        The catalogue states no versions of models: this digest stands for them.
        """
        entries = (f"{number} {self.digests.get(number, '')}" for number in sorted(models))
        return hashlib.sha256("\n".join(entries).encode("ascii")).hexdigest()


def save_catalogue(state_dir: Path, models: list[Any], at: datetime) -> None:
    """Save the server's answer."""
    text = json.dumps({"at": at.isoformat(), "models": models}, indent=1) + "\n"
    write_durably(state_dir / _NAME, text.encode("utf-8"))


def load_catalogue(state_dir: Path) -> Catalogue | None:
    """Return the cached catalogue; None if there is none or it cannot be read."""
    try:
        plain = json.loads((state_dir / _NAME).read_bytes())
        at, models = datetime.fromisoformat(plain["at"]), plain["models"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise_shortage(err)
        return None
    if not isinstance(models, list):
        return None
    return Catalogue(at, tuple(parse_catalogue(models)), dict(_digests(models)))


def _digests(models: list[Any]) -> Iterator[tuple[int, str]]:
    """Yield the number of each model and the digest of its entry, whatever keys it has."""
    for entry in models:
        if isinstance(entry, dict) and isinstance(entry.get("model_id"), int):
            text = json.dumps(entry, sort_keys=True)
            yield entry["model_id"], hashlib.sha256(text.encode("ascii")).hexdigest()


def require_catalogue(state_dir: Path) -> Catalogue:
    """Return the cached catalogue; raise UsageError if there is none."""
    catalogue = load_catalogue(state_dir)
    if catalogue is None or not catalogue.offers:
        raise UsageError(
            "there is no copy of the server's catalogue",
            hint="Run 'drawcli templates pull' first; it saves the server's catalogue.",
        )
    return catalogue
