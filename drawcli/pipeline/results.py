"""Received structure sets: find, deliver again, verify."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.adapters.state.workdir import RECEIVED, REFUSED, REPORT
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.gate.header_diff import ElementDiff, compare_headers
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.inspection import expect_finished, inspect_delivered
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import DrawcliError, JobError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.delivery import deliver, destination
from drawcli.pipeline.steps.reidentify import (
    check_sources,
    finish_structure_set,
    own_uids,
)
from drawcli.system.failures import raise_if_short, raise_shortage
from drawcli.system.files import sha256_of

_PAST_DELIVERY: Final = frozenset({State.DELIVERED, State.DONE})
_DELIVERED: Final = "contours as delivered"
_TO_DELIVER: Final = "contours as they would be delivered"
_AS_CAME: Final = "contours as the server sent them"


class Redelivered(NamedTuple):
    """The outcome of a repeated delivery."""

    sha256: str  # of the file, 64 hex digits
    at_node: list[str]  # the report of the DICOM node, if it was sent there


def redeliver(job: Job, ctx: Context, to: Path | None = None) -> Redelivered:
    """Deliver the structure set of a job again, to the site's targets or into a folder.

    The file is rebuilt from the received one by the same steps and checks; an existing file is not
    overwritten.

    Raises
    ------
    UsageError
        If nothing was delivered yet, or the work folder is gone.
    JobError
        If the file cannot be written, or is blocked: see `steps.reidentify`.
    """
    crosswalk = _of_delivered(job, ctx)
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file() or sha256_of(received) != job.received_sha256:
        raise UsageError(
            f"the received file of job {job.id} is missing from its work folder, or changed",
            hint=f"'drawcli assign {job.id} {job.template}' sends the series again.",
        )
    if to is not None and not to.is_dir():
        raise UsageError(f"{to} is not a folder", hint="Create it first.")
    check_sources(crosswalk, job)
    path = delivery_path(job, ctx) if to is None else None
    if path is not None and _is_there(path, job):
        data = path.read_bytes()  # another version may have written it
    else:
        data, _, _ = finish_structure_set(job, received.read_bytes(), crosswalk, ctx)
    reports = deliver(job, data, crosswalk, ctx, to, again=True)
    return Redelivered(hashlib.sha256(data).hexdigest(), reports)


def _is_there(path: Path, job: Job) -> bool:
    return path.is_file() and sha256_of(path) == job.delivered_sha256


def compare_finished(job: Job, ctx: Context) -> list[ElementDiff]:
    """Return how re-identification changes each element of the received file; write nothing.

    Raises
    ------
    UsageError
        If no structure set of the job was received.
    JobError
        If it would not be delivered: see `steps.reidentify`.
    """
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file():
        raise UsageError(
            f"job {job.id} is {job.state}: no structure set was received yet",
            hint=f"'drawcli show {job.id}' shows what it waits for.",
        )
    data, crosswalk = received.read_bytes(), ctx.crosswalk(job)
    check_sources(crosswalk, job)
    whole, _, _ = finish_structure_set(job, data, crosswalk, ctx)
    return compare_headers(data, whole)


def delivery_path(job: Job, ctx: Context) -> Path | None:
    """Return the path of a delivered structure set; it may contain the patient's name.

    None if the targets that have it are no folders.
    """
    place = destination(job, ctx.crosswalk(job), ctx)
    return None if place is None else place.folder / place.name


def delivered_data(job: Job, ctx: Context) -> bytes:
    """Return the structure set of a job, byte for byte as it was delivered; it names the patient.

    If it is not in its folder any more, or went to DICOM targets, it is made again of the received
    file.

    Raises
    ------
    UsageError
        If nothing was delivered, or the same bytes cannot be had any more.
    """
    crosswalk = _of_delivered(job, ctx)
    path = delivery_path(job, ctx)
    with suppress(OSError):
        if path is not None and _is_there(path, job):
            return path.read_bytes()
    received = ctx.work.file(job.id, RECEIVED)
    with suppress(JobError, OSError):
        data, _, _ = finish_structure_set(job, received.read_bytes(), crosswalk, ctx)
        if hashlib.sha256(data).hexdigest() == job.delivered_sha256:
            return data
    raise UsageError(
        f"the structure set of job {job.id} is not there any more as it was delivered",
        hint="It was moved or changed, and cannot be made again of what was received.",
    )


def verifiable_jobs(ctx: Context) -> list[Job]:
    """Return the jobs whose delivered structure sets can be verified."""
    return [job for job in ctx.kept_jobs() if _is_kept(job, ctx)]


def verify(job: Job, ctx: Context) -> list[Finding]:
    """Check that a delivered structure set exists, is unchanged, and fits its images.

    Raises
    ------
    UsageError
        If nothing was delivered yet, or the work folder is gone.
    """
    crosswalk = _of_delivered(job, ctx)
    return [*check_file(delivery_path(job, ctx), job, crosswalk, ctx), *_sources(crosswalk, job)]


def check_file(path: Path | None, job: Job, crosswalk: Crosswalk, ctx: Context) -> list[Finding]:
    """Return the findings on a delivered file; its images are not checked."""
    if path is None:
        text = "it was delivered to DICOM targets only; there is no file to check"
        return [Finding(Severity.WARN, "not-there", text)]
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        text = "the delivered file is missing; some planning systems move it"
        return [Finding(Severity.WARN, "not-there", text)]
    except OSError as err:
        raise_shortage(err)
        return [Finding(Severity.BLOCK, "unreadable", f"the file cannot be read: {err.strerror}")]
    found = []
    if sha256_of(path) != job.delivered_sha256:
        text = "the file has changed since it was delivered"
        found.append(Finding(Severity.BLOCK, "changed", text))
    expected = expect_finished(crosswalk, frozenset(own_uids(job, ctx)))
    return [*found, *inspect_delivered(data, expected, crosswalk)]


def _sources(crosswalk: Crosswalk, job: Job) -> list[Finding]:
    try:
        check_sources(crosswalk, job)
    except DrawcliError as err:
        raise_if_short(err)
        return [Finding(Severity.BLOCK, err.code, str(err))]
    return []


def _of_delivered(job: Job, ctx: Context) -> Crosswalk:
    if job.state not in _PAST_DELIVERY:
        raise UsageError(
            f"job {job.id} is {job.state}: nothing was delivered yet",
            hint=f"'drawcli show {job.id}' shows what it waits for.",
        )
    if not _is_kept(job, ctx):
        raise UsageError(
            f"the work folder of job {job.id} is gone",
            hint="It is removed after deliver.keep_days.",
        )
    return ctx.crosswalk(job)


def _is_kept(job: Job, ctx: Context) -> bool:
    return (
        job.state in _PAST_DELIVERY and bool(job.delivered_sha256) and ctx.work.has_folder(job.id)
    )


def has_structure_set(job: Job, ctx: Context) -> bool:
    """Return whether a structure set of the job was received."""
    received = ctx.work.file(job.id, RECEIVED)
    return received.is_file() or ctx.work.file(job.id, REFUSED).is_file()


def structure_set_of(job: Job, crosswalk: Crosswalk, ctx: Context) -> tuple[Header, str]:
    """Return the structure set to draw, and its origin: the delivered file if it is readable."""
    delivered = _delivered(job, ctx)
    if delivered is not None:
        return delivered, _DELIVERED
    received = ctx.work.file(job.id, RECEIVED)
    if not received.is_file():
        return _came(ctx.work.file(job.id, REFUSED)), _AS_CAME
    try:
        data, _, _ = finish_structure_set(job, received.read_bytes(), crosswalk, ctx)
    except JobError:  # reported among the findings
        return _came(received), _AS_CAME
    return read_header(data, complete=True), _TO_DELIVER


def _delivered(job: Job, ctx: Context) -> Header | None:
    if job.state not in _PAST_DELIVERY or not job.delivered_sha256:
        return None
    path = delivery_path(job, ctx)
    if path is None:
        return None
    try:
        return read_header(path.read_bytes(), complete=True)
    except (OSError, NotDicom, Incomplete) as err:  # reported among the findings
        raise_shortage(err)
        return None


def _came(path: Path) -> Header:
    try:
        return read_header(path.read_bytes(), complete=True)
    except (NotDicom, Incomplete):
        raise UsageError(
            "the structure set cannot be drawn: it is not a DICOM file, or is cut off"
        ) from None


def findings_of(job: Job, crosswalk: Crosswalk, ctx: Context) -> list[Finding]:
    """Return why the job is held, what the gate found, and the state of the delivered file."""
    found = []
    if job.held and job.reason:
        found.append(Finding(Severity.BLOCK, job.reason_code or "held", f"held: {job.reason}"))
    report = ctx.work.read_json(job.id, REPORT)
    if report is None:
        text = "the report of the acceptance gate is missing from the work folder"
        found.append(Finding(Severity.WARN, "report-missing", text))
    reported = [
        Finding(Severity(plain["severity"]), plain["code"], plain["text"])
        for plain in (report or {}).get("findings", [])
    ]
    found += [new for new in reported if not any(new.text in other.text for other in found)]
    if job.state in _PAST_DELIVERY and job.delivered_sha256:
        found += check_file(delivery_path(job, ctx), job, crosswalk, ctx)
    return found
