"""The patient of a job as text, for `--identify`."""

from contextlib import suppress
from typing import TYPE_CHECKING

from drawcli.errors import JobError
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context


def patient_of(job: "Job", ctx: "Context") -> str:
    """Return the patient's name and ID, or a path; "?" if the vault cannot be opened."""
    try:
        crosswalk = ctx.crosswalk(job)
    except JobError:
        return "?"
    if job.of_folder:
        return readable(crosswalk.files[0].path)
    return f"{readable(crosswalk.patient_name)} ({readable(crosswalk.patient_id)})"


def private_facts(job: "Job", ctx: "Context") -> list[tuple[str, object]]:
    """Return titles and texts that identify the patient."""
    from drawcli.pipeline.results import delivery_path

    try:
        crosswalk = ctx.crosswalk(job)
    except JobError as err:
        return [("identity", str(err))]
    first = readable(crosswalk.files[0].path)
    if job.of_folder:
        return [("folder", first)]
    facts: list[tuple[str, object]] = [
        ("patient", patient_of(job, ctx)),
        ("series UID", crosswalk.series_uid),
        ("first file", first),
    ]
    if job.delivered_sha256:
        with suppress(JobError):  # the settings have changed since it was delivered
            facts.append(("delivered to", delivery_path(job, ctx)))
    elif crosswalk.deliver_to:
        facts.append(("to be delivered to", crosswalk.deliver_to))
    return facts


def readable(text: str) -> str:
    """Return a header's text, or a path, as printable text; its bytes are mostly UTF-8."""
    with suppress(UnicodeEncodeError):  # an unpaired surrogate in a path
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return plain(text)
