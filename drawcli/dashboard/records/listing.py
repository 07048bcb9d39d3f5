"""What these pages share: days of an address, pages of a list, tables as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


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


def csv_answer(name: str, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return a table as a CSV file; a text that a spreadsheet would compute is quoted by `'`."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(titles)
    table.writerows([_safe(value) for value in row] for row in rows)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(out.getvalue(), media_type="text/csv", headers=headers)


def _safe(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value
