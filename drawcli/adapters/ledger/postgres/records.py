"""A job as columns of its table, and back."""

import json
from typing import Any

import orjson

from drawcli.adapters.ledger.rows import BadRowError, as_job, as_row
from drawcli.core.jobs.job import Job
from drawcli.errors import LedgerError


def job_of(record: str) -> Job:
    """Return the job of a record; raise LedgerError if it is invalid."""
    try:
        return as_job(_parsed(record))
    except (ValueError, KeyError, TypeError) as err:
        where = err.where if isinstance(err, BadRowError) else "a record"
        raise LedgerError(
            f"the database of the ledger has an invalid job: {where}: {err}",
            hint="Another program has changed it. Restore it from a backup of the database.",
        ) from None


def _parsed(record: str) -> dict[str, Any]:
    try:
        row = orjson.loads(record)
    except orjson.JSONDecodeError:  # it has a lone surrogate
        row = json.loads(record)
    if not isinstance(row, dict):
        raise BadRowError("", None, "is not a record")
    return row


def columns_of(job: Job) -> tuple[Any, ...]:
    """Return the columns of a job, from its id to its record."""
    facts = (job.state.value, job.since, job.due_at, job.held, job.priority)
    text = json.dumps(as_row(job), separators=(",", ":"))
    return (job.id, job.series_key, *facts, job.source_digest or "", job.revision, text)
