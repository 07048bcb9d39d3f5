"""What these pages share: days of an address, pages of a list."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from starlette.requests import Request


def day_in(request: Request, name: str) -> date | None:
    """Return a day of an address (yyyy-mm-dd); None if there is none."""
    with suppress(ValueError):
        return date.fromisoformat(request.query_params.get(name, ""))
    return None


def begin_of(day: date) -> datetime:
    """Return the first moment of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """Return the last moment of a day, UTC."""
    return begin_of(day) + timedelta(days=1, microseconds=-1)


def page_in(request: Request) -> int:
    """Return the number of the page of a list, from 1."""
    text = request.query_params.get("page", "")
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 7 else 1  # noqa: PLR2004
