"""Jobs as rows of a TinyDB table."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from tinydb.table import Document

from drawcli.core.job import Event, Job, State

_TIMES: Final = frozenset({"since", "due_at", "uploaded_at"})


def number_of(job_id: str) -> int:
    """Return TinyDB's number for a job: 48 bits of the series, 16 of the sending.

    >>> number_of("0000000000ff-2") == 0xFF << 16 | 2
    True
    """
    series, _, sending = job_id.partition("-")
    try:
        return int(series, 16) << 16 | int(sending)
    except ValueError:
        return 0


def as_row(job: Job) -> Document:
    """Return a job as the table holds it."""
    row = {field.name: getattr(job, field.name) for field in fields(job)}
    row |= {key: row[key].isoformat() for key in _TIMES if row[key]}
    row["events"] = [
        [event.at.isoformat(), event.what, *filter(None, [event.why])] for event in job.events
    ]
    row["state"] = job.state.value
    return Document(row, number_of(job.id))


def as_job(row: Mapping[str, Any]) -> Job:
    """Return the job of a row.

    Raises
    ------
    TypeError, KeyError, ValueError
        Where a later drawcli has written something into it that this one does not know.
    """
    times = {key: datetime.fromisoformat(row[key]) for key in _TIMES if row[key]}
    events = tuple(Event(datetime.fromisoformat(at), *words) for at, *words in row["events"])
    return Job(**{**row, **times, "events": events, "state": State(row["state"])})
