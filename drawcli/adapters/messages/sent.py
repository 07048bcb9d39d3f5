"""The messages that were sent: state_dir/messages.jsonl, and an older file of the same size.

A recipient is named by its number and the kind of its address, which is secret.
"""

import json
import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.system.files import PRIVATE

FILE_NAME: Final = "messages.jsonl"
_LARGEST: Final = 500_000  # bytes of a file, about 1,000 messages
_LONGEST_BODY: Final = 4000  # characters


class SentMessage(NamedTuple):
    """A message to a recipient. Times are UTC."""

    at: datetime
    place: str  # such as "recipient 1 (mailto)"
    title: str
    body: str
    is_taken: bool  # by the recipient

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return self._asdict() | {"at": self.at.isoformat()}


class SentMessages:
    """The messages of a site. The caller sees to it that one process adds at a time."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self._older = state_dir / f"{FILE_NAME}.1"

    def add(self, message: SentMessage) -> None:
        """Add a message; OSError if it cannot be written."""
        if self.path.exists() and self.path.stat().st_size > _LARGEST:
            self.path.replace(self._older)
        plain = message._replace(body=message.body[:_LONGEST_BODY]).as_plain()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(self.path, flags, PRIVATE), "ab") as stream:  # noqa: PTH123 - the mode
            stream.write(json.dumps(plain).encode("ascii") + b"\n")

    def newest_first(self, most: int) -> list[SentMessage]:
        """Return the last messages, the newest first; a damaged line is left out."""
        kept = deque(self._every(), maxlen=most)
        return list(reversed(kept))

    def _every(self) -> Iterator[SentMessage]:
        for path in (self._older, self.path):
            try:
                raw = path.read_bytes()
            except OSError:
                continue
            for line in raw.splitlines():
                message = _read(line)
                if message is not None:
                    yield message


def _read(line: bytes) -> SentMessage | None:
    try:
        plain = json.loads(line)
        place, title, body = (str(plain[name]) for name in ("place", "title", "body"))
        at = datetime.fromisoformat(plain["at"])
        return SentMessage(at, place, title, body, is_taken=plain["is_taken"] is True)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
