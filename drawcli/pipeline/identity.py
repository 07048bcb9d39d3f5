"""The patient of a job as text, for `--identify`; where the structure set of a patient is."""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drawcli.errors import JobError
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context

_BETWEEN_NAMES: Final = re.compile(r"[\s,;^=]+")
_ANSWER_SECONDS: Final = 5.0


def patient_of(job: "Job", ctx: "Context") -> str:
    """Return the patient's name and ID, or a path; "?" if the vault cannot be opened."""
    try:
        crosswalk = ctx.crosswalk(job)
    except JobError:
        return "?"
    if job.of_folder:
        return readable(crosswalk.files[0].path)
    name, id_ = map(plain, crosswalk.patient)
    return f"{name} ({id_})"


def names_patient(query: str, patient: str) -> bool:
    """Return whether a patient's name and ID have every word of a query, in any order.

    Case and accents do not count.

    >>> [names_patient(query, "Lindqvíst^Åsa (SE-1967)") for query in ("asa LINDQV", "Åse", "1967")]
    [True, False, True]
    """
    from drawcli.core.gate.text_traces import spellings

    known = " ".join(spellings(patient))
    return all(
        any(spelling in known for spelling in spellings(word))
        for word in _BETWEEN_NAMES.split(query)
        if word
    )


def whereabouts(job: "Job", ctx: "Context") -> str:
    """Return whether the structure set of a job is delivered, and where it is; names the patient.

    The folder of the planning system may be a share that does not answer: it is asked briefly.
    """
    from drawcli.core.jobs.waiting import delivered_at, waits_for
    from drawcli.pipeline.results import delivery_path
    from drawcli.system.durations import duration
    from drawcli.system.threads import call_with_timeout

    now, came = ctx.now(), delivered_at(job)
    if came is None or not job.delivered_sha256:
        return f"not delivered; waits for {waits_for(job, now)}"
    when = f"delivered {duration(now - came)} ago"
    try:
        path = delivery_path(job, ctx)
        if path is None:
            return f"{when} to DICOM targets: 'drawcli show {job.id}' names them"
        there = call_with_timeout(path.is_file, _ANSWER_SECONDS)
    except TimeoutError:
        return f"{when}; its folder does not answer now: {readable(str(path))}"
    except (JobError, OSError):
        return f"{when}; its place is not known any more: the settings have changed"
    gone = "" if there else "; it is not there any more"
    return f"{when}: {readable(str(path))}{gone}"


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
            path = delivery_path(job, ctx)
            to = "DICOM targets, see the events" if path is None else readable(str(path))
            facts.append(("delivered to", to))
    elif crosswalk.deliver_to:
        facts.append(("to be delivered to", crosswalk.deliver_to))
    return facts


def readable(text: str) -> str:
    """Return a header's text, or a path, as printable text; its bytes are mostly UTF-8."""
    with suppress(UnicodeEncodeError):  # an unpaired surrogate in a path
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return plain(text)
