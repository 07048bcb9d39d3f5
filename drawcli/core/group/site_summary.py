"""The summary of a site for the group view: counts, runs, its verdict; no patient data.

It comes from another machine, so every value is checked, and unknown ones are left out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from drawcli.core.jobs.job import State

LEVELS: Final = ("well", "attention", "broken")
_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_LONGEST_TEXT: Final = 300  # characters
_MOST: Final = 10**9


class SiteSummary(NamedTuple):
    """The state of a site at a time."""

    told_at: datetime  # UTC; when the site reported it
    level: str = ""  # one of LEVELS; "": not reported
    headline: str = ""
    counts: Mapping[str, int] = {}  # open and recently finished jobs by state
    held: Mapping[str, int] = {}  # by reason code
    archived: int = 0
    last_run: datetime | None = None  # its end
    paused: bool = False
    warnings: int = 0  # jobs with warnings that nobody has seen
    contours: str = ""  # what needs attention in contour QA; "": nothing

    @classmethod
    def of(cls, plain: Any, told_at: datetime) -> "SiteSummary":
        """Return the summary in the JSON of `drawcli status --json`, with or without its jobs.

        Raises
        ------
        ValueError
            If it is not such an object.
        """
        data = _mapping(plain).get("data")
        if _mapping(plain).get("command") != "status" or not isinstance(data, Mapping):
            raise ValueError("it is not the output of 'drawcli status --json'")
        verdict = _mapping(data.get("verdict"))
        level = verdict.get("level")
        return cls(
            told_at=min(_moment(data.get("at")) or told_at, told_at),
            level=level if level in LEVELS else "",
            headline=_text(verdict.get("headline")),
            counts=_counts(data.get("counts"), set(State)),
            held=_held(data),
            archived=_number(data.get("archived")),
            last_run=_moment(_mapping(data.get("last_run")).get("ended")),
            paused=bool(data.get("paused")),
            warnings=_number(data.get("warnings")),
            contours=_text(data.get("contours")),
        )

    def is_silent(self, now: datetime, longest: timedelta) -> bool:
        """Return whether the last report, or the last run, is older than `longest`."""
        last = [self.told_at, *([self.last_run] if self.last_run else [])]
        return min(last) < now - longest

    @property
    def held_jobs(self) -> int:
        """The number of held jobs."""
        return sum(self.held.values())


def _held(data: Mapping[str, Any]) -> dict[str, int]:
    """Return held jobs by reason: as reported, or counted in the list of jobs."""
    if "held_reasons" in data:
        return _counts(data["held_reasons"], None)
    found: dict[str, int] = {}
    jobs = data.get("jobs")
    for job in jobs if isinstance(jobs, list) else ():
        if isinstance(job, Mapping) and job.get("held"):
            code = str(job.get("reason_code") or "unknown")
            found[code] = found.get(code, 0) + 1
    return _counts(found, None) or _counts({"held": data.get("held")}, None)


def _counts(plain: Any, known: set[State] | None) -> dict[str, int]:
    pairs = plain.items() if isinstance(plain, Mapping) else ()
    return {
        str(name): _number(count)
        for name, count in pairs
        if (name in known if known else _CODE.fullmatch(str(name))) and _number(count)
    }


def _number(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), _MOST) if is_count else 0


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_TEXT]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
