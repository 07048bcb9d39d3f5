"""The alarms that each recipient has received: state_dir/alarms.json.

Without the file every present alarm is sent again. On a full disk the state is kept by
`spare_file`, so that a full disk overnight causes one message.
"""

import json
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Self

from drawcli.adapters.notifications import Recipient
from drawcli.errors import DiskFull
from drawcli.operations.alarm_conditions import RecipientState
from drawcli.system import spare_file
from drawcli.system.files import write_durably

FILE_NAME: Final = "alarms.json"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class NotificationStore:
    """The state of all recipients, kept from run to run."""

    path: Path
    salt: str
    last_delivered: datetime | None = None
    places: dict[str, RecipientState] = field(default_factory=dict)
    _written: bytes = b""

    @classmethod
    def read(cls, state_dir: Path) -> Self:
        """Read the file; a missing or damaged one gives an empty store."""
        path = state_dir / FILE_NAME
        try:
            kept = spare_file.read(path)
            written = path.read_bytes() if kept is None else kept
            plain = json.loads(written)
            last = plain["last_delivered"]
            return cls(
                path,
                str(plain["salt"]),
                None if last is None else datetime.fromisoformat(last),
                {key: _state_of(entry) for key, entry in plain["places"].items()},
                written if kept is None else b"",
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path, secrets.token_hex(8))

    def keep_only(self, places: Iterable[Recipient]) -> None:
        """Drop the recipients that are no longer configured."""
        keys = {place.key(self.salt) for place in places}
        self.places = {key: state for key, state in self.places.items() if key in keys}

    def write(self) -> None:
        """Write the file durably if it has changed; keep it in `spare_file` if the disk refuses."""
        last = self.last_delivered
        plain = {
            "salt": self.salt,
            "last_delivered": None if last is None else last.isoformat(),
            "places": {key: _plain(state) for key, state in self.places.items()},
        }
        text = json.dumps(plain, indent=1).encode("ascii")
        if text == self._written:
            return
        try:
            write_durably(self.path, text)
        except (OSError, DiskFull):
            outcome = "elsewhere" if spare_file.put(self.path, text) else "not-kept"
            _log.warning("step=notify memory=%s", outcome)
        else:
            spare_file.drop(self.path)
            self._written = text


def _state_of(plain: dict[str, Any]) -> RecipientState:
    failing = plain["failing_since"]
    return RecipientState(
        since=datetime.fromisoformat(plain["since"]),
        digest_day=date.fromisoformat(plain["digest_day"]),
        digest_until=datetime.fromisoformat(plain["digest_until"]),
        names=frozenset(map(str, plain["told"])),
        failing_since=None if failing is None else datetime.fromisoformat(failing),
    )


def _plain(state: RecipientState) -> dict[str, Any]:
    failing = state.failing_since
    return {
        "since": state.since.isoformat(),
        "digest_day": state.digest_day.isoformat(),
        "digest_until": state.digest_until.isoformat(),
        "told": sorted(state.names),
        "failing_since": None if failing is None else failing.isoformat(),
    }
