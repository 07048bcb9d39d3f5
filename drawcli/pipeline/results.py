"""Structure sets that have come: found, delivered once more, and verified."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.adapters.state.workdir import RECEIVED, REPORT
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.gate.header_diff import ElementDiff, compare_headers
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.inspection import inspect_delivered, to_deliver
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import DrawcliError, JobError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.delivery import deliver, destination
from drawcli.pipeline.steps.reidentify import (
    check_sources,
    own_uids,
    restored,
)
from drawcli.system.files import sha256_of

CAME_HOME: Final = frozenset({State.DELIVERED, State.DONE})
_DELIVERED: Final = "contours as delivered"
_TO_DELIVER: Final = "contours as they would be delivered"
_AS_CAME: Final = "contours as the server sent them"


class Redelivered(NamedTuple):
    """A structure set that was written again."""

    sha256: str  # of the file, 64 hex digits
    at_node: list[str]  # what to report of the DICOM node, if it was sent there


def redeliver(job: Job, ctx: Context, to: Path | None = None) -> Redelivered:
    """Write the structure set of a job again, where it belongs or into a folder.

    Where it belongs is also the site's DICOM node, if it has one.

    From what the server sent, by the same steps and checks; a file that is there is not touched.

    Raises
    ------
    UsageError
        Where the job has not come so far, or its work folder is gone.
    JobError
        Where the file cannot be written, or must not: see `steps.reidentify`.
    """
    crosswalk = _of_delivered(job, ctx)
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file() or sha256_of(received) != job.received_sha256:
        raise UsageError(
            f"what the server sent for job {job.id} is not in its work folder any more",
            hint=f"'drawcli assign {job.id} {job.template}' sends the series once more.",
        )
    if to is not None and not to.is_dir():
        raise UsageError(f"{to} is no folder", hint="Make it first.")
    check_sources(crosswalk)
    if to is None and _is_there(place_of(job, ctx), job):
        data = place_of(job, ctx).read_bytes()  # by a version that may have written it otherwise
    else:
        data, _, _ = restored(job, received.read_bytes(), crosswalk, ctx)
    told = deliver(job, data, crosswalk, ctx, to)
    return Redelivered(hashlib.sha256(data).hexdigest(), told)


def _is_there(path: Path, job: Job) -> bool:
    return path.is_file() and sha256_of(path) == job.delivered_sha256


def preview(job: Job, ctx: Context) -> list[ElementDiff]:
    """Return what re-identification makes of each element of what came; nothing is written.

    Raises
    ------
    UsageError
        Where no structure set of the job has come.
    JobError
        Where it would not be delivered: see `steps.reidentify`.
    """
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file():
        raise UsageError(
            f"job {job.id} is {job.state}: no structure set of it is here",
            hint=f"'drawcli show {job.id}' tells what it waits for.",
        )
    data, crosswalk = received.read_bytes(), ctx.crosswalk(job)
    check_sources(crosswalk)
    whole, _, _ = restored(job, data, crosswalk, ctx)
    return compare_headers(data, whole)


def place_of(job: Job, ctx: Context) -> Path:
    """Return where the structure set of a job is delivered to; the path may name the patient."""
    place = destination(job, ctx.crosswalk(job), ctx)
    return place.folder / place.name


def to_verify(ctx: Context) -> list[Job]:
    """Return the jobs whose structure sets can be looked at again."""
    return [job for job in ctx.kept_jobs() if _is_kept(job, ctx)]


def verify(job: Job, ctx: Context) -> list[Finding]:
    """Look at a delivered structure set again: whether it is there, unchanged, and still fits.

    Raises
    ------
    UsageError
        Where the job has not come so far, or its work folder is gone.
    """
    crosswalk = _of_delivered(job, ctx)
    return [*look_at_file(place_of(job, ctx), job, crosswalk, ctx), *_sources(crosswalk)]


def look_at_file(path: Path, job: Job, crosswalk: Crosswalk, ctx: Context) -> list[Finding]:
    """Return what is wrong with the file that was delivered, its images aside."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        text = "the file is not where it was delivered; some planning systems take it away"
        return [Finding(Severity.WARN, "not-there", text)]
    except OSError as err:
        return [Finding(Severity.BLOCK, "unreadable", f"the file cannot be read: {err.strerror}")]
    found = []
    if sha256_of(path) != job.delivered_sha256:
        text = "the file is not the one that was delivered any more"
        found.append(Finding(Severity.BLOCK, "changed", text))
    expected = to_deliver(crosswalk, frozenset(own_uids(job, ctx)))
    return [*found, *inspect_delivered(data, expected, crosswalk)]


