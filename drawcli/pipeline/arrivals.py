"""What has come back of a job: the structure set to be drawn, and what is to be told of it."""

from pathlib import Path
from typing import Final

from drawcli.adapters.state.workdir import RECEIVED, REPORT
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import JobError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import CAME_HOME, look_at_file, place_of
from drawcli.pipeline.steps.reidentify import restored

_DELIVERED: Final = "contours as delivered"
_TO_DELIVER: Final = "contours as they would be delivered"
_AS_CAME: Final = "contours as the server sent them"


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
