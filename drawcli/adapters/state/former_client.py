"""What a former DRAW client did: its series, ratings and statistics, in `former-client.json`.

It holds no UID, name or identifier: series are known by the keyed hash that jobs have, under the id
of the site key. Only `import-draw-client --history` writes it; `scan` and `report` read it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from drawcli.errors import ConfigError
from drawcli.system.files import write_durably

FILE_NAME: Final = "former-client.json"
DONE: Final = "delivered"  # outcomes of a series
SENT: Final = "sent"
LEFT: Final = "not sent"
_SCHEMA: Final = 1
_LARGEST: Final = 100_000_000  # bytes
_LARGEST_NUMBER: Final = 10**15
_PARTS: Final = ("series", "ratings", "statistics")

Entries = dict[str, dict[str, Any]]  # by key


@dataclass(frozen=True, slots=True)
class FormerHistory:
    """The history of a former client."""

    series: dict[str, Entries] = field(default_factory=dict)  # id of the site key -> series key
    ratings: Entries = field(default_factory=dict)
    statistics: Entries = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, Any]:
        """The number of entries, without the entries."""
        every = [entry for entries in self.series.values() for entry in entries.values()]
        return {
            "series": dict(Counter(str(entry.get("outcome")) for entry in every).most_common()),
            "ratings": len(self.ratings),
            "statistics": len(self.statistics),
        }

    def joined(self, other: "FormerHistory") -> "FormerHistory":
        """Return both histories; entries of the other one replace those of this one."""
        ids = self.series.keys() | other.series.keys()
        series = {one: self.series.get(one, {}) | other.series.get(one, {}) for one in ids}
        return FormerHistory(
            series, self.ratings | other.ratings, self.statistics | other.statistics
        )


def read_history(state_dir: Path) -> FormerHistory:
    """Return the history of the former client; an empty one if none was imported.

    Raises
    ------
    ConfigError
        If the file cannot be read: series might be sent again.
    """
    path = state_dir / FILE_NAME
    try:
        with path.open("rb") as stream:
            data = json.loads(stream.read(_LARGEST))
    except FileNotFoundError:
        return FormerHistory()
    except (OSError, ValueError, RecursionError):
        raise _unreadable(path) from None
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
        raise _unreadable(path)
    parts: dict[str, Any] = {name: data.get(name) for name in _PARTS}
    if not all(map(_is_nested, parts.values())) or not _fits(**parts):
        raise _unreadable(path)
    return FormerHistory(**parts)


def write_history(state_dir: Path, history: FormerHistory) -> None:
    """Write the history of the former client."""
    plain = {"schema": _SCHEMA, **asdict(history)}
    write_durably(state_dir / FILE_NAME, json.dumps(plain, indent=1).encode("ascii"))


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be added up with others."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST_NUMBER  # False for NaN


def _fits(
    series: Mapping[str, Any], ratings: Mapping[str, Any], statistics: Mapping[str, Any]
) -> bool:
    """Return whether the entries of the file have the types that reports rely on."""
    numbers = [one.get(name, 0) for one in ratings.values() for name in ("overall", "minutes")]
    numbers += [one.get("value", 0) for one in statistics.values()]
    edits = [one.get("structures", {}) for one in ratings.values()]
    return (
        all(map(_is_nested, series.values()))
        and all(map(is_number, numbers))
        and all(isinstance(one, Mapping) for one in edits)
    )


def _is_nested(part: Any) -> bool:
    return isinstance(part, Mapping) and all(isinstance(one, Mapping) for one in part.values())


def _unreadable(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be read, so series of the former client might be sent again",
        hint="Import the history again with 'drawcli import-draw-client FILE --history', or remove "
        "the file.",
    )
