"""Durations and moments as text."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

_SPAN: Final = re.compile(r"(\d{1,6})\s*(min|m|h|d|w)")
_UNITS: Final = {"min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_TENTHS_BELOW: Final = 10  # s


def duration(span: timedelta) -> str:
    """Return a time span in its largest unit.

    >>> [duration(timedelta(seconds=s)) for s in (5, 90, 7300, 200000)]
    ['5 s', '1 min', '2 h', '2 d']
    """
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def long_duration(span: timedelta) -> str:
    """Return a time span in its two largest units.

    >>> [long_duration(timedelta(seconds=s)) for s in (0.42, 15, 90, 7300, 200000)]
    ['0.4 s', '15 s', '1 min 30 s', '2 h 1 min', '2 d 7 h']
    """
    seconds = max(int(span.total_seconds()), 0)
    if seconds < _TENTHS_BELOW:
        return f"{max(span.total_seconds(), 0):.1f} s"
    sizes = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    for (size, unit), (lesser, name) in pairwise(sizes):
        if seconds >= size:
            rest = seconds % size // lesser
            return (
                f"{seconds // size} {unit} {rest} {name}" if rest else f"{seconds // size} {unit}"
            )
    return f"{seconds} s"


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the UTC time of "7d", "12h", "30min" (before now) or a date; else raise ValueError.

    >>> str(parse_moment("12h", datetime(2026, 3, 14, 13, tzinfo=UTC)))
    '2026-03-14 01:00:00+00:00'
    >>> str(parse_moment("2026-01-31", datetime(2026, 3, 14, tzinfo=UTC)))
    '2026-01-31 00:00:00+00:00'
    """
    span = _SPAN.fullmatch(text.strip().lower())
    try:
        if span is not None:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is neither a span such as 7d nor a date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
