"""The mark of a paused site: no package is uploaded until someone resumes.

state_dir/paused.json    since when, by whom and why

Its existence pauses, even if its content is damaged. Results are still downloaded and delivered.
Where several machines share a ledger, the pause of the site is in its database, and such a file
pauses its machine alone.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.system.durations import duration
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably
from drawcli.system.platforms import fsync_folder

if TYPE_CHECKING:
    from drawcli.core.jobs.ledger import SharedFacts

FILE_NAME: Final = "paused.json"
_STATE: Final = "pause"  # in the database of a site with several machines


class Pause(NamedTuple):
    """A pause of the uploads."""

    since: datetime  # UTC
    user: str = ""
    host: str = ""
    reason: str = ""  # as typed; "" if none was given

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return self._asdict() | {"since": self.since.isoformat()}

    def facts(self, now: datetime) -> str:
        """Return since when, by whom and why."""
        since = f"since {self.since:%Y-%m-%d %H:%M} UTC ({duration(now - self.since)})"
        who = f", by {self.user}@{self.host}" if self.user else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{since}{who}{why}"

    def notice(self, now: datetime) -> str:
        """Return what a run or a check says about it."""
        return f"uploads are paused {self.facts(now)}. 'drawcli resume' sends again"


def paused(before: Pause | None, reason: str, user: str, host: str, now: datetime) -> Pause:
    """Return the new pause; one that lasts keeps its begin, and changes only for a new reason."""
    if before is not None and reason in ("", before.reason):
        return before
    since = now if before is None else before.since
    return Pause(since=since, user=user, host=host, reason=reason)


def read_pause(state_dir: Path, shared: "SharedFacts | None" = None) -> Pause | None:
    """Return the pause of this machine or of its site; None if it is not paused."""
    path = state_dir / FILE_NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None if shared is None else stored_pause(state_dir, shared)
    except OSError as err:  # such as that of another user
        raise_shortage(err)
        raw = b""
    return _read(raw, datetime.fromtimestamp(path.stat().st_mtime, UTC))


def stored_pause(state_dir: Path, shared: "SharedFacts | None") -> Pause | None:
    """Return the pause that `write_pause` would replace: that of the site, if machines share it."""
    if shared is None:
        return read_pause(state_dir)
    text = shared.state(_STATE)
    return None if text is None else _read(text.encode(), datetime.now(UTC))


def _read(raw: bytes, otherwise: datetime) -> Pause:
    """Return a stored pause; a damaged one is taken to begin at `otherwise`."""
    try:
        plain = json.loads(raw)
        since = datetime.fromisoformat(plain["since"])
        texts = {name: str(plain.get(name) or "") for name in ("user", "host", "reason")}
    except (ValueError, KeyError, TypeError, AttributeError):
        since, texts = otherwise, {}
    return Pause(since=since if since.tzinfo else since.replace(tzinfo=UTC), **texts)


def write_pause(state_dir: Path, pause: Pause, shared: "SharedFacts | None" = None) -> None:
    """Pause a site; durable when this returns."""
    text = json.dumps(pause.as_plain(), indent=1, ensure_ascii=shared is not None)
    if shared is not None:
        shared.set_state(_STATE, text)
        return
    write_durably(state_dir / FILE_NAME, text.encode("utf-8", "backslashreplace") + b"\n")


def end_pause(state_dir: Path, shared: "SharedFacts | None" = None) -> None:
    """End the pause of a site and of this machine; durable when this returns."""
    if shared is not None:
        shared.set_state(_STATE, None)
    (state_dir / FILE_NAME).unlink(missing_ok=True)
    fsync_folder(state_dir)
