"""The rows of the table of jobs, as HTML.

A page may have ten thousand rows: here they take a sixth of the time of a template. Everything but
numbers and constants is escaped.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from html import escape
from typing import Final

from markupsafe import Markup

from drawcli.core.jobs.job import Job
from drawcli.dashboard.view import row
from drawcli.system.durations import duration

_CELL: Final = '<td role="cell" class="roomy'


def job_rows(
    jobs: Iterable[Job], now: datetime, patient: Callable[[Job], str] | None = None
) -> Markup:
    """Return a row for each job.

    Parameters
    ----------
    jobs
        In the order of the table.
    now
        The present time, UTC.
    patient
        Returns the patient of a job; None without --identify.
    """
    lines = (_line(job, now, "" if patient is None else _cell(patient(job))) for job in jobs)
    return Markup("".join(lines))  # noqa: S704 - every value in it is escaped


def _line(job: Job, now: datetime, patient: str) -> str:
    values, name = row(job, now), escape(job.id)
    since, tone = values["since"], values["tone"]
    return (
        f'<tr role="row"><th scope="row" role="rowheader"><a href="/jobs/{name}"><code>{name}'
        f'</code></a></th><td role="cell" class="status"><span class="badge {tone}">'
        f'<span aria-hidden="true">{values["glyph"]}</span> {escape(values["state"])}</span></td>'
        f'<td role="cell" class="nowrap age"><time datetime="{since.isoformat()}" '
        f'title="{since.isoformat(" ", "minutes")}">{duration(now - since)}</time></td>'
        f'{_CELL}">{escape(job.template or "")}</td>{_CELL}">{escape(job.modality or "")}</td>'
        f'{_CELL} number">{job.slices or ""}</td>{_CELL} number">{job.attempts or ""}</td>{patient}'
        f'<td role="cell" class="why">{escape(values["waits_for"])}</td></tr>\n'
    )


def _cell(text: str) -> str:
    return f'<td role="cell">{escape(text)}</td>'