def _sources(crosswalk: Crosswalk) -> list[Finding]:
    try:
        check_sources(crosswalk)
    except DrawcliError as err:
        return [Finding(Severity.BLOCK, err.code, str(err))]
    return []


def _of_delivered(job: Job, ctx: Context) -> Crosswalk:
    if job.state not in CAME_HOME:
        raise UsageError(
            f"job {job.id} is {job.state}: nothing was delivered yet",
            hint=f"'drawcli show {job.id}' tells what it waits for.",
        )
    if not _is_kept(job, ctx):
        raise UsageError(
            f"the work folder of job {job.id} is gone",
            hint="deliver.keep_days says how long it is kept.",
        )
    return ctx.crosswalk(job)


def _is_kept(job: Job, ctx: Context) -> bool:
    return job.state in CAME_HOME and bool(job.delivered_sha256) and ctx.work.has_folder(job.id)


def has_structure_set(job: Job, ctx: Context) -> bool:
    """Tell whether there is something to draw: a structure set of the job has come."""
    received = ctx.work.file(job.id, RECEIVED)
    return received.is_file() or _refused(received).is_file()


def structure_set_of(job: Job, crosswalk: Crosswalk, ctx: Context) -> tuple[Header, str]:
    """Return what is drawn, and what it is: what was delivered, where that can still be read."""
    delivered = _delivered(job, ctx)
    if delivered is not None:
        return delivered, _DELIVERED
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file():
        return _came(_refused(received)), _AS_CAME
    try:
        data, _, _ = restored(job, received.read_bytes(), crosswalk, ctx)
    except JobError:  # what is wrong with it is told among the findings
        return _came(received), _AS_CAME
    return read_header(data, complete=True), _TO_DELIVER


def _delivered(job: Job, ctx: Context) -> Header | None:
    if job.state not in CAME_HOME or not job.delivered_sha256:
        return None
    try:
        return read_header(place_of(job, ctx).read_bytes(), complete=True)
    except (OSError, NotDicom, Incomplete):  # told among the findings
        return None


def _refused(received: Path) -> Path:
    return received.with_suffix(".refused")


def _came(path: Path) -> Header:
    try:
        return read_header(path.read_bytes(), complete=True)
    except (NotDicom, Incomplete):
        raise UsageError(
            "the structure set cannot be drawn: it is not a DICOM file, or is cut off"
        ) from None


def findings_of(job: Job, crosswalk: Crosswalk, ctx: Context) -> list[Finding]:
    """Return what is to be told: why the job is held, what the gate found, what became of it."""
    found = []
    if job.held and job.reason:
        found.append(Finding(Severity.BLOCK, job.reason_code or "held", f"held: {job.reason}"))
    report = ctx.work.read_json(job.id, REPORT)
    if report is None:
        text = "what the acceptance gate found is not in the work folder"
        found.append(Finding(Severity.WARN, "report-missing", text))
    said = [
        Finding(Severity(one["severity"]), one["code"], one["text"])
        for one in (report or {}).get("findings", [])
    ]
    found += [one for one in said if not any(one.text in other.text for other in found)]
    if job.state in CAME_HOME and job.delivered_sha256:
        found += look_at_file(place_of(job, ctx), job, crosswalk, ctx)
    return found
