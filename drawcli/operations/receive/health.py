"""Whether `drawcli receive` runs, and what it received: for `status`, the web page and metrics."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drawcli.adapters.state.receive_state import ReceiveState, is_listening, read_state
from drawcli.system.durations import duration


class ReceiverHealth(NamedTuple):
    """The listener of a site."""

    is_running: bool
    state: ReceiveState | None  # what it wrote last; None: it has never run

    @classmethod
    def of(cls, state_dir: Path) -> "ReceiverHealth":
        """Read the health of a site's listener."""
        return cls(is_listening(state_dir), read_state(state_dir))

    def text(self, now: datetime) -> str:
        """Return whether it listens and what it has received, in words."""
        if not self.is_running:
            return f"not running: scanners cannot send; start 'drawcli receive'{self._before(now)}"
        where = f"listening on {self.state.address}" if self.state else "running"
        return f"{where}{self._before(now)}"

    def _before(self, now: datetime) -> str:
        return "".join(f"; {one}" for one in self.counts(now))

    def counts(self, now: datetime) -> Iterator[str]:
        """Yield what was received, refused and kept apart, in words."""
        if self.state is None:
            return
        tally = self.state.tally
        last = tally.last_stored
        when = datetime.fromtimestamp(last, UTC)
        ago = f", the last {duration(max(now - when, now - now))} ago" if last else ""
        yield f"{tally.stored:,} {'object' if tally.stored == 1 else 'objects'} received{ago}"
        if self.is_running and tally.open:
            yield f"{tally.open} {'association' if tally.open == 1 else 'associations'} open"
        if refused := sum(tally.refused.values()):
            yield f"{refused:,} refused"
        if tally.conflicts:
            yield f"{tally.conflicts:,} with a known UID and other content"
