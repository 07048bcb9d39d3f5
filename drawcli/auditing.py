"""The audit log held against the ledger: what one says has left, the other must know."""

from collections.abc import Iterator
from datetime import datetime

from drawcli.auditlog import ATTEMPT
from drawcli.context import Context
from drawcli.core.job import Job


def unattested(ctx: Context) -> list[Job]:
    """Return the jobs that the ledger knows as uploaded, and of which the audit log says nothing.

    Those of before its first line do not count. It takes a lost end of the log to have one: an
    attempt is there before anything leaves.
    """
    first: datetime | None = None
    attested = set()
    for line in ctx.audit.lines():
        first = first or _moment(line.facts.get("at"))
        if line.facts.get("what") == ATTEMPT:
            attested.add(line.facts.get("job"))
    if first is None:
        return []
    return [job for job in _uploaded_since(first, ctx) if job.id not in attested]


def _uploaded_since(first: datetime, ctx: Context) -> Iterator[Job]:
    for job in ctx.ledger.every(f"{first:%Y-%m}"):
        if job.uploaded_at is not None and job.uploaded_at >= first:
            yield job


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
