"""The rows of the table of jobs, as HTML.

A page may have ten thousand rows: here they take a sixth of the time of a template. Everything but
numbers and constants is escaped.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from markupsafe import Markup

from drawcli.core.jobs.columns import TABLE, Column
from drawcli.core.jobs.job import Job
from drawcli.dashboard.find.series_texts import SeriesText
from drawcli.dashboard.job_query import SORTS
from drawcli.dashboard.local_time import both_times
from drawcli.dashboard.view import row
from drawcli.system.durations import duration

_Draw = Callable[[Job, datetime, dict[str, Any]], str]
_Cell = tuple[Column, str, _Draw | None]
_TITLES: Final = {"modality": "series"}  # its text is in the same cell


def job_rows(
    jobs: Iterable[Job],
    now: datetime,
    columns: Sequence[Column],
    series: Callable[[Job], SeriesText],
    patient: Callable[[Job], str] | None = None,
) -> Markup:
    """Return a row for each job.

    Parameters
    ----------
    jobs
        In the order of the table.
    now
        The present time, UTC.
    columns
        Of the table; see `columns_for`.
    series
        Returns scanner and description of a job's series.
    patient
        Returns the patient of a job; None without --identify.
    """
    cells = [_CELLS[column.name] for column in columns]
    lines = (_line(job, now, row(job) | {"series": series(job)}, cells, patient) for job in jobs)
    return Markup("".join(lines))  # noqa: S704 - every value in it is escaped


def columns_for(jobs: Sequence[Job], now: datetime) -> list[Column]:
    """Return the columns of a table; one that may be empty is left out where it is."""
    shown = [column for column in TABLE if column.name != "slices"]  # it is told with the series
    return [c for c in shown if c.always or any(c.shown(job, now) for job in jobs)]


def titles(columns: Iterable[Column]) -> list[tuple[str, str, str]]:
    """Return title, class and sort order of each column; the order is "" if it has none."""
    orders = {name: name for name in SORTS} | {"for": "newest"}
    return [(_TITLES.get(c.title, c.title), _class(c), orders.get(c.title, "")) for c in columns]


def _line(
    job: Job,
    now: datetime,
    values: dict[str, Any],
    columns: Sequence[_Cell],
    patient: Callable[[Job], str] | None,
) -> str:
    cells = [
        f'<td role="cell" class="{css_class}">{escape(column.shown(job, now))}</td>'
        if draw is None
        else draw(job, now, values)
        for column, css_class, draw in columns
    ]
    who = "" if patient is None else _cell(patient(job))
    return f'<tr role="row">{"".join(cells[:-1])}{who}{cells[-1]}</tr>\n'


def _class(column: Column) -> str:
    """Return the CSS class of a column; "roomy" ones are hidden on a narrow screen."""
    if column is TABLE[-1]:
        return "why"
    return "roomy number" if column.is_number else "roomy"


def _link(job: Job, _now: datetime, _values: dict[str, Any]) -> str:
    name = escape(job.id)
    return f'<th scope="row" role="rowheader"><a href="/jobs/{name}"><code>{name}</code></a></th>'


def _badge(_job: Job, _now: datetime, values: dict[str, Any]) -> str:
    return (
        f'<td role="cell" class="status"><span class="badge {values["tone"]}">'
        f'<span aria-hidden="true">{values["glyph"]}</span> {escape(values["state"])}</span></td>'
    )


def _age(_job: Job, now: datetime, values: dict[str, Any]) -> str:
    since = values["since"]
    return (
        f'<td role="cell" class="nowrap age"><time datetime="{since.isoformat()}" '
        f'title="{both_times(since)}">{duration(now - since)}</time></td>'
    )


def _series(job: Job, _now: datetime, values: dict[str, Any]) -> str:
    text: SeriesText = values["series"]
    words = " · ".join(filter(None, text))
    more = f' <span class="soft">{escape(words)}</span>' if words else ""
    what = f"{job.modality or '?'} of {job.slices or '?'}"
    return f'<td role="cell" class="series">{escape(what)}{more}</td>'


def _cell(text: str) -> str:
    return f'<td role="cell" class="who">{escape(text)}</td>'


# Columns with markup.
_DRAWN: Final = {"id": _link, "state": _badge, "since": _age, "modality": _series}
_CELLS: Final[dict[str, _Cell]] = {
    column.name: (column, _class(column), _DRAWN.get(column.name)) for column in TABLE
}
