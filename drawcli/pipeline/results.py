"""Structure sets after their delivery: written once more, and looked at once more."""

from pathlib import Path
from typing import Final, NamedTuple

from drawcli.adapters.delivery.folder import deliver
from drawcli.adapters.state.workdir import RECEIVED
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.gate.header_diff import ElementDiff, compare_headers
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.inspection import inspect_delivered, to_deliver
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import DrawcliError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.reidentify import (
    check_sources,
    destination,
    own_uids,
    restored,
    sent_on,
)
from drawcli.system.files import sha256_of

CAME_HOME: Final = frozenset({State.DELIVERED, State.DONE})


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
    place = destination(job, crosswalk, ctx)
    if to is not None:
        place = place._replace(folder=to, below=None)
    if to is None and _is_there(place.folder / place.name, job):
        sha256 = str(job.delivered_sha256)  # by a version that may have written it otherwise
        data = (place.folder / place.name).read_bytes()
    else:
        data, _, _ = restored(job, received.read_bytes(), crosswalk, ctx)
        seconds = ctx.settings.scan.answer_seconds
        sha256 = deliver(place.folder, place.name, data, job.id, below=place.below, seconds=seconds)
    return Redelivered(sha256, sent_on(job, data, crosswalk, ctx) if to is None else [])


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
