"""The query of the jobs page: filter, order and paging."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final, Self
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import last_touched
from drawcli.core.jobs.warned import unseen_warnings

ROWS: Final = (50, 200, 1000, 10_000)
_MANY: Final = 200  # rows of a quick page
DAYS: Final = {"1": "today", "7": "last 7 days", "30": "last 30 days"}
HELD: Final = "held"
WARNINGS: Final = "warnings"  # that nobody has seen
NOW: Final = "now"  # the hot ledger; else a month of the archive
_ORDER: Final[dict[State, int]] = {state: number for number, state in enumerate(State)}
_LAST: Final = "￿"  # sorts behind every name
USUAL: Final = "held"
SORTS: Final[dict[str, tuple[str, Callable[[Job], Any]]]] = {
    USUAL: ("held first, then the newest", lambda job: (not job.held, -job.since.timestamp())),
    "newest": ("state reached, newest first", lambda job: -job.since.timestamp()),
    "oldest": ("state reached, oldest first", lambda job: job.since.timestamp()),
    "touched": ("last event first", lambda job: -last_touched(job).timestamp()),
    "state": ("state, in the order of the flow", lambda job: _ORDER[job.state]),
    "template": ("template", lambda job: job.template or _LAST),
    "slices": ("most slices first", lambda job: -(job.slices or 0)),
    "tries": ("most tries first", lambda job: -job.attempts),
    "job": ("job", lambda job: job.id),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """The query of the jobs page; it is part of the address and never names a patient."""

    words: str = ""
    state: str = ""  # of State, or "held" or "warnings"
    template: str = ""
    modality: str = ""
    days: str = ""  # of DAYS; replaces `first` and `last`
    first: str = ""  # yyyy-mm-dd: its state was reached on that day or later
    last: str = ""  # that day or earlier
    when: str = NOW
    sort: str = USUAL
    page: int = 1
    rows: int = ROWS[0]

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """Read a query from an address; invalid parts are ignored."""
        number, rows = query.get("page", "1"), query.get("rows", "")
        return cls(
            words=query.get("q", "").strip()[:100],
            state=_one_of(query.get("state", ""), {HELD, WARNINGS, *State}, ""),
            template=query.get("template", "")[:128],
            modality=query.get("modality", "")[:16],
            days=_one_of(query.get("days", ""), set(DAYS), ""),
            first=_day_text(query.get("from", "")),
            last=_day_text(query.get("to", "")),
            when=query.get("in", NOW)[:7] or NOW,
            sort=_one_of(query.get("sort", ""), set(SORTS), USUAL),
            page=max(int(number), 1) if number.isdecimal() and len(number) < 9 else 1,  # noqa: PLR2004
            rows=int(rows) if rows in map(str, ROWS) else ROWS[0],
        )

    def address(self, path: str = "/jobs", **other: Any) -> str:
        """Return the address of this query, with some fields replaced."""
        query = replace(self, **{"page": 1} | other)
        pairs = {
            "q": query.words,
            "state": query.state,
            "template": query.template,
            "modality": query.modality,
            "days": query.days,
            "from": query.first,
            "to": query.last,
            "in": "" if query.when == NOW else query.when,
            "sort": "" if query.sort == USUAL else query.sort,
            "rows": "" if query.rows == ROWS[0] else query.rows,
            "page": "" if query.page == 1 else query.page,
        }
        given = urlencode({name: value for name, value in pairs.items() if value})
        return f"{path}?{given}" if given else path

    def period(self, today: date) -> tuple[date, date] | None:
        """Return the first and the last day (UTC) that are asked for; None: any day."""
        if self.days:
            return today - timedelta(days=int(self.days) - 1), today
        if not (self.first or self.last):
            return None
        first, last = (day and date.fromisoformat(day) for day in (self.first, self.last))
        return first or date.min, last or date.max

    @property
    def takes_long(self) -> bool:
        """Whether months of the archive are read, or thousands of rows shown."""
        return bool(self.days or self.first or self.last) or self.when != NOW or self.rows > _MANY

    @property
    def has_filter(self) -> bool:
        """Whether it leaves jobs out."""
        chosen = (self.words, self.state, self.template, self.modality)
        return any(chosen) or bool(self.days or self.first or self.last)

    def matches(self, job: Job) -> bool:
        """Return whether a job matches the query, apart from its period."""
        if self.state and not self._has_state(job):
            return False
        if self.template and self.template != job.template:
            return False
        if self.modality and self.modality != job.modality:
            return False
        return all(word in _text_of(job) for word in self.words.casefold().split())

    def _has_state(self, job: Job) -> bool:
        if self.state == WARNINGS:
            return bool(unseen_warnings(job))
        return self.state == job.state or (self.state == HELD and job.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of the matching jobs."""

    query: JobQuery
    jobs: Sequence[Job]
    found: int
    of: int

    @classmethod
    def select(cls, query: JobQuery, jobs: Sequence[Job]) -> Self:
        """Filter, sort and page."""
        found = [job for job in jobs if query.matches(job)] if query.has_filter else list(jobs)
        found.sort(key=SORTS[query.sort][1])
        pages = max(-(-len(found) // query.rows), 1)
        query = replace(query, page=min(query.page, pages))
        first = (query.page - 1) * query.rows
        part = found[first : first + query.rows]
        return cls(query=query, jobs=part, found=len(found), of=len(jobs))

    @property
    def pages(self) -> int:
        """The number of pages, at least 1."""
        return max(-(-self.found // self.query.rows), 1)

    @property
    def first(self) -> int:
        """The number of the first row, from 1; 0 without rows."""
        return (self.query.page - 1) * self.query.rows + 1 if self.jobs else 0

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + len(self.jobs) - 1 if self.jobs else 0


def _text_of(job: Job) -> str:
    texts = (job.id, job.state, job.template, job.rule, job.modality, job.reason, job.reason_code)
    return " ".join(filter(None, (*texts, HELD if job.held else ""))).casefold()


def _one_of(given: str, allowed: set[str], default: str) -> str:
    return given if given in allowed else default


def _day_text(given: str) -> str:
    """Return a day as yyyy-mm-dd; "" if it is none.

    >>> _day_text("2026-11-02"), _day_text("2026-13-02"), _day_text("2026-W01-1")
    ('2026-11-02', '', '')
    """
    try:
        day = date.fromisoformat(given).isoformat()
    except ValueError:
        return ""
    return day if day == given else ""
