"""A silence of the alarms, with a reason and an end: state_dir/silence.json.

Alarms that still hold at its end are sent then. The daily digest is sent anyway, and names it. A
file that cannot be read silences nothing.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.errors import UsageError
from drawcli.system.durations import duration
from drawcli.system.files import write_durably
from drawcli.system.platforms import fsync_folder

FILE_NAME: Final = "silence.json"
LONGEST: Final = timedelta(days=14)
LONGEST_REASON: Final = 200  # characters


class Silence(NamedTuple):
    """A silence. Times are UTC."""

    since: datetime
    until: datetime
    by: str
    reason: str

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        times = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return self._asdict() | times

    def in_words(self, now: datetime) -> str:
        """Return until when, by whom and why."""
        left = duration(self.until - now)
        return f"until {self.until:%Y-%m-%d %H:%M} UTC ({left}), by {self.by}: {self.reason}"


def new_silence(now: datetime, span: timedelta, by: str, reason: str) -> Silence:
    """Return a silence that begins now.

    Raises
    ------
    UsageError
        If it has no reason, or is too long.
    """
    words = " ".join("".join(one if one.isprintable() else " " for one in reason).split())
    if not words or len(words) > LONGEST_REASON:
        raise UsageError(
            f"a silence needs a reason of 1 to {LONGEST_REASON} characters",
            hint="Give the reason, without patient data.",
        )
    if not timedelta() < span <= LONGEST:
        raise UsageError(f"a silence ends after {LONGEST.days} days at most")
    return Silence(now, now + span, by, words)


def read_silence(state_dir: Path, now: datetime) -> Silence | None:
    """Return the silence of a site that lasts; None without one."""
    try:
        plain = json.loads((state_dir / FILE_NAME).read_bytes())
        since, until = (datetime.fromisoformat(plain[name]) for name in ("since", "until"))
        found = Silence(since, until, str(plain["by"]), str(plain["reason"]))
        lasts = found.since <= now < found.until <= found.since + LONGEST
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if lasts else None


def write_silence(state_dir: Path, silence: Silence) -> None:
    """Silence the alarms; durable when this returns."""
    text = json.dumps(silence.as_plain(), indent=1)
    write_durably(state_dir / FILE_NAME, text.encode("ascii") + b"\n")


def end_silence(state_dir: Path) -> None:
    """Let alarms be sent again; durable when this returns."""
    (state_dir / FILE_NAME).unlink(missing_ok=True)
    fsync_folder(state_dir)
