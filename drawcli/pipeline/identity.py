"""Whose series a job is, in words, for a person who asked and may know."""

from contextlib import suppress
from typing import TYPE_CHECKING

from drawcli.errors import JobError
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context


def patient_of(job: "Job", ctx: "Context") -> str:
    """Return whose series it is, for a person who asked; "?" where the vault cannot be opened."""
    try:
        crosswalk = ctx.crosswalk(job)
    except JobError:
        return "?"
    if job.of_folder:
        return readable(crosswalk.files[0].path)
    return f"{readable(crosswalk.patient_name)} ({readable(crosswalk.patient_id)})"


def readable(text: str) -> str:
    """Return a header's text, or a path, for a person: its bytes are most often UTF-8."""
    with suppress(UnicodeEncodeError):  # half a pair of another kind, of a path
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return plain(text)
