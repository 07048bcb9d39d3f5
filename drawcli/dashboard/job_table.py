"""The lines of the table of jobs, as HTML.

There may be ten thousand of them on one page: written here they take a sixth of the time that the
same lines take in a template. Everything that is not a number or one of our own words is escaped.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from html import escape
from typing import Any, Final

from markupsafe import Markup

from drawcli.core.jobs.columns import TABLE, Column
from drawcli.core.jobs.job import Job
from drawcli.dashboard.job_query import SORTS
from drawcli.dashboard.view import row
from drawcli.system.durations import ago


def job_rows(
    jobs: Iterable[Job], now: datetime, patient: Callable[[Job], str] | None = None
) -> Markup:
    """Return a line for each job.

    Parameters
    ----------
    jobs
        In the order of the table.
    now
        The present time, UTC.
    patient
        Tells whose series a job is, where that may be seen.
    """
    lines = (_line(job, now, "" if patient is None else _whose(patient(job))) for job in jobs)
    return Markup("".join(lines))  # noqa: S704 - every value in it is escaped


def titles() -> list[tuple[str, str, str]]:
    """Return title, class and order of each column; the order "" where it sorts nothing."""
    orders = {name: name for name in SORTS} | {"for": "newest"}
    return [(one.title, _class(one), orders.get(one.title, "")) for one in TABLE]


def _line(job: Job, now: datetime, whose: str) -> str:
    said = row(job)
    cells = [
        f'<td role="cell" class="{like}">{escape(column.shown(job, now))}</td>'
        if draw is None
        else draw(job, now, said)
        for column, like, draw in _CELLS
    ]
    return f'<tr role="row">{"".join(cells[:-1])}{whose}{cells[-1]}</tr>\n'


def _class(column: Column) -> str:
    """Return how a cell is laid out: what is "roomy" is left out on a narrow screen."""
    if column is TABLE[-1]:
        return "why"
    return "roomy number" if column.is_number else "roomy"


def _link(job: Job, _now: datetime, _said: dict[str, Any]) -> str:
    name = escape(job.id)
    return f'<th scope="row" role="rowheader"><a href="/jobs/{name}"><code>{name}</code></a></th>'


def _badge(_job: Job, _now: datetime, said: dict[str, Any]) -> str:
    return (
        f'<td role="cell" class="fares"><span class="badge {said["tone"]}">'
        f'<span aria-hidden="true">{said["glyph"]}</span> {escape(said["state"])}</span></td>'
    )


def _age(_job: Job, now: datetime, said: dict[str, Any]) -> str:
    since = said["since"]
    return (
        f'<td role="cell" class="nowrap age"><time datetime="{since.isoformat()}" '
        f'title="{since.isoformat(" ", "minutes")}">{ago(now - since)}</time></td>'
    )


def _whose(words: str) -> str:
    return f'<td role="cell">{escape(words)}</td>'


_DRAWN: Final = {"id": _link, "state": _badge, "since": _age}  # columns that are more than text
_CELLS: Final = [(column, _class(column), _DRAWN.get(column.name)) for column in TABLE]
