"""When each archive was pulled last, or since when that fails: for status, metrics and alarms."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from drawcli.adapters.state.pull_state import SourceState, read_sources
from drawcli.pipeline.pull.pull import named_sources
from drawcli.system.durations import duration
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.config.load import Settings


class PullHealth(NamedTuple):
    """The archives of a site."""

    sources: tuple[SourceState, ...]

    @classmethod
    def of(cls, settings: "Settings") -> "PullHealth":
        """Read what the last pulls have shown of each archive of the settings."""
        states = read_sources(settings.state_dir)
        return cls(tuple(states.get(name, SourceState(name)) for name in named_sources(settings)))

    @property
    def is_failing(self) -> bool:
        """Whether the last pull of an archive failed."""
        return any(source.failed_since for source in self.sources)

    def texts(self, now: datetime) -> Iterator[tuple[str, bool]]:
        """Yield a sentence for each archive, and whether its last pull failed."""
        for source in self.sources:
            yield f"{source.name}: {_text(source, now)}", bool(source.failed_since)

    def as_plain(self) -> list[dict[str, Any]]:
        """Return it as JSON types; times are ISO 8601, UTC."""
        return [
            {
                "source": one.name,
                "last_success": _iso(one.succeeded),
                "failed_since": _iso(one.failed_since),
                "code": one.code or None,
                "series": one.series,
                "instances": one.instances,
                "bytes": one.bytes,
                "waiting": one.waiting,
            }
            for one in self.sources
        ]


def _text(source: SourceState, now: datetime) -> str:
    if not source.asked:
        return "not asked yet"
    last = f"last pulled {_ago(source.succeeded, now)} ago" if source.succeeded else "never pulled"
    if source.failed_since:
        return f"failing for {_ago(source.failed_since, now)} ({source.code}); {last}"
    pulled = f"{counted(source.series, 'series', 'series')} of {counted(source.instances, 'image')}"
    waits = f"; {source.waiting:,} not complete" if source.waiting else ""
    return f"{last}; {pulled} so far{waits}"


def _ago(seconds: float, now: datetime) -> str:
    return duration(max(now - datetime.fromtimestamp(seconds, UTC), timedelta()))


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
